package probe

import (
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
)

// whyDenied is the cause of a denial that was not a delay, or all causes that AWS's
// answer leaves open, the most likely one first; and the next step.
func whyDenied(o obstacle, p *place, scope access.Scope) string {
	switch o.reason {
	case keyNotNamed:
		return unnamedKey(o.key, scope)
	case keyClosed:
		return "the policy of the KMS key that the bucket encrypts with does not allow it; let the key's own policy allow this account kms:GenerateDataKey and kms:Decrypt, and check that the key still exists, in the bucket's region"
	case keyDenied:
		return "KMS denies the key that the bucket encrypts with; name the key in KmsKeyArns, and let its own policy allow this account kms:GenerateDataKey and kms:Decrypt"
	case keyRestricted:
		return "a control policy of an organization, or the user's permissions boundary, denies the KMS key that the bucket encrypts with; ask the owners of these policies which condition is not met"
	case organization:
		return "a service control policy of your organization denies it; " + meetConditions
	case resources:
		return "a resource control policy of the organization of the bucket's account denies it; " + meetConditions
	case endpoint:
		return "the policy of the VPC endpoint that the provider's function goes through denies it; ask the provider's owner to allow the bucket there"
	case boundary:
		return "the user's permissions boundary denies it, because of one of these parameters of the provider's stack: AllowedBuckets does not have the bucket, ClosedBuckets has it, BucketAccounts or BucketOrganizationId does not have the account of the bucket, SourceCidrs does not have the address that the call came from, or the policy that UserPermissionsBoundary names denies it. Ask the provider's owner which one it is; if it is ClosedBuckets, use another bucket"
	case userDenies:
		return "a Deny in another policy of the user or of its groups denies it, perhaps to stop this key; ask the owner of the account who attached it, and why"
	case bucketDenies:
		return "a Deny in the bucket's policy is in the way. It is about one of these: " + denyAbout(o, p)
	case bucketLacks:
		return "the bucket belongs to another account, and its policy does not let the user in; ask its owner to allow your account there, on the condition that aws:PrincipalArn is the user's"
	case userLacks:
		return userLacksIt(o, scope)
	}
	return untoldDenial(o, p, scope)
}

// meetConditions is for policies of an organization, which only its administrators can
// read. Most of them are about a condition, not about a user.
const meetConditions = "ask the administrators of the organization which condition is not met, often one about region, network or encryption, and meet it; if only the network of the provider's function does not meet it, set Verify: false"

// unnamedKey is for a KMS key that the user's own policy does not allow.
func unnamedKey(key string, scope access.Scope) string {
	switch {
	case key == "":
		return "the bucket encrypts with a KMS key that KmsKeyArns does not name; add the ARN in the bucket's default encryption"
	case slices.Contains(scope.KMSKeys, key):
		return "IAM says that no policy of the user allows the KMS key " + key + ", although KmsKeyArns names it; try again, and if that does not help, check whether somebody changed the user's policies"
	}
	return "the bucket encrypts with a KMS key that KmsKeyArns does not name; add " + key
}

// userLacksIt is for an action that the user's policy allows, although IAM says that it
// does not. For the condition of BucketOwner, AWS uses the same words.
func userLacksIt(o obstacle, scope access.Scope) string {
	if scope.Owner != "" {
		return "most likely account " + scope.Owner + ", which BucketOwner names, does not own the bucket; check which account owns it. If it is that account, check whether somebody changed the user's policies, and try again"
	}
	return "IAM says that no policy of the user allows it, although the provider's policy does; try again, and if that does not help, check whether somebody changed the user's policies"
}

// denyAbout says what a Deny in a bucket's policy may be about, and what to do then: AWS
// does not say which condition matches. Plain HTTP and old TLS are not in the list,
// because the verification uses neither.
//
// To add the user to a list of allowed users is safe. An exception from a Deny about
// addresses or tags is not: the user would get past what that Deny is for.
//
// A Deny of listing is often about the whole bucket. A Deny of reading or writing alone
// is most likely about objects.
func denyAbout(o obstacle, p *place) string {
	whole := o.stops(listing) || o.stops(locating)
	who := []string{
		"addresses (set SourceIps to those that it allows, or Verify: false)",
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
		about = append(about, "tags on objects (let one of the first five objects there have the right tags, or set Verify: false)")
	}
	if o.stops(writing) {
		about = append(about, "headers of uploads (let the client send them, and set Verify: false)")
	}
	if !whole {
		about = append(about, who...)
	}
	return strings.Join(append(about, "something else (meet its condition)"), ", ")
}

const closedKey = "encrypts with a KMS key that the user may not use: name it in KmsKeyArns, and let its own policy allow this account"

// untoldDenial is for denials without a reason. AWS gives none to another account
// outside the organization.
func untoldDenial(o obstacle, p *place, scope access.Scope) string {
	if o.cure != (header{}) {
		return "it is allowed with the header " + o.cure.String() + ". Either the bucket " + closedKey + "; or its policy requires the header: let the client send it, and set Verify: false"
	}
	var open []string
	if scope.Owner != "" && o.stops(listing) {
		open = append(open, "account "+scope.Owner+", which BucketOwner names, does not own the bucket: check which account owns it")
	}
	open = append(open, "another account owns the bucket: ask it to let this user in, by "+byARN)
	// If only reading is denied, the KMS key matters only if there is an object.
	if !o.stops(listing) && (o.stops(writing) || o.stops(reading) && len(p.listed) > 0) {
		open = append(open, "the bucket "+closedKey)
	}
	open = append(open, "the bucket's policy has a Deny about "+denyAbout(o, p),
		"a control policy of an organization, the user's permissions boundary, or the policy of the provider's VPC endpoint denies it: ask the owners of these policies why")
	// If agreeing to pay changes nothing, something else is in the way as well.
	if o.stops(listing) {
		open = append(open, "it is a Requester Pays bucket: ask its owner to switch that off")
	}
	return "AWS does not say why. Most likely " + strings.Join(open, ". Or ")
}
