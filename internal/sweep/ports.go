package sweep

import (
	"context"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Users is IAM's users under the provider's path. Every method of each interface may return
// access.ErrThrottled, access.ErrBusy or access.ErrDenied in addition to the errors in its
// comment.
type Users interface {
	// ListUsers lists all users under the path.
	ListUsers(ctx context.Context) ([]access.ListedUser, error)
	// User returns the user with its tags and boundary, or access.ErrNotFound.
	User(ctx context.Context, name string) (access.User, error)
	// TagUser sets and removes tags. A repetition changes nothing.
	TagUser(ctx context.Context, name string, set map[string]string, unset []string) error
}

// Policies is the policies that give a user its rights.
type Policies interface {
	// ListPolicies lists the managed policies under the provider's path: by name, the id
	// of the default version.
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
	// LastUse returns when a key was last used, as far as IAM knows yet.
	LastUse(ctx context.Context, keyID string) (access.LastUse, error)
	// DeactivateKey deactivates a key. A repetition changes nothing.
	DeactivateKey(ctx context.Context, user, keyID string) error
	// DeleteKey deletes a key. It is not an error if the key does not exist.
	DeleteKey(ctx context.Context, user, keyID string) error
}

// Secrets is Secrets Manager's secrets.
type Secrets interface {
	// ListSecrets lists the secrets under cloney/, ours or not, with their tags, the
	// labels of their versions, and their rotation.
	ListSecrets(ctx context.Context) ([]access.SecretInfo, error)
	// Secret describes a secret, also in its recovery window, or returns
	// access.ErrNotFound.
	Secret(ctx context.Context, name string) (access.SecretInfo, error)
	// Label adds a staging label of ours to a version. A repetition changes nothing.
	Label(ctx context.Context, secret, version, label string) error
	// Unlabel removes a label from a version. It is not an error if the label is not there.
	Unlabel(ctx context.Context, secret, version, label string) error
	// TagSecret sets and removes tags.
	TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error
}

// Stacks is CloudFormation's stacks.
type Stacks interface {
	// Resource returns the physical id of a stack's resource. It is empty if the resource
	// has none yet, or if the stack is being changed. access.ErrNotFound: the stack or the
	// resource does not exist. access.ErrDenied: that cannot be known.
	Resource(ctx context.Context, owner name.Owner) (physicalID string, err error)
}
