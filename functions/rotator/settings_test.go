package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/edge/edgetest"
)

const (
	own   = "arn:aws:lambda:eu-west-1:123456789012:function:cloney-s3-credentials-rotator"
	topic = "arn:aws:sns:eu-west-1:123456789012:alarms"
)

// setting are what the template gives the rotator.
func setting(t *testing.T) {
	t.Helper()
	for variable, value := range map[string]string{
		"PERMISSIONS_BOUNDARY_ARN": "arn:aws:iam::123456789012:policy/boundary", "KEY_AGE_DAYS": "30", "NOTICE_TOPIC_ARN": topic, "ROTATION_FUNCTION_ARN": own,
	} {
		t.Setenv(variable, value)
	}
}

// assembled is the rotator with an AWS that answers so.
func assembled(t *testing.T, cloud *edgetest.AWS, log *slog.Logger) *handler {
	t.Helper()
	setting(t)
	h, err := assemble(cloud.Config(t), log)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// What the template sets is what is read: a variable of another name would leave the
// topic out, or judge no boundary.
func TestTheTemplateSetsWhatIsRead(t *testing.T) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rotator, _ := strings.Cut(string(template), "\n  RotatorFunction:\n")
	rotator, _, _ = strings.Cut(rotator, "\n  RotatorLogGroup:\n")
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	names := func(text, pattern string) (found []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, match[1])
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	set, read := names(rotator, `(?m)^          ([A-Z_]+): `), names(string(source), `Getenv\("([A-Z_]+)"\)`)
	// The SDK reads it too.
	if read = append(read, "AWS_ENDPOINT_URL"); !slices.Equal(set, slices.Compact(slices.Sorted(slices.Values(read)))) {
		t.Errorf("the template sets %v, and %v are read", set, read)
	}
}

func TestTheSettingsArrive(t *testing.T) {
	h := assembled(t, &edgetest.AWS{}, slog.New(slog.DiscardHandler))
	if h.sweeper.KeyAge != 30*24*time.Hour {
		t.Errorf("a key is old after %v", h.sweeper.KeyAge)
	}
	for _, days := range []string{"", "0", "-1", "ninety"} {
		t.Setenv("KEY_AGE_DAYS", days)
		if _, err := assemble(aws.Config{Region: "eu-west-1"}, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("KEY_AGE_DAYS of %q is taken", days)
		}
	}
}

const schedule = `{"version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event", "source": "aws.events",
	"account": "123456789012", "time": "2026-11-27T04:00:00Z", "region": "eu-west-1", "resources": ["arn:aws:events:eu-west-1:123456789012:rule/sweep"], "detail": {}}`

// empty is an account with nothing of the provider's in it.
func empty(call edgetest.Call, _ int) edgetest.Answer {
	switch call.Operation {
	case "GetCallerIdentity":
		return edgetest.Query(call.Operation, "<Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn>")
	case "ListUsers":
		return edgetest.Query(call.Operation, "<Users/>")
	case "ListPolicies":
		return edgetest.Query(call.Operation, "<Policies/>")
	case "ListSecrets":
		return edgetest.JSON(`{"SecretList": []}`)
	}
	return edgetest.JSONError(400, "ResourceNotFoundException", "x")
}

func TestTheDailyScheduleSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := &edgetest.AWS{Answer: empty}
		h := assembled(t, cloud, slog.New(slog.DiscardHandler))
		if err := h.handle(t.Context(), json.RawMessage(schedule)); err != nil {
			t.Error(err)
		}
		for _, operation := range []string{"ListUsers", "ListPolicies", "ListSecrets"} {
			if !slices.Contains(cloud.Operations(), operation) {
				t.Errorf("the sweep did not ask for %s, but %v", operation, cloud.Operations())
			}
		}
	})
}

// What nobody knows does nothing, and neither log nor error holds any of it: it may be
// all but a rotation's, with its token.
func TestEventsOfNobody(t *testing.T) {
	const token = "tok3n-0f1d2c3b"
	for _, event := range []string{
		``, `null`, `[]`, `"x"`, `{}`, `{`, token, `{"RotationToken": "` + token + `"}`, `{"Step": 7, "RotationToken": "` + token + `"}`,
		`{"Step": "` + token + `"}`, `{"RequestType": "Create"}`, `{"Records": [{"Sns": {"Message": "` + token + `"}}]}`,
		strings.Replace(schedule, "aws.events", "my.events", 1), strings.Replace(schedule, "Scheduled Event", token, 1),
	} {
		synctest.Test(t, func(t *testing.T) {
			cloud := &edgetest.AWS{Answer: empty}
			var log bytes.Buffer
			h := assembled(t, cloud, slog.New(slog.NewTextHandler(&log, nil)))
			err := h.handle(context.Background(), json.RawMessage(event))
			if err == nil || strings.Contains(err.Error()+log.String(), token) || len(cloud.Calls()) > 0 {
				t.Errorf("%s: %v, %s, %v", event, err, log.String(), cloud.Operations())
			}
		})
	}
}
