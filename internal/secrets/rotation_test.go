package secrets_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/secrets"
)

const rotator = "arn:aws:lambda:eu-west-1:123456789012:function:cloney-s3-credentials-rotator"

// rotating is manager with a rotation function.
func rotating(t *testing.T, answer edgetest.Answer, test func(*testing.T, *secrets.Client, *edgetest.AWS)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		aws := &edgetest.AWS{Answer: always(answer)}
		test(t, secrets.New(aws.Config(t), secrets.Options{Rotator: rotator}), aws)
	})
}

// How a secret is rotated is in what describes and lists it.
func TestHowASecretIsRotated(t *testing.T) {
	const rules = `"RotationRules": {"ScheduleExpression": "rate(30 days)", "AutomaticallyAfterDays": 30}, "RotationLambdaARN": "` + rotator + `"`
	for described, want := range map[string]access.Rotation{
		``:                                     {},
		`, "RotationEnabled": true, ` + rules:  {On: true, Schedule: "rate(30 days)", Function: rotator},
		`, "RotationEnabled": false, ` + rules: {Schedule: "rate(30 days)", Function: rotator}, // it was cancelled
		`, "RotationEnabled": true, "RotationRules": {"AutomaticallyAfterDays": 7}, "RotationLambdaARN": "another"`: {On: true, Function: "another"},
	} {
		want.Ours = rotator
		secret := `{"Name": "cloney/x", "ARN": "arn:x"` + described + `}`
		rotating(t, edgetest.JSON(secret), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			if got, err := s.Secret(t.Context(), "cloney/x"); err != nil || got.Rotation != want {
				t.Errorf("%s: %v\n%s", described, err, cmp.Diff(want, got.Rotation))
			}
		})
		rotating(t, edgetest.JSON(`{"SecretList": [`+secret+`]}`), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			if got, err := s.ListSecrets(t.Context()); err != nil || got[0].Rotation != want {
				t.Errorf("%s: listed: %v, %v", described, err, got)
			}
		})
	}
}

// A schedule never rotates at once: that would be an outage for a person who has just
// pasted the key.
func TestAScheduleIsSet(t *testing.T) {
	rotating(t, edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x"}`), func(t *testing.T, s *secrets.Client, aws *edgetest.AWS) {
		if err := s.Schedule(t.Context(), "cloney/x", "rate(30 days)"); err != nil {
			t.Fatal(err)
		}
		if err := s.CancelRotation(t.Context(), "cloney/x"); err != nil {
			t.Fatal(err)
		}
		calls := aws.Calls()
		got := sent(t, calls[0])
		if got["ClientRequestToken"] == "" {
			t.Error("without a token a repetition is another rotation")
		}
		delete(got, "ClientRequestToken")
		want := map[string]any{
			"SecretId": "cloney/x", "RotateImmediately": false, "RotationLambdaARN": rotator, "RotationRules": map[string]any{"ScheduleExpression": "rate(30 days)"},
		}
		if diff := cmp.Diff(want, got); diff != "" || calls[0].Operation != "RotateSecret" {
			t.Errorf("%s: %s", calls[0].Operation, diff)
		}
		if diff := cmp.Diff(map[string]any{"SecretId": "cloney/x"}, sent(t, calls[1])); diff != "" || calls[1].Operation != "CancelRotateSecret" {
			t.Errorf("%s: %s", calls[1].Operation, diff)
		}
	})
	for code, outcome := range map[string]error{
		"InvalidRequestException": access.ErrInvalid, "AccessDeniedException": access.ErrDenied, "ResourceNotFoundException": access.ErrNotFound,
	} {
		rotating(t, edgetest.JSONError(400, code, "AWS says why."), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			for _, err := range []error{s.Schedule(t.Context(), "cloney/x", "rate(30 days)"), s.CancelRotation(t.Context(), "cloney/x")} {
				if !errors.Is(err, outcome) || !strings.Contains(err.Error(), "AWS says why.") {
					t.Errorf("%s: %v", code, err)
				}
			}
		})
	}
}
