package provision_test

import (
	"slices"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
)

func TestSecretNameChangesAndTheKeysMoveAlong(t *testing.T) {
	play(t, func(w *world) {
		first, second := w.both()
		moved := stack(serial(2), secretName("cloney/moved"))
		if result := w.update(stack(serial(2)), moved); result.AccessKeyID != second {
			t.Errorf("key %s became %s", second, result.AccessKeyID)
		}
		if got := w.Inventory().Secrets; !slices.Equal(got, []string{"cloney/moved"}) {
			t.Errorf("secrets: %v", got)
		}
		if previous := w.Labelled("cloney/moved", access.Previous); previous != first {
			t.Errorf("AWSPREVIOUS is %q, not %s", previous, first)
		}
		// A third key is refused as before the move: both are in use.
		_, err := w.tryUpdate(moved, stack(serial(3), secretName("cloney/moved")))
		w.refused(err, first)
		w.Forget()
		back := stack(secretName("cloney/moved"))
		if result := w.update(moved, back); result.AccessKeyID != first || w.Calls()["CreateAccessKey"] > 0 {
			t.Errorf("Serial 1 brings %s, not %s", result.AccessKeyID, first)
		}
		w.remove(back)
		w.empty()
	})
}

// When the key was replaced moves along too: its place comes free no later.
func TestAMovedSecretRemembersWhenItsKeyWasReplaced(t *testing.T) {
	play(t, func(w *world) {
		former, _ := w.both()
		time.Sleep(8 * 24 * time.Hour)
		moved := stack(serial(2), secretName("cloney/moved"))
		w.update(stack(serial(2)), moved)
		next := stack(serial(3), secretName("cloney/moved"))
		w.update(moved, next)
		if live := w.LiveKeys(user); slices.Contains(live, former) || len(live) != 2 {
			t.Errorf("live keys: %v", live)
		}
	})
}

// The previous key may be deleted when the secret gets another name.
func TestASecretMovesWithoutItsDeadPreviousKey(t *testing.T) {
	for name, kill := range map[string]func(w *world, keyID string){"deleted": (*world).dropKey, "deactivated": (*world).deactivate} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				former, current := w.both()
				kill(w, former)
				moved := stack(serial(2), secretName("cloney/moved"))
				if result := w.update(stack(serial(2)), moved); result.AccessKeyID != current {
					t.Errorf("key %s became %s", current, result.AccessKeyID)
				}
				w.still(moved)
				w.remove(moved)
				w.empty()
			})
		})
	}
}

func (w *world) dropKey(keyID string)    { w.DropKey(keyID) }
func (w *world) deactivate(keyID string) { w.Deactivate(keyID) }

func TestKMSKeyChangesInPlace(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		for _, key := range []string{"alias/one", "alias/two", ""} {
			result := w.update(stack(), stack(kmsKey(key)))
			if w.KMSKey(secret) != key || result.AccessKeyID != first {
				t.Errorf("KMS key %q, access key %s", w.KMSKey(secret), result.AccessKeyID)
			}
		}
		w.one()
		w.remove(stack())
		w.empty()
	})
}

func TestASecretInItsRecoveryWindow(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		play(t, func(w *world) {
			w.create(stack())
			w.ScheduleDeletion(secret)
			w.DropUser(user)
			w.DropPolicy(user + "-1")
			w.create(stack())
			w.one()
			w.remove(stack())
			w.empty()
		})
	})
	t.Run("foreign", func(t *testing.T) {
		play(t, func(w *world) {
			w.MakeSecret(secret, "theirs", nil)
			w.ScheduleDeletion(secret)
			_, err := w.tryCreate(stack())
			w.refused(err, secret, "until its scheduled deletion")
			w.remove(stack())
			w.left(accesstest.Inventory{Secrets: []string{secret + " (deleted)"}})
		})
	})
}

func TestASecretNameThatIsStillBeingDeletedIsWaitedFor(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		w.Lag.Secrets = 5
		w.remove(stack())
		w.create(stack())
		w.one()
	})
}

// A rotation was killed between storing its key and making it current; then
// the stack asks for that Serial under another secret name.
func TestASecretMovesWithoutAHalfDoneRotation(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		w.killAt("Prove", func() { _, _ = w.tryUpdate(stack(), stack(serial(2))) })
		next := stack(serial(2), secretName("cloney/moved"))
		second := w.update(stack(), next).AccessKeyID
		if live := w.LiveKeys(user); !slices.Equal(live, []string{first, second}) {
			t.Errorf("live keys: %v", live)
		}
		w.remove(next)
		w.empty()
	})
}
