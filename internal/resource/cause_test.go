package resource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
)

// told is what the two lines of an event say.
type told struct {
	Cause                              string
	Creates, Failures                  int
	AwsRequests, KeysIssued            int
	logged, loggedCause, loggedOutcome string
	loggedRequests                     float64
}

func tell(t *testing.T, w *world, raw []byte) told {
	t.Helper()
	var metrics bytes.Buffer
	w.metrics = &metric.Sink{Function: "f", Out: &metrics}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_ = w.handle(ctx, raw)
	var got told
	if err := json.Unmarshal(metrics.Bytes(), &got); err != nil {
		t.Fatalf("%v: %q", err, metrics.String())
	}
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	got.logged, _ = line["msg"].(string)
	got.loggedCause, _ = line["cause"].(string)
	got.loggedOutcome, _ = line["outcome"].(string)
	got.loggedRequests, _ = line["awsRequests"].(float64)
	return got
}

// Every failure has a cause, by the type of its error and not by its text.
func TestCauses(t *testing.T) {
	failing := func(err error) *world {
		return &world{create: func(context.Context, plan.Desired) (provision.Result, error) { return provision.Result{}, err }}
	}
	step := func(outcome error) error {
		return fmt.Errorf("creating user x: %w: AWS says deadline, denied, limit (Code)", outcome)
	}
	for label, c := range map[string]struct {
		w      *world
		fields map[string]any
		want   metric.Cause
	}{
		"success":      {&world{}, nil, metric.None},
		"malformed":    {&world{}, map[string]any{"LogicalResourceId": "a/b"}, metric.Event},
		"properties":   {&world{}, map[string]any{"ResourceProperties": map[string]any{}}, metric.Properties},
		"account":      {&world{home: resource.Home{Accounts: []string{"111122223333"}}}, nil, metric.Account},
		"name taken":   {failing(fmt.Errorf("creating user x: %w: %w", plan.Refused("taken"), access.ErrExists)), nil, metric.Refused},
		"unproven":     {failing(fmt.Errorf("proving: %w", issue.Unproven{Cause: context.DeadlineExceeded})), nil, metric.Verification},
		"denied":       {failing(step(access.ErrDenied)), nil, metric.Denied},
		"limit":        {failing(step(access.ErrLimit)), nil, metric.Limit},
		"too many":     {failing(fmt.Errorf("planning: %w", policy.TooManyError{Places: 900, Fit: 780})), nil, metric.Properties},
		"a KMS key":    {failing(step(access.ErrKMS)), nil, metric.Invalid},
		"no reader":    {failing(step(access.ErrPrincipal)), nil, metric.Invalid},
		"public":       {failing(step(access.ErrPublic)), nil, metric.Invalid},
		"invalid":      {failing(step(access.ErrInvalid)), nil, metric.Invalid},
		"throttled":    {failing(step(access.ErrThrottled)), nil, metric.Throttled},
		"throttled up": {failing(fmt.Errorf("%w: %w", context.DeadlineExceeded, access.ErrThrottled)), nil, metric.Throttled},
		"deadline":     {failing(step(context.DeadlineExceeded)), nil, metric.Deadline},
		"unclear":      {failing(errors.New("no clear answer from AWS: access denied, throttled, limit reached")), nil, metric.Unclear},
		"panic":        {&world{create: func(context.Context, plan.Desired) (provision.Result, error) { panic("x") }}, nil, metric.Internal},
		"hangs": {&world{create: func(context.Context, plan.Desired) (provision.Result, error) {
			time.Sleep(time.Hour)
			return provision.Result{}, nil
		}}, nil, metric.Deadline},
		"not accepted": {&world{send: func(context.Context, reply.Response) error { return errors.New("403") }}, nil, metric.Unanswered},
		"elsewhere":    {&world{}, map[string]any{"ResponseURL": "https://evil.example/"}, metric.Unanswerable},
	} {
		t.Run(label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := tell(t, c.w, event(t, "Create", c.fields))
				time.Sleep(time.Hour) // until what hangs is done
				failures := map[bool]int{true: 1}[c.want != metric.None]
				if got.Cause != string(c.want) || got.Failures != failures {
					t.Errorf("%+v", got)
				}
				if c.want == metric.Unanswerable {
					return
				}
				if got.Creates != 1 || got.loggedCause != string(c.want) || (got.loggedOutcome == "FAILED") != (failures == 1 && c.want != metric.Unanswered) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// Both lines of an event have its cost.
func TestCountsOfAnEvent(t *testing.T) {
	w := world{create: func(ctx context.Context, want plan.Desired) (provision.Result, error) {
		metric.Request(ctx)
		metric.Request(ctx)
		metric.Done(ctx, "CreateAccessKey")
		return stands(want), nil
	}}
	got := tell(t, &w, event(t, "Create", nil))
	if got.AwsRequests != 2 || got.KeysIssued != 1 || got.loggedRequests != 2 || got.logged != "answered" {
		t.Errorf("%+v", got)
	}
	// Each event is counted separately.
	w.create = nil
	if got := tell(t, &w, event(t, "Create", nil)); got.AwsRequests != 0 {
		t.Errorf("%+v", got)
	}
}
