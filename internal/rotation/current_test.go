package rotation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/rotation"
	"cloney-s3-credentials/internal/spec"
)

// The current key is proven for what the policies say, and nothing is written.
func TestTheCurrentKeyIsProven(t *testing.T) {
	play(t, func(w *world) {
		for _, called := range []string{secret, arn} {
			w.Forget()
			before := len(w.Proofs())
			c, err := w.rotator.Current(w.Context(), called)
			if err != nil {
				t.Fatal(err)
			}
			if c.User != user || c.Key.KeyID != w.current() || !c.Scope.Source || c.Scope.Destination || !slices.Equal(c.Scope.Places, []access.Place{"one"}) {
				t.Errorf("%s: %+v", called, c)
			}
			if err := w.rotator.Prove(w.Context(), c); err != nil {
				t.Error(err)
			}
			proofs := w.Proofs()[before:]
			if len(proofs) != 1 || proofs[0].KeyID != c.Key.KeyID || !slices.Equal(proofs[0].Scope.Places, c.Scope.Places) {
				t.Errorf("%s: it was proven by %+v", called, proofs)
			}
			if writes := w.Writes(); len(writes) > 0 {
				t.Errorf("%s: it wrote: %v", called, writes)
			}
			if w.Leaked(fmt.Sprintf("%+v %#v", c, c)) {
				t.Error("the secret half can be printed")
			}
		}
	})
}

func TestTheCurrentKeyOfNoSecret(t *testing.T) {
	play(t, func(w *world) {
		if _, err := w.rotator.Current(w.Context(), secret+"-other"); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Error(err)
		}
	})
}

// otherValue is a secret whose value somebody has replaced under our label.
type otherValue struct{ versions }

func (otherValue) Value(context.Context, string, string) (access.Secret, error) {
	return access.Credentials{KeyID: "AKIAANOTHER", Secret: access.NewSecret("x")}.Encode(), nil
}

func TestACurrentVersionWithAnotherKey(t *testing.T) {
	play(t, func(w *world) {
		w.rotator.Versions = func(token access.Secret) rotation.Versions { return otherValue{versions{w.Account, w, token}} }
		if _, err := w.rotator.Current(w.Context(), secret); err == nil || !strings.Contains(err.Error(), "another key") {
			t.Error(err)
		}
	})
}

// A secret that is not rotated has a current key that can be proven.
func TestACurrentKeyWithoutARotation(t *testing.T) {
	play(t, func(w *world) {
		if err := w.update(func(s *spec.Spec) { s.Schedule = "" }); err != nil {
			t.Fatal(err)
		}
		if c, err := w.rotator.Current(w.Context(), secret); err != nil || c.Key.KeyID != w.current() {
			t.Errorf("%+v: %v", c, err)
		}
	})
}

func TestACurrentKeyThatCannotBeProven(t *testing.T) {
	for says, breakIt := range map[string]func(*world){
		"the tags":     func(w *world) { w.Untag(user, name.TagStack) },
		"user " + user: func(w *world) { w.DropUser(user) },
		"tags":         func(w *world) { w.Untag(secret, name.TagStack) },
		"inactive":     func(w *world) { w.Deactivate(w.current()) },
		"current key":  func(w *world) { w.DropKey(w.current()) },
		"no policy":    func(w *world) { w.Detach(user, name.Policy(user, 1)) },
	} {
		play(t, func(w *world) {
			breakIt(w)
			w.Forget()
			if c, err := w.rotator.Current(w.Context(), secret); err == nil || !strings.Contains(err.Error(), says) || c.Key.KeyID != "" {
				t.Errorf("%s: %+v: %v", says, c, err)
			}
			if writes := w.Writes(); len(writes) > 0 {
				t.Errorf("%s: it wrote: %v", says, writes)
			}
			// What the sentences say to do helps.
			w.Tag(secret, owner.Tags(user))
			if says == "the tags" {
				w.Tag(user, owner.Tags(user))
			}
			if err := w.update(func(s *spec.Spec) { s.Serial++ }); err != nil {
				t.Errorf("%s: %v", says, err)
			}
			if _, err := w.rotator.Current(w.Context(), secret); err != nil {
				t.Errorf("%s: after an update: %v", says, err)
			}
		})
	}
}
