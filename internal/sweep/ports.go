package sweep

import (
	"context"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Users is IAM's users under the provider's path. Every method of each port may
// return access.ErrThrottled, access.ErrBusy or access.ErrDenied beside what it names.
type Users interface {
	// ListUsers lists all users under the path.
	ListUsers(ctx context.Context) ([]access.ListedUser, error)
	// User returns the user with its tags and boundary, or access.ErrNotFound.
	User(ctx context.Context, name string) (access.User, error)
	// TagUser sets and removes tags. Repeating it changes nothing.
	TagUser(ctx context.Context, name string, set map[string]string, unset []string) error
}

// Policies is what gives a user its rights.
type Policies interface {
	// ListPolicies lists the managed policies under the provider's path: by name, the
	// id of the version in force.
	ListPolicies(ctx context.Context) (map[string]string, error)
	// PolicyText returns the text of one version of a policy under the path, or
	// access.ErrNotFound.
	PolicyText(ctx context.Context, name, version string) (string, error)
	// AttachedPolicies returns the managed policies that are attached to the user:
	// those under the provider's path by their names, all others by their ARNs.
	AttachedPolicies(ctx context.Context, user string) (ours, others []string, err error)
	// Inline returns the names of the user's inline policies.
	Inline(ctx context.Context, user string) ([]string, error)
}

// Keys is a user's access keys.
type Keys interface {
	// Keys lists all of a user's keys.
	Keys(ctx context.Context, user string) ([]access.Key, error)
	// LastUse returns when a key was last used, as far as IAM has noticed.
	LastUse(ctx context.Context, keyID string) (access.LastUse, error)
	// DeactivateKey deactivates a key. Repeating it changes nothing.
	DeactivateKey(ctx context.Context, user, keyID string) error
	// DeleteKey deletes a key. One that is gone is no error.
	DeleteKey(ctx context.Context, user, keyID string) error
}

// Secrets is Secrets Manager's secrets.
type Secrets interface {
	// ListSecrets lists the secrets under cloney/, ours or not, with their tags, the
	// labels of their versions, and how they are rotated.
	ListSecrets(ctx context.Context) ([]access.SecretInfo, error)
	// Secret describes a secret, in its recovery window too, or access.ErrNotFound.
	Secret(ctx context.Context, name string) (access.SecretInfo, error)
	// Label puts a staging label of ours on a version. Repeating it changes nothing.
	Label(ctx context.Context, secret, version, label string) error
	// Unlabel takes a label from a version. One that is gone is no error.
	Unlabel(ctx context.Context, secret, version, label string) error
	// TagSecret sets and removes tags.
	TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error
}

// Stacks is CloudFormation's stacks.
type Stacks interface {
	// Resource returns the physical id of a stack's resource; empty: it has none yet,
	// or the stack is being changed. access.ErrNotFound: the stack or the resource is
	// gone. access.ErrDenied: it cannot be told.
	Resource(ctx context.Context, owner name.Owner) (physicalID string, err error)
}
