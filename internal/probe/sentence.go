package probe

import (
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/lazyregexp"
)

// sentences say all that is in the way of a place, and what to do next. They
// hold no name of the place, so that places in the same case share them.
//
// A next step has to help in a new stack too, and never opens a bucket: nobody
// is told to take a Deny away, or to except the user from one that is about
// addresses, endpoints or tags.
func sentences(p *place, scope access.Scope) string {
	var parts []string
	for _, o := range alike(p.failures) {
		parts = append(parts, sentence(o, p, scope))
	}
	text := strings.Join(parts, ". Also, ")
	if p.begun != nil {
		text += ". One upload is left begun there, without data; a lifecycle rule for incomplete multipart uploads clears it away"
	}
	return text
}

// obstacle is an answer that S3 gave to one or more of a place's needs.
type obstacle struct {
	answer
	purposes []string
}

func (o obstacle) stops(purpose string) bool { return slices.Contains(o.purposes, purpose) }

// alike puts the purposes together that fail for the same reason.
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
		return "it is in another region, which S3 does not tell; check the name in Buckets, and whether the bucket was deleted and made again a short while ago; or take it out of Buckets"
	case elsewhere:
		return "S3 says that it is in region " + o.region + ", and it does not answer there; if it was moved there a short while ago, try again in an hour, or take it out of Buckets"
	case barred:
		return "AWS has closed this bucket or its account (" + o.code + "); ask AWS Support why, or take it out of Buckets"
	case brokenKey:
		return "S3 cannot use the KMS key that the bucket encrypts with: " + keyState(o.code)
	case payer:
		return "it is a Requester Pays bucket of another account, which denies requests without the header x-amz-request-payer: requester; ask its owner to switch that off, or have the client send the header and set Verify: false"
	case denied:
		return "the key may not " + oneOf(o.purposes) + ": " + whyDenied(o, p, scope)
	case unknown:
		return unknownKey(o.answer)
	case busy:
		return "S3 was too busy to answer (" + o.code + "); try again in some minutes"
	}
	if o.code != "" {
		return "the key may not " + oneOf(o.purposes) + ": S3 answered " + o.code + "; try again; if it stays, show the provider's log to its owner"
	}
	return "S3 did not answer, or something between answered for it; if the provider's function is in a VPC, ask the provider's owner whether S3 of the bucket's region can be reached from there; else try again"
}

// oneOf joins alternatives.
func oneOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// noBucket is for a name that no bucket has. Names that a new bucket may not
// have are old ones, or written wrong.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func noBucket(name string) string {
	const text, correct = "there is no such bucket; ", "correct the name, or take it out of Buckets"
	if legacy(name) {
		return text + "most likely its name is wrong: only some in us-east-1 from before March 2018 have other characters than small letters, digits, hyphens and dots, more than 63 of them, or a hyphen or dot at an end or beside a dot; " + correct
	}
	return text + "create it first, " + correct
}

// newName is what a new bucket may be called, but for its length.
var newName = lazyregexp.New(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// legacy reports whether no new bucket may have the name.
func legacy(name string) bool { return len(name) < 3 || len(name) > 63 || !newName.MatchString(name) }

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
