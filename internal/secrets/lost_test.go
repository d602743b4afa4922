package secrets_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/secrets"
)

// An attempt worked, its answer was lost, and the SDK's next one is refused:
// AWSCURRENT is where it should be.
func TestAPromotionWhoseAnswerIsLost(t *testing.T) {
	for _, lost := range []edgetest.Answer{{}, edgetest.JSONError(500, "InternalServiceError", "x")} {
		current := "v1"
		manager(t, func(call edgetest.Call, n int) edgetest.Answer {
			switch {
			case call.Operation == "DescribeSecret":
				return edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x", "VersionIdsToStages": {"` + current + `": ["AWSCURRENT"], "v0": ["AWSPREVIOUS"]}}`)
			case n == 1:
				current = "v2"
				return lost
			}
			return edgetest.JSONError(400, "InvalidParameterException", "AWSCURRENT is on v2.")
		}, func(t *testing.T, s *secrets.Client, aws *edgetest.AWS) {
			if err := s.Promote(t.Context(), "cloney/x", "v2", "v1"); err != nil {
				t.Error(err)
			}
			want := []string{"UpdateSecretVersionStage", "UpdateSecretVersionStage", "DescribeSecret"}
			if diff := cmp.Diff(want, aws.Operations()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Refused because AWSCURRENT is neither where the call said nor where it is to
// go: someone else moved it, and the flow looks at everything again.
func TestAPromotionFromElsewhere(t *testing.T) {
	for _, from := range []string{"v1", ""} {
		manager(t, func(call edgetest.Call, _ int) edgetest.Answer {
			if call.Operation == "DescribeSecret" {
				return edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x", "VersionIdsToStages": {"v3": ["AWSCURRENT"], "v2": ["AWSPENDING"]}}`)
			}
			return edgetest.JSONError(400, "InvalidParameterException", "AWS says why.")
		}, func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			err := s.Promote(t.Context(), "cloney/x", "v2", from)
			if !errors.Is(err, access.ErrMoved) || errors.Is(err, access.ErrInvalid) || !access.Definite(err) {
				t.Error(err)
			} else if !strings.Contains(err.Error(), "AWS says why.") {
				t.Errorf("the sentence is lost: %v", err)
			}
		})
	}
}

// Refused for anything else, or one cannot see for what: that is an error.
func TestAPromotionThatIsRefused(t *testing.T) {
	const parameter, request = "InvalidParameterException", "InvalidRequestException"
	for _, c := range []struct {
		code string
		look edgetest.Answer
	}{
		{parameter, edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x", "VersionIdsToStages": {"v1": ["AWSCURRENT"], "v2": ["AWSPENDING"]}}`)},
		{parameter, edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x", "VersionIdsToStages": {"v2": ["AWSPENDING"]}}`)},
		{parameter, edgetest.JSON(`{}`)},
		{parameter, edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x"}`)},
		{parameter, edgetest.JSONError(400, "AccessDeniedException", "x")},
		{parameter, edgetest.JSONError(400, "ResourceNotFoundException", "x")},
		{request, edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x", "VersionIdsToStages": {"v3": ["AWSCURRENT"], "v2": ["AWSPENDING"]}}`)},
	} {
		manager(t, func(call edgetest.Call, _ int) edgetest.Answer {
			if call.Operation == "DescribeSecret" {
				return c.look
			}
			return edgetest.JSONError(400, c.code, "x")
		}, func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			if err := s.Promote(t.Context(), "cloney/x", "v2", "v1"); !errors.Is(err, access.ErrInvalid) || errors.Is(err, access.ErrMoved) {
				t.Errorf("%s, %s: %v", c.code, c.look.Body, err)
			}
		})
	}
}

// Whether it is where it should be cannot be asked just now: the flow waits and
// promotes again, instead of taking it for refused.
func TestAPromotionThatCannotBeLookedAt(t *testing.T) {
	manager(t, func(call edgetest.Call, _ int) edgetest.Answer {
		if call.Operation == "DescribeSecret" {
			return edgetest.JSONError(400, "ThrottlingException", "x")
		}
		return edgetest.JSONError(400, "InvalidParameterException", "x")
	}, func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		if err := s.Promote(t.Context(), "cloney/x", "v2", "v1"); !errors.Is(err, access.ErrThrottled) || errors.Is(err, access.ErrInvalid) {
			t.Error(err)
		}
	})
}

// Deleting what does not exist succeeds; a refusal is an error.
func TestTakingAwayWhatIsGone(t *testing.T) {
	for code, want := range map[string]map[string]error{
		"ResourceNotFoundException": {"delete": nil, "unlabel": nil},
		"InvalidParameterException": {"delete": access.ErrInvalid, "unlabel": nil},
		"AccessDeniedException":     {"delete": access.ErrDenied, "unlabel": access.ErrDenied},
	} {
		manager(t, always(edgetest.JSONError(400, code, "x")), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			got := map[string]error{"delete": s.DeleteSecret(t.Context(), "cloney/x"), "unlabel": s.Unlabel(t.Context(), "cloney/x", "v", "l")}
			for call, err := range got {
				if !errors.Is(err, want[call]) {
					t.Errorf("%s, %s: %v", code, call, err)
				}
			}
		})
	}
}

// The name of a secret that is still being deleted is free again soon.
func TestANameThatIsStillBeingDeleted(t *testing.T) {
	manager(t, always(edgetest.JSONError(400, "InvalidRequestException", "already scheduled for deletion")), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		if _, err := s.CreateSecret(t.Context(), "cloney/x", "", "", nil); !errors.Is(err, access.ErrBusy) {
			t.Error(err)
		}
	})
	manager(t, always(edgetest.JSONError(400, "ResourceExistsException", "x")), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		if _, err := s.CreateSecret(t.Context(), "cloney/x", "", "", nil); !errors.Is(err, access.ErrExists) {
			t.Error(err)
		}
	})
}

func TestTags(t *testing.T) {
	manager(t, always(edgetest.JSON("{}")), func(t *testing.T, s *secrets.Client, aws *edgetest.AWS) {
		err := errors.Join(s.TagSecret(t.Context(), "cloney/x", nil, nil), s.TagSecret(t.Context(), "cloney/x", map[string]string{"a": "b"}, []string{"c"}))
		if diff := cmp.Diff([]string{"UntagResource", "TagResource"}, aws.Operations()); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}
