// Package users is the edge to IAM: users, their access keys and their managed
// policies, under the provider's own path.
//
// It makes the ARNs of policies from their names, so that nothing outside of
// the path can be named through it, and maps the SDK's errors to the outcomes
// of package access. It decides nothing.
package users

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
)

// Options say where users and policies live.
type Options struct {
	Path     string // begins and ends with a slash
	Boundary string // ARN of the permissions boundary of every user; empty: none
	// Account returns the partition and the id of the function's own account.
	// It is asked until it once succeeds.
	Account func(context.Context) (partition, id string, err error)
}

// Client is IAM, seen from one path.
type Client struct {
	api     *iam.Client
	options Options

	mu     sync.Mutex
	prefix string // of our policies' ARNs, once the account is known
}

// New returns the edge. The configuration's region may be any of the partition.
func New(cfg aws.Config, options Options) *Client {
	c := &Client{options: options}
	// For a user that does not exist IAM asks for the right on an ARN without our
	// path. One that was just made is denied so too, until IAM knows it everywhere.
	absence := edge.Absence{
		Field: "UserName",
		Besides: func(input any) bool {
			switch input.(type) {
			case *iam.CreateUserInput, *iam.GetUserInput:
				return true
			}
			return false
		},
		Look: func(ctx context.Context, name *string) error {
			_, err := c.api.GetUser(ctx, &iam.GetUserInput{UserName: name})
			return err
		},
		Outcome: outcome,
	}
	c.api = iam.NewFromConfig(cfg, func(o *iam.Options) { o.APIOptions = append(o.APIOptions, edge.WhenDenied(absence)) })
	return c
}

// outcome maps IAM's own error types.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html#API_CreateUser_Errors
func outcome(err error) error {
	return edge.Outcome(err, func(err error) error {
		switch {
		case edge.As[*types.NoSuchEntityException](err):
			return access.ErrNotFound
		case edge.As[*types.EntityAlreadyExistsException](err):
			return access.ErrExists
		case edge.As[*types.LimitExceededException](err):
			return access.ErrLimit
		case edge.As[*types.DeleteConflictException](err):
			return access.ErrConflict
		case edge.As[*types.ConcurrentModificationException](err), edge.As[*types.EntityTemporarilyUnmodifiableException](err):
			return access.ErrBusy
		case edge.As[*types.InvalidInputException](err), edge.As[*types.MalformedPolicyDocumentException](err),
			edge.As[*types.PolicyNotAttachableException](err), edge.As[*types.UnmodifiableEntityException](err):
			return access.ErrInvalid
		}
		// Also from operations that do not list them among their errors.
		var api smithy.APIError
		if errors.As(err, &api) {
			switch api.ErrorCode() {
			case "ConcurrentModification", "EntityTemporarilyUnmodifiable":
				return access.ErrBusy
			}
		}
		return nil
	})
}

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

func toUser(user *types.User) access.User {
	return access.User{ID: aws.ToString(user.UserId), Name: aws.ToString(user.UserName), ARN: aws.ToString(user.Arn), Tags: fromTags(user.Tags)}
}

// User returns the user, whatever its path, so that a foreign one is seen.
func (c *Client) User(ctx context.Context, name string) (access.User, error) {
	out, err := c.api.GetUser(ctx, &iam.GetUserInput{UserName: &name})
	if err != nil {
		return access.User{}, outcome(err)
	}
	return toUser(out.User), nil
}

// CreateUser makes the user, its tags and its boundary in one call: there is
// no moment in which it lacks either.
func (c *Client) CreateUser(ctx context.Context, name string, tags map[string]string) (access.User, error) {
	in := &iam.CreateUserInput{UserName: &name, Path: &c.options.Path, Tags: toTags(tags)}
	if c.options.Boundary != "" {
		in.PermissionsBoundary = &c.options.Boundary
	}
	out, err := c.api.CreateUser(ctx, in)
	if err != nil {
		return access.User{}, outcome(err)
	}
	return toUser(out.User), nil
}

// TagUser removes tags, then sets others: that leaves room for those, and IAM
// takes keys that differ in capitals for the same.
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
