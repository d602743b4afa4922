package provision_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
)

func TestCreateThenDelete(t *testing.T) {
	play(t, func(w *world) {
		want := stack(buckets("one", "two"), tags(map[string]string{"team": "data"}))
		result := w.create(want)
		w.one()
		if proofs := w.Proofs(); len(proofs) != 1 || proofs[0].KeyID != result.AccessKeyID {
			t.Errorf("proven: %v", proofs)
		}
		for _, entity := range []string{user, user + "-1", secret} {
			if tags := w.Tags(entity); !owner.OwnsAs(user, tags) || tags["team"] != "data" {
				t.Errorf("%s carries %v", entity, tags)
			}
		}
		w.remove(want)
		w.empty()
	})
}

// What the Reason says to do about a policy depends on whether the user's name
// comes again in a new stack.
func TestTheProberIsToldWhetherTheNameWasMadeUp(t *testing.T) {
	for given, madeUp := range map[string]bool{owner.User(): true, "my-user": false} {
		play(t, func(w *world) {
			w.create(stack(userName(given)))
			if proofs := w.Proofs(); len(proofs) != 1 || proofs[0].Subject.MadeUp != madeUp {
				t.Errorf("%s: proven %+v", given, proofs)
			}
		})
	}
}

func TestAKeyIsProvenOnlyWhereTheStackWantsIt(t *testing.T) {
	play(t, func(w *world) {
		without := stack(verify(false), buckets("missing"))
		w.create(without)
		if proofs := w.Proofs(); len(proofs) > 0 {
			t.Errorf("proven: %v", proofs)
		}
		_, err := w.tryUpdate(without, stack(buckets("missing")))
		w.refused(err, "missing")
		w.update(without, stack())
		if proofs := w.Proofs(); len(proofs) != 1 {
			t.Errorf("proven: %v", proofs)
		}
		w.remove(stack())
		w.empty()
	})
}

// Nobody shall take what Verify: false has completed for proven. What changes
// neither the key nor what it may do, and what was proven before, is no news.
func TestWhatIsNotProvenIsWarnedOf(t *testing.T) {
	unproven := func(w *world) int {
		return strings.Count(w.log.String(), "level=WARN msg=\"Verify is false, so the key was not verified")
	}
	without := stack(verify(false))
	for label, c := range map[string]struct {
		before, now plan.Desired
		warned      int // beside the Create's own
	}{
		"another bucket":   {without, stack(verify(false), buckets("two")), 1},
		"a new key":        {without, stack(verify(false), serial(2)), 1},
		"a tag":            {without, stack(verify(false), tags(map[string]string{"team": "other"})), 0},
		"no more verified": {stack(), without, 0},
		"verified":         {stack(), stack(buckets("two")), 0},
		"access has ended": {without, stack(verify(false), at(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC))), 0},
	} {
		play(t, func(w *world) {
			w.create(c.before)
			created := 0
			if !c.before.Spec.Verify {
				created = 1
			}
			if got := unproven(w); got != created {
				t.Errorf("%s: the Create warned %d times", label, got)
			}
			w.update(c.before, c.now)
			if got := unproven(w) - created; got != c.warned {
				t.Errorf("%s: warned %d times", label, got)
			}
		})
	}
}

// A rollback to what was proven has nothing to warn of, though it verifies nothing.
func TestWhatWasProvenBeforeIsNotWarnedOf(t *testing.T) {
	play(t, func(w *world) {
		other, back := stack(buckets("two")), stack(verify(false))
		w.create(stack())
		w.update(stack(), other)
		w.update(other, back)
		if strings.Contains(w.log.String(), "Verify is false") {
			t.Error("warned")
		}
	})
}

// The one that finishes a killed Create changes nothing any more, and warns.
func TestAKilledCreateIsWarnedOfOnceItIsFinished(t *testing.T) {
	play(t, func(w *world) {
		want := stack(verify(false), by(w.event(order.Create)))
		w.killAt("TagUser", func() { _, _ = w.tryCreate(want) })
		w.create(want)
		if got := strings.Count(w.log.String(), "level=WARN msg=\"Verify is false"); got != 1 {
			t.Errorf("warned %d times", got)
		}
	})
}

// A Create that is delivered again changes nothing: neither at once, nor when a
// later event has changed what it made.
func TestACreateDeliveredAgainWritesNothing(t *testing.T) {
	play(t, func(w *world) {
		again := stack(by(w.event(order.Create)))
		first := w.create(again)
		w.Forget()
		if key := w.create(again).AccessKeyID; key != first.AccessKeyID {
			t.Errorf("key %s became %s", first.AccessKeyID, key)
		}
		w.quiet()
		changed := stack(buckets("two"))
		w.update(stack(), changed)
		w.Forget()
		if result, err := w.tryCreate(again); err != nil || result.AccessKeyID != first.AccessKeyID {
			t.Errorf("%v, answered %+v", err, result)
		}
		w.quiet()
		if !w.MayUse(user, changed.Spec.Scope) {
			t.Error("the Update was undone")
		}
		w.one()
	})
}

// A finished user of an earlier life was retained: someone may be using its key.
func TestACreateThatMeetsAFinishedUserTouchesNothing(t *testing.T) {
	for _, next := range []plan.Desired{stack(), stack(buckets("gone")), stack(serial(2), secretName("cloney/other"))} {
		play(t, func(w *world) {
			w.create(stack())
			w.Forget()
			w.Protect(user, user+"-1", secret)
			result, err := w.tryCreate(next)
			w.refused(err, "UserName", user, "of this resource", "not changed")
			if result.Left != provision.Nothing {
				t.Errorf("left %v", result.Left)
			}
			w.quiet()
			// So does the Delete of the id that this Create answers with.
			w.Forget()
			if err := w.tryDelete(target(next, name.NotCreated(user))); err != nil || len(w.Calls()) > 0 {
				t.Errorf("%v, calls %v", err, w.Calls())
			}
			w.one()
		})
	}
}

func TestAFailedCreateLeavesNothing(t *testing.T) {
	for verb, cause := range map[string]error{
		"Prove": errors.New("bucket one: s3:ListBucket is denied"), "PutSecretValue": access.ErrDenied, "CreateSecret": access.ErrDenied,
		"CreateAccessKey": access.ErrDenied, "CreatePolicy": access.ErrDenied, "AttachUserPolicy": access.ErrDenied, "CreateUser": access.ErrDenied,
	} {
		t.Run(verb, func(t *testing.T) {
			play(t, func(w *world) {
				w.ExpectRemoval(user)
				w.failAt(verb, cause)
				result, err := w.tryCreate(stack())
				w.refused(err, cause.Error())
				if result.Left != provision.Nothing {
					t.Errorf("answered that %v is left", result.Left)
				}
				w.empty()
				w.remove(stack())
				w.empty()
			})
		})
	}
}

// What a failed Create says of what it leaves decides which id it answers with.
func TestAFailedCreateSaysWhatItMayLeave(t *testing.T) {
	for verb, left := range map[string]provision.Left{"GetUser": provision.Unknown, "DeletePolicy": provision.Something, "CreateUser": provision.Nothing} {
		play(t, func(w *world) {
			w.ExpectRemoval(user)
			w.failAt(verb, access.ErrDenied)
			result, err := w.tryCreate(stack(buckets("gone")))
			if err == nil || result.Left != left {
				t.Errorf("%s fails: %v, left %v, not %v", verb, err, result.Left, left)
			}
			if keys := w.Inventory().Keys; len(keys) > 0 {
				t.Errorf("keys live on: %v", keys)
			}
			w.Before = nil
			w.remove(stack())
			w.empty()
		})
	}
}

// failAt has every call of that name fail, not done.
func (w *world) failAt(verb string, cause error) {
	w.Before = func(_ context.Context, called string) error {
		if called == verb {
			return cause
		}
		return nil
	}
}

// atFirst has something happen before the first call of that name, which fails
// if that does.
func (w *world) atFirst(verb string, f func() error) {
	var met atomic.Bool
	w.Before = func(_ context.Context, called string) error {
		if called == verb && met.CompareAndSwap(false, true) {
			return f()
		}
		return nil
	}
}

func TestACreateThatFindsNoBucketNamesIt(t *testing.T) {
	play(t, func(w *world) {
		w.ExpectRemoval(user)
		_, err := w.tryCreate(stack(buckets("one", "gone")))
		w.refused(err, "bucket gone")
		w.empty()
	})
}

func TestTooManyBucketsAreRefusedBeforeAnythingIsMade(t *testing.T) {
	play(t, func(w *world) {
		_, err := w.tryCreate(stack(buckets(many(0, 2000)...)))
		w.refused(err, "Buckets: 2000")
		w.quiet()
		w.empty()
	})
}

func TestAnErrorNamesTheStep(t *testing.T) {
	play(t, func(w *world) {
		w.ExpectRemoval(user)
		w.failAt("CreateSecret", access.ErrDenied)
		_, err := w.tryCreate(stack())
		w.refused(err, "create secret "+secret, "access denied")
		var refused plan.Refused
		if errors.As(err, &refused) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%#v", err)
		}
	})
}
