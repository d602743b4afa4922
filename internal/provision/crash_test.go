package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"cloney-s3-credentials/internal/plan"
)

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
		"readers":          stack(readers(alice), serial(2)),
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

// A call that fails without saying whether it happened: the rollback finds its
// way back, and no key that someone was given is lost.
func TestAnUnclearFailureAtAnyCallOfAnUpdate(t *testing.T) {
	next := stack(buckets("two"), serial(2), secretName("cloney/moved"))
	calls := 0
	play(t, func(w *world) {
		w.create(stack())
		w.After = countCalls(&calls)
		w.update(stack(), next)
	})
	for n := 1; n <= calls && !t.Failed(); n++ {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprint("call ", n, ", done ", done), func(t *testing.T) {
				play(t, func(w *world) {
					first := w.create(stack()).AccessKeyID
					call := 0
					fault := func(context.Context, string) error {
						if call++; call == n {
							return errors.New("connection reset")
						}
						return nil
					}
					if done {
						w.After = fault
					} else {
						w.Before = fault
					}
					_, err := w.tryUpdate(stack(), next)
					w.Before, w.After = nil, nil
					w.Check()
					if err == nil {
						w.update(stack(), next)
					}
					if result := w.rollback(next, stack()); result.AccessKeyID != first {
						t.Errorf("the rollback brings %s, not %s", result.AccessKeyID, first)
					}
					w.remove(stack())
					w.empty()
				})
			})
		}
	}
}
