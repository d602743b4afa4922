package secrets_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/secrets"
)

const half = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

var value = access.Credentials{KeyID: "AKIA1", Secret: access.NewSecret(half)}.Encode()

// manager runs a test in made-up time against a Secrets Manager that answers so.
func manager(t *testing.T, answer func(edgetest.Call, int) edgetest.Answer, test func(*testing.T, *secrets.Client, *edgetest.AWS)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		aws := &edgetest.AWS{Answer: answer}
		test(t, secrets.New(aws.Config(t), secrets.Options{}), aws)
	})
}

// always gives one answer to everything.
func always(answer edgetest.Answer) func(edgetest.Call, int) edgetest.Answer {
	return func(edgetest.Call, int) edgetest.Answer { return answer }
}

// sent reads the parameters of a call.
func sent(t *testing.T, call edgetest.Call) map[string]any {
	t.Helper()
	var parameters map[string]any
	if err := json.Unmarshal([]byte(call.JSON), &parameters); err != nil {
		t.Fatal(err)
	}
	return parameters
}

func TestWhatSecretsManagersErrorsMean(t *testing.T) {
	for code, outcome := range map[string]error{
		"ResourceNotFoundException":        access.ErrNotFound,
		"ResourceExistsException":          access.ErrExists,
		"LimitExceededException":           access.ErrLimit,
		"InvalidParameterException":        access.ErrInvalid,
		"InvalidRequestException":          access.ErrInvalid,
		"EncryptionFailure":                access.ErrKMS,
		"ValidationException":              access.ErrInvalid,
		"AccessDeniedException":            access.ErrDenied,
		"PublicPolicyException":            access.ErrPublic,
		"ThrottlingException":              access.ErrThrottled,
		"com.amazonaws#ThrottledException": access.ErrThrottled,
	} {
		manager(t, always(edgetest.JSONError(400, code, "AWS says why.")), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			err := s.PutVersion(t.Context(), "cloney/x", "token", value, nil)
			if !errors.Is(err, outcome) || !access.Definite(err) || !strings.Contains(err.Error(), "AWS says why.") {
				t.Errorf("%s: %v", code, err)
			}
		})
	}
	manager(t, always(edgetest.JSONError(400, "DecryptionFailure", "x")), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		if _, err := s.Value(t.Context(), "cloney/x", "v"); !errors.Is(err, access.ErrKMS) || !access.Definite(err) {
			t.Error(err)
		}
	})
	for label, unclear := range map[string]edgetest.Answer{
		"server error": edgetest.JSONError(500, "InternalServiceError", "x"), "connection": {}, "unavailable": {Status: 503}, "not JSON": {Status: 400, Body: "<"},
	} {
		manager(t, always(unclear), func(t *testing.T, s *secrets.Client, aws *edgetest.AWS) {
			if err := s.PutVersion(t.Context(), "cloney/x", "token", value, nil); err == nil || access.Definite(err) {
				t.Errorf("%s: %v", label, err)
			}
			if label != "not JSON" && len(aws.Calls()) != 4 {
				t.Errorf("%s: %d attempts", label, len(aws.Calls()))
			}
		})
	}
}

// The value goes into the request and nowhere else.
func TestNoErrorHoldsAValue(t *testing.T) {
	for label, answer := range map[string]edgetest.Answer{
		"refused":       edgetest.JSONError(400, "InvalidParameterException", "x"),
		"server error":  edgetest.JSONError(500, "InternalServiceError", "x"),
		"connection":    {},
		"cut off":       {Status: 200, Body: `{"SecretString": "` + half},
		"not JSON":      {Status: 200, Body: half},
		"wrong type":    {Status: 200, Body: `{"SecretString": {"` + half + `": 1}, "ARN": ["` + half + `"]}`},
		"half an error": {Status: 400, Body: `{"SecretString": "` + half},
	} {
		manager(t, always(answer), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
			_, read := s.Value(t.Context(), "cloney/x", "v")
			put := s.PutVersion(t.Context(), "cloney/x", "token", value, []string{access.Pending})
			for _, err := range []error{read, put} {
				if err != nil && strings.Contains(err.Error(), half[:12]) {
					t.Errorf("%s: %v", label, err)
				}
			}
			if read == nil {
				t.Errorf("%s: no error", label)
			}
		})
	}
}

func TestASecretIsDescribed(t *testing.T) {
	manager(t, always(edgetest.JSON(`{"Name": "cloney/x", "ARN": "arn:x", "DeletedDate": 1767312000, "Tags": [{"Key": "a", "Value": "b"}],
		"VersionIdsToStages": {"v2": ["AWSCURRENT", "cloney:serial:1:AKIA1"], "v1": ["AWSPREVIOUS"]},
		"ReplicationStatus": [{"Region": "us-east-1"}, {"Region": "eu-central-1"}]}`)), func(t *testing.T, s *secrets.Client, _ *edgetest.AWS) {
		got, err := s.Secret(t.Context(), "cloney/x")
		want := access.SecretInfo{
			Name: "cloney/x", ARN: "arn:x", Tags: map[string]string{"a": "b"}, Deleted: time.Unix(1767312000, 0).UTC(),
			Versions: []access.Version{{ID: "v1", Labels: []string{"AWSPREVIOUS"}}, {ID: "v2", Labels: []string{"AWSCURRENT", "cloney:serial:1:AKIA1"}}},
			Replicas: []string{"eu-central-1", "us-east-1"},
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

func TestWhatIsSent(t *testing.T) {
	for label, c := range map[string]struct {
		call      func(*testing.T, *secrets.Client) error
		operation string
		want      map[string]any
	}{
		"create": {func(t *testing.T, s *secrets.Client) error {
			_, err := s.CreateSecret(t.Context(), "cloney/x", "", "", map[string]string{"a": "b"})
			return err
		}, "CreateSecret", map[string]any{"Name": "cloney/x", "Tags": []any{map[string]any{"Key": "a", "Value": "b"}}}},
		"create with a key": {func(t *testing.T, s *secrets.Client) error {
			_, err := s.CreateSecret(t.Context(), "cloney/x", "alias/k", "", nil)
			return err
		}, "CreateSecret", map[string]any{"Name": "cloney/x", "KmsKeyId": "alias/k", "Tags": []any{}}},
		"create with a key and a placeholder": {func(t *testing.T, s *secrets.Client) error {
			_, err := s.CreateSecret(t.Context(), "cloney/x", "alias/k", "first", nil)
			return err
		}, "CreateSecret", map[string]any{"Name": "cloney/x", "KmsKeyId": "alias/k", "SecretString": "{}", "Tags": []any{}}},
		"try the key": {func(t *testing.T, s *secrets.Client) error {
			return s.TryKey(t.Context(), "cloney/x", "tried", "cloney:tried")
		}, "PutSecretValue", map[string]any{"SecretId": "cloney/x", "ClientRequestToken": "tried", "SecretString": "{}", "VersionStages": []any{"cloney:tried"}}},
		"rekey": {func(t *testing.T, s *secrets.Client) error { return s.RekeySecret(t.Context(), "cloney/x", "alias/k") },
			"UpdateSecret", map[string]any{"SecretId": "cloney/x", "KmsKeyId": "alias/k"}},
		"back to the account's key": {func(t *testing.T, s *secrets.Client) error { return s.RekeySecret(t.Context(), "cloney/x", "") },
			"UpdateSecret", map[string]any{"SecretId": "cloney/x", "KmsKeyId": "alias/aws/secretsmanager"}},
		"put": {func(t *testing.T, s *secrets.Client) error {
			return s.PutVersion(t.Context(), "cloney/x", "token", value, []string{"AWSPENDING", "l"})
		}, "PutSecretValue", map[string]any{"SecretId": "cloney/x", "ClientRequestToken": "token", "SecretString": value.Reveal(), "VersionStages": []any{"AWSPENDING", "l"}}},
		"promote": {func(t *testing.T, s *secrets.Client) error { return s.Promote(t.Context(), "cloney/x", "v2", "v1") },
			"UpdateSecretVersionStage", map[string]any{"SecretId": "cloney/x", "VersionStage": "AWSCURRENT", "MoveToVersionId": "v2", "RemoveFromVersionId": "v1"}},
		"promote the first": {func(t *testing.T, s *secrets.Client) error { return s.Promote(t.Context(), "cloney/x", "v1", "") },
			"UpdateSecretVersionStage", map[string]any{"SecretId": "cloney/x", "VersionStage": "AWSCURRENT", "MoveToVersionId": "v1"}},
		"unlabel": {func(t *testing.T, s *secrets.Client) error { return s.Unlabel(t.Context(), "cloney/x", "v1", "l") },
			"UpdateSecretVersionStage", map[string]any{"SecretId": "cloney/x", "VersionStage": "l", "RemoveFromVersionId": "v1"}},
		"delete": {func(t *testing.T, s *secrets.Client) error { return s.DeleteSecret(t.Context(), "cloney/x") },
			"DeleteSecret", map[string]any{"SecretId": "cloney/x", "ForceDeleteWithoutRecovery": true}},
		"resource policy": {func(t *testing.T, s *secrets.Client) error { return s.PutResourcePolicy(t.Context(), "cloney/x", "{}") },
			"PutResourcePolicy", map[string]any{"SecretId": "cloney/x", "ResourcePolicy": "{}", "BlockPublicPolicy": true}},
		"no resource policy": {func(t *testing.T, s *secrets.Client) error { return s.DeleteResourcePolicy(t.Context(), "cloney/x") },
			"DeleteResourcePolicy", map[string]any{"SecretId": "cloney/x"}},
		"restore": {func(t *testing.T, s *secrets.Client) error { return s.RestoreSecret(t.Context(), "cloney/x") },
			"RestoreSecret", map[string]any{"SecretId": "cloney/x"}},
	} {
		manager(t, always(edgetest.JSON(`{"ARN": "arn:x"}`)), func(t *testing.T, s *secrets.Client, aws *edgetest.AWS) {
			if err := c.call(t, s); err != nil {
				t.Errorf("%s: %v", label, err)
			}
			if got := aws.Operations(); len(got) != 1 || got[0] != c.operation {
				t.Fatalf("%s: %v", label, got)
			}
			got := sent(t, aws.Calls()[0])
			delete(got, "Description")
			if c.operation != "PutSecretValue" {
				delete(got, "ClientRequestToken") // the SDK's own
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %s", label, diff)
			}
		})
	}
}
