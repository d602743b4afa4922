package provision_test

import (
	"fmt"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
)

// forTen are as many buckets as need ten policies.
var forTen = func() (places []access.Place) {
	for n := range 420 {
		places = append(places, access.Place(fmt.Sprintf("lots-%04d-%s", n, strings.Repeat("x", 40))))
	}
	return places
}()

// ten makes a user with ten policies, as providers did that left no place free.
func (w *world) ten() (declared plan.Desired) {
	w.Helper()
	declared = stack(buckets(forTen...))
	w.create(stack())
	documents, err := policy.Documents(name.MaxPolicyNumber, declared.Spec.Scope, "aws", nil)
	if err != nil || len(documents) != name.MaxPolicyNumber {
		w.Fatalf("%d policies, %v", len(documents), err)
	}
	for _, d := range documents {
		called := name.Policy(user, d.Number)
		w.MakePolicy(called, d.Text, owner.Tags(user))
		if err := w.Account.AttachPolicy(w.Context(), user, called); err != nil {
			w.Fatal(err)
		}
	}
	set := map[string]string{name.TagPolicies: "10", name.TagCompleted: plan.CompletedTag(nil, declared.Spec, w.LiveKeys(user)[0])}
	if err := w.Account.TagUser(w.Context(), user, set, nil); err != nil {
		w.Fatal(err)
	}
	w.Forget()
	return declared
}

// A user gets nine policies, so that a tenth one, which quarantines it, finds a place.
func TestNoNewUserFillsAllItsPlaces(t *testing.T) {
	play(t, func(w *world) {
		for _, place := range forTen {
			w.SetBucket(place.Bucket(), true)
		}
		_, err := w.tryCreate(stack(buckets(forTen...)))
		w.refused(err, "Buckets: 420 entries are too many")
		w.empty()
		w.create(stack(buckets(forTen[:387]...)))
		if is := w.Inventory().Policies; len(is) != 9 {
			t.Errorf("%d policies", len(is))
		}
	})
}

// A user that has ten from an earlier release can be changed, rolled back, and deleted.
func TestAUserWithTenPolicies(t *testing.T) {
	play(t, func(w *world) {
		another := forTen[0] + "z"
		for _, place := range append(forTen, another) {
			w.SetBucket(place.Bucket(), true)
		}
		before := w.ten()
		swapped := stack(buckets(append(forTen[:419:419], another)...))
		for what, next := range map[string]plan.Desired{"another tag": stack(buckets(forTen...), tags(map[string]string{"a": "b"})), "another bucket": swapped, "few buckets": stack(buckets("one")), "a new Serial": stack(buckets(forTen...), serial(2))} {
			w.update(before, next)
			if _, err := w.tryRollback(next, before, user); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if is := w.Inventory().Policies; len(is) != 10 {
				t.Errorf("%s: %d policies", what, len(is))
			}
			w.Check()
		}
		w.remove(before)
		w.empty()
	})
}
