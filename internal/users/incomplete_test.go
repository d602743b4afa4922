package users_test

import (
	"context"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/users"
)

const inForce = `<Policy><DefaultVersionId>v1</DefaultVersionId></Policy>`

// A success that lacks what it must say is as unclear as no answer: what was
// asked for may have happened, and nothing may be concluded from what is missing.
func TestAnswersThatLackSomething(t *testing.T) {
	calls := map[string]func(context.Context, *users.Client) error{
		"GetUser":              func(ctx context.Context, u *users.Client) error { _, err := u.User(ctx, "x"); return err },
		"ListUsers":            func(ctx context.Context, u *users.Client) error { _, err := u.List(ctx); return err },
		"ListPolicies":         func(ctx context.Context, u *users.Client) error { _, err := u.ListPolicies(ctx); return err },
		"CreateUser":           func(ctx context.Context, u *users.Client) error { _, err := u.CreateUser(ctx, "x", nil); return err },
		"CreateAccessKey":      func(ctx context.Context, u *users.Client) error { _, err := u.CreateKey(ctx, "x"); return err },
		"ListAccessKeys":       func(ctx context.Context, u *users.Client) error { _, err := u.Keys(ctx, "x"); return err },
		"GetAccessKeyLastUsed": func(ctx context.Context, u *users.Client) error { _, err := u.LastUse(ctx, "AKIA1"); return err },
		"GetPolicy":            func(ctx context.Context, u *users.Client) error { _, err := u.Policy(ctx, "x-1"); return err },
		"GetPolicyVersion":     func(ctx context.Context, u *users.Client) error { _, err := u.Policy(ctx, "x-1"); return err },
		"CreatePolicy": func(ctx context.Context, u *users.Client) error {
			_, err := u.CreatePolicy(ctx, "x-1", "{}", nil)
			return err
		},
	}
	key := func(parts string) string {
		return `<AccessKeyMetadata><member>` + parts + `</member></AccessKeyMetadata>`
	}
	for operation, results := range map[string][]string{
		"GetUser": {"", "<User/>", strings.Replace(aUser, "UserId", "Other", 2), strings.Replace(aUser, "UserName", "Other", 2), strings.Replace(aUser, "Arn", "Other", 2)},
		"ListUsers": {
			"", "<Users><member><UserName>x</UserName><UserId>AIDA1</UserId></member></Users>",
			"<Users><member><UserId>AIDA1</UserId><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></Users>",
			"<Users><member><UserName>x</UserName><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></Users>",
		},
		"ListPolicies": {"", "<Policies><member><PolicyName>x-1</PolicyName></member></Policies>", "<Policies><member><DefaultVersionId>v1</DefaultVersionId></member></Policies>"},
		"CreateUser":   {"", "<User/>", strings.Replace(aUser, "UserId", "Other", 2), strings.Replace(aUser, "UserName", "Other", 2), strings.Replace(aUser, "Arn", "Other", 2)},
		"CreateAccessKey": {
			"", "<AccessKey/>", "<AccessKey><AccessKeyId>AKIA1</AccessKeyId></AccessKey>", "<AccessKey><AccessKeyId>AKIA1</AccessKeyId><SecretAccessKey/></AccessKey>",
			"<AccessKey><SecretAccessKey>" + secret + "</SecretAccessKey></AccessKey>", "<AccessKey><AccessKeyId/><SecretAccessKey>" + secret + "</SecretAccessKey></AccessKey>",
		},
		"ListAccessKeys": {
			"", key(""), key(`<Status>Active</Status><CreateDate>2026-01-01T00:00:00Z</CreateDate>`),
			key(`<AccessKeyId>AKIA1</AccessKeyId><CreateDate>2026-01-01T00:00:00Z</CreateDate>`), key(`<AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status>`),
		},
		"GetAccessKeyLastUsed": {"", "<UserName>x</UserName>", "<AccessKeyLastUsed/>", "<AccessKeyLastUsed><ServiceName>s3</ServiceName><Region>eu-west-1</Region></AccessKeyLastUsed>"},
		"GetPolicy":            {"", "<Policy/>", "<Policy><DefaultVersionId/></Policy>"},
		"GetPolicyVersion":     {"", "<PolicyVersion/>", "<PolicyVersion><Document/></PolicyVersion>"},
		"CreatePolicy":         {"", "<Policy/>"},
	} {
		answers := []edgetest.Answer{{Status: 200, Body: ""}, {Status: 200, Body: "<" + operation + "Response/>"}}
		for _, result := range results {
			answers = append(answers, edgetest.Query(operation, result))
		}
		for _, answer := range answers {
			iam(t, func(call edgetest.Call, _ int) edgetest.Answer {
				if call.Operation == operation {
					return answer
				}
				return edgetest.Query(call.Operation, inForce)
			}, func(t *testing.T, u *users.Client, aws *edgetest.AWS) {
				err := calls[operation](t.Context(), u)
				if err == nil || access.Definite(err) {
					t.Errorf("%s: %v to %s", operation, err, answer.Body)
				} else if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds the secret: %v", err)
				}
				if n := len(aws.Calls()); operation == "CreateAccessKey" && n != 1 {
					t.Errorf("a key was asked for %d times", n)
				}
			})
		}
	}
}
