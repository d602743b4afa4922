package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/settings/settingstest"
)

const (
	own   = "arn:aws:lambda:eu-west-1:123456789012:function:cloney-s3-credentials-rotator"
	topic = "arn:aws:sns:eu-west-1:123456789012:alarms"
)

// given is an environment of what the template sets.
func given() map[string]string {
	return map[string]string{
		"PERMISSIONS_BOUNDARY_ARN": "arn:aws:iam::123456789012:policy/boundary", "KEY_AGE_DAYS": "30", "NOTICE_TOPIC_ARN": topic, "ROTATION_FUNCTION_ARN": own,
		"SOURCE_CIDRS": "any", "AWS_ENDPOINT_URL": "", "AWS_LAMBDA_FUNCTION_NAME": "cloney-s3-credentials-rotator", "VERSION": "0.1.0",
	}
}

// told is what the template tells the rotator.
func told(t *testing.T) environment {
	t.Helper()
	env, err := read(settingstest.Lookup(given()))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// assembled is the rotator with an AWS that answers so.
func assembled(t *testing.T, cloud *edgetest.AWS, log *slog.Logger) *handler {
	t.Helper()
	return assemble(cloud.Config(t), told(t), log)
}

// What the template sets is what is read: a variable of another name would leave the
// topic out, or judge no boundary.
func TestTheSettingsArrive(t *testing.T) {
	env := given()
	delete(env, "AWS_LAMBDA_FUNCTION_NAME") // Lambda's own
	if diff := cmp.Diff(slices.Sorted(maps.Keys(env)), slices.Sorted(slices.Values(settingstest.Variables(t, "../..", "RotatorFunction")))); diff != "" {
		t.Errorf("what is read, and what the template sets:\n%s", diff)
	}
	want := environment{boundary: "arn:aws:iam::123456789012:policy/boundary", own: own, topic: topic, keyAge: 30 * 24 * time.Hour}
	if got := told(t); got != want {
		t.Errorf("%+v", got)
	}
	if h := assembled(t, &edgetest.AWS{}, slog.New(slog.DiscardHandler)); h.sweeper.KeyAge != 30*24*time.Hour || h.rotator.Function != own {
		t.Errorf("%+v", h)
	}
	env["SOURCE_CIDRS"] = "203.0.113.0/24,2001:db8::/32"
	if got, err := read(settingstest.Lookup(env)); err != nil || !got.addressesLimited {
		t.Errorf("%+v, %v", got, err)
	}
}

// On Lambda a variable that is missing stops the function, and so does one that cannot
// be read.
func TestTheFunctionDoesNotStart(t *testing.T) {
	refused := func(what, variable string, change func(map[string]string)) {
		t.Helper()
		env := given()
		change(env)
		if _, err := read(settingstest.Lookup(env)); err == nil || !strings.Contains(err.Error(), variable+" is ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, variable := range settingstest.Variables(t, "../..", "RotatorFunction") {
		if variable != "AWS_ENDPOINT_URL" && variable != "VERSION" { // for the SDK and for the log
			refused("without "+variable, variable, func(env map[string]string) { delete(env, variable) })
		}
	}
	for variable, values := range map[string][]string{
		"PERMISSIONS_BOUNDARY_ARN": {""}, "ROTATION_FUNCTION_ARN": {""}, "KEY_AGE_DAYS": {"", "0", "-1", "ninety", "36501"}, "SOURCE_CIDRS": {"x"},
	} {
		for _, value := range values {
			refused(variable+" of "+value, variable, func(env map[string]string) { env[variable] = value })
		}
	}
	// Of a local run, only what it sets has to be right.
	if _, err := read(settingstest.Lookup(map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_ENDPOINT_URL": "http://127.0.0.1:4599", "KEY_AGE_DAYS": "90"})); err != nil {
		t.Error(err)
	}
}

// Where the owner lets keys be used from some addresses alone, buckets are not asked:
// they deny this function's own calls.
func TestSourceCidrsAreForTheProofToo(t *testing.T) {
	settingstest.BucketsAreAsked(t, func(sourceCidrs string, cfg aws.Config) issue.Prober {
		env := given()
		env["SOURCE_CIDRS"] = sourceCidrs
		e, err := read(settingstest.Lookup(env))
		if err != nil {
			t.Fatal(err)
		}
		return assemble(cfg, e, slog.New(slog.DiscardHandler)).rotator.Prober
	})
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
