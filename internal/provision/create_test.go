package provision_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
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

func TestTheSameCreateAgainWritesNothing(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack())
		w.Forget()
		again := w.create(stack())
		w.quiet()
		if again.AccessKeyID != first.AccessKeyID {
			t.Errorf("key %s became %s", first.AccessKeyID, again.AccessKeyID)
		}
		w.one()
		w.remove(stack())
		w.empty()
	})
}

func TestACreateDeliveredLateChangesNothing(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		changed := stack(buckets("two"))
		w.update(stack(), changed)
		w.Forget()
		if _, err := w.tryCreate(stack()); err != nil {
			t.Error(err)
		}
		w.quiet()
		if !w.MayUse(user, changed.Spec.Scope) {
			t.Error("the Update was undone")
		}
	})
}

func TestAnotherCreateConverges(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack())
		again := w.create(stack(request("request-2"), buckets("two")))
		if again.AccessKeyID != first.AccessKeyID {
			t.Errorf("key %s became %s", first.AccessKeyID, again.AccessKeyID)
		}
		w.one()
		w.remove(stack())
		w.empty()
	})
}

// interleave makes every call wait for a while by chance, before and after, so
// that runs at the same moment meet in another order with every seed. One wait
// in eight is much longer: that run falls behind.
//
// A seed gives one order, however busy the machine: each run has a chance of its
// own, and two of them hardly ever wake in the same nanosecond.
func (w *world) interleave(seed int64, longer time.Duration) {
	w.Helper()
	runs := map[int]*rand.Rand{}
	for i := range mostTogether {
		runs[i] = rand.New(rand.NewPCG(uint64(seed), uint64(i)))
	}
	wait := func(when string) func(context.Context, string) error {
		return func(ctx context.Context, verb string) error {
			i := ctx.Value(runOf{}).(int)
			fmt.Fprintf(w.log, "time=%s run=%d %s=%s\n", time.Now().UTC().Format("15:04:05.000"), i, when, verb)
			d := time.Duration(runs[i].Int64N(int64(400 * time.Millisecond)))
			if runs[i].IntN(8) == 0 {
				d *= longer
			}
			time.Sleep(d) // synctest's time
			return nil
		}
	}
	w.Before, w.After = wait("calls"), wait("called")
	w.restore = provision.SetChance(func(d time.Duration) time.Duration {
		return time.Duration(rand.New(rand.NewPCG(uint64(seed), uint64(time.Now().UnixNano()))).Int64N(int64(d)))
	})
}

// atRest ends interleave.
func (w *world) atRest() {
	w.Before, w.After = nil, nil
	w.restore()
}

// mostTogether is how many runs interleave knows apart.
const mostTogether = 3

// runOf is the context's key for which of the runs at the same moment it is.
type runOf struct{}

// Context is the test's, and says which of the runs at the same moment it is.
func (w *world) Context() context.Context { return context.WithValue(w.T.Context(), runOf{}, w.run) }

func TestTwoCreatesAtTheSameMoment(t *testing.T) {
	lags := map[string]accesstest.Lag{
		"prompt":    {},
		"late keys": {Keys: 2, Prove: 3},
		"late IAM":  {Users: 3, Policies: 2, Keys: 1, Prove: 2},
	}
	for lag := range lags {
		t.Run(lag, func(t *testing.T) {
			playSeeds(t, 150, func(w *world, seed int64) {
				w.Lag = lags[lag]
				// The account counts lateness in calls: a slow run would
				// make the list of keys later than IAM's ever is.
				longer := time.Duration(1)
				if w.Lag == (accesstest.Lag{}) {
					longer = 10
				}
				w.interleave(seed, longer)
				w.together(2, func(w *world, _ int) error { _, err := w.tryCreate(stack()); return err })
				w.atRest()
				w.Check()
				w.one()
				w.remove(stack())
				w.empty()
			})
		})
	}
}

// together runs f n times at the same moment, and wants each to succeed.
func (w *world) together(n int, f func(w *world, i int) error) {
	w.Helper()
	var wait sync.WaitGroup
	failures := make([]error, n)
	for i := range n {
		run := *w
		run.run = i
		wait.Go(func() {
			time.Sleep(time.Duration(i)) // so that they begin in one order
			failures[i] = f(&run, i)
		})
	}
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		w.Errorf("at the same moment: %v", err)
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
				w.Before = func(_ context.Context, called string) error {
					if called == verb {
						return cause
					}
					return nil
				}
				_, err := w.tryCreate(stack())
				w.refused(err, cause.Error())
				w.empty()
				w.remove(stack())
				w.empty()
			})
		})
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

func TestADeleteThatOvertakesItsCreate(t *testing.T) {
	for _, at := range []string{"CreatePolicy", "AttachUserPolicy", "CreateSecret", "CreateAccessKey", "PutSecretValue", "Prove", "TagUser"} {
		for _, when := range []string{"before", "after"} {
			t.Run(when+" "+at, func(t *testing.T) {
				play(t, func(w *world) {
					w.ExpectRemoval(user)
					overtaken := false
					overtake := func(_ context.Context, verb string) error {
						if verb == at && !overtaken {
							overtaken = true
							if err := w.tryDelete(target(stack(), "stack-Credentials-INVENTED")); err != nil {
								t.Error(err)
							}
							w.ExpectRemoval(user)
						}
						return nil
					}
					if when == "before" {
						w.Before = overtake
					} else {
						w.After = overtake
					}
					_, err := w.tryCreate(stack())
					w.refused(err)
					w.left(accesstest.Inventory{})
				})
			})
		}
	}
}

// The last look: someone who knows the id deletes it as the Create finishes.
func TestADeleteThatOvertakesTheAnswer(t *testing.T) {
	play(t, func(w *world) {
		w.After = func(_ context.Context, verb string) error {
			if verb == "TagUser" {
				w.After = nil
				return w.tryDelete(target(stack(), user))
			}
			return nil
		}
		_, err := w.tryCreate(stack())
		w.refused(err, "deleted while it was being made")
		w.empty()
	})
}

func TestAnErrorNamesTheStep(t *testing.T) {
	play(t, func(w *world) {
		w.ExpectRemoval(user)
		w.Before = func(_ context.Context, verb string) error {
			if verb == "CreateSecret" {
				return access.ErrDenied
			}
			return nil
		}
		_, err := w.tryCreate(stack())
		w.refused(err, "create secret "+secret, "access denied")
		var refused plan.Refused
		if errors.As(err, &refused) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%#v", err)
		}
	})
}
