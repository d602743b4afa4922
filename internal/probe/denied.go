package probe

import (
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
)

// whyDenied is the cause of a denial that waiting did not cure, or all causes
// that AWS's answer leaves open, the likeliest first, and the next step.
func whyDenied(o obstacle, p *place, scope access.Scope) string {
	switch o.reason {
	case keyNotNamed:
		return unnamedKey(o.key, scope)
	case keyClosed:
		return "the KMS key that the bucket encrypts with is closed to the user; let the key's own policy allow this account kms:GenerateDataKey and kms:Decrypt, and see that the key still exists, in the bucket's region"
	case keyDenied:
		return "KMS denies the key that the bucket encrypts with; name the key in KmsKeyArns, and let its own policy allow this account kms:GenerateDataKey and kms:Decrypt"
	case keyRestricted:
		return "the KMS key that the bucket encrypts with is denied by a control policy of an organization, or by the user's permissions boundary; ask those who run them which condition is not met"
	case organization:
		return "a service control policy of your organization denies it; " + meetConditions
	case resources:
		return "a resource control policy denies it, of the organization that the bucket's account is in; " + meetConditions
	case endpoint:
		return "the policy of the VPC endpoint that the provider's function goes through denies it; ask the provider's owner to allow the bucket there"
	case boundary:
		return "the user's permissions boundary denies it. One of these parameters of the provider's stack does it: AllowedBuckets lacks the bucket, ClosedBuckets closes it, BucketAccounts or BucketOrganizationId leaves out the account that the bucket is in, or the policy that UserPermissionsBoundary names denies it. Ask the provider's owner which it is, and use another bucket if it is closed"
	case userDenies:
		return "somebody put a Deny on the user or on a group of it, perhaps to stop this key: ask who"
	case bucketDenies:
		return "a Deny in the bucket's policy is in the way. It is about one of these: " + denyAbout(o, p)
	case bucketLacks:
		return "the bucket belongs to another account, and its policy does not let the user in; ask its owner to allow your account there, on the condition that aws:PrincipalArn is the user's"
	case userLacks:
		return userLacksIt(o, scope)
	}
	return untoldDenial(o, p, scope)
}

// meetConditions is for policies of an organization, which nobody but those who
// run it can read. Most of them are about a condition, not about a user.
const meetConditions = "ask those who run the organization which condition is not met (often region, network or encryption), and meet it; if only the network of the provider's function does not meet it, set Verify: false"

// unnamedKey is for a KMS key that the user's own policy does not allow.
func unnamedKey(key string, scope access.Scope) string {
	switch {
	case key == "":
		return "the bucket encrypts with a KMS key that KmsKeyArns does not name; add the ARN that stands in the bucket's default encryption"
	case slices.Contains(scope.KMSKeys, key):
		return "IAM says that no policy of the user allows it the KMS key " + key + ", though KmsKeyArns names it; try again, and if it stays see whether somebody changed the user's policies"
	}
	return "the bucket encrypts with a KMS key that KmsKeyArns does not name; add " + key
}

// userLacksIt is for what the user's policy allows, and IAM says it does not:
// of BucketOwner's condition AWS tells in the same words.
func userLacksIt(o obstacle, scope access.Scope) string {
	if scope.Owner != "" {
		return "most likely the bucket does not belong to account " + scope.Owner + ", which BucketOwner asks for; check who owns it. If that account does, see whether somebody changed the user's policies, and try again"
	}
	return "IAM says that no policy of the user allows it, though the one that was just written does; try again, and if it stays see whether somebody changed the user's policies"
}

// denyAbout says what a Deny in a bucket's policy may be about, and what to do
// then. Of what makes it match nothing is told. Plain HTTP and old TLS are not
// among it: the verification uses neither.
//
// A user that is on a list of those who may come in is one thing; excepted from a
// Deny about addresses or tags, it would get past what that is there for.
//
// What denies listing denies much; what denies reading or writing alone is most
// likely about objects.
func denyAbout(o obstacle, p *place) string {
	whole := o.stops(listing) || o.stops(locating)
	who := []string{
		"addresses (set SourceIps to those it lets in, or Verify: false)",
		"VPC endpoints (set Verify: false)",
		"a list of users (ask the bucket's owner to add this one, by " + byARN + ", to that list alone)",
	}
	var about []string
	if o.stops(listing) && !o.stops(locating) && p.name.Prefix() == "" {
		who = append(who, "prefixes (name the prefix in Buckets)")
	}
	if whole {
		about = append(about, who...)
	}
	if o.stops(reading) {
		about = append(about, "tags on objects (one of the first five keys there has to pass, or set Verify: false)")
	}
	if o.stops(writing) {
		about = append(about, "headers of uploads (have the client send them, and set Verify: false)")
	}
	if !whole {
		about = append(about, who...)
	}
	return strings.Join(append(about, "something else (meet its condition)"), ", ")
}

const closedKey = "encrypts with a KMS key that is closed to the user: name it in KmsKeyArns, and let its own policy allow this account"

// untoldDenial is for denials of which AWS does not tell the reason, as it does
// not to another account outside of the organization.
func untoldDenial(o obstacle, p *place, scope access.Scope) string {
	if o.cure != (header{}) {
		return "it is allowed with the header " + o.cure.String() + ". Either the bucket " + closedKey + "; or its policy demands the header: have the client send it, and set Verify: false"
	}
	var open []string
	if scope.Owner != "" && o.stops(listing) {
		open = append(open, "the bucket does not belong to account "+scope.Owner+", which BucketOwner asks for: check who owns it")
	}
	open = append(open, "another account owns the bucket: ask it to let this user in, by "+byARN)
	// Where reading is denied, the key matters to an object that is there alone.
	if !o.stops(listing) && (o.stops(writing) || o.stops(reading) && len(p.listed) > 0) {
		open = append(open, "it "+closedKey)
	}
	open = append(open, "the bucket's policy has a Deny about "+denyAbout(o, p),
		"a control policy of an organization, the user's permissions boundary, or the policy of the provider's VPC endpoint denies it: ask those who run them why")
	// Where agreeing to pay changes nothing, something else is in the way as well.
	if o.stops(listing) {
		open = append(open, "it is a Requester Pays bucket: ask its owner to switch that off")
	}
	return "AWS does not tell why. Most likely " + strings.Join(open, ". Or ")
}
