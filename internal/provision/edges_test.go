package provision_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/secrets"
	"cloney-s3-credentials/internal/users"
)

// Through the SDK, as in the functions: an account that refuses everything for
// a minute sees no more requests than the flow makes calls, over no more
// connections than are needed at once, and they are closed in the end. Were the SDK to repeat them too, it would see four
// times as many.
func TestThrottlingThroughTheEdges(t *testing.T) {
	for label, minute := range map[string]time.Duration{"never": 0, "for a minute": time.Minute} {
		t.Run(label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refused := map[string]int{}
				since := map[string]time.Time{}
				// An account in which all of it was deleted already. Each API refuses
				// for as long as asked, from its first call on.
				aws := &edgetest.AWS{Answer: func(call edgetest.Call, n int) edgetest.Answer {
					if n == 1 {
						since[call.Operation] = time.Now()
					}
					busy := time.Since(since[call.Operation]) < minute
					if busy {
						refused[call.Operation]++
					}
					switch {
					case call.Operation == "DescribeSecret" && busy:
						return edgetest.JSONError(400, "ThrottlingException", "Rate exceeded")
					case call.Operation == "DescribeSecret":
						return edgetest.JSONError(400, "ResourceNotFoundException", "x")
					case busy:
						return edgetest.QueryError(400, "Throttling", "Rate exceeded")
					}
					return edgetest.QueryError(404, "NoSuchEntity", "x")
				}}
				cfg, wire := aws.OverWire(t, nil)
				iam := users.New(cfg, users.Options{
					Path:    "/cloney/eu-west-1/",
					Account: func(context.Context) (string, string, error) { return "aws", "123456789012", nil },
				})
				p := provision.Provisioner{
					Users: iam, Keys: iam, Policies: iam, Attachments: iam, Secrets: secrets.New(cfg, secrets.Options{}), Log: slog.New(slog.DiscardHandler),
				}
				ctx, cancel := context.WithTimeout(t.Context(), lambda)
				defer cancel()
				if err := p.Delete(ctx, target(stack(), user)); err != nil {
					t.Fatal(err)
				}
				for _, api := range []string{"GetUser", "GetPolicy", "DescribeSecret"} {
					if least := min(int(minute.Seconds()), 3); refused[api] < least || refused[api] > 10*least {
						t.Errorf("%s: %d requests were refused", api, refused[api])
					}
				}
				if opened, _ := wire.Connections(); opened > name.MaxPolicyNumber {
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

// The time that is left is used up to its end, with a few calls: a run that is
// throttled to the last tries once more shortly before it has to give up.
func TestThrottledUntilTheDeadline(t *testing.T) {
	play(t, func(w *world) {
		gone := target(stack(), user)
		gone.Run = w.event(order.Delete)
		started := time.Now()
		var last atomic.Pointer[time.Time]
		w.Before = func(context.Context, string) error {
			last.Store(new(time.Now()))
			return access.ErrThrottled
		}
		err := w.tryDelete(gone)
		if err == nil || !strings.Contains(err.Error(), "throttled") {
			t.Fatal(err)
		}
		if at := last.Load().Sub(started); at < lambda-time.Second || at > lambda+10*time.Millisecond {
			t.Errorf("the last try was after %v", at)
		}
		if calls := w.Calls()["GetUser"]; calls < 10 || calls > 60 {
			t.Errorf("%d calls", calls)
		}
	})
}
