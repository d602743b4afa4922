package probe

import (
	"strings"

	"cloney-s3-credentials/internal/lazyregexp"
)

// reason is which policy denied a request, as far as AWS says it.
type reason int

const (
	untold        reason = iota
	bucketDenies         // an explicit deny in the bucket's policy
	bucketLacks          // the bucket's policy would have to allow it, and does not
	organization         // a service control policy
	resources            // a resource control policy
	endpoint             // a VPC endpoint's policy
	boundary             // the user's permissions boundary
	userDenies           // an explicit deny in a policy of the user
	userLacks            // no policy of the user allows it
	keyNotNamed          // no policy of the user allows the KMS key
	keyClosed            // the KMS key's own policy does not allow it
	keyDenied            // KMS denies the key, and does not say why
	keyRestricted        // another policy denies the KMS key
)

// reasonOf reads the words in the message of a denial: no other part of the answer has
// the reason. They choose between sentences, and make a denial of reading certain (see
// read). A denial is a denial without them too. AWS gives a reason only within one
// account or organization. If it gives none, or uses other words, the sentence names
// every possible cause.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
//
// The message names the user's ARN and the resource before the reason, and an object's
// key may hold any words.
func reasonOf(message string) reason {
	why := message[max(0, strings.LastIndex(message, " because "), strings.LastIndex(message, " with an explicit deny ")):]
	says := func(words string) bool { return strings.Contains(why, words) }
	if strings.HasPrefix(actionOf(message), "kms:") {
		switch {
		case says("no identity-based policy allows"):
			return keyNotNamed
		case says("resource-based polic"):
			return keyClosed
		}
		return keyRestricted
	}
	switch {
	case says("service control policy"):
		return organization
	case says("resource control policy"):
		return resources
	case says("VPC endpoint policy"):
		return endpoint
	case says("permissions boundary"):
		return boundary
	case says("explicit deny in a resource-based policy"):
		return bucketDenies
	case says("no resource-based policy allows"):
		return bucketLacks
	case says("explicit deny in an identity-based policy"):
		return userDenies
	case says("no identity-based policy allows"):
		return userLacks
	}
	return untold
}

var deniedAction = lazyregexp.New(`not authorized to perform: ([a-z0-9]+:[A-Za-z]+)`)

// actionOf returns the action that a denial names; empty where it names none.
func actionOf(message string) string {
	if found := deniedAction.FindStringSubmatch(message); found != nil {
		return found[1]
	}
	return ""
}

var keyARN = lazyregexp.New(`arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+`)

// keyOf returns the ARN of the KMS key that a denial names, for KmsKeyArns; empty where it
// names none. It returns nothing but a key's ARN.
func keyOf(message string) string { return keyARN.FindString(message) }
