package secrets_test

import (
	"errors"
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
				return edgetest.JSON(`{"VersionIdsToStages": {"` + current + `": ["AWSCURRENT"], "v0": ["AWSPREVIOUS"]}}`)
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

// Refused because it is somewhere else altogether: that is an error.
func TestAPromotionFromElsewhere(t *testing.T) {
	for _, describe := range []edgetest.Answer{
		edgetest.JSON(`{"VersionIdsToStages": {"v3": ["AWSCURRENT"], "v2": ["AWSPENDING"]}}`),
		edgetest.JSON(`{"VersionIdsToStages": {"v2": ["AWSPENDING"]}}`),
		edgetest.JSONError(400, "AccessDeniedException", "x"),
	} {
		manager(t, func(call edgetest.Call, _ int) edgetest.Answer {
			if call.Operation == "DescribeSecret" {
				return describe
			}
			return edgetest.JSONError(400, "InvalidParameterException", "x")
		}, func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			if err := s.Promote(t.Context(), "cloney/x", "v2", "v1"); !errors.Is(err, access.ErrInvalid) {
				t.Error(err)
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

// What is gone is done; what is refused is not.
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
		if _, err := s.CreateSecret(t.Context(), "cloney/x", "", nil); !errors.Is(err, access.ErrBusy) {
			t.Error(err)
		}
	})
	manager(t, always(edgetest.JSONError(400, "ResourceExistsException", "x")), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		if _, err := s.CreateSecret(t.Context(), "cloney/x", "", nil); !errors.Is(err, access.ErrExists) {
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
