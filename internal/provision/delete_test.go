package provision_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/parallel"
	"cloney-s3-credentials/internal/plan"
)

func TestDeleteAgainIsDone(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.remove(stack())
		w.Forget()
		w.remove(stack())
		w.quiet()
		w.empty()
	})
}

// CloudFormation invents an id when it took no answer of the Create: whatever
// that has made goes, finished or not. One that no user can have is asked for
// nowhere.
func TestDeleteUnderAnInventedID(t *testing.T) {
	for label, begin := range map[string]func(*world){
		"finished":     func(w *world) { w.create(stack()) },
		"unfinished":   func(w *world) { w.unfinished() },
		"cut off":      func(w *world) { w.unfinished(); w.DropUser(user) },
		"never begun":  func(*world) {},
		"of long ago":  func(w *world) { w.create(stack()); time.Sleep(time.Hour) },
		"then changed": func(w *world) { w.create(stack()); w.update(stack(), stack(serial(2))) },
	} {
		t.Run(label, func(t *testing.T) {
			play(t, func(w *world) {
				begin(w)
				w.ExpectRemoval(user)
				if err := w.tryDelete(target(stack(), "stack-Credentials-INVENTED")); err != nil {
					t.Error(err)
				}
				w.empty()
			})
		})
	}
}

// The Create waits in the queue when the Delete comes that CloudFormation has
// sent after it, under an id of its own.
func TestADeleteUnderAnInventedIDWaitsForItsCreate(t *testing.T) {
	for _, late := range []time.Duration{0, 10 * time.Second, 58 * time.Second} {
		play(t, func(w *world) {
			created, deleted := w.event(order.Create), w.event(order.Delete)
			gone := target(stack(), "stack-Credentials-INVENTED")
			gone.Run = deleted
			w.ExpectRemoval(user)
			w.Racing(true)
			w.together(2, func(i int) error {
				if i == 0 {
					return w.tryDelete(gone)
				}
				time.Sleep(late)
				_, err := w.tryCreate(stack(by(created)))
				return err
			})
			w.empty()
		})
	}
}

// What a later event has made stays: the Delete came too late.
func TestADeleteThatComesLateLeavesWhatALaterEventMade(t *testing.T) {
	for _, id := range []string{user, "stack-Credentials-INVENTED"} {
		play(t, func(w *world) {
			late := target(stack(), id)
			late.Run = w.event(order.Delete)
			w.create(stack())
			w.Forget()
			w.Protect(user, user+"-1", secret)
			if err := w.tryDelete(late); err != nil {
				t.Error(err)
			}
			w.quiet()
			w.one()
		})
	}
}

// The id of a Create that made nothing: no call. Any other id that is no user's is
// one that CloudFormation has invented, however long it is.
func TestADeleteOfNoUser(t *testing.T) {
	for id, goes := range map[string]bool{
		name.NotCreated(user): false, "2026/11/02/[$LATEST]4f1c": true, strings.Repeat("x", 65): true, "*": true, "a\nb": true,
	} {
		play(t, func(w *world) {
			w.create(stack())
			w.Forget()
			w.ExpectRemoval(user)
			if err := w.tryDelete(target(stack(), id)); err != nil || len(w.Calls()) > 0 != goes {
				t.Errorf("%q: %v, calls %v", id, err, w.Calls())
			}
			if goes {
				w.empty()
			} else {
				w.one()
			}
		})
	}
}

type killed struct{}

// killAt kills the process that f stands for just before a call.
func (w *world) killAt(verb string, f func()) {
	w.Helper()
	before := w.Before
	w.Before = func(_ context.Context, called string) error {
		if called == verb {
			panic(killed{})
		}
		return nil
	}
	if !dies(f) {
		w.Fatal("not killed: the test tests nothing")
	}
	w.Before = before
}

func dies(f func()) (died bool) {
	defer func() {
		r := recover()
		origin, _ := r.(parallel.Panic)
		if _, died = origin.Value.(killed); !died && r != nil {
			panic(r)
		}
	}()
	f()
	return false
}

// unfinished is a Create whose process was killed before its last step.
func (w *world) unfinished() {
	w.Helper()
	w.killAt("TagUser", func() { _, _ = w.tryCreate(stack()) })
}

// The very same event again finishes what the killed one began.
func TestACreateThatWasKilledIsFinishedByTheNext(t *testing.T) {
	play(t, func(w *world) {
		w.unfinished()
		w.create(stack())
		w.one()
		w.remove(stack())
		w.empty()
	})
}

func TestWhatSomeoneHungOnTheUserDoesNotStopDelete(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		for _, kind := range accesstest.Kinds() {
			w.HangOn(user, kind)
		}
		w.AddKey(user)
		w.remove(stack())
		w.empty()
	})
}

// It stays, with who it is attached to; all else goes. Once it is detached there,
// the next Delete finishes.
func TestAPolicyThatIsAttachedElsewhere(t *testing.T) {
	play(t, func(w *world) {
		arn := w.create(stack()).PolicyARNs[0]
		w.AttachElsewhere(user+"-1", "a group")
		began := time.Now()
		err := w.tryDelete(target(stack(), user))
		if !errors.Is(err, access.ErrConflict) {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 90*time.Second {
			t.Errorf("IAM's lag was waited out for %v", took)
		}
		saysAll(t, err, "delete policy "+user+"-1", "aws iam list-entities-for-policy --policy-arn "+arn, "detach the policy there")
		w.left(accesstest.Inventory{Policies: []string{user + "-1"}})
		w.DetachElsewhere(user + "-1")
		w.remove(stack())
		w.empty()
	})
}

// Access is killed first: whatever fails later, no key lives on.
func TestDeleteKillsAccessFirst(t *testing.T) {
	for _, verb := range []string{"DetachUserPolicy", "DeletePolicy", "DeleteUser", "DeleteSecret"} {
		t.Run(verb, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack())
				w.failAt(verb, access.ErrDenied)
				if err := w.tryDelete(target(stack(), user)); !errors.Is(err, access.ErrDenied) {
					t.Errorf("%v", err)
				}
				if keys := w.Inventory().Keys; len(keys) > 0 {
					t.Errorf("keys live on: %v", keys)
				}
				w.Before = nil
				w.remove(stack())
				w.empty()
			})
		})
	}
}

func TestDeleteWaitsOutWhatIAMIsLateWith(t *testing.T) {
	play(t, func(w *world) {
		w.Lag = accesstest.Lag{Keys: 5, Detach: 5}
		w.create(stack())
		w.remove(stack())
		w.empty()
	})
}

func TestAUserDeletedByHandThenDelete(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.DropUser(user)
		w.remove(stack())
		w.empty()
	})
}

// Properties of a Delete need not be valid: they may lead to the default names
// where the secret is called otherwise.
func TestDeleteLooksUnderTheDefaultNameToo(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		if err := w.tryDelete(plan.Target{Owner: owner, PhysicalID: user, UserName: user, SecretName: "cloney/never-was"}); err != nil {
			t.Error(err)
		}
		w.empty()
	})
}
