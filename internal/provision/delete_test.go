package provision_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/provision"
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

func TestDeleteOfAnInventedID(t *testing.T) {
	for _, invented := range []string{
		"stack-Credentials-INVENTED", "2026/11/02/[$LATEST]4f1c", "", strings.Repeat("x", 1024), "*", "../other",
	} {
		t.Run("finished, "+invented[:min(len(invented), 20)], func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack())
				w.Forget()
				w.Protect(user, user+"-1", secret)
				if err := w.tryDelete(target(stack(), invented)); err != nil {
					t.Error(err)
				}
				w.quiet()
				w.one()
			})
		})
		t.Run("unfinished, "+invented[:min(len(invented), 20)], func(t *testing.T) {
			play(t, func(w *world) {
				w.unfinished()
				w.ExpectRemoval(user)
				if err := w.tryDelete(target(stack(), invented)); err != nil {
					t.Error(err)
				}
				w.empty()
			})
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

// killAfter kills the process that f stands for right after its nth call that
// succeeds, if it makes that many.
func (w *world) killAfter(n int, f func()) {
	w.Helper()
	calls := 0
	w.After = func(context.Context, string) error {
		if calls++; calls == n {
			panic(killed{})
		}
		return nil
	}
	dies(f)
	w.After = nil
}

func countCalls(calls *int) func(context.Context, string) error {
	return func(context.Context, string) error { *calls++; return nil }
}

func dies(f func()) (died bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, died = r.(killed); !died {
				panic(r)
			}
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
	for _, kind := range append(accesstest.Kinds(), "access key", "all") {
		t.Run(kind, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack())
				for _, hung := range accesstest.Kinds() {
					if hung == kind || kind == "all" {
						w.HangOn(user, hung)
					}
				}
				if kind == "access key" || kind == "all" {
					w.AddKey(user)
				}
				w.remove(stack())
				w.empty()
			})
		})
	}
}

func TestAPolicyThatIsAttachedElsewhereIsWaitedForThenSaid(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.AttachElsewhere(user+"-1", "a group")
		err := w.tryDelete(target(stack(), user))
		if !errors.Is(err, access.ErrConflict) {
			t.Fatal(err)
		}
		saysAll(t, err, "delete policy "+user+"-1")
		if keys := w.Inventory().Keys; len(keys) > 0 {
			t.Errorf("keys live on: %v", keys)
		}
		// Once it is detached there, the Delete goes through.
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
				w.Before = func(_ context.Context, called string) error {
					if called == verb {
						return access.ErrDenied
					}
					return nil
				}
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
		if err := w.tryDelete(provision.Target{Owner: owner, PhysicalID: user, UserName: user, SecretName: "cloney/never-was"}); err != nil {
			t.Error(err)
		}
		w.empty()
	})
}

// The Delete that follows an unanswered Create ran out of time once the user
// was gone. The next one, under the same made-up id, takes the rest.
func TestADeleteUnderAnInventedIDThatWasCutOff(t *testing.T) {
	play(t, func(w *world) {
		w.unfinished()
		w.ExpectRemoval(user)
		w.DropUser(user)
		if err := w.tryDelete(target(stack(), "invented")); err != nil {
			t.Error(err)
		}
		w.empty()
	})
}

// Its key is gone all the same, and the next Delete finishes.
func TestAPolicyThatIsAttachedElsewhereSaysWhereToLook(t *testing.T) {
	play(t, func(w *world) {
		arn := w.create(stack()).PolicyARNs[0]
		w.Before = func(_ context.Context, verb string) error {
			if verb == "DeletePolicy" {
				return access.ErrConflict
			}
			return nil
		}
		err := w.tryDelete(target(stack(), user))
		if err == nil {
			t.Fatal("succeeded")
		}
		saysAll(t, err, user+"-1", "aws iam list-entities-for-policy --policy-arn "+arn, "detach it there")
		if live := w.LiveKeys(user); len(live) > 0 {
			t.Errorf("live keys: %v", live)
		}
		w.Before = nil
		w.remove(stack())
		w.empty()
	})
}
