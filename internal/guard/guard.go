// Package guard keeps the provider's own stack from being deleted while users of
// the provider exist: nobody could change or delete them after that, nor cut them
// off from a bucket.
//
// It is a custom resource of template.yaml, which the provider itself answers. To
// delete the stack, CloudFormation deletes it first, before the function.
package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
)

const (
	// Type is the ResourceType of the guard's events.
	Type = "Custom::CloneyS3Provider"
	// ID is its physical id. There is one guard to a provider, and it never becomes
	// another one.
	ID = "cloney-s3-credentials"
)

// Users is IAM's users.
type Users interface {
	// List returns the names of all users under the provider's path.
	List(ctx context.Context) ([]string, error)
	// User returns the user with its tags, or access.ErrNotFound.
	User(ctx context.Context, name string) (access.User, error)
}

// Guard looks whether users are left.
type Guard struct {
	Users Users
	// Settle is settle where it is not set. Local runs set it: their IAM is prompt.
	Settle time.Duration
}

// settle is how long users are looked for again: IAM lists one that was just deleted
// for some seconds more.
const settle = 10 * time.Second

// told is how many users a refusal names.
const told = 5

// MayGo returns nil if no user is left, and otherwise what stands in the way of
// deleting the provider's stack. of is the guard itself.
func (g Guard) MayGo(ctx context.Context, of name.Owner) error {
	names, err := g.left(ctx)
	var known []string
	if err == nil {
		names, known, err = g.describe(ctx, names)
	}
	anyway := fmt.Sprintf("aws cloudformation delete-stack --stack-name %s --retain-resources %s", of.Stack.Name, of.Logical)
	switch {
	case err != nil:
		return fmt.Errorf("whether users of this provider exist is not known, so it was not deleted (to delete it all the same: %s): %w", anyway, err)
	case len(names) == 0:
		return nil
	}
	if more := len(names) - len(known); more > 0 {
		known = append(known, fmt.Sprintf("%d more", more))
	}
	return plan.Refused(fmt.Sprintf("users of this provider exist (%d): %s. Without it nobody changes or deletes them, so it was not deleted. Delete the resources in their stacks first, and by hand the users that a stack has retained. Or leave the users behind, with keys that go on working: %s",
		len(names), strings.Join(known, ", "), anyway))
}

// left returns the names of the users that are there.
func (g Guard) left(ctx context.Context) (names []string, err error) {
	for started := time.Now(); ; {
		names, err = patience.Ask(ctx, patience.Nothing, func() ([]string, error) { return g.Users.List(ctx) })
		if err != nil || len(names) == 0 || time.Since(started) >= cmp.Or(g.Settle, settle) {
			return names, err
		}
		if err := patience.Sleep(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// describe says whose the first users are. It returns the names without those that
// are listed and gone.
func (g Guard) describe(ctx context.Context, listed []string) (names, known []string, err error) {
	slices.Sort(listed)
	for i, user := range listed {
		if len(known) == told {
			return append(names, listed[i:]...), known, nil
		}
		found, err := patience.Ask(ctx, patience.Nothing, func() (access.User, error) { return g.Users.User(ctx, user) })
		switch {
		case errors.Is(err, access.ErrNotFound):
		case err != nil:
			return nil, nil, err
		default:
			names, known = append(names, user), append(known, user+" "+whose(found))
		}
	}
	return names, known, nil
}

func whose(user access.User) string {
	stack, err := name.ParseStackID(user.Tags[name.TagStack])
	if err != nil {
		return "(without the provider's tags)"
	}
	return fmt.Sprintf("(%s of stack %s)", user.Tags[name.TagLogical], stack.Name)
}
