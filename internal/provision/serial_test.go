package provision_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
)

func TestSerialGoesForthAndBack(t *testing.T) {
	play(t, func(w *world) {
		keys := map[int]string{1: w.create(stack()).AccessKeyID}
		for i, next := range []int{2, 1, 2, 1} {
			w.Forget()
			result := w.update(stack(serial(3-next)), stack(serial(next)))
			if i == 0 {
				keys[2] = result.AccessKeyID
				if keys[2] == keys[1] {
					t.Fatal("a new Serial brought the same key")
				}
			} else if w.Calls()["CreateAccessKey"] > 0 {
				t.Errorf("step %d: a key was minted, though the one for Serial %d lives", i, next)
			}
			if result.AccessKeyID != keys[next] {
				t.Errorf("step %d: Serial %d brings %s, not %s", i, next, result.AccessKeyID, keys[next])
			}
			// Who goes back to what was proven is not stopped by what became of it.
			if proofs := w.Proofs(); len(proofs) != map[bool]int{true: 1, false: 0}[i == 0] || i == 0 && proofs[0].KeyID != keys[2] {
				t.Errorf("step %d: proven %v", i, proofs)
			}
			// The other key still works for its users.
			if live := w.LiveKeys(user); len(live) != 2 || w.Labelled(secret, access.Previous) != keys[3-next] {
				t.Errorf("step %d: live keys %v, AWSPREVIOUS %s", i, live, w.Labelled(secret, access.Previous))
			}
		}
		w.remove(stack())
		w.empty()
	})
}

// What refers to SecretVersionId is read again when the key has changed, and only
// then, but for a secret that moves: there the version is another one.
func TestTheVersionChangesWithTheKey(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).SecretVersionID
		if now := w.update(stack(), stack(buckets("two"))).SecretVersionID; now != first {
			t.Errorf("other buckets: version %s became %s", first, now)
		}
		if now := w.update(stack(), stack(kmsKey("alias/one"))).SecretVersionID; now != first {
			t.Errorf("another KMS key: version %s became %s", first, now)
		}
		second := w.update(stack(), stack(serial(2))).SecretVersionID
		if second == first {
			t.Errorf("a new key: the version is still %s", first)
		}
		if now := w.update(stack(serial(2)), stack(serial(2))).SecretVersionID; now != second {
			t.Errorf("an update that changes nothing: version %s became %s", second, now)
		}
		if now := w.rollback(stack(serial(2)), stack()).SecretVersionID; now != first {
			t.Errorf("rolled back to version %s, not %s", now, first)
		}
		w.update(stack(), stack(secretName("cloney/moved")))
	})
}

// both is a user whose two places for keys are taken.
func (w *world) both() (former, current string) {
	w.Helper()
	former = w.create(stack()).AccessKeyID
	return former, w.update(stack(), stack(serial(2))).AccessKeyID
}

func TestAThirdKeyIsRefusedWhileTwoAreInUse(t *testing.T) {
	for name, use := range map[string]func(w *world, former string){
		"replaced just now": func(*world, string) {},
		"used of late": func(w *world, former string) {
			time.Sleep(30 * 24 * time.Hour)
			w.Use(former, access.LastUse{Time: time.Now().Add(-24 * time.Hour), Service: "s3", Region: "eu-west-1"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				former, current := w.both()
				use(w, former)
				w.Forget()
				_, err := w.tryUpdate(stack(serial(2)), stack(serial(3)))
				w.refused(err, "Serial", former, user, "deactivate")
				if name == "used of late" {
					w.refused(err, "last used on", "s3 in eu-west-1")
				}
				w.marks(2)
				// The rollback finds everything as it was.
				if result := w.update(stack(serial(3)), stack(serial(2))); result.AccessKeyID != current {
					t.Errorf("key %s became %s", current, result.AccessKeyID)
				}
				w.marks(4)
				// Deactivating it by hand frees its place.
				w.Deactivate(former)
				third := w.update(stack(serial(2)), stack(serial(3))).AccessKeyID
				if live := w.LiveKeys(user); !slices.Equal(live, []string{current, third}) {
					t.Errorf("live keys: %v", live)
				}
				w.remove(stack(serial(3)))
				w.empty()
			})
		})
	}
}

func TestAThirdKeyTakesThePlaceOfOneThatNobodyUses(t *testing.T) {
	play(t, func(w *world) {
		former, current := w.both()
		time.Sleep(8 * 24 * time.Hour)
		third := w.update(stack(serial(2)), stack(serial(3))).AccessKeyID
		if live := w.LiveKeys(user); !slices.Equal(live, []string{current, third}) {
			t.Errorf("live keys: %v, %s is unused", live, former)
		}
		// Its Serial issues a new key: the old one is deleted.
		time.Sleep(8 * 24 * time.Hour)
		fourth := w.update(stack(serial(3)), stack(serial(1))).AccessKeyID
		if live := w.LiveKeys(user); !slices.Equal(live, []string{third, fourth}) {
			t.Errorf("live keys: %v", live)
		}
		w.remove(stack())
		w.empty()
	})
}

// A key made by hand is nobody's: it goes before one that the secret gave out.
func TestAKeyMadeByHandMakesRoom(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		byHand := w.AddKey(user)
		second := w.update(stack(), stack(serial(2))).AccessKeyID
		if live := w.LiveKeys(user); !slices.Equal(live, []string{first, second}) {
			t.Errorf("live keys: %v, by hand %s", live, byHand)
		}
		// Also where someone got past the limit of two.
		w.AddKey(user)
		w.AddKey(user)
		w.update(stack(serial(2)), stack(serial(2)))
		if live := w.LiveKeys(user); !slices.Equal(live, []string{first, second}) {
			t.Errorf("live keys: %v", live)
		}
		w.remove(stack(serial(2)))
		w.empty()
	})
}

// But one that somebody uses is in use, as any other.
func TestAKeyMadeByHandThatIsUsedStays(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		byHand := w.AddKey(user)
		time.Sleep(time.Hour)
		w.Use(byHand, access.LastUse{Time: time.Now(), Service: "s3", Region: "eu-west-1"})
		_, err := w.tryUpdate(stack(), stack(serial(2)))
		if err == nil {
			t.Fatal("succeeded")
		}
		saysAll(t, err, "Serial", byHand, "s3 in eu-west-1")
		if _, err := w.tryUpdate(stack(serial(2)), stack(buckets("two"))); err != nil {
			t.Error(err)
		}
		if live := w.LiveKeys(user); !slices.Equal(live, []string{first, byHand}) {
			t.Errorf("live keys: %v", live)
		}
		time.Sleep(7 * 24 * time.Hour)
		second := w.update(stack(buckets("two")), stack(serial(2))).AccessKeyID
		if live := w.LiveKeys(user); !slices.Equal(live, []string{first, second}) {
			t.Errorf("live keys: %v", live)
		}
	})
}

// A rotation that fails leaves the old key current, and deletes its own.
func TestASerialThatFailsInVerificationChangesNothing(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		for range 5 {
			w.Lag.Prove = 1000
			_, err := w.tryUpdate(stack(), stack(serial(2)))
			w.refused(err, "the key does not authenticate")
			if strings.Contains(err.Error(), secret) {
				t.Errorf("it begins with a step, and not with what is wrong: %v", err)
			}
			w.one()
			w.Lag.Prove = 0
			if result := w.update(stack(serial(2)), stack()); result.AccessKeyID != first {
				t.Errorf("key %s became %s", first, result.AccessKeyID)
			}
			w.one()
		}
		w.update(stack(), stack(serial(2)))
		w.remove(stack(serial(2)))
		w.empty()
	})
}

// An Update was killed with its key stored and not yet current, and the list of
// keys is late: the rollback, which changes something else too, takes the key
// away once it is listed.
func TestARollbackTakesAKeyAwayThatIsListedLate(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		w.Lag.Keys = 1
		next := stack(serial(2), readers(alice))
		w.killAt("UpdateSecretVersionStage", func() { _, _ = w.tryUpdate(stack(), next) })
		if result := w.update(next, stack()); result.AccessKeyID != first {
			t.Errorf("key %s became %s", first, result.AccessKeyID)
		}
		w.one()
	})
}

// A key that has leaked is deactivated: a new Serial takes its place, and not
// that of the key before it, which someone may still use. So does going back,
// and any other update, for AWSCURRENT shall work.
func TestACurrentKeyThatWasSwitchedOffMakesRoom(t *testing.T) {
	for label, next := range map[string]plan.Desired{
		"a new Serial":  stack(serial(3)),
		"other buckets": stack(serial(2), buckets("two")),
	} {
		t.Run(label, func(t *testing.T) {
			play(t, func(w *world) {
				former, leaked := w.both()
				w.Deactivate(leaked)
				w.Lag.Prove = 1000
				_, err := w.tryUpdate(stack(serial(2)), next)
				w.refused(err, "the key does not authenticate")
				w.Lag.Prove = 0
				if live := w.LiveKeys(user); !slices.Equal(live, []string{former}) {
					t.Errorf("live keys of a failed update: %v, not %s", live, former)
				}
				second := w.update(next, stack(serial(2))).AccessKeyID
				if live := w.LiveKeys(user); !slices.Equal(live, []string{former, second}) || w.Labelled(secret, access.Previous) != former {
					t.Errorf("live keys: %v, AWSPREVIOUS %s", live, w.Labelled(secret, access.Previous))
				}
				w.remove(stack(serial(2)))
				w.empty()
			})
			play(t, func(w *world) {
				former, leaked := w.both()
				w.Deactivate(leaked)
				third := w.update(stack(serial(2)), next).AccessKeyID
				if live := w.LiveKeys(user); !slices.Equal(live, []string{former, third}) || w.Labelled(secret, access.Previous) != former {
					t.Errorf("live keys: %v, AWSPREVIOUS %s", live, w.Labelled(secret, access.Previous))
				}
				// An update after that does not delete the old key either.
				w.update(next, stack(serial(next.Spec.Serial), buckets("three")))
				if live := w.LiveKeys(user); !slices.Equal(live, []string{former, third}) {
					t.Errorf("live keys in the end: %v", live)
				}
				w.remove(next)
				w.empty()
			})
		})
	}
}
