package provision_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
)

const (
	alice = "arn:aws:iam::123456789012:role/Alice"
	bob   = "arn:aws:iam::123456789012:user/Bob"
	carol = "arn:aws:iam::210987654321:root"
)

const theirs = `{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":["` + alice + `"]},"Action":["secretsmanager:GetSecretValue"],"Resource":["*"]}]}`

func readers(arns ...string) change {
	return func(d *plan.Desired) { d.Spec.Readers = slices.Sorted(slices.Values(arns)) }
}

// read asks for exactly these to be the secret's readers.
func (w *world) read(secret string, arns ...string) {
	w.Helper()
	if got := w.Readers(secret); !slices.Equal(got, slices.Sorted(slices.Values(arns))) {
		w.Errorf("%s is read by %v, not by %v", secret, got, arns)
	}
}

func TestReadersComeChangeAndGo(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack(readers(alice))).AccessKeyID
		w.read(secret, alice)
		former := []string{alice}
		for _, next := range [][]string{{alice, bob}, {bob, carol}, {alice}, nil, {carol}, nil} {
			w.Forget()
			if w.update(stack(readers(former...)), stack(readers(next...))).AccessKeyID != first {
				t.Error("the key has changed")
			}
			w.read(secret, next...)
			if len(w.Proofs()) > 0 {
				t.Errorf("proven: %v", w.Proofs())
			}
			w.still(stack(readers(next...)))
			former = next
		}
		w.remove(stack())
		w.empty()
	})
}

// A reader that stays reads at every moment; one that goes never sees the new
// key, one that comes never an unproven one.
func TestReadersChangeWithTheKey(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack(readers(alice, bob)))
		var proven atomic.Bool
		w.After = func(_ context.Context, verb string) error {
			if verb == "Prove" {
				proven.Store(true)
			}
			now := w.Readers(secret)
			switch {
			case !slices.Contains(now, bob):
				t.Errorf("after %s %v read", verb, now)
			case slices.Contains(now, alice) && len(w.LiveKeys(user)) > 1:
				t.Errorf("there is a new key, and %v read", now)
			case slices.Contains(now, carol) && !proven.Load():
				t.Errorf("the new key is not proven, and %v read", now)
			}
			return nil
		}
		w.update(stack(readers(alice, bob)), stack(readers(bob, carol), serial(2)))
		w.read(secret, bob, carol)
	})
}

func TestReadersFollowTheSecret(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack(readers(alice)))
		moved := stack(readers(alice), secretName("cloney/moved"))
		w.update(stack(readers(alice)), moved)
		w.read("cloney/moved", alice)
		w.still(moved)
		// In the other direction with other readers.
		back := stack(readers(bob))
		w.update(moved, back)
		w.read(secret, bob)
		w.remove(back)
		w.empty()
	})
}

func TestReadersOfAReplacementThatFails(t *testing.T) {
	play(t, func(w *world) {
		former, shared := stack(readers(alice)), stack(readers(bob, carol), userName(second), secretName(secret))
		w.create(former)
		w.SetReader(carol, false)
		w.ExpectRemoval(second)
		_, err := w.tryUpdate(former, shared)
		w.refused(err, "SecretReaders", "one of the 2 readers")
		w.rollback(shared, former)
		w.read(secret, alice)
		w.one()
	})
}

func TestAReaderThatDoesNotExist(t *testing.T) {
	t.Run("create", func(t *testing.T) {
		play(t, func(w *world) {
			w.SetReader(alice, false)
			w.ExpectRemoval(user)
			_, err := w.tryCreate(stack(readers(alice)))
			w.refused(err, "SecretReaders: AWS still does not know "+alice, "correct or remove it")
			w.empty()
		})
	})
	// No key is left that is in use: the next try has room for one.
	t.Run("update with a new key", func(t *testing.T) {
		play(t, func(w *world) {
			first := w.create(stack(readers(alice))).AccessKeyID
			w.SetReader(bob, false)
			next := stack(readers(alice, bob), serial(2))
			_, err := w.tryUpdate(stack(readers(alice)), next)
			w.refused(err, "one of the 2 readers")
			w.one()
			if result := w.rollback(next, stack(readers(alice))); result.AccessKeyID != first {
				t.Errorf("key %s became %s", first, result.AccessKeyID)
			}
			w.read(secret, alice)
		})
	})
	t.Run("yet", func(t *testing.T) {
		play(t, func(w *world) {
			w.Lag.Readers = 4
			w.create(stack(readers(alice, bob)))
			w.read(secret, alice, bob)
		})
	})
}

// Somebody deleted a reader's role: that is no reason to fail an update of
// something else, nor its rollback.
func TestAReaderThatIsGone(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack(readers(alice, bob)))
		w.SetReader(alice, false)
		started := time.Now()
		w.update(stack(readers(alice, bob)), stack(readers(alice, bob), buckets("two")))
		if waited := time.Since(started); waited > 20*time.Second {
			t.Errorf("waited %v for who is gone", waited)
		}
		next := stack(readers(alice, bob), buckets("gone"))
		_, err := w.tryUpdate(stack(readers(alice, bob), buckets("two")), next)
		w.refused(err, "bucket gone")
		w.update(next, stack(readers(alice, bob), buckets("two")))
		// Made again, it reads again.
		w.SetReader(alice, true)
		w.update(stack(readers(alice, bob), buckets("two")), stack(readers(alice, bob)))
		w.read(secret, alice, bob)
	})
}

// One reader was deleted, and the stack names another that AWS does not know: that one is
// told, whatever is missing beside it.
func TestANewReaderBesideOneThatIsGone(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack(readers(alice, bob)))
		w.SetReader(alice, false)
		w.SetReader(carol, false)
		_, err := w.tryUpdate(stack(readers(alice, bob)), stack(readers(bob, carol)))
		w.refused(err, "SecretReaders: AWS still does not know one of the 2 readers")
	})
}

// What someone attached by hand stays until the stack says who may read.
func TestAResourcePolicyOfSomeoneElse(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.AttachResourcePolicy(secret, theirs)
		w.update(stack(), stack(buckets("two"), serial(2)))
		if w.AttachedResourcePolicy(secret) != theirs {
			t.Error("it was touched")
		}
		next := stack(readers(bob), buckets("two"), serial(2))
		w.update(stack(buckets("two"), serial(2)), next)
		w.read(secret, bob)
		w.update(next, stack(buckets("two"), serial(2)))
		w.read(secret)
	})
}

// A secret that is back from its recovery window lets nobody read that the
// stack does not name, and what someone else attached stays.
func TestReadersOfARestoredSecret(t *testing.T) {
	for what, c := range map[string]struct {
		change  change
		theirs  bool
		readers []string
	}{
		"named":          {readers(bob), false, []string{bob}},
		"none":           {readers(), false, nil},
		"none, but hand": {readers(), true, nil},
	} {
		t.Run(what, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack(readers(alice)))
				if c.theirs {
					w.AttachResourcePolicy(secret, theirs)
				}
				w.ScheduleDeletion(secret)
				w.update(stack(readers(alice)), stack(c.change))
				if c.theirs {
					if w.AttachedResourcePolicy(secret) != theirs {
						t.Error("what someone attached is gone")
					}
					return
				}
				w.read(secret, c.readers...)
			})
		})
	}
}

func TestReadersThatSecretsManagerTakesForThePublic(t *testing.T) {
	play(t, func(w *world) {
		w.failAt("PutResourcePolicy", access.ErrPublic)
		w.ExpectRemoval(user)
		_, err := w.tryCreate(stack(readers(carol)))
		w.refused(err, "SecretReaders", "as public access; name single users and roles")
		w.empty()
	})
}
