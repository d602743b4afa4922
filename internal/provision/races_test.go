package provision_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
)

// Events of one user that CloudFormation sends one after the other can still
// meet: Lambda delivers twice, and a function may be at work when CloudFormation
// has long given it up. Nothing serialises them, and nothing needs to: whatever
// they do to each other, at rest every live key is one that a secret gives out,
// AWSCURRENT names a live key, and the last event, once it runs alone, gets
// what it asks for.

// race runs events at the same moment, in another order with every seed. Each
// may fail.
func (w *world) race(seed int64, events ...func(*world) error) {
	w.Helper()
	w.Racing(true)
	w.interleave(seed, 10)
	w.together(len(events), func(w *world, i int) error {
		err := events[i](w)
		fmt.Fprintf(w.log, "run=%d ends: %v\n", i, err)
		return nil
	})
	w.atRest()
	w.Racing(false)
	// The account counts a key as stored late, not as lost, for half a minute.
	time.Sleep(time.Minute) // synctest's time
}

const raceSeeds = 200

func TestACreateRacingItsDelete(t *testing.T) {
	for _, id := range []string{user, "stack-Credentials-INVENTED"} {
		t.Run(id, func(t *testing.T) {
			playSeeds(t, raceSeeds, func(w *world, seed int64) {
				w.ExpectRemoval(user)
				w.race(seed,
					func(w *world) error { _, err := w.tryCreate(stack()); return err },
					func(w *world) error { return w.tryDelete(target(stack(), id)) })
				w.Check()
				w.remove(stack())
				w.empty()
			})
		})
	}
}

// updates are changes that touch keys, policies, secret and user.
var updates = map[string]plan.Desired{
	"buckets":           stack(buckets("two")),
	"Serial":            stack(serial(2)),
	"secret":            stack(secretName("cloney/moved")),
	"secret and Serial": stack(secretName("cloney/moved"), serial(2)),
	"user":              stack(userName(second)),
	"user, not secret":  stack(userName(second), secretName(secret)),
}

func TestAnUpdateRacingItsRollback(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(updates)) {
		t.Run(name, func(t *testing.T) {
			next := updates[name]
			playSeeds(t, raceSeeds, func(w *world, seed int64) {
				first := w.create(stack()).AccessKeyID
				w.ExpectRemoval(second)
				w.race(seed,
					func(w *world) error { _, err := w.tryUpdate(stack(), next); return err },
					func(w *world) error { _, err := w.tryRollback(next, stack(), user); return err })
				if current := w.Labelled(secret, access.Current); current != "" && !slices.Contains(slices.Concat(w.LiveKeys(user), w.LiveKeys(second)), current) {
					w.Errorf("AWSCURRENT names %s, which is dead", current)
				}
				// The rollback is what CloudFormation asked for last.
				w.ExpectRemoval(second)
				if result := w.rollback(next, stack()); result.AccessKeyID != first {
					w.Errorf("rolled back to %s, not to %s", result.AccessKeyID, first)
				}
				if next.Spec.UserName != user {
					w.remove(next)
				}
				w.remove(stack())
				w.empty()
			})
		})
	}
}

func TestAnUpdateRacingTheDelete(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(updates)) {
		t.Run(name, func(t *testing.T) {
			next := updates[name]
			playSeeds(t, raceSeeds, func(w *world, seed int64) {
				w.create(stack())
				w.ExpectRemoval(user, second)
				w.race(seed,
					func(w *world) error { _, err := w.tryUpdate(stack(), next); return err },
					func(w *world) error { return w.tryDelete(target(next, user)) })
				w.Check()
				w.ExpectRemoval(user, second)
				w.remove(next)
				w.remove(stack())
				w.empty()
			})
		})
	}
}

// Of a replacement that keeps the secret, the former user's Delete has seen the
// secret when it was not passed on yet. Either it deletes it soon, and the
// replacement notices before it answers; or it does not.
func TestADeleteThatSawTheSecretBeforeItPassed(t *testing.T) {
	for name, late := range map[string]time.Duration{"soon": 5 * time.Second, "late": 15 * time.Second} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				next := stack(userName(second), secretName(secret))
				w.create(stack())
				w.ExpectRemoval(second)
				w.Racing(true)
				var err error
				var update sync.WaitGroup
				w.Before = func(ctx context.Context, verb string) error {
					if verb != "DeleteSecret" {
						return nil
					}
					w.Before = nil
					update.Go(func() { _, err = w.tryUpdate(stack(), next) })
					select {
					case <-ctx.Done():
					case <-time.After(late):
					}
					return ctx.Err()
				}
				if err := w.tryDelete(target(stack(), user)); err != nil {
					t.Error(err)
				}
				update.Wait()
				w.Racing(false)
				w.Check()
				if name == "late" && err != nil {
					t.Errorf("the replacement failed: %v", err)
				} else if name == "soon" {
					w.refused(err, "deleted while it was being made")
				}
				w.remove(next)
				w.empty()
			})
		})
	}
}

// The Delete knows the former secret, and not the one that the Update was
// making when its user was taken away.
func TestAnUpdateWhoseUserIsTakenAwayLeavesNothing(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.Racing(true)
		w.Before = func(_ context.Context, verb string) error {
			if verb == "Prove" {
				w.Before = nil
				if err := w.tryDelete(target(stack(), user)); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		_, err := w.tryUpdate(stack(), stack(secretName("cloney/moved"), serial(2)))
		w.refused(err, "verify the key")
		w.empty()
	})
}

// A Delete takes the user first and the secret last: an Update that comes in
// between does not make anew what nobody would ever delete.
func TestAnUpdateBehindADeleteMakesNothing(t *testing.T) {
	for name, next := range updates {
		if next.Spec.UserName != user {
			continue // a replacement makes a user of its own, which its own Delete follows
		}
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack())
				w.Before = func(_ context.Context, verb string) error {
					if verb == "GetUser" {
						w.Before = nil
						w.remove(stack())
					}
					return nil
				}
				_, err := w.tryUpdate(stack(), next)
				w.refused(err, "deleted")
				w.empty()
			})
		})
	}
}

// The user that an Update has begun with is not the one that is there now: it
// was deleted, and is another run's. Only IAM's id of it tells.
func TestAnUpdateKeepsToItsUser(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.Before = func(_ context.Context, verb string) error {
			if verb == "GetPolicy" {
				w.Before = nil
				w.remove(stack())
				w.create(stack(request("request-2")))
			}
			return nil
		}
		_, err := w.tryUpdate(stack(), stack(buckets("two")))
		w.refused(err, "deleted")
		w.one()
	})
}

// Three at once, such as an Update that was given up, its rollback, and the
// Delete of the stack. What may be left is a secret with a dead key; never a
// live key that no secret gives out, nor anything that a Delete cannot take.
func TestThreeAtOnceLeaveNoLiveKeyUnknown(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(updates)) {
		next := updates[name]
		update := func(w *world) error { _, err := w.tryUpdate(stack(), next); return err }
		rollback := func(w *world) error { _, err := w.tryRollback(next, stack(), user); return err }
		remove := func(w *world) error { return w.tryDelete(target(stack(), user)) }
		for label, events := range map[string][]func(*world) error{
			"update, rollback, delete": {update, rollback, remove},
			"update twice, delete":     {update, update, remove},
			"update, delete twice":     {update, remove, remove},
		} {
			t.Run(name+"/"+label, func(t *testing.T) {
				playSeeds(t, raceSeeds/4, func(w *world, seed int64) {
					w.create(stack())
					w.ExpectRemoval(user, second)
					w.race(seed, events...)
					w.everyKeyIsKnown()
					w.ExpectRemoval(user, second)
					w.remove(next)
					w.remove(stack())
					w.empty()
				})
			})
		}
	}
}

// everyKeyIsKnown asks that every live key is one that a secret gives out.
func (w *world) everyKeyIsKnown() {
	w.Helper()
	var given []string
	for _, s := range w.Inventory().Secrets {
		given = append(given, w.Labelled(s, access.Current), w.Labelled(s, access.Previous))
	}
	for _, u := range []string{user, second} {
		for _, key := range w.LiveKeys(u) {
			if !slices.Contains(given, key) {
				w.Errorf("key %s of %s lives, and no secret gives it out", key, u)
			}
		}
	}
}
