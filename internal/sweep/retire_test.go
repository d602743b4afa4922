package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/parallel"
)

// daily sweeps once a day, for that many days.
func (w world) daily(days int) {
	for range days {
		time.Sleep(day)
		w.sweep()
	}
}

func (w world) state(keyID string) string {
	for _, key := range w.Inventory().Keys {
		if _, id, _ := strings.Cut(key, "/"); id == keyID {
			return "active"
		} else if strings.HasPrefix(id, keyID) {
			return "inactive"
		}
	}
	return "gone"
}

// A replaced key that nobody uses is deactivated after the grace, which is announced once,
// and deleted after as long again. Then its version has no label of ours.
func TestAKeyIsRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		time.Sleep(30 * day)
		current := w.rotate("u")
		w.daily(7)
		if w.state(former) != "active" {
			t.Errorf("after 7 days the key is %s", w.state(former))
		}
		w.tells("within the grace")
		w.daily(1)
		if w.state(former) != "inactive" {
			t.Errorf("after 8 days the key is %s", w.state(former))
		}
		w.tells("after the grace", "Old Key Retired: nobody has used it for 7 days")
		w.daily(5)
		if w.state(former) != "inactive" {
			t.Errorf("after 13 days the key is %s", w.state(former))
		}
		w.daily(1)
		if w.state(former) != "gone" || w.state(current) != "active" {
			t.Errorf("after 14 days the key is %s, the current one %s", w.state(former), w.state(current))
		}
		w.tells("as long again")
		secret, err := w.Secret(t.Context(), name.Secret("u"))
		must(t, err)
		if strings.Contains(fmt.Sprint(secret.Versions), former) {
			t.Errorf("the key is gone, and not forgotten: %v", secret.Versions)
		}
		w.Account.Forget()
		w.daily(1)
		if writes := w.Writes(); len(writes) > 0 {
			t.Errorf("a sweep that has nothing to do writes: %v", writes)
		}
		if tags := w.Tags("u"); tags[name.TagTold] != "" || len(order.MarksOf(tags)) > 0 {
			t.Errorf("tags are left: %v", tags)
		}
		w.Check()
	})
}

// A replaced key in use stays, which is announced once, and is retired once nobody uses it.
func TestAKeyInUseStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		time.Sleep(30 * day)
		w.rotate("u")
		for range 20 {
			time.Sleep(5 * day)
			w.Call(former)
			time.Sleep(time.Hour)
			w.sweep()
		}
		if w.state(former) != "active" {
			t.Errorf("the key is %s", w.state(former))
		}
		w.tells("for 100 days", "Old Key Still In Use: replaced more than 7 days ago", "Key Is Old: more than 90 days ago", "Key Is Old: more than 90 days ago")
		w.daily(8)
		w.tells("once nobody uses it", "Old Key Retired")
		w.daily(7)
		if w.state(former) != "gone" {
			t.Errorf("the key is %s", w.state(former))
		}
	})
}

// A key that somebody activates again gets the grace again, and a new notice.
func TestAKeyThatIsActivatedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		w.rotate("u")
		w.daily(8)
		w.tells("after the grace", "Old Key Retired")
		time.Sleep(12 * time.Hour)
		w.Activate(former)
		w.daily(8)
		if w.state(former) != "active" {
			t.Errorf("the key is %s", w.state(former))
		}
		w.daily(1)
		if w.state(former) != "inactive" {
			t.Errorf("the key is %s", w.state(former))
		}
		w.tells("after another grace", "Old Key Retired")
	})
}

// After a leak somebody deactivates the key. No sweep activates it, or changes the previous
// key, which may be the only one that works.
func TestALeakedKeyStaysInactive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		w.daily(30)
		leaked := w.rotate("u")
		time.Sleep(5 * day)
		w.Deactivate(leaked)
		w.daily(30)
		if w.state(leaked) != "inactive" || w.state(former) != "active" {
			t.Errorf("the leaked key is %s, the former one %s", w.state(leaked), w.state(former))
		}
		w.tells("all the while", "Drift Found: which is inactive: somebody deactivated it")
	})
}

// If an event is at work on a user, the next sweep retires its keys, unless the function of
// that event must have ended.
func TestAnEventIsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		w.rotate("u")
		time.Sleep(8 * day)
		event := order.Run{Type: order.Update, Request: "r", Sent: time.Now(), Began: time.Now()}
		must(t, w.Account.TagUser(t.Context(), "u", event.Begun(), nil))
		w.sweep()
		if w.state(former) != "active" || !event.Has(w.Tags("u")) {
			t.Errorf("the key is %s, and the tags %v", w.state(former), w.Tags("u"))
		}
		w.tells("while the event is at work")
		w.daily(1)
		if w.state(former) != "inactive" {
			t.Errorf("the key is %s", w.state(former))
		}
	})
}

// Findings while an event is at work are not announced, because the user may still change.
func TestNothingIsToldInTheMidstOfAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.user("u")
		time.Sleep(2 * time.Hour)
		w.HangOn("u", "inline policy")
		w.sweep()
		w.tells("before", "Drift Found: inline")
		event := order.Run{Type: order.Update, Request: "r", Sent: time.Now(), Began: time.Now()}
		must(t, w.Account.TagUser(t.Context(), "u", event.Begun(), nil))
		w.Detach("u", "u-1")
		w.Unhang("u", "inline policy")
		w.sweep()
		must(t, w.AttachPolicy(t.Context(), "u", "u-1"), w.Account.TagUser(t.Context(), "u", event.Ended(), nil))
		w.HangOn("u", "inline policy")
		w.sweep()
		w.tells("meanwhile, and after")
	})
}

// A sweep that may not deactivate a key logs that. A later sweep that may do it does it.
func TestDeactivationIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		w.rotate("u")
		w.daily(7)
		w.Before = func(_ context.Context, verb string) error {
			if verb == "UpdateAccessKey" {
				return access.ErrDenied
			}
			return nil
		}
		w.daily(2)
		if w.state(former) != "active" || !strings.Contains(w.log.String(), "retiring key "+former+" (deactivate)") {
			t.Errorf("the key is %s; the log:\n%s", w.state(former), w.log.String())
		}
		w.tells("while it is denied")
		w.Before = nil
		w.daily(1)
		if w.state(former) != "inactive" {
			t.Errorf("the key is %s", w.state(former))
		}
		w.tells("once it is not", "Old Key Retired")
	})
}

// AWSCURRENT moves back to the previous key between the sweep's look and its turn.
func TestAWSCurrentMovesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		version := w.CurrentVersion(name.Secret("u"))
		w.rotate("u")
		time.Sleep(8 * day)
		var meanwhile sync.Once
		w.Before = func(_ context.Context, verb string) error {
			if verb != "TagUser" {
				return nil
			}
			meanwhile.Do(func() {
				w.Tag(name.Secret("u"), map[string]string{name.TagPromoted: time.Now().Format(time.RFC3339)}) // as the provider does first
				must(t, w.Promote(t.Context(), name.Secret("u"), version, w.CurrentVersion(name.Secret("u"))))
			})
			return nil
		}
		w.sweep()
		if w.state(former) != "active" || w.Labelled(name.Secret("u"), access.Current) != former {
			t.Errorf("the key is %s", w.state(former))
		}
	})
}

// Any one call may fail, lose its answer, or be the last of its process: the next sweeps
// retire the key and announce that, and no promise is broken in the meantime.
func TestEveryCallOfTheSweepFails(t *testing.T) {
	calls := retiring(t, "nothing fails", nil, nil)
	if calls < 20 {
		t.Fatalf("only %d calls", calls)
	}
	for n := int64(1); n <= calls; n += int64(accesstest.OneIn(5)) {
		lost := errors.New("connection reset")
		for _, fault := range []error{access.ErrDenied, access.ErrThrottled, lost} {
			retiring(t, fmt.Sprintf("call %d, %v", n, fault), failing(n, fault), nil)
		}
		retiring(t, fmt.Sprintf("the answer to call %d is lost", n), nil, failing(n, lost))
		what := fmt.Sprintf("killed at call %d", n)
		retiring(t, what, killed(n), nil)
		retiring(t, what+", once it happened", nil, killed(n))
	}
}

type hook = func(ctx context.Context, verb string) error

// failing makes the nth call end with the fault.
func failing(n int64, fault error) hook {
	var calls atomic.Int64
	return func(context.Context, string) error {
		if calls.Add(1) == n {
			return fault
		}
		return nil
	}
}

type crash struct{}

// killed ends the process at the nth call.
func killed(n int64) hook {
	var calls atomic.Int64
	return func(context.Context, string) error {
		if calls.Add(1) == n {
			panic(crash{})
		}
		return nil
	}
}

// retiring retires a key. The hooks decide about one call of the sweep that deactivates the
// key, and of the sweep that deletes it. It returns how many calls these sweeps make.
func retiring(t *testing.T, what string, before, after hook) (calls int64) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		former := w.user("u")
		w.rotate("u")
		w.daily(7)
		calls = w.once(before, after)
		w.daily(5)
		calls += w.once(before, after)
		w.daily(24)
		if w.state(former) != "gone" {
			t.Errorf("%s: the key is %s", what, w.state(former))
		}
		if notices := w.tell(); before == nil && after == nil && len(notices) != 1 || len(notices) < 1 || len(notices) > 2 {
			t.Errorf("%s: told %q", what, notices)
		}
		if marks := order.MarksOf(w.Tags("u")); len(marks) > 0 {
			t.Errorf("%s: marks are left: %v", what, marks)
		}
		w.Check()
	})
	return calls
}

// once sweeps a day later, in a process that may be killed, and returns the number of calls.
func (w world) once(before, after hook) (calls int64) {
	time.Sleep(day)
	w.Forget()
	w.Before, w.After = before, after
	defer func() {
		w.Before, w.After = nil, nil
		for _, made := range w.Calls() {
			calls += int64(made)
		}
		if p := recover(); p != nil && !isCrash(p) {
			panic(p)
		}
	}()
	ctx, cancel := context.WithTimeout(w.t.Context(), 15*time.Minute)
	defer cancel()
	_ = w.Sweep(ctx)
	return 0
}

// isCrash reports whether a panic is a crash, also in a goroutine of package parallel.
func isCrash(p any) bool {
	if origin, nested := p.(parallel.Panic); nested {
		p, _ = origin.Origin()
	}
	_, is := p.(crash)
	return is
}
