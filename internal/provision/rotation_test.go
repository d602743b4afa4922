package provision_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// begin does what a rotation does first: it stores a new key, with AWSPENDING.
func (w *world) begin(d plan.Desired, token string) (key string) {
	w.Helper()
	made, err := w.CreateKey(w.Context(), d.Spec.UserName)
	if err != nil {
		w.Fatal(err)
	}
	labels := []string{
		name.KeyLabel(d.Spec.Serial, made.KeyID), name.LabelLatest, access.Pending, name.ProvenLabel(keyring.Proof(made.KeyID, d.Spec.Scope)),
		name.SinceLabel(time.Now()),
	}
	if err := w.PutVersion(w.Context(), d.Spec.SecretName, token, made.Encode(), labels); err != nil {
		w.Fatal(err)
	}
	w.TakeForProven(made.KeyID)
	return made.KeyID
}

// rotate carries a rotation out.
func (w *world) rotate(d plan.Desired) (key string) {
	w.Helper()
	token := name.Token(time.Now().String())
	key = w.begin(d, token)
	if err := w.Promote(w.Context(), d.Spec.SecretName, token, w.CurrentVersion(d.Spec.SecretName)); err != nil {
		w.Fatal(err)
	}
	if err := w.Unlabel(w.Context(), d.Spec.SecretName, token, access.Pending); err != nil {
		w.Fatal(err)
	}
	return key
}

const token = "1234abcd-12ab-34cd-56ef-1234567890ab"

// To switch rotation on, to change it and to switch it off changes that alone, in one
// call, and no key.
func TestASchedule(t *testing.T) {
	play(t, func(w *world) {
		first := w.create(stack()).AccessKeyID
		from := stack()
		for _, schedule := range []string{monthly, "cron(0 16 1 * ? *)", "", monthly} {
			to := stack(scheduled(schedule))
			w.Forget()
			if key := w.update(from, to).AccessKeyID; key != first {
				t.Errorf("%q: key %s became %s", schedule, first, key)
			}
			verb := map[bool]string{true: "RotateSecret", false: "CancelRotateSecret"}[schedule != ""]
			if writes := w.Writes(); writes[verb] != 1 || writes["CreateAccessKey"]+writes["PutSecretValue"] > 0 || len(w.Proofs()) > 0 {
				t.Errorf("%q: %v, proven %v", schedule, writes, w.Proofs())
			}
			w.still(to)
			from = to
		}
		w.remove(from)
		w.empty()
	})
}

// A Create with a schedule has its key first, and is taken back where Secrets Manager
// refuses.
func TestACreateWithASchedule(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack(scheduled(monthly), graced(30)))
		if grace := name.Grace(w.Tags(secret)); grace != 30*24*time.Hour {
			t.Errorf("the rotator reads a grace of %v", grace)
		}
		w.remove(stack())
		w.CloseRotator(access.ErrDenied)
		w.ExpectRemoval(user)
		_, err := w.tryCreate(stack(scheduled(monthly)))
		w.refused(err, "RotationSchedule", "rotation function")
		w.empty()
	})
}

// After a rotation an Update that changes nothing writes nothing, proves nothing and
// answers with the key that is current; so does one that changes something else, but
// for that. A raised Serial is a rotation now, and going back brings back the key that
// the rotation has made.
func TestAnUpdateAfterARotation(t *testing.T) {
	play(t, func(w *world) {
		d := stack(scheduled(monthly))
		first := w.create(d).AccessKeyID
		second := w.rotate(d)
		w.still(d)
		if key := w.update(d, d).AccessKeyID; key != second {
			t.Errorf("answered with %s, and current is %s", key, second)
		}
		wider := stack(scheduled(monthly), buckets("one", "two"))
		if key := w.update(d, wider).AccessKeyID; key != second {
			t.Errorf("other buckets: key %s became %s", second, key)
		}
		if live := w.LiveKeys(user); !slices.Equal(live, []string{first, second}) {
			t.Errorf("live keys: %v", live)
		}
		time.Sleep(8 * 24 * time.Hour)
		raised := stack(scheduled(monthly), buckets("one", "two"), serial(2))
		third := w.update(wider, raised).AccessKeyID
		if live := w.LiveKeys(user); !slices.Equal(live, []string{second, third}) {
			t.Errorf("live keys: %v", live)
		}
		if key := w.update(raised, wider).AccessKeyID; key != second {
			t.Errorf("gone back to %s, not to %s", key, second)
		}
		w.remove(wider)
		w.empty()
	})
}

// What is proven and when AWSCURRENT moved goes with the key to another secret.
func TestARotatedSecretGetsAnotherName(t *testing.T) {
	play(t, func(w *world) {
		d, moved := stack(scheduled(monthly)), stack(scheduled(monthly), secretName("cloney/moved"))
		w.create(d)
		second := w.rotate(d)
		w.Forget()
		if key := w.update(d, moved).AccessKeyID; key != second || len(w.Proofs()) > 0 {
			t.Errorf("key %s became %s, proven %v", second, key, w.Proofs())
		}
		if w.Labelled("cloney/moved", name.ProvenLabel(keyring.Proof(second, d.Spec.Scope))) != second {
			t.Error("that it was proven is lost")
		}
		w.still(moved)
		if key := w.rollback(moved, d).AccessKeyID; key != second {
			t.Errorf("rolled back to %s, not to %s", key, second)
		}
	})
}

// halfway are Updates in the middle of a rotation: what becomes of its key, and whether
// it can still end.
var halfway = map[string]struct {
	to    change
	stays bool
}{
	"nothing changes":     {func(*plan.Desired) {}, true},
	"other buckets":       {buckets("two"), true},
	"a reader":            {readers(alice), true},
	"another grace":       {graced(30), true},
	"no schedule":         {scheduled(""), false},
	"another SecretName":  {secretName("cloney/moved"), false},
	"another user":        {func(d *plan.Desired) { d.Spec.UserName = "second" }, false},
	"another one, secret": {userName("second"), false},
}

func TestAnUpdateInTheMiddleOfARotation(t *testing.T) {
	for what, c := range halfway {
		t.Run(what, func(t *testing.T) {
			play(t, func(w *world) {
				from, to := stack(scheduled(monthly)), stack(scheduled(monthly), c.to)
				first := w.create(from).AccessKeyID
				second := w.begin(from, token)
				if key := w.update(from, to).AccessKeyID; key != first && to.Spec.UserName == user {
					t.Errorf("key %s became %s", first, key)
				}
				if to.Spec.UserName != user {
					w.remove(from) // as CloudFormation does with what was replaced
				}
				if stays := w.Labelled(to.Spec.SecretName, access.Pending) == second; stays != c.stays {
					t.Errorf("AWSPENDING stays: %t", stays)
				}
				if lives := slices.Contains(w.LiveKeys(user), second); lives != c.stays {
					t.Errorf("its key lives: %t", lives)
				}
				if !c.stays {
					w.rotate(to) // a new rotation need not wait
				}
				w.remove(to)
				w.empty()
			})
		})
	}
}

// The same in vain: what was current is current again, and works.
func TestAnUpdateInVainInTheMiddleOfARotation(t *testing.T) {
	for what, c := range halfway {
		t.Run(what, func(t *testing.T) {
			play(t, func(w *world) {
				from, to := stack(scheduled(monthly)), stack(scheduled(monthly), c.to)
				first := w.create(from).AccessKeyID
				w.begin(from, token)
				w.update(from, to)
				if to.Spec.UserName != user {
					w.ExpectRemoval(to.Spec.UserName)
				}
				if key := w.rollback(to, from).AccessKeyID; key != first {
					t.Errorf("rolled back to %s, not to %s", key, first)
				}
				w.remove(from)
				w.empty()
			})
		})
	}
}

// A raised Serial finds both places taken, and says by what. The rotation goes on.
func TestASerialInTheMiddleOfARotation(t *testing.T) {
	play(t, func(w *world) {
		d := stack(scheduled(monthly))
		w.create(d)
		second := w.begin(d, token)
		time.Sleep(30 * 24 * time.Hour)
		_, err := w.tryUpdate(d, stack(scheduled(monthly), serial(2)))
		w.refused(err, "Serial", second, "a rotation that has not ended", "aws secretsmanager rotate-secret --secret-id "+secret)
		w.update(stack(scheduled(monthly), serial(2)), d)
		if w.Labelled(secret, access.Pending) != second {
			t.Error("the rotation has lost its key")
		}
	})
}

// Secrets Manager takes no schedule while a rotation has not ended, nor while it tests
// the schedule of a moment ago. The first is for the stack's owner to wait for, the
// second is waited for here. A rollback goes through whatever it says.
func TestAScheduleInTheMiddleOfARotation(t *testing.T) {
	play(t, func(w *world) {
		d, next := stack(scheduled(monthly)), stack(scheduled("rate(1 day)"))
		w.create(d)
		second := w.begin(d, token)
		_, err := w.tryUpdate(d, next)
		w.refused(err, "RotationSchedule", "has not ended")
		w.update(next, d)
		if w.Labelled(secret, access.Pending) != second {
			t.Error("the rotation has lost its key")
		}
		// Somebody else changes it in between, and the stack goes back.
		w.CloseRotator(access.ErrDenied)
		w.Reschedule(secret, "rate(1 day)")
		if _, err := w.tryUpdate(next, d); err != nil {
			t.Errorf("the rollback fails: %v", err)
		}
		if w.Labelled(secret, access.Pending) != second {
			t.Error("the rollback has taken the rotation's key")
		}
		w.CloseRotator(nil)
		if err := w.Promote(t.Context(), secret, token, w.CurrentVersion(secret)); err != nil {
			t.Fatal(err)
		}
		w.update(d, d) // and the next one puts it right
	})
	play(t, func(w *world) {
		d, next := stack(scheduled(monthly)), stack(scheduled("rate(1 day)"))
		w.create(d)
		refusals := 0
		w.Before = func(_ context.Context, verb string) error {
			if verb == "RotateSecret" && refusals < 3 {
				refusals++
				return access.ErrInvalid
			}
			return nil
		}
		w.update(d, next)
	})
}

// The answer was lost: Secrets Manager refuses what is done already.
func TestAScheduleThatIsSetAlready(t *testing.T) {
	for verb, c := range map[string][2]string{"RotateSecret": {"", monthly}, "CancelRotateSecret": {monthly, ""}} {
		play(t, func(w *world) {
			from, to := stack(scheduled(c[0])), stack(scheduled(c[1]))
			w.create(from)
			w.After = func(_ context.Context, done string) error {
				if done == verb {
					return access.ErrInvalid
				}
				return nil
			}
			started := time.Now()
			w.update(from, to)
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("%s: it took %v", verb, took)
			}
		})
	}
}

// A resource of the version before knows nothing of rotation. An Update by this one,
// which changes nothing, asks for nothing more and writes nothing.
func TestAnUpgradeWritesNothing(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		for _, entity := range []string{user, secret} {
			for key := range w.Tags(entity) {
				if slices.Contains([]string{name.TagGrace, name.TagTold, name.TagSwept}, key) {
					t.Errorf("%s carries %s", entity, key)
				}
			}
		}
		w.Forget()
		w.update(stack(), stack())
		w.quiet()
		want := map[string]int{"GetUser": 1, "ListAccessKeys": 1, "ListAttachedUserPolicies": 1, "GetPolicy": 1, "GetPolicyVersion": 1, "DescribeSecret": 1}
		if got := w.Calls(); !maps.Equal(got, want) {
			t.Errorf("it asks %v", got)
		}
	})
}
