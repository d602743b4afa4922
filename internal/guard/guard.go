// Package guard prevents the deletion of the provider's own stack while users of the
// provider exist: after that nobody could change or delete them, or cut them off from a
// bucket.
//
// The guard is a custom resource of template.yaml, and the provider itself answers its
// events. When the stack is deleted, CloudFormation deletes the guard before the function.
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
	// ID is its physical id. A provider has one guard, and its id never changes.
	ID = "cloney-s3-credentials"
)

// Users is IAM's users.
type Users interface {
	// List returns the names of all users under the provider's path.
	List(ctx context.Context) ([]string, error)
	// User returns the user with its tags, or access.ErrNotFound.
	User(ctx context.Context, name string) (access.User, error)
}

// Guard checks whether users are left.
type Guard struct {
	Users Users
	// Lag is iamLag if it is not set. Local runs set it: their IAM has no such lag.
	Lag time.Duration
}

// iamLag is the time for which the guard lists the users again: IAM still lists a deleted
// user for some seconds.
const iamLag = 10 * time.Second

// mostNamed is how many users a refusal names.
const mostNamed = 5

// MayGo returns nil if no user is left. Otherwise its error names the users that prevent
// the deletion of the provider's stack. of is the guard itself.
func (g Guard) MayGo(ctx context.Context, of name.Owner) error {
	names, err := g.left(ctx)
	var known []string
	if err == nil {
		names, known, err = g.describe(ctx, names)
	}
	anyway := fmt.Sprintf("aws cloudformation delete-stack --stack-name %s --retain-resources %s", of.Stack.Name, of.Logical)
	switch {
	case err != nil:
		return fmt.Errorf("the provider's stack was not deleted, because the guard could not check whether users of this provider exist: %w. To delete the stack without that check: %s", err, anyway)
	case len(names) == 0:
		return nil
	}
	if more := len(names) - len(known); more > 0 {
		known = append(known, fmt.Sprintf("%d more", more))
	}
	return plan.Refused(fmt.Sprintf("users of this provider exist (%d): %s. Only the provider can change or delete them, so its stack was not deleted. First delete the resources in their stacks, and delete by hand the users that a stack has retained. Or keep the users, and their keys continue to work: %s",
		len(names), strings.Join(known, ", "), anyway))
}

// left returns the names of the users that exist.
func (g Guard) left(ctx context.Context) (names []string, err error) {
	for started := time.Now(); ; {
		names, err = patience.Ask(ctx, patience.Nothing, func() ([]string, error) { return g.Users.List(ctx) })
		if err != nil || len(names) == 0 || time.Since(started) >= cmp.Or(g.Lag, iamLag) {
			return names, err
		}
		if err := patience.Sleep(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// describe returns the names of the users without those that IAM lists after their
// deletion, and the resources of the first ones.
func (g Guard) describe(ctx context.Context, listed []string) (names, known []string, err error) {
	slices.Sort(listed)
	for i, user := range listed {
		if len(known) == mostNamed {
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
