// Package spec turns the ResourceProperties of an event into a valid Spec, or
// into every problem at once.
//
// Packages that get a Spec need not check it again. CloudFormation delivers every
// scalar as a string, so this package reads "true", "3" and a comma-separated string as
// what they mean. It refuses unknown properties, with the nearest known name: if a
// misspelt property were ignored, the stack would get other permissions than it
// declares. It does not use a general decoder: such a decoder takes "1" for true and ""
// for 0, and its errors name Go types.
//
// It is pure: no SDK, no clock, no I/O.
package spec

import (
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Spec is what a stack declares, valid, with every default filled in.
type Spec struct {
	Scope      access.Scope
	UserName   string            // 1–64 characters; also the physical id
	SecretName string            // begins with cloney/, at most 512 characters
	KMSKey     string            // SecretKmsKeyId as written; empty: aws/secretsmanager
	Readers    []string          // ARNs that may read the secret, sorted
	Serial     int               // from 1
	Schedule   string            // RotationSchedule as written; empty: none
	GraceDays  int               // RotationGraceDays, from 1
	Tags       map[string]string // the stack owner's own, at most MaxTags
	Verify     bool
	// NotAllowed is what an Update declares and the provider's owner does not
	// allow, see Limits. The plan refuses a value that the update would add. It accepts
	// a value that is in force already: a rollback must be able to return to what was
	// in force before the owner set a limit.
	NotAllowed []NotAllowed
}

// NotAllowed is the value of a property that the provider's owner does not allow.
type NotAllowed struct {
	Property string // "Buckets", without an index
	// Value is what a Spec holds: a place, the ARN of a reader, a time as RFC 3339, a
	// range of addresses, a KMS key as written; empty: the property is missing.
	Value   string
	Problem string // the complete sentence with which a Create is refused
}

// MaxTags is how many tags a stack may set: AWS takes 50 on a user, and the
// provider keeps ten of them for itself.
const MaxTags = 40

// Rules are what the properties are checked by, in addition to the properties.
type Rules struct {
	Owner name.Owner
	Limits
	// Account is where the secret is: the provider's; empty: the stack's own.
	Account string
	// Rotates: the provider has a function that rotates keys.
	Rotates bool
	// Update: what the Limits do not allow is not refused, but listed in
	// Spec.NotAllowed. An ExpiresAt in the past, which ends access at once, and a short
	// ServiceTimeout are accepted: no rollback may fail for what is in force already.
	Update bool
	// Now is the time of the event, by which ExpiresAt is checked; zero: any time is
	// accepted.
	Now time.Time
}

// Parse reads the properties of a Create or Update. On any problem it returns
// the zero Spec and Problems.
func Parse(properties map[string]any, rules Rules) (Spec, error) {
	r := reader{properties: properties, rules: rules}
	var spec Spec
	// In the order of the table in docs/reference.md, which is the order of the problems.
	r.serviceTimeout()
	spec.Scope = r.scope()
	spec.UserName = r.userName()
	spec.SecretName = r.secretName(spec.UserName)
	spec.KMSKey = r.kmsKey()
	spec.Readers = r.readers(spec.KMSKey)
	spec.Serial = r.serial()
	spec.Schedule = r.schedule()
	spec.GraceDays = r.graceDays()
	spec.Verify = r.verify()
	spec.Tags = r.tags()
	spec.NotAllowed = r.notAllowed
	r.unknown()
	if len(r.problems) > 0 {
		return Spec{}, r.problems
	}
	return spec, nil
}

// Names are what can be read from properties that need not be valid.
type Names struct {
	UserName   string
	SecretName string
	TagKeys    []string
	Readers    []string
}

// Peek reads the names from properties that may come from another version, or may never
// have been valid: those of a Delete, and OldResourceProperties. For a name that is
// missing or not valid it returns the default.
func Peek(properties map[string]any, owner name.Owner) Names {
	r := reader{properties: properties, rules: Rules{Owner: owner}, peeking: true}
	names := Names{UserName: owner.User()}
	if user, ok := r.scalar("UserName"); ok && name.IsUser(user) {
		names.UserName = user
	}
	names.SecretName = name.Secret(names.UserName)
	if secret, ok := r.scalar("SecretName"); ok {
		if problem, _ := secretNameProblem(secret); problem == "" {
			names.SecretName = secret
		}
	}
	for key := range r.tags() {
		names.TagKeys = append(names.TagKeys, key)
	}
	names.Readers = r.readers(r.kmsKey())
	return names
}

// mostServiceTimeout is how many seconds CloudFormation waits for a response if the
// stack sets no ServiceTimeout. It is also the maximum.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
const mostServiceTimeout = 3600

// leastServiceTimeout is enough for a Create: 20 s are reserved for undoing it if it
// fails, and 10 s for the response. The work usually takes less than the other 30 s.
const leastServiceTimeout = 60

// ServiceTimeout is how many seconds CloudFormation waits, 1 to 3,600. The
// properties need not be valid.
func ServiceTimeout(properties map[string]any) int {
	written, _ := text(properties["ServiceTimeout"])
	if seconds, ok := wholeNumber(written, mostServiceTimeout); ok {
		return seconds
	}
	return mostServiceTimeout
}

// serviceTimeout refuses a value that ServiceTimeout cannot read: CloudFormation may
// read it, and would stop waiting long before the provider, which counts on an hour.
func (r *reader) serviceTimeout() {
	text, given := r.scalar("ServiceTimeout")
	seconds, ok := wholeNumber(text, mostServiceTimeout)
	switch {
	case !given:
	case !ok:
		r.wrong("ServiceTimeout", text, "is not a whole number of seconds from %d to %d; write 330, or leave it out", leastServiceTimeout, mostServiceTimeout)
	case seconds < leastServiceTimeout && !r.rules.Update:
		r.wrong("ServiceTimeout", text, "is too short to create the user and respond, or to undo that; write 330, or at least %d", leastServiceTimeout)
	}
}
