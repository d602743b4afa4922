package probe

import (
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
		return "AWS has closed this bucket or its account (" + a.code + "); see to it with AWS Support"
	case brokenKey:
		return "S3 cannot use the KMS key that the bucket encrypts with: " + keyState(a.code)
	case denied:
		return "the key may not " + a.purpose + ": " + whyDenied(p, scope)
	case unknown:
		return unknownKey(a)
	case busy:
		return "S3 was too busy to answer (" + a.code + "); try again"
	}
	if a.code != "" {
		return "the key may not " + a.purpose + ": S3 answered " + a.code + "; look that up among S3's error codes, or try again"
	}
	return "S3 gave no clear answer; try again"
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
		return "S3 in region " + a.region + " does not know the key (" + a.code + "); if that region has to be opted into, enable it for this account, else try again"
	}
	return "S3 does not know the key yet (" + a.code + "), though IAM does; try again"
}

// whyDenied is the likely cause of a denial that waiting did not cure, and the
// next step.
func whyDenied(p *place, scope access.Scope) string {
	switch p.last.reason {
	case keyNotNamed:
		if len(scope.KMSKeys) == 0 {
			return "the bucket encrypts with a KMS key; add its ARN, which stands in the bucket's default encryption, as KmsKeyArns"
		}
		return "the bucket encrypts with a KMS key that KmsKeyArns does not name; add the ARN that stands in the bucket's default encryption"
	case keyClosed:
		return "the KMS key that the bucket encrypts with is closed to this user; in the key's policy, allow this account kms:GenerateDataKey and kms:Decrypt (and see that the key still exists, in the bucket's region)"
	case keyRestricted:
		return "a policy denies the user the KMS key that the bucket encrypts with; look at the organization's control policies, and at the provider's permissions boundary"
	case organization:
		return "a service control policy of your organization denies it; ask those who run the organization to except this user"
	case resources:
		return "a resource control policy of the organization that owns the bucket denies it; ask those who run it to except this user"
	case endpoint:
		return "the policy of the VPC endpoint that this function goes through denies it; allow the bucket there, or take the function out of the VPC"
	case boundary:
		return "the user's permissions boundary denies it; add the bucket to AllowedBuckets of the provider's stack"
	case userDenies:
		return "a policy that somebody put on the user or its group denies it; take that off"
	case bucketDenies:
		return "a Deny in the bucket's policy; except this user there" + demands(p)
	case bucketLacks:
		return "the bucket's policy does not allow it, which the bucket of another account has to; ask its owner to allow this user"
	}
	return perhapsDenied(p, scope)
}

// demands is what is known, or else to be thought of, of headers that a policy
// may demand of uploads.
func demands(p *place) string {
	switch {
	case p.cure != (header{}):
		return ", or have the client send " + p.cure.String() + ", with which it is allowed, and set Verify: false"
	case p.last.purpose == writing:
		return ", or, if it demands a header, have the client send that and set Verify: false"
	}
	return ""
}

// perhapsDenied is for denials of which AWS does not tell the reason.
func perhapsDenied(p *place, scope access.Scope) string {
	if scope.Owner != "" && p.last.purpose == "list it" {
		return "most likely it does not belong to account " + scope.Owner + ", which BucketOwner asks for; check who owns it. Else look for a Deny in the bucket's policy or in a control policy of the organization"
	}
	if p.cure != (header{}) {
		return "it is allowed with the header " + p.cure.String() + ". Either the bucket encrypts with a KMS key that is closed to this user (add it to KmsKeyArns; its own policy has to allow it too), or the bucket's policy demands the header (have the client send it, and set Verify: false)"
	}
	if p.last.reason == userLacks {
		return "IAM says that no policy of the user allows it, though the one that was just written does; try again, and if it stays see whether somebody changed the user's policies"
	}
	text := "look for a Deny in the bucket's policy or in a control policy of the organization, and whether another account owns the bucket and has not let this user in"
	if p.last.purpose == writing {
		text += "; and whether the bucket encrypts with a KMS key that is not in KmsKeyArns, or whose own policy does not allow this account"
	}
	return text
}
