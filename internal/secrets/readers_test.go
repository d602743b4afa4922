package secrets_test

import (
	"errors"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/secrets"
)

func TestTheResourcePolicyIsReadAsItStands(t *testing.T) {
	for answer, want := range map[string]string{
		`{"Name": "cloney/x", "ResourcePolicy": "{\"a\": \"b\"}"}`: `{"a": "b"}`,
		`{"Name": "cloney/x"}`: "",
	} {
		manager(t, always(edgetest.JSON(answer)), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			if got, err := s.ResourcePolicy(t.Context(), "cloney/x"); got != want || err != nil {
				t.Errorf("%s: %q, %v", answer, got, err)
			}
		})
	}
}

func TestWhatRefusedReadersMean(t *testing.T) {
	manager(t, always(edgetest.JSONError(400, "MalformedPolicyDocumentException", "AWS says why.")), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		err := s.PutResourcePolicy(t.Context(), "cloney/x", "{}")
		// It may have been put all the same.
		if !errors.Is(err, access.ErrPrincipal) || access.Definite(err) {
			t.Error(err)
		}
	})
	manager(t, always(edgetest.JSONError(400, "ResourceNotFoundException", "gone")), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		if err := s.DeleteResourcePolicy(t.Context(), "cloney/x"); err != nil {
			t.Error(err)
		}
		if _, err := s.ResourcePolicy(t.Context(), "cloney/x"); !errors.Is(err, access.ErrNotFound) {
			t.Error(err)
		}
		if err := s.PutResourcePolicy(t.Context(), "cloney/x", "{}"); !errors.Is(err, access.ErrNotFound) {
			t.Error(err)
		}
	})
}
