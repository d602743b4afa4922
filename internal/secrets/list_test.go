package secrets_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/secrets"
)

// One that a list leaves out is one that the sweep does not see.
func TestSecretsOfAllPages(t *testing.T) {
	manager(t, func(call edgetest.Call, n int) edgetest.Answer {
		got := sent(t, call)
		if diff := cmp.Diff([]any{map[string]any{"Key": "name", "Values": []any{"cloney/"}}}, got["Filters"]); diff != "" {
			t.Error(diff)
		}
		if n > 1 && got["NextToken"] != fmt.Sprint("page ", n) {
			t.Errorf("page %d was asked for with %v", n, got["NextToken"])
		}
		more := fmt.Sprintf(`, "NextToken": "page %d"`, n+1)
		if n == 2 {
			return edgetest.JSON(`{"SecretList": []` + more + `}`) // no page is the last for being empty
		}
		if n == 3 {
			more = ""
		}
		return edgetest.JSON(fmt.Sprintf(`{"SecretList": [{"Name": "cloney/%[1]d", "ARN": "arn:%[1]d", "Tags": [{"Key": "a", "Value": "b"}],
			"SecretVersionsToStages": {"v2": ["AWSCURRENT", "l"], "v1": ["AWSPREVIOUS"]}}]%[2]s}`, n, more))
	}, func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		secret := func(n string) access.SecretInfo {
			return access.SecretInfo{
				Name: "cloney/" + n, ARN: "arn:" + n, Tags: map[string]string{"a": "b"},
				Versions: []access.Version{{ID: "v1", Labels: []string{"AWSPREVIOUS"}}, {ID: "v2", Labels: []string{"AWSCURRENT", "l"}}},
			}
		}
		got, err := s.ListSecrets(t.Context())
		if diff := cmp.Diff([]access.SecretInfo{secret("1"), secret("3")}, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// A list that breaks off is not a short one: what it lacks would count as deleted.
func TestAListThatBreaksOff(t *testing.T) {
	for label, second := range map[string]edgetest.Answer{
		"denied": edgetest.JSONError(400, "AccessDeniedException", "x"), "empty": edgetest.JSON(`{}`), "without a name": edgetest.JSON(`{"SecretList": [{"ARN": "arn:1"}]}`),
	} {
		manager(t, func(_ edgetest.Call, n int) edgetest.Answer {
			if n == 1 {
				return edgetest.JSON(`{"SecretList": [{"Name": "cloney/1", "ARN": "arn:1"}], "NextToken": "2"}`)
			}
			return second
		}, func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			if got, err := s.ListSecrets(t.Context()); err == nil || got != nil {
				t.Errorf("%s: %v, %v", label, got, err)
			}
		})
	}
}

func TestALabelIsPut(t *testing.T) {
	invalid := edgetest.JSONError(400, "InvalidParameterException", "x")
	at := func(stages string) edgetest.Answer {
		return edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x", "VersionIdsToStages": {` + stages + `}}`)
	}
	put := map[string]any{"SecretId": "cloney/x", "VersionStage": "l", "MoveToVersionId": "v2"}
	moved := map[string]any{"SecretId": "cloney/x", "VersionStage": "l", "MoveToVersionId": "v2", "RemoveFromVersionId": "v1"}
	for label, c := range map[string]struct {
		first, look edgetest.Answer
		calls       []map[string]any // that put
		err         error
	}{
		"on none yet":      {edgetest.JSON(`{}`), edgetest.Answer{}, []map[string]any{put}, nil},
		"there already":    {invalid, at(`"v2": ["l"]`), []map[string]any{put}, nil},
		"on another":       {invalid, at(`"v1": ["l"], "v2": ["AWSCURRENT"]`), []map[string]any{put, moved}, nil},
		"no such version":  {invalid, at(`"v1": ["AWSCURRENT"]`), []map[string]any{put}, access.ErrInvalid},
		"not to be seen":   {invalid, edgetest.JSONError(400, "ThrottlingException", "x"), []map[string]any{put}, access.ErrThrottled},
		"no such secret":   {edgetest.JSONError(400, "ResourceNotFoundException", "x"), edgetest.Answer{}, []map[string]any{put}, access.ErrNotFound},
		"too many of them": {edgetest.JSONError(400, "LimitExceededException", "x"), edgetest.Answer{}, []map[string]any{put}, access.ErrLimit},
	} {
		manager(t, func(call edgetest.Call, n int) edgetest.Answer {
			switch {
			case call.Operation == "DescribeSecret":
				return c.look
			case n == 1:
				return c.first
			}
			return edgetest.JSON(`{}`)
		}, func(t *testing.T, s *secrets.Client, aws *edgetest.AWS) {
			if err := s.Label(t.Context(), "cloney/x", "v2", "l"); !errors.Is(err, c.err) {
				t.Errorf("%s: %v", label, err)
			}
			var calls []map[string]any
			for _, call := range aws.Calls() {
				if call.Operation == "UpdateSecretVersionStage" {
					calls = append(calls, sent(t, call))
				}
			}
			if diff := cmp.Diff(c.calls, calls); diff != "" {
				t.Errorf("%s: %s", label, diff)
			}
		})
	}
}

// A rotation token lets a value in as the rotation's: it goes with the value alone, and
// into no error.
func TestTheRotationToken(t *testing.T) {
	const token = "0f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0"
	bound := func(s *secrets.Client) *secrets.Client { return s.WithRotationToken(access.NewSecret(token)) }
	manager(t, always(edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x"}`)), func(t *testing.T, s *secrets.Client, aws *edgetest.AWS) {
		s, plain := bound(s), s
		for label, err := range map[string]error{
			"put": s.PutVersion(t.Context(), "cloney/x", "t", value, nil), "label": s.Label(t.Context(), "cloney/x", "v", "l"),
			"promote": s.Promote(t.Context(), "cloney/x", "v2", "v1"), "without": plain.PutVersion(t.Context(), "cloney/x", "t", value, nil),
		} {
			if err != nil {
				t.Errorf("%s: %v", label, err)
			}
		}
		with := 0
		for _, call := range aws.Calls() {
			if !strings.Contains(call.JSON, token) {
				continue
			}
			if with++; call.Operation != "PutSecretValue" || sent(t, call)["RotationToken"] != token {
				t.Errorf("%s has %s", call.Operation, call.JSON)
			}
		}
		if with != 1 {
			t.Errorf("it was sent %d times", with)
		}
		// AWS refuses an empty one.
		if err := plain.WithRotationToken(access.Secret{}).PutVersion(t.Context(), "cloney/x", "t", value, nil); err != nil {
			t.Error(err)
		}
		calls := aws.Calls()
		if last := calls[len(calls)-1]; strings.Contains(last.JSON, "RotationToken") {
			t.Errorf("an empty token was sent: %s", last.JSON)
		}
	})
	for label, answer := range map[string]edgetest.Answer{
		"refused": edgetest.JSONError(400, "AccessDeniedException", "x"), "a broken connection": {}, "not JSON": {Status: 400, Body: "<"},
	} {
		manager(t, always(answer), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			s = bound(s)
			if err := s.PutVersion(t.Context(), "cloney/x", "t", value, nil); err == nil || strings.Contains(err.Error(), token) {
				t.Errorf("%s: %v", label, err)
			}
			if shown := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(shown, token) {
				t.Errorf("the client shows it: %s", shown)
			}
		})
	}
}
