package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

// What cannot be done is refused in a sentence, before anything is done.
func TestRefused(t *testing.T) {
	far := func(o *plan.Observed) { o.User.Bounded = false }
	place := func(d *plan.Desired) {
		d.Spec.Scope.Places = []access.Place{"two"}
		d.Spec.NotAllowed = notAllowed("two")
	}
	for what, c := range map[string]struct {
		want plan.Desired
		seen plan.Observed
		says string
	}{
		"a user of nobody":                {update(), one(func(o *plan.Observed) { o.User.Tags = nil }), "UserName: a user \"u\" exists and does not belong"},
		"another resource's user":         {update(), one(func(o *plan.Observed) { o.User.Tags = ownerOf("Other").Tags(user) }), "UserName: a user \"u\" exists"},
		"ours under another name":         {update(), one(func(o *plan.Observed) { o.User.Tags[name.TagPhysical] = "x" }), "UserName: a user \"u\" exists"},
		"a secret of nobody":              {update(), one(func(o *plan.Observed) { o.Secret.Tags = nil }), "SecretName: a secret \"cloney/u\" exists"},
		"another resource's secret":       {update(), one(func(o *plan.Observed) { o.Secret.Tags = ownerOf("Other").Tags(user) }), "SecretName: a secret"},
		"that was deleted":                {update(), one(func(o *plan.Observed) { o.Secret.Tags, o.Secret.Deleted = nil, now }), "is scheduled for deletion"},
		"the replaced key is in use":      {update(serial(3)), two(used("A", 1)), "Serial: both places for keys are taken. Key A"},
		"a key made by hand is in use":    {update(serial(2)), with("A-90 X-9", "1:A=current", used("X", 1)), "Key X"},
		"a rotation has not finished":     {update(serial(2)), with("A-90 B-0", "1:A=current 1:B=pending"), "Key B"},
		"a new key without a boundary":    {update(serial(2)), one(far), "has lost its permissions boundary"},
		"or in place of one that is gone": {update(), with("", "1:A=current", far), "has lost its permissions boundary"},
		"a bucket that is not allowed":    {update(place), one(), "AllowedBuckets"},
		"more buckets than fit":           {update(buckets(append(many(), lots()...)...)), one(), "declare a second resource"},
	} {
		tasks, err := plan.Converge(c.want, c.seen, now)
		var refused plan.Refused
		var tooMany policy.TooManyError
		if tasks != nil || !errors.As(err, &refused) && !errors.As(err, &tooMany) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\n%s", what, err, lines(tasks))
		}
	}
	// What needs no new key goes on without a boundary.
	if tasks, err := plan.Converge(update(buckets("two")), one(far), now); err != nil {
		t.Errorf("%v\n%s", err, lines(tasks))
	}
}

// What stood before the account's owner narrowed a list stays, and can be gone
// back to.
func TestWhatIsNotAllowedAnyMore(t *testing.T) {
	back := update(buckets("two"))
	reader := func(d *plan.Desired) {
		d.Spec.Readers, d.Spec.NotAllowed = []string{a}, notAllowed("")
		d.Spec.NotAllowed[0].Reader = a
	}
	for what, c := range map[string]struct {
		want plan.Desired
		seen plan.Observed
		ok   bool
	}{
		"a bucket that the user has": {update(func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("one") }), one(), true},
		"a part of it":               {update(buckets("one/in"), func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("one/in") }), one(), true},
		"more than it has": {update(func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("one") }), one(func(o *plan.Observed) {
			in := create(buckets("one/in"))
			o.Policies, o.User = held(in), finished(user, in, "A")
		}), false},
		"a bucket that it never had":       {update(buckets("two"), func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("two") }), one(), false},
		"a bucket that it had before":      {update(buckets("two"), func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("two") }), one(func(o *plan.Observed) { o.User = finished(user, back, "A") }), true},
		"a reader of the secret":           {update(reader), one(func(o *plan.Observed) { o.ResourcePolicy = policy.Readers([]string{a}) }), true},
		"a reader that it never had":       {update(reader), one(func(o *plan.Observed) { o.ResourcePolicy = policy.Readers([]string{b}) }), false},
		"a reader that it had before":      {update(reader), one(func(o *plan.Observed) { o.User = finished(user, update(reader), "A") }), true},
		"who was made anew has no history": {update(func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("one") }), one(noUser), false},
	} {
		if tasks, err := plan.Converge(c.want, c.seen, now); (err == nil) != c.ok || err != nil && tasks != nil {
			t.Errorf("%s: %v\n%s", what, err, lines(tasks))
		}
	}
}

func notAllowed(place access.Place) []spec.NotAllowed {
	return []spec.NotAllowed{{Place: place, Problem: "not one of AllowedBuckets"}}
}

func lots() (places []access.Place) {
	for n := range 2000 {
		places = append(places, access.Place(fmt.Sprintf("lots-%04d-%s", n, strings.Repeat("x", 40))))
	}
	return places
}
