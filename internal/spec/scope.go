package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/lazyregexp"
)

// scope reads what a credential is for. Access and Buckets give permissions, and
// KmsKeyArns adds the KMS keys; every other property only narrows them.
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
			r.wrong(role.property, role.text, "is neither Source nor Destination; %s", meantRole(role.text))
		}
	}
	if len(roles) == 0 {
		r.missing("Access", "is missing; write Source to read, Destination to write, or a list of both")
	}
	return source, destination
}

// meantRole says what to write instead of a value of Access.
func meantRole(text string) string {
	if role := nearest(text, []string{"Source", "Destination"}); near(text, role) {
		return "did you mean " + role + "?"
	}
	return "write Source to read, or Destination to write"
}

// A key's own ARN: IAM does not resolve an alias in a policy's Resource.
// https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
var (
	kmsKeyARN   = lazyregexp.New(`^arn:([a-z0-9-]+):kms:[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:key/(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
	kmsAliasARN = lazyregexp.New(`^(arn:[a-z0-9-]+:kms:[^:]*:[^:]*:)?alias/`)
)

func (r *reader) kmsKeys() []string {
	var arns []string
	partition := r.rules.Owner.Stack.Partition
	for _, item := range r.list("KmsKeyArns") {
		m := kmsKeyARN.FindStringSubmatch(item.text)
		switch {
		case kmsAliasARN.MatchString(item.text):
			r.wrong(item.property, item.text, "is an alias, which a policy cannot name; write the ARN of the key behind it")
		case m == nil:
			r.wrong(item.property, item.text, "is not the ARN of a KMS key; write arn:%s:kms:REGION:ACCOUNT:key/ID, without wildcards", partition)
		case m[1] != partition:
			r.wrong(item.property, item.text, "is in another partition than the stack; write arn:%s:kms:…", partition)
		default:
			arns = append(arns, item.text)
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

var accountID = lazyregexp.New(`^[0-9]{12}$`)

func (r *reader) bucketOwner() string {
	owner, given := r.scalar("BucketOwner")
	if given && !accountID.MatchString(owner) {
		r.wrong("BucketOwner", owner, "%s", notAccount(owner))
	}
	return owner
}

// notAccount says what to write instead of what is not an account id.
func notAccount(text string) string {
	if digitsLost(text) {
		return "is not an account id, which has 12 digits. " + rewrittenAsNumber
	}
	return "is not an account id; write its 12 digits in quotes, leading zeros too"
}

// expiresAt reads a time in the years 1970 to 9999, which a policy can hold, in whole
// seconds: it cuts fractions, so that access never ends later than declared.
func (r *reader) expiresAt() time.Time {
	text, given := r.written("ExpiresAt")
	if !given {
		if !r.refused("ExpiresAt") {
			r.limitExpiry("", time.Time{})
		}
		return time.Time{}
	}
	at, problem := parseTime(text)
	switch {
	case problem != "":
		r.wrong("ExpiresAt", text, "%s", problem)
	case at.Year() < 1970 || at.Year() > 9999:
		r.wrong("ExpiresAt", text, "is not in the years 1970 to 9999; write the time at which access ends")
	case !r.rules.Update && !r.rules.Now.IsZero() && !at.After(r.rules.Now):
		r.wrong("ExpiresAt", text, "is in the past; write a later time")
	default:
		r.limitExpiry(text, at)
	}
	return at
}

// How people and their tools write a time. YAML has a type for it, so a tool reads a
// time without quotes and writes it again in its own form: with a space for the T
// (PyYAML, so `aws cloudformation package`), with another space before the zone (Ruby's
// Psych), with fractions of a second (js-yaml). RFC 3339 allows small letters and the
// space.
// https://yaml.org/type/timestamp.html
// https://www.rfc-editor.org/rfc/rfc3339#section-5.6
var (
	withZone    = lazyregexp.New(`^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?) ?([Zz]|[+-][0-9]{2}:[0-9]{2})$`)
	withoutZone = lazyregexp.New(`^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?$`)
	dateAlone   = lazyregexp.New(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	number      = lazyregexp.New(`^[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)?$`)
)

// parseTime returns the time that text names, in whole seconds, or what is wrong with
// it.
func parseTime(text string) (at time.Time, problem string) {
	if m := withZone.FindStringSubmatch(text); m != nil {
		zone := strings.ToUpper(m[3])
		at, err := time.Parse(time.RFC3339, m[1]+"T"+m[2]+zone)
		if err != nil || zone[1:] > "23:59" { // time.Parse takes 24:00
			return time.Time{}, "has a date, an hour or a zone that does not exist; correct it"
		}
		return at.UTC().Truncate(time.Second), ""
	}
	if m := withoutZone.FindStringSubmatch(text); m != nil {
		return time.Time{}, fmt.Sprintf("has no time zone, which a tool may have dropped; write %sT%sZ for UTC, or an offset such as +01:00 in place of the Z", m[1], m[2])
	}
	switch {
	case dateAlone.MatchString(text):
		return time.Time{}, "is a date without a time; write the time at which access ends, like " + text + "T18:00:00Z"
	case number.MatchString(text):
		return time.Time{}, "is a number; write a date, a time and a zone, like 2030-01-31T18:00:00Z"
	}
	return time.Time{}, "is not a time with a zone; write it like 2030-01-31T18:00:00Z or 2030-01-31T18:00:00+01:00"
}
