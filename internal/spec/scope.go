package spec

import (
	"regexp"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
)

// scope reads what a credential is for. Everything but KmsKeyArns only takes
// away from what Access and Buckets give.
func (r *reader) scope() access.Scope {
	source, destination := r.roles()
	return access.Scope{
		Source:      source,
		Destination: destination,
		Places:      r.places(),
		KMSKeys:     r.kmsKeys(),
		Owner:       r.bucketOwner(),
		SourceIPs:   r.sourceIPs(),
		ExpiresAt:   r.expiresAt(),
	}
}

func (r *reader) roles() (source, destination bool) {
	roles := r.list("Access")
	for _, role := range roles {
		switch role.text {
		case "Source":
			source = true
		case "Destination":
			destination = true
		default:
			r.refuse(role.property, "%s is no role; write Source (read) or Destination (write)", quote(role.text))
		}
	}
	if len(roles) == 0 && !r.refused("Access") {
		r.refuse("Access", "is missing; write Source (read), Destination (write), or a list of both")
	}
	return source, destination
}

// A key's own ARN: IAM does not resolve an alias in a policy's Resource.
// https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
var (
	kmsKeyARN   = regexp.MustCompile(`^arn:([a-z0-9-]+):kms:[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:key/(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
	kmsAliasARN = regexp.MustCompile(`^(arn:[a-z0-9-]+:kms:[^:]*:[^:]*:)?alias/`)
)

func (r *reader) kmsKeys() []string {
	var arns []string
	partition := r.rules.Owner.Stack.Partition
	for _, item := range r.list("KmsKeyArns") {
		m := kmsKeyARN.FindStringSubmatch(item.text)
		switch {
		case kmsAliasARN.MatchString(item.text):
			r.refuse(item.property, "%s is an alias, which a policy cannot name; write the ARN of the key behind it", quote(item.text))
		case m == nil:
			r.refuse(item.property, "%s is not the ARN of a KMS key; write arn:%s:kms:REGION:ACCOUNT:key/ID, without wildcards", quote(item.text), partition)
		case m[1] != partition:
			r.refuse(item.property, "%s is of another partition than the stack; write arn:%s:kms:…", quote(item.text), partition)
		default:
			arns = append(arns, item.text)
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

func (r *reader) bucketOwner() string {
	owner, given := r.scalar("BucketOwner")
	if given && !accountID.MatchString(owner) {
		r.refuse("BucketOwner", "%s is no account id; write its 12 digits in quotes, leading zeros too", quote(owner))
	}
	return owner
}

// expiresAt reads a moment of 1970 to 9999, which a policy can write, in whole
// seconds: what is left of one counts as expired.
func (r *reader) expiresAt() time.Time {
	text, given := r.scalar("ExpiresAt")
	if !given {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	at = at.UTC().Truncate(time.Second)
	switch {
	case err != nil:
		r.refuse("ExpiresAt", "%s is no time with a zone; write it like 2030-01-31T18:00:00Z or 2030-01-31T18:00:00+01:00", quote(text))
	case at.Year() < 1970 || at.Year() > 9999:
		r.refuse("ExpiresAt", "%s is not between 1970 and 9999", quote(text))
	case !r.rules.Now.IsZero() && !at.After(r.rules.Now):
		r.refuse("ExpiresAt", "%s is past already; write a time to come, or leave it out for access without an end", quote(text))
	}
	return at
}
