// Package access has the types that every other package shares: users, access keys,
// managed policies, secrets, and the outcomes of calls to AWS.
//
// It does not import the SDK, does no I/O and decides nothing. The edges (users, secrets,
// probe) translate AWS's answers into these types. The flow (plan, provision) uses only
// these types.
//
// # Glossary
//
// The comments and messages of all packages use these words in these meanings:
//
//   - event: one Create, Update or Delete that CloudFormation sends.
//   - response: what the provider sends back to CloudFormation. To send it is to answer.
//   - run: the work on one delivery of one event, or of one rotation. Lambda may deliver
//     an event twice.
//   - resource: the custom resource in a stack.
//   - user: the IAM user of a resource.
//   - key: an access key of a user. The current key is in the version of the secret that
//     is labelled AWSCURRENT, the previous key in AWSPREVIOUS, and the pending key, which
//     a rotation is about to make current, in AWSPENDING.
//   - version: one version of a secret's value. It holds one key.
//   - old secret: a secret that the user had under an earlier SecretName.
//   - lost key: a key that no version of a secret holds. Nobody can read its secret half.
//   - declared: what the stack's template says. Observed: what the account holds.
//   - place: a bucket, or the keys of a bucket that begin with a prefix.
//   - prove: use a key in the way that Cloney will (property Verify). That use is a proof.
//   - mark: a tag on the user that says that a run has begun, or has ended. Other
//     "cloney:" tags hold what the provider remembers.
//   - completed: everything that a stack declared was done, and the user has the tag
//     cloney:completed. Until a user is completed once, it is incomplete.
//   - grace: RotationGraceDays. A replaced key stays in use for at least that long.
//   - retire: deactivate a replaced key after the grace, and delete it after as long again.
//   - retry: repeat a call. Wait: pause until AWS shows a change.
package access

import (
	"errors"
	"slices"
	"time"
)

// These are the outcomes of a call to any service. Edges wrap one of them so that the flow
// can ask with errors.Is. Any other error is unclear: the call may or may not have been
// carried out.
var (
	// ErrNotFound: the entity does not exist, or IAM does not show it yet (it is eventually
	// consistent).
	ErrNotFound = errors.New("not found")
	// ErrExists: the name, or the version token with another value, is taken.
	ErrExists = errors.New("exists already")
	// ErrLimit: a quota of AWS would be exceeded (third key, sixth version …).
	ErrLimit = errors.New("limit reached")
	// ErrConflict: a deletion is refused because something is still attached to it.
	ErrConflict = errors.New("still in use")
	// ErrBusy: AWS asks to try again later; nothing was done.
	ErrBusy = errors.New("busy, try again")
	// ErrThrottled: too many calls; nothing was done.
	ErrThrottled = errors.New("throttled")
	// ErrDenied: the function's own role, or a policy of the organization, denies the call.
	ErrDenied = errors.New("access denied")
	// ErrPrincipal: a policy names a principal that AWS does not know, or not yet. It is not
	// Definite: AWS was seen to set such a policy all the same, with an id in place of the
	// principal.
	// https://github.com/boto/boto3/issues/3206
	ErrPrincipal = errors.New("names someone unknown")
	// ErrPublic: a policy would allow public access; nothing was done.
	ErrPublic = errors.New("refused as public access")
	// ErrMoved: another call has moved AWSCURRENT since.
	ErrMoved = errors.New("AWSCURRENT is not where the call said it is; nothing was done")
	// ErrKMS: Secrets Manager cannot use the secret's KMS key; nothing was done. For some
	// such keys it answers ErrDenied or ErrInvalid instead.
	ErrKMS = errors.New("the KMS key cannot be used")
	// ErrInvalid: AWS refuses the request's content; nothing was done.
	ErrInvalid = errors.New("refused as invalid")
	// ErrDoubt comes together with another outcome, that of the call's last attempt. An
	// earlier attempt, whose answer was lost, may have been carried out.
	ErrDoubt = errors.New("an earlier attempt of the call may have been carried out")
)

// Obstacles is why a key that authenticates cannot be used: for example, a bucket was
// deleted, or denies access.
type Obstacles string

func (o Obstacles) Error() string { return string(o) }

// InGroups says that a user was not deleted because somebody added it to groups.
type InGroups struct{ Groups []string }

func (e InGroups) Error() string { return "the user is in a group" }

// Definite reports whether err says for certain that the call was not carried out. After any
// other error the call may have been carried out: read before you write again.
func Definite(err error) bool {
	refusals := []error{ErrNotFound, ErrExists, ErrLimit, ErrConflict, ErrBusy, ErrThrottled, ErrDenied, ErrPublic, ErrMoved, ErrKMS, ErrInvalid}
	refused := slices.ContainsFunc(refusals, func(refusal error) bool { return errors.Is(err, refusal) })
	return !errors.Is(err, ErrDoubt) && (refused || errors.As(err, new(InGroups)))
}

// User is an IAM user.
type User struct {
	// ID is IAM's own id: a user that was deleted and created again has another one.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
	ID   string
	Name string
	ARN  string
	Tags map[string]string
	// Boundary is the user's permissions boundary.
	Boundary Boundary
}

// Boundary is the permissions boundary of a user.
type Boundary struct {
	ARN string // empty: none
	// Ours is the ARN of this provider's own boundary for users; empty: it has none, and
	// any is right.
	Ours string
}

// Holds reports whether it is the provider's own boundary.
func (b Boundary) Holds() bool { return b.Ours == "" || b.ARN == b.Ours }

// Key is one access key of a user, without its secret half.
type Key struct {
	ID      string
	Active  bool
	Created time.Time
}

// LastUse is when and for what a key was last used. A zero Time means never, as far as IAM
// says; its records lag behind by up to hours.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
type LastUse struct {
	Time    time.Time
	Service string
	Region  string
}

// Policy is a customer managed policy of ours.
type Policy struct {
	Name     string
	ARN      string
	Document string // JSON of the default version
	Tags     map[string]string
}

// Version is one version of a secret's value. Its value stays in Secrets Manager; the labels
// say which key it holds.
type Version struct {
	ID     string
	Labels []string // Secrets Manager's "staging labels": AWSCURRENT, our own …
}

// Has reports whether the version has the staging label.
func (v Version) Has(label string) bool { return slices.Contains(v.Labels, label) }

// SecretInfo is a secret in Secrets Manager, without its values.
type SecretInfo struct {
	Name     string
	ARN      string
	Tags     map[string]string
	Versions []Version
	Deleted  time.Time // not zero: scheduled for deletion, in its recovery window
	Replicas []string  // regions to which it was replicated; AWS does not delete it before its replicas
	Rotation Rotation
}

// Rotation is how Secrets Manager rotates a secret.
type Rotation struct {
	On       bool
	Schedule string // rate(…) or cron(…); empty: another kind of rule, or none
	Function string // ARN of the function that rotates; empty: none
	// Ours is the ARN of this provider's rotation function; empty: it has none.
	Ours string
}

// Holds reports whether the secret is rotated as a stack declares; an empty schedule means
// not at all.
func (r Rotation) Holds(schedule string) bool {
	if schedule == "" {
		return !r.On
	}
	return r.On && r.Schedule == schedule && r.Function == r.Ours
}

// These are staging labels of Secrets Manager.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
	Pending  = "AWSPENDING"
)

// Labelled returns the version that has the staging label.
func (s SecretInfo) Labelled(label string) (Version, bool) {
	for _, v := range s.Versions {
		if v.Has(label) {
			return v, true
		}
	}
	return Version{}, false
}
