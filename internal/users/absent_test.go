package users_test

import (
	"context"
	"errors"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/users"
)

// For a user that does not exist IAM asks for a right that the function's role
// has not got: what it denies then is not found, and nothing else is.
func TestADenialWithoutAUser(t *testing.T) {
	for label, c := range map[string]struct {
		look edgetest.Answer
		want error
	}{
		"gone":      {edgetest.QueryError(404, "NoSuchEntity", "x"), access.ErrNotFound},
		"there":     {edgetest.Query("GetUser", aUser), access.ErrDenied},
		"denied":    {edgetest.QueryError(403, "AccessDenied", "x"), access.ErrDenied},
		"throttled": {edgetest.QueryError(400, "Throttling", "x"), access.ErrThrottled},
	} {
		iam(t, func(call edgetest.Call, _ int) edgetest.Answer {
			if call.Operation == "GetUser" {
				return c.look
			}
			return edgetest.QueryError(403, "AccessDenied", "x")
		}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
			for operation, call := range map[string]func(context.Context) error{
				"key":    func(ctx context.Context) error { _, err := u.CreateKey(ctx, "x"); return err },
				"attach": func(ctx context.Context) error { return u.AttachPolicy(ctx, "x", "x-1") },
				"keys":   func(ctx context.Context) error { _, err := u.Keys(ctx, "x"); return err },
			} {
				if err := call(t.Context()); !errors.Is(err, c.want) {
					t.Errorf("%s, %s: %v", label, operation, err)
				}
			}
			// Deleting what does not exist succeeds.
			if err := u.DeleteUser(t.Context(), "x"); (err == nil) != (c.want == access.ErrNotFound) {
				t.Errorf("%s: deleting: %v", label, err)
			}
			// Of these the user's absence says nothing.
			if _, err := u.CreateUser(t.Context(), "x", nil); !errors.Is(err, access.ErrDenied) {
				t.Errorf("%s: making: %v", label, err)
			}
			if err := u.UpdatePolicy(t.Context(), "x-1", "{}"); !errors.Is(err, access.ErrDenied) {
				t.Errorf("%s: writing a policy: %v", label, err)
			}
		})
	}
}
