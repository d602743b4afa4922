// Package users is the edge to IAM: users, their access keys and their managed policies,
// under the provider's own path.
//
// It builds the ARNs of policies from their names, so that it can only name policies under
// that path. It translates the SDK's errors to the outcomes of package access. It decides
// nothing.
package users

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
)

// Options are the paths and the boundary of users and policies.
type Options struct {
	Path     string // begins and ends with a slash
	Boundary string // ARN of the permissions boundary of every user; empty: none
	// Account returns the partition and the id of the function's own account. It is called
	// until it succeeds once.
	Account func(context.Context) (partition, id string, err error)
}

// Client is a client of IAM for one path.
type Client struct {
	api     *iam.Client
	options Options

	mu     sync.Mutex
	prefix string // of our policies' ARNs, once the account is known
}

// New returns the edge. The configuration may have any region of the partition.
func New(cfg aws.Config, options Options) *Client {
	c := &Client{options: options}
	// For a user that does not exist, IAM checks the right on an ARN without our path. So it
	// also denies calls about a user that was just created, until it knows that user
	// everywhere.
	absence := edge.Absence{
		Field:   "UserName",
		Besides: []string{"CreateUser", "GetUser"},
		Look: func(ctx context.Context, name *string) error {
			_, err := c.api.GetUser(ctx, &iam.GetUserInput{UserName: name})
			return err
		},
		Outcome: outcome,
	}
	c.api = iam.NewFromConfig(cfg, func(o *iam.Options) { o.APIOptions = append(o.APIOptions, edge.WhenDenied(absence)) })
	return c
}

// outcomes translates IAM's own error codes.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html#API_CreateUser_Errors
var outcomes = map[string]error{
	"NoSuchEntity":                  access.ErrNotFound,
	"EntityAlreadyExists":           access.ErrExists,
	"LimitExceeded":                 access.ErrLimit,
	"DeleteConflict":                access.ErrConflict,
	"ConcurrentModification":        access.ErrBusy,
	"EntityTemporarilyUnmodifiable": access.ErrBusy,
	"InvalidInput":                  access.ErrInvalid,
	"PolicyNotAttachable":           access.ErrInvalid,
	"UnmodifiableEntity":            access.ErrInvalid,
}

func outcome(err error) error { return edge.Outcome(err, outcomes) }

func toTags(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for key, value := range tags {
		out = append(out, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	return out
}

func fromTags(tags []types.Tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, tag := range tags {
		out[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return out
}

func (c *Client) toUser(user *types.User) access.User {
	return access.User{ID: *user.UserId, Name: *user.UserName, ARN: *user.Arn, Tags: fromTags(user.Tags), Boundary: c.boundary(user.PermissionsBoundary)}
}

func (c *Client) boundary(carried *types.AttachedPermissionsBoundary) access.Boundary {
	boundary := access.Boundary{Ours: c.options.Boundary}
	if carried != nil {
		boundary.ARN = aws.ToString(carried.PermissionsBoundaryArn)
	}
	return boundary
}

// User returns the user on any path, so that somebody else's user is seen.
func (c *Client) User(ctx context.Context, name string) (access.User, error) {
	out, err := c.api.GetUser(ctx, &iam.GetUserInput{UserName: &name})
	if err != nil {
		return access.User{}, outcome(err)
	}
	return c.toUser(out.User), nil
}

// List returns the names of all users under the path, ours or not.
func (c *Client) List(ctx context.Context) (names []string, err error) {
	listed, err := c.ListUsers(ctx)
	for _, user := range listed {
		names = append(names, user.Name)
	}
	return names, err
}

// perPage is the most users that IAM lists in one answer. It may list fewer.
const perPage = 1000

// ListUsers lists all users under the path, ours or not, without tags and boundary.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html
func (c *Client) ListUsers(ctx context.Context) (listed []access.ListedUser, err error) {
	pages := iam.NewListUsersPaginator(c.api, &iam.ListUsersInput{PathPrefix: &c.options.Path, MaxItems: aws.Int32(perPage)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, outcome(err)
		}
		for _, user := range page.Users {
			listed = append(listed, access.ListedUser{Name: *user.UserName, ID: *user.UserId, Created: *user.CreateDate})
		}
	}
	return listed, nil
}

// CreateUser creates the user, its tags and its boundary in one call, so it never lacks
// either.
func (c *Client) CreateUser(ctx context.Context, name string, tags map[string]string) (access.User, error) {
	in := &iam.CreateUserInput{UserName: &name, Path: &c.options.Path, Tags: toTags(tags)}
	if c.options.Boundary != "" {
		in.PermissionsBoundary = &c.options.Boundary
	}
	out, err := c.api.CreateUser(ctx, in)
	if err != nil {
		return access.User{}, outcome(err)
	}
	made := c.toUser(out.User)
	made.Boundary.ARN = c.options.Boundary // set by this call, whatever its answer shows
	return made, nil
}

// PutBoundary sets the provider's permissions boundary on the user, and replaces any other.
func (c *Client) PutBoundary(ctx context.Context, name string) error {
	_, err := c.api.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: &name, PermissionsBoundary: &c.options.Boundary})
	return outcome(err)
}

// TagUser removes tags, then sets others: first it makes room. IAM treats tag keys that
// differ only in case as the same.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
func (c *Client) TagUser(ctx context.Context, name string, set map[string]string, unset []string) error {
	if len(unset) > 0 {
		if _, err := c.api.UntagUser(ctx, &iam.UntagUserInput{UserName: &name, TagKeys: unset}); err != nil {
			return outcome(err)
		}
	}
	if len(set) == 0 {
		return nil
	}
	_, err := c.api.TagUser(ctx, &iam.TagUserInput{UserName: &name, Tags: toTags(set)})
	return outcome(err)
}
