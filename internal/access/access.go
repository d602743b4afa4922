// Package access is the vocabulary that every other package speaks: users,
// access keys, managed policies, secrets, and the outcomes an account can give.
//
// It knows no AWS SDK, does no I/O and decides nothing. The edges (users,
// secrets, probe) translate AWS's answers into these words; the flow (plan,
// provision) reasons in them alone.
package access

import (
	"errors"
	"slices"
	"time"
)

// Outcomes of a call, whatever service gave them. Edges wrap one of these so
// that the flow can ask with errors.Is; anything else is an unclear failure:
// the call may or may not have happened.
var (
	// ErrNotFound: the entity does not exist, or cannot be seen yet (IAM is
	// eventually consistent).
	ErrNotFound = errors.New("not found")
	// ErrExists: the name, or the version token with another value, is taken.
	ErrExists = errors.New("exists already")
	// ErrLimit: a quota of AWS would be exceeded (third key, sixth version …).
	ErrLimit = errors.New("limit reached")
	// ErrConflict: a deletion is refused because something is still attached to it.
	ErrConflict = errors.New("still in use")
	// ErrBusy: AWS asks to come back later; nothing was done.
	ErrBusy = errors.New("busy, try again")
	// ErrThrottled: too many calls; nothing was done.
	ErrThrottled = errors.New("throttled")
	// ErrDenied: the function's own role, or a control policy above it, refuses.
	ErrDenied = errors.New("access denied")
	// ErrPrincipal: a policy names someone whom AWS does not know, or not yet.
	// Not Definite: AWS has been seen to put such a policy all the same, with
	// an id of its own in that one's place.
	// https://github.com/boto/boto3/issues/3206
	ErrPrincipal = errors.New("names someone unknown")
	// ErrPublic: a policy would let anyone in; nothing was done.
	ErrPublic = errors.New("refused as public")
	// ErrMoved: another call has moved AWSCURRENT meanwhile.
	ErrMoved = errors.New("AWSCURRENT is not where the call said it is; nothing was done")
	// ErrKMS: Secrets Manager cannot use the secret's KMS key; nothing was done. It
	// says ErrDenied or ErrInvalid of some such keys too.
	ErrKMS = errors.New("the KMS key cannot be used")
	// ErrInvalid: AWS refuses the request's content; nothing was done.
	ErrInvalid = errors.New("refused as invalid")
	// ErrDoubt comes beside another outcome. That one is what the call's last
	// attempt met; an attempt before it, whose answer was lost, may have been
	// carried out.
	ErrDoubt = errors.New("an earlier attempt of the call may have been carried out")
)

// Obstacles is what keeps a key from what it is for, though it authenticates: a
// bucket that is gone, or denies it.
type Obstacles string

func (o Obstacles) Error() string { return string(o) }

// InGroups says that a user was not deleted because somebody put it into groups.
type InGroups struct{ Groups []string }

func (e InGroups) Error() string { return "the user is in a group" }

// Definite reports whether err says for certain that the call was not carried
// out. After any other error the call may have happened: look before acting.
func Definite(err error) bool {
	refusals := []error{ErrNotFound, ErrExists, ErrLimit, ErrConflict, ErrBusy, ErrThrottled, ErrDenied, ErrPublic, ErrMoved, ErrKMS, ErrInvalid}
	refused := slices.ContainsFunc(refusals, func(refusal error) bool { return errors.Is(err, refusal) })
	return !errors.Is(err, ErrDoubt) && (refused || errors.As(err, new(InGroups)))
}

// User is an IAM user as it stands in the account.
type User struct {
	// ID is IAM's own: one that was deleted and made again has another one.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
	ID   string
	Name string
	ARN  string
	Tags map[string]string
	// Boundary is the permissions boundary that the user carries.
	Boundary Boundary
}

// Boundary is the permissions boundary of a user.
type Boundary struct {
	ARN string // empty: the user carries none
	// Wanted is the ARN of the one that this provider puts on users; empty: it puts
	// none, and any will do.
	Wanted string
}

// Holds reports whether it is the one that this provider puts on users.
func (b Boundary) Holds() bool { return b.Wanted == "" || b.ARN == b.Wanted }

// Key is one access key of a user, without its secret half.
type Key struct {
	ID      string
	Active  bool
	Created time.Time
}

// LastUse is when and where a key was last used. A zero Time means never, as
// far as AWS has noticed (its record lags behind by up to hours).
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

// Version is one version of a secret's value. Its value stays in Secrets
// Manager; the labels say which key it holds.
type Version struct {
	ID     string
	Labels []string // Secrets Manager's "staging labels": AWSCURRENT, our own …
}

// Has reports whether the version carries the staging label.
func (v Version) Has(label string) bool { return slices.Contains(v.Labels, label) }

// SecretInfo is a secret in Secrets Manager, without its values.
type SecretInfo struct {
	Name     string
	ARN      string
	Tags     map[string]string
	Versions []Version
	Deleted  time.Time // not zero: scheduled for deletion, in its recovery window
	Replicas []string  // regions that it was replicated to; AWS does not delete it before they are removed
	Rotation Rotation
}

// Rotation is how Secrets Manager rotates a secret.
type Rotation struct {
	On       bool
	Schedule string // rate(…) or cron(…); empty: another kind of rule, or none
	Function string // ARN of the function that does it; empty: none
	// Wanted is the ARN of the one that this provider rotates with; empty: it does not
	// rotate.
	Wanted string
}

// Holds reports whether the secret is rotated as a stack declares; an empty schedule:
// it is not.
func (r Rotation) Holds(schedule string) bool {
	if schedule == "" {
		return !r.On
	}
	return r.On && r.Schedule == schedule && r.Function == r.Wanted
}

// Staging labels of Secrets Manager.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
	Pending  = "AWSPENDING"
)

// Labelled returns the version that carries the staging label.
func (s SecretInfo) Labelled(label string) (Version, bool) {
	for _, v := range s.Versions {
		if v.Has(label) {
			return v, true
		}
	}
	return Version{}, false
}
