package provision_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/secrets"
	"cloney-s3-credentials/internal/users"
)

// Through the SDK, as in the functions: each refused call costs one request
// more and none besides, over one connection, which is closed in the end.
// Repeating in two places would make of ten refusals forty requests.
func TestThrottlingThroughTheEdges(t *testing.T) {
	for label, refused := range map[string]int{"nothing": 0, "once": 1, "ten times": 10} {
		t.Run(label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// An account in which all of it is gone already.
				aws := &edgetest.AWS{Answer: func(call edgetest.Call, n int) edgetest.Answer {
					switch {
					case call.Operation == "DescribeSecret" && n <= refused:
						return edgetest.JSONError(400, "ThrottlingException", "Rate exceeded")
					case call.Operation == "DescribeSecret":
						return edgetest.JSONError(400, "ResourceNotFoundException", "x")
					case n <= refused:
						return edgetest.QueryError(400, "Throttling", "Rate exceeded")
					}
					return edgetest.QueryError(404, "NoSuchEntity", "x")
				}}
				cfg, wire := aws.OverWire(t, nil)
				iam := users.New(cfg, users.Options{
					Path:    "/cloney/eu-west-1/",
					Account: func(context.Context) (string, string, error) { return "aws", "123456789012", nil },
				})
				p := provision.Provisioner{Users: iam, Keys: iam, Policies: iam, Secrets: secrets.New(cfg), Log: slog.New(slog.DiscardHandler)}
				ctx, cancel := context.WithTimeout(t.Context(), 2*lambda)
				defer cancel()
				if err := p.Delete(ctx, target(stack(), user)); err != nil {
					t.Fatal(err)
				}
				// Its ten possible policies, and its secret.
				counted := map[string]int{}
				for _, operation := range aws.Operations() {
					counted[operation]++
				}
				for operation, least := range map[string]int{"GetPolicy": 10, "DescribeSecret": 1} {
					if got, want := counted[operation], least+refused; got != want {
						t.Errorf("%s: %d requests, want %d", operation, got, want)
					}
				}
				if opened, _ := wire.Connections(); opened != 1 {
					t.Errorf("%d connections were opened", opened)
				}
				time.Sleep(2 * time.Minute) // synctest's time; idle for ninety seconds
				if _, open := wire.Connections(); open > 0 {
					t.Errorf("%d connections are left", open)
				}
			})
		})
	}
}

// The time that is left is used up to its end, and no more than a few calls
// are made in it: what is throttled until the deadline is told as that.
func TestThrottledUntilTheDeadline(t *testing.T) {
	play(t, func(w *world) {
		iam := throttle{perSecond: 1e-9, burst: 0}
		iam.tokens, iam.since = map[string]float64{}, map[string]time.Time{}
		w.Before = iam.before
		started := time.Now()
		err := w.tryDelete(target(stack(), user))
		if err == nil || !strings.Contains(err.Error(), "throttled") {
			t.Fatal(err)
		}
		if took := time.Since(started); took < lambda-time.Second || took > lambda+time.Second {
			t.Errorf("given up after %v", took)
		}
		if calls := w.Calls()["GetUser"]; calls < 10 || calls > 40 {
			t.Errorf("%d calls", calls)
		}
	})
}
