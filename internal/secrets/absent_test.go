package secrets_test

import (
	"errors"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/secrets"
)

// A secret that does not exist has no tag, which the function's role requires: what is
// denied then is not found, and nothing else is.
func TestADenialWithoutASecret(t *testing.T) {
	for label, c := range map[string]struct {
		look edgetest.Answer
		want error
	}{
		"gone":      {edgetest.JSONError(400, "ResourceNotFoundException", "x"), access.ErrNotFound},
		"there":     {edgetest.JSON(`{"Name": "cloney/x"}`), access.ErrDenied},
		"denied":    {edgetest.JSONError(400, "AccessDeniedException", "x"), access.ErrDenied},
		"throttled": {edgetest.JSONError(400, "ThrottlingException", "x"), access.ErrThrottled},
	} {
		manager(t, func(call edgetest.Call, _ int) edgetest.Answer {
			if call.Operation == "DescribeSecret" {
				return c.look
			}
			return edgetest.JSONError(400, "AccessDeniedException", "x")
		}, func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			if _, err := s.Value(t.Context(), "cloney/x", "v1"); !errors.Is(err, c.want) {
				t.Errorf("%s: reading: %v", label, err)
			}
			// Deleting what does not exist succeeds.
			if err := s.DeleteSecret(t.Context(), "cloney/x"); (err == nil) != (c.want == access.ErrNotFound) {
				t.Errorf("%s: deleting: %v", label, err)
			}
			// Of this the secret's absence says nothing.
			if _, err := s.CreateSecret(t.Context(), "cloney/x", "", "", nil); !errors.Is(err, access.ErrDenied) {
				t.Errorf("%s: making: %v", label, err)
			}
		})
	}
}
