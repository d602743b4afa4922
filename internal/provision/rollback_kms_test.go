package provision_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// kmsPlay is an Update, and the KMS keys that do not work at the time of the Update
// and at the time of its rollback.
type kmsPlay struct {
	before, next plan.Desired
	first, then  []string
	stuck        bool
}

func (p kmsPlay) String() string {
	said := func(d plan.Desired) string {
		return fmt.Sprint(d.Spec.SecretName, " ", d.Spec.KMSKey, " ", d.Spec.Serial)
	}
	return fmt.Sprintf("%s to %s, closed %v then %v, stuck %t", said(p.before), said(p.next), p.first, p.then, p.stuck)
}

// kmsPlays are all of them, of two secrets, two KMS keys and AWS's own, and two
// Serials.
func kmsPlays() (plays []kmsPlay) {
	keys := []string{"", oldKey, newKey}
	closed := [][]string{nil, {oldKey}, {newKey}, {oldKey, newKey}}
	var befores, nexts []plan.Desired
	for _, key := range keys {
		befores = append(befores, stack(kmsKey(key)))
		for _, secret := range []string{secret, "cloney/b"} {
			for n := 1; n <= 2; n++ {
				nexts = append(nexts, stack(kmsKey(key), secretName(secret), serial(n)))
			}
		}
	}
	for i := range len(befores) * len(nexts) * len(closed) * len(closed) * 2 {
		at := func(n int) int { digit := i % n; i /= n; return digit }
		p := kmsPlay{befores[at(len(befores))], nexts[at(len(nexts))], closed[at(len(closed))], closed[at(len(closed))], at(2) == 1}
		if p.before.Spec.KMSKey != p.next.Spec.KMSKey || p.before.Spec.SecretName != p.next.Spec.SecretName || p.before.Spec.Serial != p.next.Spec.Serial {
			plays = append(plays, p)
		}
	}
	return plays
}

// close closes KMS keys, and opens the others.
func (w *world) close(keys ...string) {
	for _, key := range []string{oldKey, newKey} {
		if slices.Contains(keys, key) {
			w.CloseKMSKey(key, refusals["disabled"])
		} else {
			w.CloseKMSKey(key, nil)
		}
	}
}

// Whatever an Update changes about secret, KMS key and Serial, and whichever KMS key
// stops working, before it or after it, its rollback goes through: a live key of the
// old Serial is in the old secret, and the key that was in use lives. Once the
// KMS keys work again, the next Update puts the declared one in its place.
func TestARollbackGoesThroughWhicheverKMSKeyStopsWorking(t *testing.T) {
	plays := kmsPlays()
	if len(plays) != 1056 {
		t.Errorf("%d plays", len(plays))
	}
	for i := 0; i < len(plays); i += accesstest.OneIn(53) {
		p := plays[i]
		play(t, func(w *world) {
			w.provisioner.Role = role
			if p.stuck {
				w.StuckKMSKeys()
			}
			given := w.create(p.before).AccessKeyID
			w.close(p.first...)
			_, _ = w.tryUpdate(p.before, p.next)
			w.close(p.then...)
			w.goesBack(p, given)
			w.close()
			w.heals(p.before)
			w.close(oldKey, newKey)
			w.remove(p.before)
			w.empty()
			if t.Failed() {
				t.Error(p)
			}
		})
	}
}

func (w *world) goesBack(p kmsPlay, given string) {
	w.Helper()
	w.rollback(p.next, p.before)
	info, err := w.Secret(w.Context(), secret)
	current, _ := info.Labelled(access.Current)
	if err != nil || keyring.Serial(current) != p.before.Spec.Serial || !slices.Contains(w.LiveKeys(user), given) {
		w.Errorf("%v: AWSCURRENT is %v; %s was given, and %v live", err, current, given, w.LiveKeys(user))
	}
	// An old secret stays only for an active key that is in no other secret.
	if others := len(w.Inventory().Secrets) - 1; others > 0 && len(w.LiveKeys(user)) < 2 {
		w.Errorf("secrets %v, keys %v", w.Inventory().Secrets, w.LiveKeys(user))
	}
}

// heals asks that an Update of something else puts the declared KMS key in its place.
func (w *world) heals(declared plan.Desired) {
	w.Helper()
	next := declared
	next.Spec.Tags = map[string]string{"a": "b"}
	result, err := w.tryUpdate(declared, next)
	w.works(next, result, err)
	if key, tag := w.KMSKey(secret), w.Tags(secret)[name.TagKMSKey]; key != declared.Spec.KMSKey || tag != declared.Spec.KMSKey {
		w.Errorf("the secret is under %q and says %q", key, tag)
	}
	w.still(next)
}

// The tag tells the KMS key that the secret is under, not the one that could not be
// used: what the value needs is not taken for superfluous.
func TestTheTagTellsTheKMSKeyThatIsUsed(t *testing.T) {
	for _, next := range []plan.Desired{stack(kmsKey(newKey)), stack(kmsKey(newKey), secretName("cloney/b"))} {
		everyRefusal(t, func(w *world, closed func(string)) {
			before := stack(kmsKey(oldKey))
			w.create(before)
			w.update(before, next)
			closed(oldKey)
			w.rollback(next, before)
			if tag := w.Tags(secret)[name.TagKMSKey]; tag != newKey {
				t.Errorf("the tag says %q", tag)
			}
			if !strings.Contains(w.log.String(), `level=WARN msg="SecretKmsKeyId: the secret keeps another KMS key`) {
				t.Error("the log does not say so")
			}
			w.close()
			w.heals(before)
		})
	}
}

// The value of a secret cannot be read under the KMS key that the rollback leaves. The
// next key is stored under the declared one all the same.
func TestALeftKMSKeyDoesNotStayInTheWay(t *testing.T) {
	play(t, func(w *world) {
		before, next := stack(), stack(kmsKey(newKey))
		w.create(before)
		w.update(before, next)
		w.close(newKey)
		w.rollback(next, before)
		if tag := w.Tags(secret)[name.TagKMSKey]; tag != name.KMSKeyChanges {
			t.Errorf("the tag says %q", tag)
		}
		result, err := w.tryUpdate(before, stack(serial(2)))
		w.works(stack(serial(2)), result, err)
	})
}

// Both places for keys are taken, and the rollback needs a new one: the key of the
// Update goes, which nobody can read any more. If somebody uses it, none goes.
func TestTheKeyThatARollbackTakesBack(t *testing.T) {
	for _, used := range []bool{false, true} {
		play(t, func(w *world) {
			before, next := stack(), stack(kmsKey(newKey), secretName("cloney/b"), serial(2))
			given := w.create(before).AccessKeyID
			issued := w.update(before, next).AccessKeyID
			w.close(newKey)
			if used {
				time.Sleep(time.Hour)
				w.Use(issued, access.LastUse{Time: time.Now(), Service: "s3", Region: "eu-west-1"})
			}
			_, err := w.tryUpdate(next, before)
			live := w.LiveKeys(user)
			if (err != nil) != used || slices.Contains(live, issued) != used || !slices.Contains(live, given) {
				t.Errorf("used %t: %v; of %s and %s live %v", used, err, given, issued, live)
			}
			if err != nil {
				saysAll(t, err, "Serial: ", "may still be in use")
			}
		})
	}
}

// It is killed in the midst of that, and CloudFormation sends it again.
func TestTheKeyThatAKilledRollbackTakesBack(t *testing.T) {
	for _, verb := range []string{"CreateSecret", "UpdateSecretVersionStage", "DeleteAccessKey", "CreateAccessKey", "PutSecretValue", "TagResource", "TagUser"} {
		play(t, func(w *world) {
			before, next := stack(), stack(kmsKey(newKey), secretName("cloney/b"), serial(2))
			given := w.create(before).AccessKeyID
			w.update(before, next)
			w.close(newKey)
			w.killAt(verb, func() { _, _ = w.tryUpdate(next, before) })
			w.rollback(next, before)
			if !slices.Contains(w.LiveKeys(user), given) {
				t.Errorf("%s: key %s is gone", verb, given)
			}
			w.remove(before)
			w.empty()
		})
	}
}

// A stack goes back to what was proven before, although it needs a new key and its bucket
// was deleted: the log says so, and the next Update proves the key.
func TestANewKeyOfARollbackGoesUnproven(t *testing.T) {
	for what, c := range map[string]struct {
		next      plan.Desired
		meanwhile func(w *world, given string)
	}{
		"the key was deactivated":    {stack(serial(2)), func(w *world, given string) { w.Deactivate(given) }},
		"the key was deleted":        {stack(serial(2)), func(w *world, given string) { w.DropKey(given) }},
		"the secret was deleted":     {stack(buckets("two")), func(w *world, _ string) { w.DropSecret(secret) }},
		"the KMS key works no more":  {stack(kmsKey(newKey), secretName("cloney/b")), func(w *world, _ string) { w.close(newKey) }},
		"and both places were taken": {stack(kmsKey(newKey), secretName("cloney/b"), serial(2)), func(w *world, _ string) { w.close(newKey) }},
	} {
		t.Run(what, func(t *testing.T) {
			play(t, func(w *world) {
				before := stack()
				given := w.create(before).AccessKeyID
				w.update(before, c.next)
				c.meanwhile(w, given)
				w.SetBucket("one", false)
				result := w.rollback(c.next, before)
				if result.AccessKeyID == given {
					t.Error("no new key was needed")
				}
				if !strings.Contains(w.log.String(), "level=WARN msg=\"the stack goes back to a state that was accepted before") || !strings.Contains(w.log.String(), "bucket one does not exist") {
					t.Error("the log does not say so")
				}
				w.SetBucket("one", true)
				w.Forget()
				w.update(before, before)
				if proofs := w.Proofs(); len(proofs) != 1 || proofs[0].KeyID != result.AccessKeyID {
					t.Errorf("proven: %v", proofs)
				}
				w.still(before)
			})
		})
	}
}

// A key that does not authenticate is no use to anybody: it is not given out, whatever
// was accepted before. Nor is one that nobody had for these buckets.
func TestANewKeyThatIsNotGivenOutUnproven(t *testing.T) {
	play(t, func(w *world) {
		given := w.create(stack()).AccessKeyID
		w.update(stack(), stack(serial(2)))
		w.Deactivate(given)
		w.Lag.Prove = 1 << 20
		_, err := w.tryUpdate(stack(serial(2)), stack())
		w.refused(err, "authenticate")
	})
	for _, next := range []plan.Desired{stack(serial(2)), stack(serial(2), secretName("cloney/b")), stack(serial(2), kmsKey(newKey))} {
		play(t, func(w *world) {
			w.create(stack())
			w.SetBucket("one", false)
			w.fails(stack(), next, "bucket one does not exist")
		})
	}
}
