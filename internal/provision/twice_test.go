package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
)

// Any Update or Delete, delivered twice at the same moment, leaves what one
// leaves.
func TestAnyEventTwiceAtTheSameMoment(t *testing.T) {
	former := stack(tags(map[string]string{"a": "1"}))
	for name, next := range map[string]plan.Desired{
		"buckets":             stack(buckets("two", "three")),
		"more policies":       stack(buckets(many(0, 120)...)),
		"tags":                stack(tags(map[string]string{"b": "1"})),
		"KMS key":             stack(kmsKey("alias/k")),
		"secret":              stack(secretName("cloney/moved")),
		"secret and Serial":   stack(secretName("cloney/moved"), serial(2)),
		"user":                stack(userName(second)),
		"user, not secret":    stack(userName(second), secretName(secret)),
		"user and new secret": stack(userName(second), secretName("cloney/moved")),
	} {
		t.Run(name, func(t *testing.T) {
			playSeeds(t, 40, func(w *world, seed int64) {
				for _, bucket := range many(0, 120) {
					w.SetBucket(string(bucket), true)
				}
				w.create(former)
				w.interleave(seed, 10)
				w.together(2, func(w *world, _ int) error { _, err := w.tryUpdate(former, next); return err })
				w.atRest()
				w.Check()
				// One run finds all done, and the answer to it is the truth.
				w.Forget()
				w.update(next, next)
				w.quiet()
				if live := w.LiveKeys(next.Spec.UserName); len(live) > max(1, next.Spec.Serial) {
					t.Errorf("live keys: %v", live)
				}
				if next.Spec.UserName != user {
					w.remove(former)
				}
				w.interleave(seed, 10)
				w.together(2, func(w *world, _ int) error { return w.tryDelete(target(next, next.Spec.UserName)) })
				w.atRest()
				w.empty()
			})
		})
	}
}

// A key that no secret records may be one that another run is about to store,
// also for a run that has been looking for long by then, and for the last look
// of a Create, the only one that it takes.
func TestAKeyThatAnotherRunMayBeStoring(t *testing.T) {
	for _, create := range []bool{false, true} {
		t.Run(fmt.Sprintf("Create %t", create), func(t *testing.T) {
			play(t, func(w *world) {
				if !create {
					w.create(stack())
				}
				started, made := time.Now(), time.Time{}
				w.Before = func(_ context.Context, verb string) error {
					switch {
					case verb == "GetUser" && time.Since(started) < 40*time.Second:
						return access.ErrBusy
					case verb == "ListAccessKeys" && made.IsZero():
						made = time.Now()
						w.AddKey(user)
					case verb == "DeleteAccessKey" && time.Since(made) < 25*time.Second:
						w.Errorf("deleted after %v", time.Since(made))
					}
					return nil
				}
				next := stack()
				if create {
					w.create(next)
				} else {
					next = stack(serial(2))
					w.update(stack(), next)
				}
				w.Before = nil
				w.remove(next)
				w.empty()
			})
		})
	}
}

// The second delivery of a Create that fails must not take away what an
// earlier one finished.
func TestAFailedCreateLeavesAFinishedOneAlone(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		_, err := w.tryCreate(stack(request("request-2"), buckets("one", "gone")))
		w.refused(err, "gone")
		w.one()
		if w.Labelled(secret, access.Current) != first {
			t.Error("AWSCURRENT is another key than before")
		}
	})
}

// Of two deliveries one fails after the other has finished: its undoing must
// not take the finished one away.
func TestAFailedCreateLeavesTheOtherDeliveryAlone(t *testing.T) {
	play(t, func(w *world) {
		w.Before = func(_ context.Context, verb string) error {
			if verb != "Prove" {
				return nil
			}
			w.Before = nil
			w.create(stack())
			return errors.New("connection reset")
		}
		_, err := w.tryCreate(stack())
		w.refused(err, "connection reset")
		w.one()
		w.remove(stack())
		w.empty()
	})
}

// The same of a replacement, whose undoing would take a user away that
// CloudFormation has been told of.
func TestAFailedReplacementLeavesTheOtherDeliveryAlone(t *testing.T) {
	for secrets, name := range map[string]string{"its own secret": secondSecret, "the same secret": secret} {
		t.Run(secrets, func(t *testing.T) {
			play(t, func(w *world) {
				next := stack(userName(second), secretName(name))
				w.create(stack())
				w.Before = func(_ context.Context, verb string) error {
					if verb != "Prove" {
						return nil
					}
					w.Before = nil
					w.update(stack(), next)
					return errors.New("connection reset")
				}
				_, err := w.tryUpdate(stack(), next)
				w.refused(err, "connection reset")
				w.Forget()
				w.update(next, next)
				w.quiet()
				w.remove(stack())
				w.remove(next)
				w.empty()
			})
		})
	}
}

// Only the answer was lost: the key is stored, and the Create goes on with it.
func TestAStoreWhoseAnswerIsLostIsNoFailure(t *testing.T) {
	play(t, func(w *world) {
		w.After = func(_ context.Context, verb string) error {
			if verb != "PutSecretValue" {
				return nil
			}
			w.After = nil
			return errors.New("connection reset")
		}
		w.create(stack())
		w.one()
		w.remove(stack())
		w.empty()
	})
}

// The other delivery has moved the secret, and deleted the former one, while
// this one was about to read it.
func TestASecretThatAnotherDeliveryHasMoved(t *testing.T) {
	play(t, func(w *world) {
		next := stack(secretName("cloney/moved"))
		first := w.create(stack()).AccessKeyID
		w.Before = func(_ context.Context, verb string) error {
			if verb == "GetSecretValue" {
				w.Before = nil
				w.update(stack(), next)
			}
			return nil
		}
		if result := w.update(stack(), next); result.AccessKeyID != first {
			t.Errorf("key %s became %s", first, result.AccessKeyID)
		}
		w.remove(next)
		w.empty()
	})
}
