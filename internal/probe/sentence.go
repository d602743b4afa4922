package probe

import (
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/lazyregexp"
)

// sentences say everything that is in the way of a place, and what to do next. They do
// not name the place, so that places in the same situation share them.
//
// A next step has to help in a new stack too, and never makes a bucket less safe: it
// never says to remove a Deny, or to except the user from one about addresses,
// endpoints or tags.
func sentences(p *place, scope access.Scope) string {
	var parts []string
	for _, o := range alike(p.failures) {
		parts = append(parts, sentence(o, p, scope))
	}
	text := strings.Join(parts, ". Also, ")
	if p.begun != nil {
		text += ". One multipart upload without data is left there; a lifecycle rule for incomplete multipart uploads removes it"
	}
	return text
}

// obstacle is an answer of S3, and what it keeps the key from.
type obstacle struct {
	answer
	purposes []string
}

func (o obstacle) stops(purpose string) bool { return slices.Contains(o.purposes, purpose) }

// alike groups the purposes that fail for the same reason.
func alike(failures []answer) (obstacles []obstacle) {
	for _, a := range failures {
		i := slices.IndexFunc(obstacles, func(o obstacle) bool {
			return o.cause == a.cause && o.code == a.code && o.reason == a.reason && o.key == a.key && o.cure == a.cure
		})
		if i < 0 {
			i, obstacles = len(obstacles), append(obstacles, obstacle{answer: a})
		}
		obstacles[i].purposes = append(obstacles[i].purposes, a.purpose)
	}
	return obstacles
}

func sentence(o obstacle, p *place, scope access.Scope) string {
	switch o.cause {
	case missing:
		return noBucket(p.name.Bucket())
	case hidden:
		return "it is in another region, and S3 does not say in which; check the name in Buckets, and whether the bucket was deleted and created again a short time ago; or take it out of Buckets"
	case elsewhere:
		return "S3 says that it is in region " + o.region + ", and it does not answer there; if it was created again there a short time ago, try again in an hour, or take it out of Buckets"
	case barred:
		return "AWS has closed this bucket or its account (" + o.code + "); ask AWS Support why, or take it out of Buckets"
	case brokenKey:
		return "S3 cannot use the KMS key that the bucket encrypts with: " + keyState(o.code)
	case payer:
		return "it is a Requester Pays bucket of another account, which denies requests without the header x-amz-request-payer: requester; ask its owner to switch that off, or let the client send the header and set Verify: false"
	case denied:
		return "the key may not " + oneOf(o.purposes) + ": " + whyDenied(o, p, scope)
	case unknown:
		return unknownKey(o.answer)
	case busy:
		return "S3 was too busy to answer (" + o.code + "); try again in a few minutes"
	}
	if o.code != "" {
		return "the key may not " + oneOf(o.purposes) + ": S3 answered " + o.code + "; try again, and if that does not help, show the provider's log to its owner"
	}
	return "S3 did not answer, or a proxy or firewall answered in its place; if the provider's function is in a VPC, ask the provider's owner whether that VPC can reach S3 in the bucket's region; otherwise try again"
}

// oneOf joins alternatives.
func oneOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// noBucket is for a name that no bucket has. A name that a new bucket cannot have belongs
// to an old bucket, or is misspelt.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func noBucket(name string) string {
	const text, correct = "there is no such bucket; ", "correct the name, or take it out of Buckets"
	if legacy(name) {
		return text + "most likely the name is wrong: a name has at most 63 small letters, digits, hyphens and dots, begins and ends with a letter or digit, and has no hyphen or dot next to a dot; only some old buckets in us-east-1, from before March 2018, have other names; " + correct
	}
	return text + "create it first, " + correct
}

// newName matches the name of a new bucket, of any length.
var newName = lazyregexp.New(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// legacy reports whether no new bucket can have the name.
func legacy(name string) bool { return len(name) < 3 || len(name) > 63 || !newName.MatchString(name) }

// keyState reads what KMS says about a key.
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
	return "KMS answered " + code + "; check the key that the bucket's default encryption names"
}

// unknownKey is for a key that STS knows and S3 does not.
func unknownKey(a answer) string {
	if a.region != "" {
		return "S3 in region " + a.region + " does not know the key (" + a.code + "); if it is an opt-in region, enable it for this account, otherwise try again in a few minutes"
	}
	return "S3 does not know the key yet (" + a.code + "), although STS does; try again in a few minutes"
}
