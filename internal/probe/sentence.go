package probe

import (
	"slices"

	"cloney-s3-credentials/internal/access"
)

// sentence says what is in the way of a place, and what to do next. It holds
// no name of the place, so that places in the same case share it.
func sentence(p *place, scope access.Scope) string {
	a := p.last
	switch a.cause {
	case missing:
		return "there is no such bucket; create it first, or correct the name in Buckets"
	case hidden:
		return "it is in another region, which S3 does not tell; check the name in Buckets, and whether the bucket was deleted and made again a short while ago"
	case elsewhere:
		return "S3 says that it is in region " + a.region + ", and it does not answer there; if it was moved there a short while ago, try again in an hour"
	case barred:
		return "AWS has closed this bucket or its account (" + a.code + "); ask AWS Support why"
	case brokenKey:
		return "S3 cannot use the KMS key that the bucket encrypts with: " + keyState(a.code)
	case denied:
		return "the key may not " + a.purpose + ": " + whyDenied(p, scope) + left(p)
	case unknown:
		return unknownKey(a)
	case busy:
		return "S3 was too busy to answer (" + a.code + "); try again in some minutes"
	}
	if a.code != "" {
		return "the key may not " + a.purpose + ": S3 answered " + a.code + "; look that up among S3's error codes, or try again"
	}
	return "no answer of S3 came through, or none that S3 would write; see that nothing stands between the function and S3, and try again"
}

// left tells of an upload that could not be aborted.
func left(p *place) string {
	if p.begun == nil {
		return ""
	}
	return ". One upload is left begun there, without data; a lifecycle rule for incomplete multipart uploads clears it away"
}

// keyState reads what KMS says of a key.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
func keyState(code string) string {
	switch code {
	case "KMS.NotFoundException":
		return "there is no such key (" + code + "); name one that exists in the bucket's default encryption"
	case "KMS.DisabledException":
		return "it is disabled (" + code + "); enable it, or name another one in the bucket's default encryption"
	case "KMS.KMSInvalidStateException", "KMS.InvalidStateException":
		return "it is about to be deleted, or has no key material (" + code + "); cancel its deletion, or name another one in the bucket's default encryption"
	}
	return "KMS answered " + code + "; look at the key that the bucket's default encryption names"
}

// unknownKey is for a key that STS knows and S3 does not.
func unknownKey(a answer) string {
	if a.region != "" {
		return "S3 in region " + a.region + " does not know the key (" + a.code + "); if it is an opt-in region, enable it for this account, else try again in some minutes"
	}
	return "S3 does not know the key yet (" + a.code + "), though STS does; try again in some minutes"
}

// whyDenied is the likely cause of a denial that waiting did not cure, and the
// next step.
func whyDenied(p *place, scope access.Scope) string {
	switch p.last.reason {
	case keyNotNamed:
		return unnamedKey(p.last.key, scope)
	case keyClosed:
		return "the KMS key that the bucket encrypts with is closed to the user; let the key's own policy allow this account kms:GenerateDataKey and kms:Decrypt, and see that the key still exists, in the bucket's region"
	case keyRestricted:
		return "the KMS key that the bucket encrypts with is denied to the user by an organization's control policy, or by the provider's permissions boundary; ask those who run them"
	case organization:
		return "a service control policy of your organization denies it; ask those who run the organization to except the user"
	case resources:
		return "a resource control policy denies it, of the organization that the bucket's account is in; ask those who run that one to except the user"
	case endpoint:
		return "the policy of the VPC endpoint that the provider's function goes through denies it; allow the bucket there, or take the function out of the VPC"
	case boundary:
		return "the user's permissions boundary denies it; add the bucket to AllowedBuckets of the provider's stack"
	case userDenies:
		return "a policy that somebody put on the user, or on a group that it is in, denies it; take that off"
	case bucketDenies:
		return bucketPolicy(p)
	case bucketLacks:
		return "the bucket belongs to another account, and its policy does not let the user in; ask its owner to allow your account there, on the condition that aws:PrincipalArn is the user's"
	}
	return perhapsDenied(p, scope)
}

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

// bucketPolicy is for a Deny in the bucket's own policy. Of what makes it
// match nothing is told: a header that is missing is thought of where there
// can be one.
func bucketPolicy(p *place) string {
	const text = "a Deny in the bucket's policy is in the way; except the user there (a condition on aws:PrincipalArn)"
	if p.last.purpose == writing {
		return text + ". Or, if the Deny is for uploads that lack some header: have the client send that, and set Verify: false"
	}
	return text
}

// perhapsDenied is for denials of which AWS does not tell the reason.
func perhapsDenied(p *place, scope access.Scope) string {
	const policies = "a Deny in the bucket's policy, or in a control policy of the organization"
	if scope.Owner != "" && p.last.purpose == listing {
		return "most likely it does not belong to account " + scope.Owner + ", which BucketOwner asks for; check who owns it. If that account does, look for " + policies
	}
	if p.cure != (header{}) {
		return "it is allowed with the header " + p.cure.String() + ". Either the bucket encrypts with a KMS key that is closed to the user: name it in KmsKeyArns, and let its own policy allow this account; or the bucket's policy demands the header: have the client send it, and set Verify: false"
	}
	if p.last.reason == userLacks {
		return "IAM says that no policy of the user allows it, though the one that was just written does; try again, and if it stays see whether somebody changed the user's policies"
	}
	text := "look for " + policies + "; and if another account owns the bucket, ask it to let your account in"
	if p.last.purpose == writing {
		text += ". Or the bucket encrypts with a KMS key: name it in KmsKeyArns, and let its own policy allow this account"
	}
	return text
}
