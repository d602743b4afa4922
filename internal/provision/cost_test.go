package provision_test

import (
	"context"
	"testing"
	"time"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// costs is what each event may cost in an account where all goes well, without
// Verify: calls of AWS in all, and those of them that wait for each other. A
// caller waits for the chain; the account's quotas count the calls.
var costs = []struct {
	event        string
	calls, chain int
	cost         func(w *world, without plan.Desired)
}{
	{"Create", 9, 5, func(w *world, d plan.Desired) { w.create(d) }},
	{"Update, nothing changes", 6, 2, func(w *world, d plan.Desired) { w.update(d, d) }},
	{"Update, another bucket", 10, 5, func(w *world, d plan.Desired) { w.update(d, stack(verify(false), buckets("two"))) }},
	{"Update, a new Serial", 12, 7, func(w *world, d plan.Desired) { w.update(d, stack(verify(false), serial(2))) }},
	{"Update, a schedule", 10, 5, func(w *world, d plan.Desired) { w.update(d, stack(verify(false), scheduled(monthly))) }},
	{"Delete", 12, 5, func(w *world, d plan.Desired) { w.remove(d) }},
	{"Delete of a Create that made nothing", 0, 0, func(w *world, d plan.Desired) {
		if err := w.tryDelete(target(d, name.NotCreated(user))); err != nil {
			w.Error(err)
		}
	}},
}

// Each call takes one and the same time, so that the time that an event takes is
// its chain. Shown by -v.
func TestWhatAnEventCosts(t *testing.T) {
	const unit = 80 * time.Millisecond
	t.Logf("%-38s %5s %5s", "event", "calls", "chain")
	for _, c := range costs {
		play(t, func(w *world) {
			without := stack(verify(false))
			if c.event != "Create" {
				w.create(without)
			}
			w.Forget()
			w.Before = func(context.Context, string) error { time.Sleep(unit); return nil } // synctest's time
			started := time.Now().Add(apart + delivery)
			c.cost(w, without)
			took := time.Since(started)
			calls, chain := 0, int(took/unit)
			for _, n := range w.Calls() {
				calls += n
			}
			t.Logf("%-38s %5d %5d", c.event, calls, chain)
			if calls > c.calls || chain > c.chain || took%unit != 0 {
				t.Errorf("%s: %d calls, in a chain of %d (%v); it cost %d and %d\n%v", c.event, calls, chain, took, c.calls, c.chain, w.Calls())
			}
		})
	}
}
