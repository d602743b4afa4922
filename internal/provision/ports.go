// Package provision carries plans out: it observes what is there, applies the
// steps in order, waits out what AWS asks to wait for, and undoes what a
// failed Create or replacement left half-made.
//
// It owns its ports. The edges (users, secrets, probe) implement them with the
// SDK, accesstest with an account in memory. It knows no SDK, parses nothing
// and decides nothing that package plan can decide.
//
// Every write says what a crash right after it leaves. Recovery is the same
// code as the first run: observe, plan, apply.
package provision

import (
	"context"

	"cloney-s3-credentials/internal/access"
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
	// DeleteUser deletes the user and whatever was hung on it by hand. A user
	// that is gone is no error. access.ErrConflict: try again, IAM lags behind.
	DeleteUser(ctx context.Context, name string) error
}

// Keys is a user's access keys.
type Keys interface {
	// Keys lists all of a user's keys. The list may lag behind by some seconds.
	Keys(ctx context.Context, user string) ([]access.Key, error)
	// CreateKey makes a key, and is never repeated by the edge: AWS has no
	// idempotency token for it. After an error that is not access.Definite the
	// key may exist. access.ErrLimit: both places are taken.
	CreateKey(ctx context.Context, user string) (access.Credentials, error)
	// DeleteKey deletes a key. One that is gone is no error.
	DeleteKey(ctx context.Context, user, keyID string) error
	// LastUse returns when a key was last used.
	LastUse(ctx context.Context, keyID string) (access.LastUse, error)
}

// Policies is the customer managed policies under the provider's own path.
type Policies interface {
	// Attached returns the names of our policies that are attached to the user.
	Attached(ctx context.Context, user string) ([]string, error)
	// Policy returns a policy with its text and tags, or access.ErrNotFound.
	Policy(ctx context.Context, name string) (access.Policy, error)
	// CreatePolicy makes a policy, or access.ErrExists.
	CreatePolicy(ctx context.Context, name, text string, tags map[string]string) (access.Policy, error)
	// UpdatePolicy replaces the text at one moment, deleting the oldest version
	// that is not in force when AWS keeps no more.
	UpdatePolicy(ctx context.Context, name, text string) error
	// TagPolicy sets and removes tags.
	TagPolicy(ctx context.Context, name string, set map[string]string, unset []string) error
	// AttachPolicy attaches. Repeating it changes nothing.
	AttachPolicy(ctx context.Context, user, name string) error
	// DeletePolicy detaches the policy from the user and deletes it with all
	// its versions. What is gone is no error.
	DeletePolicy(ctx context.Context, user, name string) error
}

// Secrets is Secrets Manager.
type Secrets interface {
	// Secret describes a secret, in its recovery window too, or access.ErrNotFound.
	Secret(ctx context.Context, name string) (access.SecretInfo, error)
	// CreateSecret makes a secret without a value, or access.ErrExists.
	// access.ErrBusy: a secret of that name is still being deleted.
	CreateSecret(ctx context.Context, name, kmsKey string, tags map[string]string) (access.SecretInfo, error)
	// RestoreSecret takes a secret out of its recovery window.
	RestoreSecret(ctx context.Context, name string) error
	// RekeySecret encrypts with another KMS key; empty: aws/secretsmanager.
	RekeySecret(ctx context.Context, name, kmsKey string) error
	// TagSecret sets and removes tags.
	TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error
	// PutVersion stores a value as the version called token, with these labels
	// in the same call. The same value again changes nothing; another value
	// under the same token is access.ErrExists.
	PutVersion(ctx context.Context, name, token string, value access.Secret, labels []string) error
	// Value returns the value of one version, or access.ErrNotFound.
	Value(ctx context.Context, name, version string) (access.Secret, error)
	// Promote moves AWSCURRENT from one version to another; AWSPREVIOUS follows.
	Promote(ctx context.Context, name, version, from string) error
	// Unlabel takes a label from a version. One that is gone is no error.
	Unlabel(ctx context.Context, name, version, label string) error
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
	// DeleteSecret deletes at once, without a recovery window. What is gone is
	// no error.
	DeleteSecret(ctx context.Context, name string) error
}

// Prober proves that a key does what it should.
type Prober interface {
	// Prove returns nil once the key authenticates and every bucket answers as
	// its role needs; once it authenticates, where the scope has buckets deny
	// the function itself (SourceIps, an ExpiresAt that has passed). Its error
	// says, bucket by bucket, what is in the way.
	Prove(ctx context.Context, credentials access.Credentials, scope access.Scope) error
}
