// Package provision carries plans out. It observes the account, asks package plan, applies
// the steps, and waits.
//
// It owns its ports. The edges (users, secrets, probe) implement them with the SDK,
// accesstest with an account in memory. Package provision does not import the SDK, parses
// nothing and decides nothing: package plan decides, and package order says whose turn it
// is.
//
// Every write has a comment that says what a crash right after it leaves. Recovery is the
// same code as the first run: observe, plan, apply.
package provision

import (
	"context"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
)

// Users is IAM's users. In addition to the errors that it names, every method may return
// access.ErrThrottled, access.ErrBusy or access.ErrDenied.
type Users interface {
	// User returns the user with its tags, or access.ErrNotFound.
	User(ctx context.Context, name string) (access.User, error)
	// CreateUser creates the user with its tags in one call, or returns access.ErrExists.
	CreateUser(ctx context.Context, name string, tags map[string]string) (access.User, error)
	// TagUser sets and removes tags. Repeating it changes nothing.
	TagUser(ctx context.Context, name string, set map[string]string, unset []string) error
	// PutBoundary sets the provider's permissions boundary on the user. Repeating it changes
	// nothing.
	PutBoundary(ctx context.Context, name string) error
	// DeleteUser deletes the user and everything that somebody attached to it by hand. A
	// user that does not exist is not an error. access.InGroups: somebody added it to
	// groups, and it stays. access.ErrConflict: try again, IAM lags behind.
	DeleteUser(ctx context.Context, name string) error
}

// Policies is the customer managed policies under the provider's own path.
type Policies interface {
	// Policy returns a policy with its text and tags, or access.ErrNotFound.
	Policy(ctx context.Context, name string) (access.Policy, error)
	// CreatePolicy creates a policy, or returns access.ErrExists.
	CreatePolicy(ctx context.Context, name, text string, tags map[string]string) (access.Policy, error)
	// UpdatePolicy replaces the text at one moment. If AWS keeps no more versions, it first
	// deletes the oldest that is not the default.
	UpdatePolicy(ctx context.Context, name, text string) error
	// DeletePolicy deletes the policy with all its versions. A policy that does not exist is
	// not an error. access.ErrConflict: it is attached to a user, role or group, or IAM lags
	// behind.
	DeletePolicy(ctx context.Context, name string) error
}

// Attachments attaches, detaches and tags policies.
type Attachments interface {
	// Attached returns the names of our policies that are attached to the user.
	Attached(ctx context.Context, user string) ([]string, error)
	// AttachPolicy attaches. Repeating it changes nothing.
	AttachPolicy(ctx context.Context, user, name string) error
	// DetachPolicy detaches. A policy that is not attached, or does not exist, is not an
	// error.
	DetachPolicy(ctx context.Context, user, name string) error
	// TagPolicy sets and removes tags.
	TagPolicy(ctx context.Context, name string, set map[string]string, unset []string) error
}

// Secrets is Secrets Manager's secrets.
type Secrets interface {
	issue.Secrets
	// CreateSecret creates a secret, or returns access.ErrExists. With a token the secret
	// holds a placeholder, in the version with that id. access.ErrBusy: a secret of that
	// name is still being deleted.
	CreateSecret(ctx context.Context, name, kmsKey, token string, tags map[string]string) (access.SecretInfo, error)
	// TagSecret sets and removes tags.
	TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error
	// DeleteSecret deletes at once, without a recovery window. A secret that does not exist
	// is not an error.
	DeleteSecret(ctx context.Context, name string) error
}

// Keeping restores secrets and changes their KMS keys.
type Keeping interface {
	// RestoreSecret takes a secret out of its recovery window.
	RestoreSecret(ctx context.Context, name string) error
	// RekeySecret encrypts with another KMS key; empty: aws/secretsmanager. AWS may leave
	// versions unchanged that it cannot decrypt or encrypt.
	RekeySecret(ctx context.Context, name, kmsKey string) error
	// TryKey stores a placeholder as the version called token, with only that label. An
	// error says that the secret's KMS key cannot be used.
	TryKey(ctx context.Context, name, token, label string) error
}

// Readers is the resource policies of secrets.
type Readers interface {
	// ResourcePolicy returns the resource policy of a secret, empty when the secret has
	// none, or access.ErrNotFound.
	ResourcePolicy(ctx context.Context, name string) (string, error)
	// PutResourcePolicy replaces the resource policy. access.ErrPrincipal: the policy names
	// a user or role that AWS does not know, or not yet; AWS may have set the policy all the
	// same. access.ErrPublic: the policy would allow public access.
	PutResourcePolicy(ctx context.Context, name, policy string) error
	// DeleteResourcePolicy deletes the resource policy. A policy that does not exist is not
	// an error.
	DeleteResourcePolicy(ctx context.Context, name string) error
}

// Rotations is how Secrets Manager rotates secrets. access.ErrInvalid: Secrets Manager
// refuses, for example while a rotation of the secret has not ended.
type Rotations interface {
	// Schedule makes Secrets Manager rotate the secret by a schedule, with the provider's
	// own function, and not at once. access.ErrDenied: the function cannot be invoked.
	Schedule(ctx context.Context, name, schedule string) error
	// CancelRotation stops the rotation of the secret, also one that is in progress. Its
	// version stays.
	CancelRotation(ctx context.Context, name string) error
}
