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

// unit is what each call takes, so that the time that an event takes is its chain.
const unit = 80 * time.Millisecond

// costOf returns how many calls an event makes, and how many of them wait for each other.
func (w *world) costOf(event func()) (calls, chain int) {
	w.Helper()
	w.Forget()
	w.Before = func(context.Context, string) error { time.Sleep(unit); return nil } // synctest's time
	started := time.Now().Add(apart + delivery)
	event()
	took := time.Since(started)
	w.Before = nil
	if took%unit != 0 {
		w.Errorf("it has waited for something else: %v", took)
	}
	for _, n := range w.Calls() {
		calls += n
	}
	return calls, int(took / unit)
}

// Shown by -v.
func TestWhatAnEventCosts(t *testing.T) {
	t.Logf("%-38s %5s %5s", "event", "calls", "chain")
	for _, c := range costs {
		play(t, func(w *world) {
			without := stack(verify(false))
			if c.event != "Create" {
				w.create(without)
			}
			calls, chain := w.costOf(func() { c.cost(w, without) })
			t.Logf("%-38s %5d %5d", c.event, calls, chain)
			if calls > c.calls || chain > c.chain {
				t.Errorf("%s: %d calls, in a chain of %d; it cost %d and %d\n%v", c.event, calls, chain, c.calls, c.chain, w.Calls())
			}
		})
	}
}
