package secrets_test

import (
	"context"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/secrets"
)

// A success that lacks what it must say is as unclear as no answer.
func TestAnswersThatLackSomething(t *testing.T) {
	calls := map[string]func(context.Context, *secrets.Client) error{
		"describe": func(ctx context.Context, s *secrets.Client) error { _, err := s.Secret(ctx, "cloney/x"); return err },
		"create": func(ctx context.Context, s *secrets.Client) error {
			_, err := s.CreateSecret(ctx, "cloney/x", "", "", nil)
			return err
		},
		"value": func(ctx context.Context, s *secrets.Client) error {
			_, err := s.Value(ctx, "cloney/x", "v")
			return err
		},
		"readers": func(ctx context.Context, s *secrets.Client) error {
			_, err := s.ResourcePolicy(ctx, "cloney/x")
			return err
		},
	}
	for label, bodies := range map[string][]string{
		"describe": {"", "{}", `{"Name": "cloney/x"}`, `{"ARN": "arn:x"}`, `{"Name": "", "ARN": "arn:x"}`, `{"Name": null, "ARN": "arn:x"}`},
		"create":   {"", "{}", `{"Name": "cloney/x"}`, `{"ARN": ""}`},
		"value":    {"", "{}"},
		"readers":  {"", "{}", `{"ARN": "arn:x"}`},
	} {
		for _, body := range bodies {
			manager(t, always(edgetest.Answer{Status: 200, Body: body}), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
				if err := calls[label](t.Context(), s); err == nil || access.Definite(err) {
					t.Errorf("%s: %v to %q", label, err, body)
				}
			})
		}
	}
}

// A value that is bytes is there, but none of ours.
func TestAValueOfBytes(t *testing.T) {
	manager(t, always(edgetest.JSON(`{"ARN": "arn:x", "VersionId": "v", "SecretBinary": "AAAA"}`)), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		if got, err := s.Value(t.Context(), "cloney/x", "v"); err != nil || got.Reveal() != "" {
			t.Errorf("%v, %v", got, err)
		}
	})
}
