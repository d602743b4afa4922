package turn_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/turn"
)

const user = "reader"

type world struct {
	*testing.T
	*accesstest.Account
	rotator turn.Rotator
}

func play(t *testing.T, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		account := accesstest.New(t)
		stack, err := name.ParseStackID("arn:aws:cloudformation:" + accesstest.Region + ":" + accesstest.ID + ":stack/stack/51af3dc0-da77-11e4-872e-1234567db123")
		if err != nil {
			t.Fatal(err)
		}
		account.MakeUser(user, name.Owner{Stack: stack, Logical: "Credentials"}.Tags(user))
		f(&world{t, account, turn.Rotator{Users: account, Log: slog.New(slog.DiscardHandler)}})
	})
}

func (w *world) take(request string) (*turn.Turn, error) {
	w.Helper()
	there, err := w.User(w.Context(), user)
	if err != nil {
		w.Fatal(err)
	}
	return w.rotator.Take(w.Context(), there, request)
}

// event leaves the mark of an event that has just begun.
func (w *world) event() order.Run {
	run := order.Run{Type: order.Update, Request: "update", Sent: time.Now(), Began: time.Now()}
	w.Tag(user, run.Begun())
	return run
}

func (w *world) marks() (marks []string) {
	for key, value := range w.Tags(user) {
		if strings.HasPrefix(key, name.TagPrefix+"event:") {
			marks = append(marks, value)
		}
	}
	return marks
}

// write writes once, and reports whether it did.
func write(w *world, t *turn.Turn) (wrote bool, err error) {
	err = t.Write(w.Context(), patience.Nothing, func(context.Context) error { wrote = true; return nil })
	return wrote, err
}

// Alone it takes its turn at once, writes, and leaves no mark.
func TestATurn(t *testing.T) {
	play(t, func(w *world) {
		started := time.Now()
		mine, err := w.take("one")
		if err != nil || len(w.marks()) != 1 || time.Since(started) > 0 {
			t.Fatalf("%v, marks %v, after %v", err, w.marks(), time.Since(started))
		}
		if wrote, err := write(w, mine); !wrote || err != nil {
			t.Error(err)
		}
		mine.Leave(w.Context())
		if len(w.marks()) > 0 {
			t.Errorf("left: %v", w.marks())
		}
	})
}

// While an event is at work it is not the rotator's turn.
func TestAnEventGoesFirst(t *testing.T) {
	play(t, func(w *world) {
		w.event()
		mine, err := w.take("one")
		if !errors.Is(err, turn.ErrAtWork) {
			t.Errorf("%v", err)
		}
		if wrote, err := write(w, mine); wrote || !errors.Is(err, turn.ErrAtWork) {
			t.Errorf("wrote %t, %v", wrote, err)
		}
		mine.Leave(w.Context())
		if len(w.marks()) != 1 {
			t.Errorf("marks %v", w.marks())
		}
	})
}

// Once an event begins, no write is begun that it does not wait for.
func TestAnEventBegins(t *testing.T) {
	play(t, func(w *world) {
		mine, err := w.take("one")
		if err != nil {
			t.Fatal(err)
		}
		w.event()
		time.Sleep(order.Lease - time.Nanosecond)
		if wrote, err := write(w, mine); !wrote || err != nil {
			t.Errorf("within the lease: %v", err)
		}
		time.Sleep(time.Nanosecond)
		for range 2 {
			if wrote, err := write(w, mine); wrote || !errors.Is(err, turn.ErrAtWork) {
				t.Errorf("after the lease: wrote %t, %v", wrote, err)
			}
		}
	})
}

// Another run of the rotator may have a call under way: it is waited for, and stops.
func TestTwoRunsOfTheRotator(t *testing.T) {
	play(t, func(w *world) {
		first, err := w.take("one")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		started := time.Now()
		second, err := w.take("two")
		if err != nil || time.Since(started) < order.InFlight {
			t.Errorf("%v, after %v", err, time.Since(started))
		}
		if wrote, err := write(w, first); wrote || !errors.Is(err, turn.ErrAtWork) {
			t.Errorf("the first one wrote: %t, %v", wrote, err)
		}
		if wrote, err := write(w, second); !wrote || err != nil {
			t.Errorf("the second one did not write: %v", err)
		}
		second.Leave(w.Context()) // takes the first one's mark off too: it is over
		if len(w.marks()) > 0 {
			t.Errorf("left: %v", w.marks())
		}
	})
}

// The user was deleted, or another user has its name: a Delete was at work.
func TestTheUserIsGone(t *testing.T) {
	for title, again := range map[string]bool{"gone": false, "made anew": true} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				mine, err := w.take("one")
				if err != nil {
					t.Fatal(err)
				}
				tags := w.Tags(user)
				w.DropUser(user)
				if again {
					w.MakeUser(user, tags)
				}
				time.Sleep(order.Lease)
				if wrote, err := write(w, mine); wrote || !errors.Is(err, turn.ErrAtWork) {
					t.Errorf("wrote %t, %v", wrote, err)
				}
				mine.Leave(w.Context())
			})
		})
	}
}

// What AWS leaves without an answer is given up after order.Attempt: a write is tried
// again then, and what must not be repeated is not.
func TestNoAnswer(t *testing.T) {
	play(t, func(w *world) {
		mine, err := w.take("one")
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		hangs := func(ctx context.Context) error {
			if calls++; calls > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		if err := mine.Once(w.Context(), patience.Nothing, hangs); !errors.Is(err, turn.ErrNoAnswer) || access.Definite(err) || calls != 1 {
			t.Errorf("once: %v, %d calls", err, calls)
		}
		calls = 0
		if err := mine.Write(w.Context(), patience.Nothing, hangs); err != nil || calls != 2 {
			t.Errorf("%v, %d calls", err, calls)
		}
	})
}

// A look at the marks holds for order.Lease from when the call began that was answered:
// those before it that were throttled do not count.
func TestForHowLongALookHolds(t *testing.T) {
	for title, c := range map[string]struct {
		refused int           // how often the first look is
		takes   time.Duration // the answer to it
		answers int           // looks that are answered
	}{
		"at once":         {0, 0, 1},
		"throttled first": {3, 0, 1},
		"a slow answer":   {0, order.Lease, 2},
	} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				looks, answers := 0, 0
				there, err := w.User(w.Context(), user)
				if err != nil {
					t.Fatal(err)
				}
				w.Before = func(_ context.Context, verb string) error {
					if verb != "GetUser" {
						return nil
					}
					if looks++; looks <= c.refused {
						return access.ErrThrottled
					}
					if answers++; answers == 1 {
						time.Sleep(c.takes)
					}
					return nil
				}
				mine, err := w.rotator.Take(w.Context(), there, "one")
				if err != nil {
					t.Fatal(err)
				}
				if wrote, err := write(w, mine); !wrote || err != nil || answers != c.answers {
					t.Errorf("wrote %v, %v; %d looks were answered, not %d", wrote, err, answers, c.answers)
				}
			})
		})
	}
}
