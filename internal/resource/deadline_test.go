package resource_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/parallel"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
)

// secret stands for a value in a panic that nobody may read.
const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

func TestAPanicIsAnswered(t *testing.T) {
	for label, value := range map[string]any{
		"string": secret,
		"error":  errors.New(secret),
		"struct": struct{ Secret string }{secret},
		"nil":    nil,
	} {
		explode := func() { panic(value) }
		w := world{
			create: func(context.Context, plan.Desired) (provision.Result, error) {
				explode()
				return provision.Result{}, nil
			},
			delete: func(context.Context, plan.Target) error { explode(); return nil },
		}
		isFailed(t, w.answered(t, t.Context(), event(t, "Create", nil)), notFinished, "the provider failed because of a defect")
		w.sent = nil
		isFailed(t, w.answered(t, t.Context(), event(t, "Delete", nil)), "the-id-that-came-in", "the provider failed because of a defect")
		log := w.log.String()
		if strings.Contains(log, secret) || strings.Contains(log, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s: the log holds the value:\n%s", label, log)
		}
		if !strings.Contains(log, `"msg":"panic"`) || !strings.Contains(log, "deadline_test.go") {
			t.Errorf("%s: the log does not say where:\n%s", label, log)
		}
	}
}

// A panic on another goroutine, raised again here, is logged with its origin.
func TestAPanicOfAnotherGoroutineIsToldFromThere(t *testing.T) {
	w := world{create: func(context.Context, plan.Desired) (provision.Result, error) {
		panic(parallel.Panic{Value: secret, Stack: []byte("where it was")})
	}}
	isFailed(t, w.answered(t, t.Context(), event(t, "Create", nil)), notFinished, "the provider failed because of a defect")
	if log := w.log.String(); !strings.Contains(log, `"type":"string","stack":"where it was"`) || strings.Contains(log, secret) {
		t.Error(log)
	}
}

// A panic after the response does not reach Lambda's own handler either, which would print
// its value.
func TestAPanicOutsideOfTheWorkIsNoOneElses(t *testing.T) {
	w := world{send: func(context.Context, reply.Response) error { panic(secret) }}
	if err := w.handle(t.Context(), event(t, "Create", nil)); err == nil || strings.Contains(err.Error()+w.log.String(), secret) {
		t.Errorf("%v\n%s", err, w.log.String())
	}
	// If a response was accepted, the invocation does not fail.
	w = world{metrics: &metric.Sink{Function: "f", Out: broken{}}}
	if err := w.handle(t.Context(), event(t, "Create", nil)); err != nil || len(w.sent) != 1 || !strings.Contains(w.log.String(), `"msg":"panic"`) {
		t.Errorf("%v, %d answers\n%s", err, len(w.sent), w.log.String())
	}
}

// broken is a writer that always fails.
type broken struct{}

func (broken) Write([]byte) (int, error) { panic(secret) }

// The response is ready early enough to be sent several times, even if there was little
// time.
func TestAProvisionerThatHangsIsLeftBehind(t *testing.T) {
	for total, most := range map[time.Duration]time.Duration{
		300 * time.Second: 290 * time.Second,
		40 * time.Second:  30 * time.Second,
		8 * time.Second:   6 * time.Second,
		time.Millisecond:  time.Millisecond,
	} {
		for _, requestType := range []string{"Create", "Update", "Delete"} {
			synctest.Test(t, func(t *testing.T) {
				released := make(chan struct{})
				defer close(released)
				started := time.Now()
				w := world{
					create: func(context.Context, plan.Desired) (provision.Result, error) {
						<-released
						return provision.Result{}, nil
					},
					update: func(context.Context, plan.Desired) (provision.Result, error) {
						<-released
						return provision.Result{}, nil
					},
					delete: func(context.Context, plan.Target) error { <-released; return nil },
					send: func(ctx context.Context, _ reply.Response) error {
						if took := time.Since(started); took > most || ctx.Err() != nil {
							t.Errorf("%v of %v: answered after %v, context %v", requestType, total, took, ctx.Err())
						}
						return nil
					},
				}
				ctx, cancel := context.WithTimeout(t.Context(), total)
				defer cancel()
				got := w.answered(t, ctx, event(t, requestType, nil))
				if got.Status != "FAILED" || !strings.Contains(got.Reason, "ran out of time") {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

// The error of a provisioner that ends with its context is used: it says what it waited for.
func TestWhatTheTimeWentInto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world{create: func(ctx context.Context, _ plan.Desired) (provision.Result, error) {
			deadline, _ := ctx.Deadline()
			time.Sleep(time.Until(deadline) - time.Second)
			return provision.Result{}, fmt.Errorf("creating the user: %w", context.DeadlineExceeded)
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		isFailed(t, w.answered(t, ctx, event(t, "Create", nil)), notFinished, "the provider ran out of time: creating the user")
	})
}

// The log has one line, without properties and without the URL: others can read it.
func TestTheLogSaysNoMoreThanTheAnswer(t *testing.T) {
	const private = "not-for-the-log"
	w := world{}
	got := w.answered(t, t.Context(), event(t, "Update", map[string]any{
		"ResourceProperties":    properties(map[string]any{"Tags": []any{map[string]string{"Key": private, "Value": private}}, "Buckets": []string{private}, "SecretKmsKeyId": "alias/" + private}),
		"OldResourceProperties": properties(map[string]any{"UserName": private, "SecretName": "cloney/" + private}),
		"Also":                  private,
	}))
	if got.Status != "SUCCESS" {
		t.Fatal(got.Reason)
	}
	bad := world{}
	bad.answered(t, t.Context(), event(t, "Create", map[string]any{"ResourceProperties": properties(map[string]any{"SecretAccessKey": private, "SourceIps": []string{"8.8.8.8"}, "ExpiresAt": "2999-01-01T00:00:00Z", "Verify": false})}))
	for _, log := range []string{w.log.String(), bad.log.String()} {
		if strings.Contains(log, private) || strings.Contains(log, "X-Amz") || strings.Count(log, "\n") != 1 {
			t.Errorf("the log says:\n%s", log)
		}
		for _, field := range []string{stackID, `"logicalId":"Source"`, `"outcome":`} {
			if !strings.Contains(log, field) {
				t.Errorf("the log does not say %s:\n%s", field, log)
			}
		}
	}
}
