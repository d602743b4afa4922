package provision_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
)

const (
	oldKey = "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
	newKey = "arn:aws:kms:eu-west-1:123456789012:key/22222222-2222-2222-2222-222222222222"
	role   = "arn:aws:iam::123456789012:role/provider"
)

// refusals are what Secrets Manager says of a KMS key that it cannot use.
var refusals = map[string]error{
	"closed":   fmt.Errorf("%w: Access to KMS is not allowed (AccessDeniedException)", access.ErrDenied),
	"disabled": fmt.Errorf("%w: Secrets Manager can't use the provided KMS key (EncryptionFailure)", access.ErrKMS),
	"invalid":  fmt.Errorf("%w: KMS key is pending deletion (InvalidRequestException)", access.ErrInvalid),
}

// everyRefusal plays with each answer that a KMS key can give that does not work,
// and both that AWS may give where one key is to take the place of another.
func everyRefusal(t *testing.T, test func(w *world, closed func(key string))) {
	t.Helper()
	for name, refusal := range refusals {
		for _, stuck := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stuck %t", name, stuck), func(t *testing.T) {
				play(t, func(w *world) {
					w.provisioner.Role = role
					if stuck {
						w.StuckKMSKeys()
					}
					test(w, func(key string) { w.CloseKMSKey(key, refusal) })
				})
			})
		}
	}
}

// works asks for a secret that is readable, beside what every success promises.
func (w *world) works(want plan.Desired, result result, err error) {
	w.Helper()
	w.done(want, result, err)
	if !w.Readable(want.Spec.SecretName) {
		w.Errorf("AWSCURRENT of %s cannot be read", want.Spec.SecretName)
	}
}

// A key that cannot be used is refused before there is an access key, and the
// sentence says what to do.
func TestAKMSKeyThatForgetsTheProviderIsToldBeforeAKeyIsIssued(t *testing.T) {
	everyRefusal(t, func(w *world, closed func(string)) {
		closed(oldKey)
		_, err := w.tryCreate(stack(kmsKey(oldKey)))
		w.refused(err, "SecretKmsKeyId: ", oldKey, role, "kms:Decrypt, kms:Encrypt and kms:GenerateDataKey", "through Secrets Manager")
		if n := w.Calls()["CreateAccessKey"]; n > 0 {
			t.Errorf("%d access keys were issued", n)
		}
		w.empty()
	})
	everyRefusal(t, func(w *world, closed func(string)) {
		first := w.create(stack()).AccessKeyID
		closed(newKey)
		w.Forget()
		for _, next := range []plan.Desired{stack(kmsKey(newKey)), stack(kmsKey(newKey), serial(2)), stack(kmsKey(newKey), secretName("cloney/other"))} {
			w.fails(stack(), next, "SecretKmsKeyId: ", newKey, role, "kms:GenerateDataKey")
			if result := w.rollback(next, stack()); result.AccessKeyID != first || !w.Readable(secret) {
				t.Errorf("key %s became %s", first, result.AccessKeyID)
			}
		}
		if n := w.Calls()["CreateAccessKey"]; n > 0 {
			t.Errorf("%d access keys were issued", n)
		}
		// The rollback has set the old KMS key again: a new Serial needs it.
		next := stack(serial(2))
		result, err := w.tryUpdate(stack(), next)
		w.works(next, result, err)
		w.remove(next)
		w.empty()
	})
}

// While the sentence does not know the role, it says where to find it.
func TestARoleThatIsNotKnown(t *testing.T) {
	play(t, func(w *world) {
		w.CloseKMSKey(oldKey, refusals["closed"])
		_, err := w.tryCreate(stack(kmsKey(oldKey)))
		w.refused(err, "output ProviderRoleArn of its stack")
	})
}

// What else is denied is not taken for the KMS key's.
func TestADenialThatIsNotAboutKMS(t *testing.T) {
	play(t, func(w *world) {
		w.failAt("CreateSecret", access.ErrDenied)
		_, err := w.tryCreate(stack(kmsKey(oldKey)))
		if err == nil || strings.Contains(err.Error(), "SecretKmsKeyId") {
			t.Errorf("%v", err)
		}
	})
}

// A placeholder takes the place of the first key until that is proven, and is
// nothing that anybody could take for a key.
func TestASecretWithAKMSKeyOfItsOwn(t *testing.T) {
	play(t, func(w *world) {
		want := stack(kmsKey(oldKey))
		w.create(want)
		w.one()
		w.still(want)
		next := stack(kmsKey(oldKey), serial(2))
		w.update(want, next)
		w.still(next)
		w.remove(next)
		w.empty()
	})
	for _, verb := range []string{"CreateAccessKey", "PutSecretValue", "UpdateSecretVersionStage", "TagUser"} {
		play(t, func(w *world) {
			want := stack(kmsKey(oldKey))
			w.killAt(verb, func() { _, _ = w.tryCreate(want) })
			w.create(want)
			w.one()
			w.remove(want)
			w.empty()
		})
	}
}

// The KMS key of a secret does not work any more. Whatever the stack changes then
// works, or its Reason says which property helps; and no key is lost or piles up.
func TestAKMSKeyThatWorksNoMore(t *testing.T) {
	before := stack(kmsKey(oldKey))
	with := func(changes ...change) plan.Desired { return stack(append([]change{kmsKey(oldKey)}, changes...)...) }
	for what, c := range map[string]struct {
		next plan.Desired
		// works, where AWS takes another KMS key for the secret; stuck, where it refuses.
		works, stuck bool
		says         string
	}{
		"another bucket":             {with(buckets("two")), false, false, "raise Serial in the same update"},
		"other tags":                 {with(tags(map[string]string{"a": "b"})), true, true, ""},
		"a new Serial":               {with(serial(2)), false, false, "set SecretKmsKeyId to another key"},
		"no KMS key":                 {stack(), false, false, "raise Serial in the same update"},
		"another KMS key":            {stack(kmsKey(newKey)), false, false, "raise Serial in the same update"},
		"another secret":             {with(secretName("cloney/b")), false, false, "SecretKmsKeyId: "},
		"another secret and KMS key": {stack(kmsKey(newKey), secretName("cloney/b")), false, false, "raise Serial in the same update"},
		"Serial and KMS key":         {stack(kmsKey(newKey), serial(2)), true, false, "also change SecretName and raise Serial"},
		"Serial and no KMS key":      {stack(serial(2)), true, false, "also change SecretName and raise Serial"},
		"Serial and secret":          {stack(kmsKey(newKey), secretName("cloney/b"), serial(2)), true, true, ""},
		"Serial, secret, no KMS key": {stack(secretName("cloney/b"), serial(2)), true, true, ""},
		"another user":               {stack(kmsKey(newKey), userName(second)), true, true, ""},
	} {
		t.Run(what, func(t *testing.T) {
			stuck := false
			everyRefusal(t, func(w *world, closed func(string)) {
				given := w.create(before).AccessKeyID
				closed(oldKey)
				w.Use(given, access.LastUse{Time: time.Now()})
				result, err := w.tryUpdate(before, c.next)
				works := c.works && !stuck || c.stuck && stuck
				stuck = !stuck
				switch {
				case works && what == "other tags":
					w.done(c.next, result, err) // which needs no value
				case works:
					w.works(c.next, result, err)
				default:
					w.refused(err, "SecretKmsKeyId: ", c.says)
				}
				if !slices.Contains(w.LiveKeys(user), given) {
					t.Errorf("key %s is gone, which is in use", given)
				}
				if n := len(w.LiveKeys(user)); n > 2 || !works && n > 1 {
					t.Errorf("keys: %v", w.LiveKeys(user))
				}
				if works {
					w.still(c.next)
				} else {
					w.rollback(c.next, before)
				}
				w.ExpectRemoval(user, second)
				for _, d := range []plan.Desired{c.next, before} {
					w.remove(d)
				}
				w.empty()
			})
		})
	}
}

// An old secret that cannot be read stays as long as its key works: it is what
// says whose the key is, and since when it is replaced. Then it goes.
func TestALockedSecretStaysUntilItsKeyIsRetired(t *testing.T) {
	play(t, func(w *world) {
		before, next := stack(kmsKey(oldKey)), stack(secretName("cloney/b"), serial(2))
		given := w.create(before).AccessKeyID
		w.CloseKMSKey(oldKey, refusals["disabled"])
		w.update(before, next)
		if got := w.Inventory().Secrets; len(got) != 2 || !slices.Contains(w.LiveKeys(user), given) {
			t.Errorf("secrets %v, keys %v", got, w.LiveKeys(user))
		}
		if !strings.Contains(w.log.String(), `level=WARN msg="an old secret stays`) {
			t.Error("the log does not say that it stays")
		}
		w.still(next)
		// A stack may declare its key again: that is tried, and logged.
		w.fails(next, stack(secretName("cloney/b")), "SecretKmsKeyId: ", secret, "raise Serial")
		w.rollback(stack(secretName("cloney/b")), next)
		time.Sleep(8 * 24 * time.Hour)
		w.update(next, stack(secretName("cloney/b"), serial(3)))
		w.holds(stack(secretName("cloney/b"), serial(3)))
		if slices.Contains(w.LiveKeys(user), given) {
			t.Errorf("key %s lives on", given)
		}
		w.remove(next)
		w.empty()
	})
}

// The key that nobody could read is there all the same, and its secret: a rollback
// finds both, whether the KMS key works again or not.
func TestARollbackFromALockedSecret(t *testing.T) {
	before := stack(kmsKey(oldKey))
	for _, next := range []plan.Desired{stack(secretName("cloney/b"), serial(2)), stack(kmsKey(newKey), secretName("cloney/b"), serial(2))} {
		for _, again := range []bool{true, false} {
			everyRefusal(t, func(w *world, closed func(string)) {
				given := w.create(before).AccessKeyID
				closed(oldKey)
				w.update(before, next)
				if again {
					w.CloseKMSKey(oldKey, nil)
				}
				if result := w.rollback(next, before); result.AccessKeyID != given {
					t.Errorf("works again %t: key %s became %s", again, given, result.AccessKeyID)
				}
				w.remove(before)
				w.empty()
			})
		}
	}
}

// A rollback goes through though the KMS key that it goes back to works no more:
// the secret goes on with the key that works, and the log says so.
func TestARollbackToAKMSKeyThatWorksNoMore(t *testing.T) {
	for what, next := range map[string]plan.Desired{
		"KMS key":            stack(kmsKey(newKey)),
		"secret":             stack(kmsKey(newKey), secretName("cloney/b")),
		"Serial and secret":  stack(kmsKey(newKey), secretName("cloney/b"), serial(2)),
		"Serial and KMS key": stack(kmsKey(newKey), serial(2)),
	} {
		before := stack(kmsKey(oldKey))
		for when, update := range map[string]func(w *world, closed func(string)){
			"a sibling failed": func(w *world, closed func(string)) {
				w.update(before, next)
				closed(oldKey)
			},
			"it failed at its end": func(w *world, closed func(string)) {
				w.failAt("DeleteSecret", access.ErrDenied)
				if next.Spec.SecretName == secret {
					w.failAt("UntagUser", access.ErrDenied)
				}
				_, _ = w.tryUpdate(before, next)
				w.Before = nil
				closed(oldKey)
			},
		} {
			t.Run(what+", "+when, func(t *testing.T) {
				everyRefusal(t, func(w *world, closed func(string)) {
					given := w.create(before).AccessKeyID
					update(w, closed)
					result, err := w.tryUpdate(next, before)
					w.done(before, result, err)
					if result.AccessKeyID != given {
						t.Errorf("key %s became %s", given, result.AccessKeyID)
					}
					if when == "a sibling failed" && (w.KMSKey(secret) != newKey || !strings.Contains(w.log.String(), "the secret keeps another KMS key")) {
						t.Errorf("the secret is encrypted with %s", w.KMSKey(secret))
					}
					w.remove(before)
					w.empty()
				})
			})
		}
	}
}
