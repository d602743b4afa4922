// Package spec turns the ResourceProperties of an event into a valid Spec, or
// into every problem at once.
//
// It is the door: behind it everything is valid. CloudFormation delivers every
// scalar as a string, so it reads "true", "3" and a comma-separated string as
// what they mean, and refuses unknown properties with the nearest known name,
// because a misspelt property that is silently ignored grants something other
// than what the stack says. The readers are its own: a general weak decoder
// takes "1" for true and "" for 0, and names Go types to a stack owner.
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
	// allow, see Limits. The plan refuses what of it would be added. It takes what
	// stands already: what was in force before the owner set a limit must be in reach
	// of a rollback.
	NotAllowed []NotAllowed
}

// NotAllowed is the value of a property that the provider's owner does not allow.
type NotAllowed struct {
	Property string // "Buckets", without an index
	// Value is what a Spec holds: a place, the ARN of a reader, a time as RFC 3339, a
	// range of addresses, a KMS key as written; empty: the property is missing.
	Value   string
	Problem string // the complete sentence, as a Create is refused with
}

// MaxTags is how many tags a stack may set: AWS takes 50 on a user, and the
// provider keeps ten of them for itself.
const MaxTags = 40

// Rules are what the properties are judged by, beside themselves.
type Rules struct {
	Owner name.Owner
	Limits
	// Account is where the secret is: the provider's; empty: the stack's own.
	Account string
	// Rotates says that the provider has a function that rotates.
	Rotates bool
	// Update says that what the Limits do not allow is not refused, but told in
	// Spec.NotAllowed; and that an ExpiresAt that is past, which ends access at once,
	// and a short ServiceTimeout are taken: no rollback may fail for what stands.
	Update bool
	// Now is the time of the event, by which ExpiresAt is judged; zero: any goes
	// that is a time.
	Now time.Time
}

// Parse reads the properties of a Create or Update. On any problem it returns
// the zero Spec and Problems.
func Parse(properties map[string]any, rules Rules) (Spec, error) {
	r := reader{properties: properties, rules: rules}
	var spec Spec
	// In the order of the contract's table, which is the order of the problems.
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

// Names are what can be told from properties that need not be valid.
type Names struct {
	UserName   string
	SecretName string
	TagKeys    []string
	Readers    []string
}

// Peek reads the names from properties that may be of another version, or
// never have been valid: those of a Delete, and OldResourceProperties. A name
// that is missing or cannot be one is answered with its default.
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

// mostServiceTimeout is how many seconds CloudFormation waits for an answer
// where the stack does not say: its most, too.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
const mostServiceTimeout = 3600

// leastServiceTimeout is enough for a Create: 20 s are for taking it back if it fails
// and 10 s for the answer, and the work is usually done in the other 30 s.
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

// serviceTimeout refuses what ServiceTimeout cannot read: an answer that counts on an
// hour comes too late for CloudFormation, which may have read it.
func (r *reader) serviceTimeout() {
	text, given := r.scalar("ServiceTimeout")
	seconds, ok := wholeNumber(text, mostServiceTimeout)
	switch {
	case !given:
	case !ok:
		r.wrong("ServiceTimeout", text, "is not a whole number of seconds from %d to %d; write 330, or leave it out", leastServiceTimeout, mostServiceTimeout)
	case seconds < leastServiceTimeout && !r.rules.Update:
		r.wrong("ServiceTimeout", text, "is too short a time to make the user and answer, or to take all back; write 330, or at least %d", leastServiceTimeout)
	}
}
