package provision_test

import (
	"context"
	"slices"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/plan"
)

// skipped are Updates whose rollback was skipped: CloudFormation goes on as if the
// resource were as before, and what the Update made is there.
var skipped = map[string]func(w *world, from, to plan.Desired){
	"it failed at its verification": func(w *world, from, to plan.Desired) {
		w.SetBucket("denied", false)
		to.Spec.Scope.Places = []access.Place{"denied"}
		w.fails(from, to, "denied")
	},
	"it failed at its very end": func(w *world, from, to plan.Desired) {
		w.After = func(_ context.Context, verb string) error {
			if verb == "DeleteSecret" {
				return access.ErrDenied
			}
			return nil
		}
		w.fails(from, to, "denied")
		w.After = nil
	},
	"its former secret could not be deleted": func(w *world, from, to plan.Desired) {
		w.failAt("DeleteSecret", access.ErrDenied)
		w.fails(from, to, "denied")
		w.Before = nil
	},
	"a sibling failed": func(w *world, from, to plan.Desired) { w.update(from, to) },
	"the process was killed": func(w *world, from, to plan.Desired) {
		w.killAt("DeleteSecret", func() { _, _ = w.tryUpdate(from, to) })
	},
	"and of the one after": func(w *world, from, to plan.Desired) {
		w.update(from, to)
		to.Spec.SecretName = "cloney/third"
		w.update(from, to)
	},
	"an update to a third name failed too": func(w *world, from, to plan.Desired) {
		w.update(from, to)
		w.SetBucket("denied", false)
		to.Spec.SecretName, to.Spec.Scope.Places = "cloney/third", []access.Place{"denied"}
		w.fails(from, to, "denied")
	},
}

func (w *world) fails(from, to plan.Desired, says ...string) {
	w.Helper()
	_, err := w.tryUpdate(from, to)
	w.refused(err, says...)
}

// A key that lives is in no secret that nobody knows of, whatever was skipped: the
// next Update that completes leaves one secret, and so does a Delete leave none.
func TestASecretOfASkippedRollbackIsFoundAgain(t *testing.T) {
	for _, names := range [][2]string{{secret, "cloney/b"}, {"cloney/a", "cloney/b"}, {"cloney/a", secret}} {
		before := stack(secretName(names[0]))
		for what, skip := range skipped {
			for kind, to := range map[string]plan.Desired{
				"the same name":    stack(secretName(names[0])),
				"with other tags":  stack(secretName(names[0]), tags(map[string]string{"a": "b"})),
				"the new name":     stack(secretName(names[1])),
				"another name":     stack(secretName("cloney/fourth")),
				"and a new Serial": stack(secretName("cloney/fourth"), serial(2)),
			} {
				for serials, next := range map[string]plan.Desired{"": stack(secretName(names[1])), ", with a new Serial": stack(secretName(names[1]), serial(2))} {
					if serials != "" && !slices.Contains([]string{"a sibling failed", "it failed at its very end", "its former secret could not be deleted"}, what) {
						continue
					}
					t.Run(names[0]+" to "+names[1]+serials+", "+what+", then "+kind, func(t *testing.T) {
						play(t, func(w *world) {
							given := w.create(before).AccessKeyID
							skip(w, before, next)
							w.update(before, to)
							w.holds(to)
							if serials == "" && !slices.Contains(w.LiveKeys(user), given) {
								t.Errorf("key %s is gone, and was not replaced", given)
							}
							w.still(to)
							w.remove(to)
							w.empty()
						})
					})
				}
			}
			t.Run(names[0]+" to "+names[1]+", "+what+", then Delete", func(t *testing.T) {
				play(t, func(w *world) {
					w.create(before)
					skip(w, before, stack(secretName(names[1])))
					w.remove(before)
					w.empty()
				})
			})
		}
	}
}

// holds asks for one user and one secret, that of the name, whose AWSCURRENT says
// which key it holds, and for which Serial.
func (w *world) holds(d plan.Desired) {
	w.Helper()
	if got := w.Inventory(); !slices.Equal(got.Secrets, []string{d.Spec.SecretName}) || len(got.Users) != 1 {
		w.Errorf("left: %+v", got)
	}
	info, err := w.Secret(w.Context(), d.Spec.SecretName)
	current, _ := info.Labelled(access.Current)
	if err != nil || keyring.Serial(current) != d.Spec.Serial || !slices.Contains(w.LiveKeys(user), keyring.KeyID(current)) {
		w.Errorf("%v: AWSCURRENT is %+v", err, current)
	}
}
