package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
)

// lives are what happens to resources, each with its own assertions.
var lives = map[string]func(w *world){
	"create, change everything, delete": func(w *world) {
		w.create(stack(tags(map[string]string{"a": "1", "b": "1"})))
		next := stack(buckets("two"), serial(2), kmsKey("alias/k"), readers(alice), secretName("cloney/moved"), tags(map[string]string{"a": "2"}))
		w.update(stack(tags(map[string]string{"a": "1", "b": "1"})), next)
		w.remove(next)
		w.empty()
	},
	"change the readers": func(w *world) {
		w.create(stack(readers(alice, bob)))
		w.update(stack(readers(alice, bob)), stack(readers(bob, carol), serial(2)))
		w.update(stack(readers(bob, carol), serial(2)), stack())
		w.read(secret)
	},
	"create that fails": func(w *world) {
		w.ExpectRemoval(user)
		_, err := w.tryCreate(stack(buckets("gone")))
		w.refused(err, "bucket gone")
		w.empty()
	},
	"replace": func(w *world) {
		next := stack(userName(second))
		w.create(stack())
		w.update(stack(), next)
		w.remove(stack())
		w.remove(next)
		w.empty()
	},
	"replace in vain, with one secret": func(w *world) {
		next := stack(userName(second), secretName(secret), buckets("gone"))
		first := w.create(stack()).AccessKeyID
		w.ExpectRemoval(second)
		_, err := w.tryUpdate(stack(), next)
		w.refused(err, "bucket gone")
		w.one()
		if w.Labelled(secret, access.Current) != first {
			w.Error("AWSCURRENT is another key than before")
		}
		w.rollback(next, stack())
		w.one()
	},
	"rotate in vain, then back": func(w *world) {
		first := w.create(stack()).AccessKeyID
		w.Lag.Prove = 1000
		_, err := w.tryUpdate(stack(), stack(serial(2)))
		w.refused(err, "authenticate")
		w.Lag.Prove = 0
		if w.update(stack(serial(2)), stack()).AccessKeyID != first {
			w.Error("another key than before")
		}
		w.one()
	},
	"delete under an invented id": func(w *world) {
		w.unfinished()
		w.ExpectRemoval(user)
		if err := w.tryDelete(target(stack(), "invented")); err != nil {
			w.Error(err)
		}
		w.empty()
	},
}

// Whichever call is throttled, for longer than the SDK repeats it: no life
// ends otherwise.
func TestThrottlingIsWaitedOut(t *testing.T) {
	const times = 4
	for name, live := range lives {
		t.Run(name, func(t *testing.T) {
			calls := 0
			play(t, func(w *world) {
				w.Before = func(context.Context, string) error { calls++; return nil }
				live(w)
			})
			for n := 1; n <= calls && !t.Failed(); n++ {
				t.Run(fmt.Sprint("call ", n), func(t *testing.T) {
					play(t, func(w *world) {
						call := 0
						w.Before = func(_ context.Context, verb string) error {
							if call++; n <= call && call < n+times && verb != "Prove" {
								return access.ErrThrottled
							}
							return nil
						}
						live(w)
					})
				})
			}
		})
	}
}

// The answer of a CreateAccessKey is lost: the key that it made, and that
// nobody has, is deleted at once, though that is throttled.
func TestALostKeyIsDeletedThoughThatIsThrottled(t *testing.T) {
	play(t, func(w *world) {
		w.After = func(_ context.Context, verb string) error {
			if verb == "CreateAccessKey" {
				return errors.New("connection reset")
			}
			return nil
		}
		throttled := 0
		w.Before = func(_ context.Context, verb string) error {
			if verb == "DeleteAccessKey" && throttled < 2 {
				throttled++
				return access.ErrThrottled
			}
			// The Create's own undoing would find the key too.
			if verb == "GetUser" && throttled > 0 {
				return access.ErrDenied
			}
			return nil
		}
		w.ExpectRemoval(user)
		_, err := w.tryCreate(stack())
		w.refused(err, "connection reset")
		if keys := w.Inventory().Keys; len(keys) > 0 || throttled != 2 {
			t.Errorf("keys live on: %v; throttled %d times", keys, throttled)
		}
	})
}

// The same where AWS's clock is behind ours, so that the key looks older than
// the attempt that made it.
func TestALostKeyIsDeletedThoughAWSsClockIsBehind(t *testing.T) {
	for _, behind := range []time.Duration{time.Second, time.Minute} {
		t.Run(behind.String(), func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack())
				w.Behind = behind
				w.After = func(_ context.Context, verb string) error {
					if verb == "CreateAccessKey" {
						return errors.New("connection reset")
					}
					return nil
				}
				_, err := w.tryUpdate(stack(), stack(serial(2)))
				w.refused(err, "connection reset")
				w.one()
			})
		})
	}
}
