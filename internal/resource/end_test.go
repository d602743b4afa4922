package resource_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
)

// signed is a ResponseURL that CloudFormation signed then.
func signed(at time.Time) string {
	return responseURL + "&X-Amz-Date=" + at.UTC().Format("20060102T150405Z")
}

// An event ends at the earlier of Lambda's deadline and the time when CloudFormation stops
// waiting. The last ten seconds are for the response; or the last quarter, if there are less
// than forty seconds.
func TestWhenTheWorkEnds(t *testing.T) {
	for label, c := range map[string]struct {
		timeout     any // ServiceTimeout
		age, lambda time.Duration
		work        time.Duration
	}{
		"Lambda ends first":           {"330", 0, 300 * time.Second, 290 * time.Second},
		"CloudFormation ends first":   {"60", 0, 300 * time.Second, 50 * time.Second},
		"it waited in the queue":      {"330", 50 * time.Second, 300 * time.Second, 270 * time.Second},
		"and little is left":          {"60", 40 * time.Second, 300 * time.Second, 15 * time.Second},
		"no ServiceTimeout: an hour":  {nil, 55 * time.Minute, 900 * time.Second, 290 * time.Second},
		"signed in the future: now":   {"60", -time.Hour, 300 * time.Second, 50 * time.Second},
		"Lambda has little time left": {"330", 0, 8 * time.Second, 6 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			w := world{create: func(ctx context.Context, want plan.Desired) (provision.Result, error) {
				if end, _ := ctx.Deadline(); end.Sub(began) != c.work {
					t.Errorf("%s: %v for the work", label, end.Sub(began))
				}
				if sent := began.Add(-max(c.age, 0)); !want.Run.Sent.Equal(sent) || !want.Run.Began.Equal(began) || want.Run.Type != order.Create {
					t.Errorf("%s: %+v", label, want.Run)
				}
				return stands(want), nil
			}}
			ctx, cancel := context.WithTimeout(t.Context(), c.lambda)
			defer cancel()
			w.answered(t, ctx, event(t, "Create", map[string]any{
				"ResponseURL": signed(began.Add(-c.age)), "ResourceProperties": properties(map[string]any{"ServiceTimeout": c.timeout}),
			}))
		})
	}
}

// Without ServiceTimeout a stack may wait for an hour: the log says so when it gives
// credentials.
func TestAMissingServiceTimeoutIsNoted(t *testing.T) {
	for _, c := range []struct {
		requestType string
		timeout     any
		noted       bool
	}{
		{"Create", nil, true}, {"Update", nil, true}, {"Create", "330", false}, {"Update", 3600, false}, {"Delete", nil, false},
	} {
		var w world
		w.answered(t, t.Context(), event(t, c.requestType, map[string]any{"ResourceProperties": properties(map[string]any{"ServiceTimeout": c.timeout})}))
		if log := w.log.String(); strings.Contains(log, "set ServiceTimeout: 330") != c.noted || strings.Contains(log, "WARN") {
			t.Errorf("%s, ServiceTimeout %v: %s", c.requestType, c.timeout, log)
		}
	}
}

// A Create or Update that arrives after CloudFormation has stopped waiting changes nothing. A
// Create also needs some time to be undone if it fails. The response comes late, because
// another delivery of the event may have a better one. A Delete is carried out.
func TestAnEventThatComesTooLate(t *testing.T) {
	for _, c := range []struct {
		requestType string
		age         time.Duration
		done        bool
	}{
		{"Create", 45 * time.Second, true},
		{"Create", 46 * time.Second, false},
		{"Create", 2 * time.Hour, false},
		{"Update", 59 * time.Second, true},
		{"Update", 60 * time.Second, false},
		{"Delete", 60 * time.Second, true},
		{"Delete", 2 * time.Hour, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var w world
			sent := time.Now().Add(-c.age)
			got := w.answered(t, t.Context(), event(t, c.requestType, map[string]any{
				"ResponseURL": signed(sent), "ResourceProperties": properties(map[string]any{"ServiceTimeout": 60}),
			}))
			if c.done {
				if got.Status != "SUCCESS" || len(w.did) != 1 {
					t.Errorf("%s after %v: did %v, %+v", c.requestType, c.age, w.did, got)
				}
				return
			}
			id := map[string]string{"Create": notFinished, "Update": "the-id-that-came-in"}[c.requestType]
			isFailed(t, got, id, "Nothing was changed")
			if time.Since(sent) < 61*time.Second || len(w.did) > 0 {
				t.Errorf("%s after %v: did %v, answered after %v", c.requestType, c.age, w.did, time.Since(sent))
			}
		})
	}
}

// A ServiceTimeout that is too short for a Create is refused at once, while CloudFormation
// waits. The problems of an event that waited in the queue are reported at once too.
func TestWhatIsRefusedIsAnsweredInTime(t *testing.T) {
	for _, c := range []struct {
		timeout any
		age     time.Duration
		access  string
		reason  string
	}{
		{1, 0, "Source", "ServiceTimeout: "},
		{"14", 0, "Source", "ServiceTimeout: "},
		{15, time.Second, "Source", "ServiceTimeout: "},
		{59, 50 * time.Second, "Source", "ServiceTimeout: "},
		{10, 0, "Sink", "2 problems: (1) ServiceTimeout: "},
		{60, 50 * time.Second, "Sink", "Access: "},
	} {
		synctest.Test(t, func(t *testing.T) {
			var w world
			began := time.Now()
			got := w.answered(t, t.Context(), event(t, "Create", map[string]any{
				"ResponseURL":        signed(began.Add(-c.age)),
				"ResourceProperties": properties(map[string]any{"ServiceTimeout": c.timeout, "Access": c.access}),
			}))
			isFailed(t, got, notCreated, c.reason)
			if time.Since(began) > 0 || len(w.did) > 0 {
				t.Errorf("ServiceTimeout %v: did %v, answered after %v", c.timeout, w.did, time.Since(began))
			}
		})
	}
}

// An Update may be a rollback, so it is not refused for a short ServiceTimeout: it is carried
// out, or fails before the time is over.
func TestAnUpdateOfAShortTimeIsAnsweredInTime(t *testing.T) {
	for _, seconds := range []int{1, 10, 59} {
		for _, hangs := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := world{update: func(ctx context.Context, want plan.Desired) (provision.Result, error) {
					if hangs {
						<-ctx.Done()
						return provision.Result{}, ctx.Err()
					}
					return stands(want), nil
				}}
				began := time.Now()
				got := w.answered(t, t.Context(), event(t, "Update", map[string]any{
					"ResponseURL": signed(began), "ResourceProperties": properties(map[string]any{"ServiceTimeout": seconds}),
				}))
				if (got.Status == "SUCCESS") == hangs || time.Since(began) >= time.Duration(seconds)*time.Second {
					t.Errorf("ServiceTimeout %d, hangs %v: answered after %v: %+v", seconds, hangs, time.Since(began), got)
				}
			})
		}
	}
}

// The second of two deliveries of a Create does not find that its ExpiresAt has passed.
func TestEveryDeliveryOfACreateIsJudgedAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w world
		sent := time.Now()
		create := event(t, "Create", map[string]any{
			"ResponseURL": signed(sent), "ResourceProperties": properties(map[string]any{"ExpiresAt": sent.Add(30 * time.Second).UTC().Format(time.RFC3339)}),
		})
		w.answered(t, t.Context(), create)
		time.Sleep(time.Minute)
		w.sent = nil
		if got := w.answered(t, t.Context(), create); got.Status != "SUCCESS" || len(w.did) != 2 {
			t.Errorf("did %v, %+v", w.did, got)
		}
	})
}

// Sending ends a second before Lambda kills the process, so that the log line and the metric
// say that the response was not accepted.
func TestThatNobodyTookTheAnswerIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world{send: func(ctx context.Context, _ reply.Response) error {
			<-ctx.Done()
			return errors.New("the response bucket answered 503")
		}}
		began := time.Now()
		got := tell(t, &w, event(t, "Create", nil)) // of a function with a minute's time
		if took := time.Since(began); took > 59*time.Second || took < 58*time.Second {
			t.Errorf("sending ended after %v", took)
		}
		if got.Cause != "Unanswered" || got.logged != "answer not accepted" || !strings.Contains(w.log.String(), "answered 503") {
			t.Errorf("%+v", got)
		}
	})
}
