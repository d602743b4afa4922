// Package provision carries plans out. It observes what is there, asks package
// plan, applies the steps, and waits.
//
// It owns its ports. The edges (users, secrets, probe) implement them with the
// SDK, accesstest with an account in memory. It knows no SDK, parses nothing
// and decides nothing: package plan does, and package order says whose turn it
// is.
//
// Every write says what a crash right after it leaves. Recovery is the same
// code as the first run: observe, plan, apply.
package provision

import (
	"context"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
)

// Users is IAM's users. Every method may return access.ErrThrottled,
// access.ErrBusy or access.ErrDenied beside what it names.
type Users interface {
	// User returns the user with its tags, or access.ErrNotFound.
	User(ctx context.Context, name string) (access.User, error)
	// CreateUser makes the user with its tags in one call, or access.ErrExists.
	CreateUser(ctx context.Context, name string, tags map[string]string) (access.User, error)
	// TagUser sets and removes tags. Repeating it changes nothing.
	TagUser(ctx context.Context, name string, set map[string]string, unset []string) error
	// PutBoundary puts the provider's permissions boundary on the user. Repeating
	// it changes nothing.
	PutBoundary(ctx context.Context, name string) error
	// DeleteUser deletes the user and whatever was attached to it by hand. A user
	// that is gone is not an error. access.InGroups: somebody put it into groups,
	// and it stays. access.ErrConflict: try again, IAM lags behind.
	DeleteUser(ctx context.Context, name string) error
}

// Policies is the customer managed policies under the provider's own path.
type Policies interface {
	// Policy returns a policy with its text and tags, or access.ErrNotFound.
	Policy(ctx context.Context, name string) (access.Policy, error)
	// CreatePolicy makes a policy, or access.ErrExists.
	CreatePolicy(ctx context.Context, name, text string, tags map[string]string) (access.Policy, error)
	// UpdatePolicy replaces the text at one moment, deleting the oldest version
	// that is not in force when AWS keeps no more.
	UpdatePolicy(ctx context.Context, name, text string) error
	// DeletePolicy deletes the policy with all its versions. What is gone is no
	// error. access.ErrConflict: it is attached to someone, or IAM lags behind.
	DeletePolicy(ctx context.Context, name string) error
}

// Attachments is what policies are attached to, and labelled with.
type Attachments interface {
	// Attached returns the names of our policies that are attached to the user.
	Attached(ctx context.Context, user string) ([]string, error)
	// AttachPolicy attaches. Repeating it changes nothing.
	AttachPolicy(ctx context.Context, user, name string) error
	// DetachPolicy detaches. What is not attached, or gone, is no error.
	DetachPolicy(ctx context.Context, user, name string) error
	// TagPolicy sets and removes tags.
	TagPolicy(ctx context.Context, name string, set map[string]string, unset []string) error
}

// Secrets is Secrets Manager's secrets.
type Secrets interface {
	issue.Secrets
	// CreateSecret makes a secret, or access.ErrExists. With a token it holds a
	// placeholder, as the version of that name. access.ErrBusy: a secret of that
	// name is still being deleted.
	CreateSecret(ctx context.Context, name, kmsKey, token string, tags map[string]string) (access.SecretInfo, error)
	// TagSecret sets and removes tags.
	TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error
	// DeleteSecret deletes at once, without a recovery window. What is gone is
	// no error.
	DeleteSecret(ctx context.Context, name string) error
}

// Keeping is how secrets are kept.
type Keeping interface {
	// RestoreSecret takes a secret out of its recovery window.
	RestoreSecret(ctx context.Context, name string) error
	// RekeySecret encrypts with another KMS key; empty: aws/secretsmanager.
	// AWS may leave the versions as they are that it cannot decrypt or encrypt.
	RekeySecret(ctx context.Context, name, kmsKey string) error
	// TryKey stores a placeholder as the version called token, with that label
	// alone. An error says that the secret's KMS key cannot be used.
	TryKey(ctx context.Context, name, token, label string) error
}

// Readers is the resource policies of secrets.
type Readers interface {
	// ResourcePolicy returns the resource policy of a secret, empty when it has
	// none, or access.ErrNotFound.
	ResourcePolicy(ctx context.Context, name string) (string, error)
	// PutResourcePolicy replaces the resource policy. access.ErrPrincipal: it
	// names someone whom AWS does not know, or not yet, and may stand all the
	// same. access.ErrPublic: it would let anyone in.
	PutResourcePolicy(ctx context.Context, name, policy string) error
	// DeleteResourcePolicy deletes the resource policy. One that is gone is no
	// error.
	DeleteResourcePolicy(ctx context.Context, name string) error
}

// Rotations is how Secrets Manager rotates secrets. access.ErrInvalid: it refuses, among
// others while a rotation of the secret has not ended.
type Rotations interface {
	// Schedule has the secret rotated by a schedule, with the provider's own function,
	// and not at once. access.ErrDenied: the function cannot be invoked.
	Schedule(ctx context.Context, name, schedule string) error
	// CancelRotation has the secret rotated no more, and stops a rotation that is in
	// progress. Its version stays.
	CancelRotation(ctx context.Context, name string) error
}
