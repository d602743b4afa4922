package users_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/users"
)

const ours = "arn:aws:iam::123456789012:policy/cloney/eu-west-1/"

// iam runs a test in made-up time against an IAM that answers so.
func iam(t *testing.T, answer func(edgetest.Call, int) edgetest.Answer, test func(*testing.T, *users.Client, *edgetest.AWS)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		aws := &edgetest.AWS{Answer: answer}
		test(t, users.New(aws.Config(t), users.Options{
			Path:     "/cloney/eu-west-1/",
			Boundary: "arn:aws:iam::123456789012:policy/boundary",
			Account:  func(context.Context) (string, string, error) { return "aws", "123456789012", nil },
		}), aws)
	})
}

func TestWhatIAMsErrorsMean(t *testing.T) {
	for _, c := range []struct {
		status  int
		code    string
		outcome error
	}{
		{404, "NoSuchEntity", access.ErrNotFound},
		{409, "EntityAlreadyExists", access.ErrExists},
		{409, "LimitExceeded", access.ErrLimit},
		{409, "DeleteConflict", access.ErrConflict},
		{409, "ConcurrentModification", access.ErrBusy},
		{409, "EntityTemporarilyUnmodifiable", access.ErrBusy},
		{400, "InvalidInput", access.ErrInvalid},
		{400, "MalformedPolicyDocument", access.ErrInvalid},
		{400, "PolicyNotAttachable", access.ErrInvalid},
		{400, "ValidationError", access.ErrInvalid},
		{403, "AccessDenied", access.ErrDenied},
		{400, "Throttling", access.ErrThrottled},
		{400, "RequestLimitExceeded", access.ErrThrottled},
	} {
		// The calls that answer the code, as AWS's own list of errors says.
		calls := map[string]func(context.Context, *users.Client) error{
			"CreateUser": func(ctx context.Context, u *users.Client) error { _, err := u.CreateUser(ctx, "x", nil); return err },
			"CreatePolicy": func(ctx context.Context, u *users.Client) error {
				_, err := u.CreatePolicy(ctx, "x", "{}", nil)
				return err
			},
			"CreatePolicyVersion":        func(ctx context.Context, u *users.Client) error { return u.UpdatePolicy(ctx, "x", "{}") },
			"AttachUserPolicy":           func(ctx context.Context, u *users.Client) error { return u.AttachPolicy(ctx, "x", "x-1") },
			"PutUserPermissionsBoundary": func(ctx context.Context, u *users.Client) error { return u.PutBoundary(ctx, "x") },
			"DeleteUser":                 func(ctx context.Context, u *users.Client) error { return u.DeleteUser(ctx, "x") },
			"DetachUserPolicy":           func(ctx context.Context, u *users.Client) error { return u.DetachPolicy(ctx, "x", "x-1") },
		}
		among := map[string][]string{
			"NoSuchEntity":            {"PutUserPermissionsBoundary", "CreateUser", "AttachUserPolicy", "CreatePolicyVersion"},
			"EntityAlreadyExists":     {"CreateUser", "CreatePolicy"},
			"LimitExceeded":           {"CreateUser", "CreatePolicy", "AttachUserPolicy"},
			"DeleteConflict":          {"DeleteUser"},
			"PolicyNotAttachable":     {"PutUserPermissionsBoundary", "AttachUserPolicy"},
			"MalformedPolicyDocument": {"CreatePolicy", "CreatePolicyVersion"},
			"InvalidInput":            {"PutUserPermissionsBoundary", "CreateUser", "CreatePolicy", "AttachUserPolicy", "DetachUserPolicy"},
		}
		for operation, call := range calls {
			if only, some := among[c.code]; some && !slices.Contains(only, operation) {
				continue
			}
			iam(t, func(call edgetest.Call, _ int) edgetest.Answer {
				if call.Operation == operation {
					return edgetest.QueryError(c.status, c.code, "AWS says why.")
				}
				return listing(call)
			}, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
				err := call(t.Context(), u)
				if !errors.Is(err, c.outcome) || !access.Definite(err) {
					t.Errorf("%s, %s: %v", operation, c.code, err)
				} else if !strings.Contains(err.Error(), "AWS says why.") || !strings.Contains(err.Error(), c.code) {
					t.Errorf("%s, %s: the sentence is lost: %v", operation, c.code, err)
				}
			})
		}
	}
}

// After anything else it may have happened: nobody may take it for refused.
func TestUnclearAnswers(t *testing.T) {
	for label, answer := range map[string]edgetest.Answer{
		"server error":      edgetest.QueryError(500, "InternalFailure", "x"),
		"service failure":   edgetest.QueryError(500, "ServiceFailure", "x"),
		"unavailable":       {Status: 503, Body: "<html>"},
		"connection":        {},
		"unknown code":      edgetest.QueryError(400, "SomethingNew", "x"),
		"not XML":           {Status: 400, Body: "?"},
		"success, not XML":  {Status: 200, Body: "<CreateUserResponse"},
		"gateway's refusal": {Status: 502, Body: ""},
	} {
		iam(t, func(edgetest.Call, int) edgetest.Answer { return answer }, func(t *testing.T, u *users.Client, _ *edgetest.AWS) {
			if _, err := u.CreateUser(t.Context(), "x", nil); err == nil || access.Definite(err) {
				t.Errorf("%s: %v", label, err)
			}
		})
	}
}

// A key has no idempotency token: asked for again after a lost answer, AWS
// would make a second one that nobody has.
func TestAKeyIsAskedForOnce(t *testing.T) {
	for label, answer := range map[string]edgetest.Answer{
		"server error": edgetest.QueryError(500, "InternalFailure", "x"),
		"unavailable":  {Status: 503},
		"connection":   {},
		"throttled":    edgetest.QueryError(400, "Throttling", "x"),
		"cut off":      {Status: 200, Body: `<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><SecretAccessKey>` + secret + `</SecretAccessKey`},
	} {
		iam(t, func(edgetest.Call, int) edgetest.Answer { return answer }, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
			_, err := u.CreateKey(t.Context(), "x")
			if err == nil || len(aws.Calls()) != 1 {
				t.Errorf("%s: %v after %d calls", label, err, len(aws.Calls()))
			} else if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error holds the secret: %v", label, err)
			}
		})
	}
}

func TestOtherCallsAreRepeated(t *testing.T) {
	for label, answer := range map[string]edgetest.Answer{
		"server error": edgetest.QueryError(500, "InternalFailure", "x"),
		"unavailable":  {Status: 503},
		"connection":   {},
	} {
		iam(t, func(call edgetest.Call, n int) edgetest.Answer {
			if n < 4 {
				return answer
			}
			return edgetest.Query("GetUser", aUser)
		}, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
			if _, err := u.User(t.Context(), "x"); err != nil || len(aws.Calls()) != 4 {
				t.Errorf("%s: %v after %d calls", label, err, len(aws.Calls()))
			}
		})
	}
	// What is refused for good is not, and what is throttled is the flow's to
	// repeat, with whatever status it comes.
	// After a denial it is asked whether the user is there.
	for _, answer := range []edgetest.Answer{
		edgetest.QueryError(403, "AccessDenied", "x"), edgetest.QueryError(400, "Throttling", "x"), edgetest.QueryError(503, "Throttling", "x"),
	} {
		iam(t, func(edgetest.Call, int) edgetest.Answer { return answer }, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
			if err := u.AttachPolicy(t.Context(), "x", "x-1"); err == nil {
				t.Error("no error")
			}
			asked := slices.DeleteFunc(aws.Operations(), func(operation string) bool { return operation == "GetUser" })
			if diff := cmp.Diff([]string{"AttachUserPolicy"}, asked); diff != "" {
				t.Errorf("%s: %s", answer.Body, diff)
			}
		})
	}
}
