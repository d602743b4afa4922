package provision_test

import (
	"fmt"
	"testing"

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
			for seed := range int64(60) {
				play(t, func(w *world) {
					for _, bucket := range many(0, 120) {
						w.SetBucket(bucket, true)
					}
					w.create(former)
					w.interleave(seed)
					w.together(2, func(int) error { _, err := w.tryUpdate(former, next); return err })
					w.Before, w.After = nil, nil
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
					w.interleave(seed)
					w.together(2, func(int) error { return w.tryDelete(target(next, next.Spec.UserName)) })
					w.Before, w.After = nil, nil
					w.empty()
				})
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
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

// What a crash at any call leaves is finished by the same event again, and
// taken away by a Delete.
func TestACrashAtAnyCallOfACreate(t *testing.T) {
	calls := 0
	play(t, func(w *world) {
		w.After = countCalls(&calls)
		w.create(stack())
	})
	for n := 1; n <= calls && !t.Failed(); n++ {
		for _, then := range []string{"create", "delete"} {
			t.Run(fmt.Sprint("call ", n, ", then ", then), func(t *testing.T) {
				play(t, func(w *world) {
					w.ExpectRemoval(user)
					w.killAfter(n, func() { _, _ = w.tryCreate(stack()) })
					if then == "create" {
						w.create(stack())
						w.one()
					}
					w.remove(stack())
					w.empty()
				})
			})
		}
	}
}

// A crash at any call of an Update that changes everything: the rollback finds
// its way back, and the same Update again its way forth.
func TestACrashAtAnyCallOfAnUpdate(t *testing.T) {
	for name, next := range map[string]plan.Desired{
		"in place":         stack(buckets("two"), serial(2), kmsKey("alias/k"), secretName("cloney/moved"), tags(map[string]string{"a": "2"})),
		"user":             stack(userName(second)),
		"user, not secret": stack(userName(second), secretName(secret)),
	} {
		calls := 0
		play(t, func(w *world) {
			w.create(stack())
			w.After = countCalls(&calls)
			w.update(stack(), next)
		})
		for n := 1; n <= calls && !t.Failed(); n++ {
			t.Run(fmt.Sprint(name, ", call ", n), func(t *testing.T) {
				play(t, func(w *world) {
					first := w.create(stack()).AccessKeyID
					w.ExpectRemoval(second)
					w.killAfter(n, func() { _, _ = w.tryUpdate(stack(), next) })
					if result := w.rollback(next, stack()); result.AccessKeyID != first {
						t.Errorf("the rollback brings %s, not %s", result.AccessKeyID, first)
					}
					if next.Spec.Serial == 1 {
						w.one()
					}
					w.killAfter(n, func() { _, _ = w.tryUpdate(stack(), next) })
					w.update(stack(), next)
					if next.Spec.UserName != user {
						w.remove(stack())
					}
					w.remove(next)
					w.empty()
				})
			})
		}
	}
}
