package provision_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
)

// foreign are the tags of what is not this resource's: none at all, and those
// of another resource of the same stack.
var foreign = map[string]map[string]string{
	"a person's":         {"team": "data"},
	"another resource's": ownerOf("Other").Tags(user),
}

// What exists under a declared name is refused and never changed, by the Create
// and by the Delete that follows.
func TestForeignEntitiesAreNeverTouched(t *testing.T) {
	text := func() string {
		documents, err := policy.Documents(name.MaxPolicies, stack().Spec.Scope, "aws", nil)
		if err != nil {
			t.Fatal(err)
		}
		return documents[0].Text
	}()
	for whose, tags := range foreign {
		for what, c := range map[string]struct {
			make func(w *world)
			says []string
		}{
			"user":   {func(w *world) { w.MakeUser(user, tags) }, []string{"UserName", user, "does not belong"}},
			"USER":   {func(w *world) { w.MakeUser("STACK-credentials-USER", tags) }, []string{"UserName", "upper and lower case"}},
			"policy": {func(w *world) { w.MakePolicy(user+"-1", text, tags) }, []string{user + "-1", "does not belong"}},
			"secret": {func(w *world) { w.MakeSecret(secret, "theirs", tags) }, []string{"SecretName", secret, "does not belong"}},
		} {
			t.Run(whose+" "+what, func(t *testing.T) {
				play(t, func(w *world) {
					c.make(w)
					w.ExpectRemoval(user)
					w.Protect("STACK-credentials-USER")
					if what == "user" || what == "policy" || what == "secret" {
						w.Protect(map[string]string{"user": user, "policy": user + "-1", "secret": secret}[what])
					}
					before := w.Inventory()
					_, err := w.tryCreate(stack())
					if err == nil {
						t.Fatal("succeeded")
					}
					saysAll(t, err, c.says...)
					if diff := cmp.Diff(before, w.Inventory()); diff != "" {
						t.Errorf("after Create (-before +after):\n%s", diff)
					}
					if err := w.tryDelete(target(stack(), user)); err != nil {
						t.Error(err)
					}
					if diff := cmp.Diff(before, w.Inventory()); diff != "" {
						t.Errorf("after Delete (-before +after):\n%s", diff)
					}
				})
			})
		}
	}
}

func TestAnUpdateToAForeignNameIsRefused(t *testing.T) {
	for what, c := range map[string]struct {
		make func(w *world)
		next plan.Desired
		id   string
	}{
		"user":           {func(w *world) { w.MakeUser(second, nil) }, stack(userName(second)), second},
		"secret":         {func(w *world) { w.MakeSecret("cloney/theirs", "theirs", nil) }, stack(secretName("cloney/theirs")), "cloney/theirs"},
		"user's secret":  {func(w *world) { w.MakeSecret(secondSecret, "theirs", nil) }, stack(userName(second)), secondSecret},
		"another secret": {func(w *world) { w.MakeSecret("cloney/theirs", "theirs", ownerOf("Other").Tags("x")) }, stack(secretName("cloney/theirs")), "cloney/theirs"},
	} {
		t.Run(what, func(t *testing.T) {
			play(t, func(w *world) {
				first := w.create(stack()).AccessKeyID
				c.make(w)
				w.Protect(c.id)
				before := w.Inventory()
				_, err := w.tryUpdate(stack(), c.next)
				if err == nil {
					t.Fatal("succeeded")
				}
				saysAll(t, err, c.id, "does not belong")
				if diff := cmp.Diff(before, w.Inventory()); diff != "" {
					t.Errorf("after Update (-before +after):\n%s", diff)
				}
				if result := w.rollback(c.next, stack()); result.AccessKeyID != first {
					t.Errorf("key %s became %s", first, result.AccessKeyID)
				}
				w.remove(stack())
			})
		})
	}
}
