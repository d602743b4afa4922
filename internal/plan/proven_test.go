package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// What was accepted is what gives access, and nothing else: that is not refused
// when a stack goes back to it.
func TestWhatWasAccepted(t *testing.T) {
	was := plan.Accepted(create().Spec)
	for what, c := range map[string]struct {
		now  plan.Desired
		same bool
	}{
		"the same":          {update(), true},
		"another Serial":    {update(serial(2)), true},
		"another secret":    {update(moved("cloney/other")), true},
		"another user":      {update(renamed("new", secret)), true},
		"unverified":        {update(unverified), true},
		"another bucket":    {update(buckets("two")), false},
		"the other role":    {update(func(d *plan.Desired) { d.Spec.Scope.Destination = true }), false},
		"a reader":          {update(readers(a)), false},
		"a KMS key":         {update(kms("alias/x")), false},
		"only from some IP": {update(func(d *plan.Desired) { d.Spec.Scope.SourceIPs = []string{"8.8.8.8"} }), false},
	} {
		if (plan.Accepted(c.now.Spec) == was) != c.same {
			t.Errorf("%s: %t", what, !c.same)
		}
	}
	scope := create().Spec.Scope
	if keyring.Proof("A", scope) == keyring.Proof("B", scope) || keyring.Proof("A", scope) == keyring.Proof("A", create(buckets("two")).Spec.Scope) || keyring.Proof("A", scope) == was {
		t.Error("two proofs are the same")
	}
}

// What stood is the same in all that a key depends on: who comes back to it goes back.
func TestWhatStood(t *testing.T) {
	was := plan.AcceptedWhole(create().Spec)
	for what, c := range map[string]struct {
		now  plan.Desired
		same bool
	}{
		"the same":       {update(), true},
		"another Serial": {update(serial(2)), false},
		"another secret": {update(moved("cloney/other")), false},
		"unverified":     {update(unverified), false},
		"another bucket": {update(buckets("two")), false},
		"a reader":       {update(readers(a)), false},
		"a KMS key":      {update(kms("alias/x")), false},
	} {
		if (plan.AcceptedWhole(c.now.Spec) == was) != c.same {
			t.Errorf("%s: %t", what, !c.same)
		}
	}
}

// The tag remembers the youngest, once each, and is no longer than a tag's value.
func TestWhatAUserRemembers(t *testing.T) {
	accepted, stood, proof := plan.Accepted(create().Spec), plan.AcceptedWhole(create().Spec), keyring.Proof("A", create().Spec.Scope)
	var before []string
	for n := range 40 {
		before = append(before, keyring.Proof(fmt.Sprint("K", n), create().Spec.Scope))
	}
	for what, c := range map[string]struct {
		before []string
		want   plan.Desired
		then   []string
	}{
		"the first time":        {nil, create(), []string{accepted, stood, proof}},
		"nothing was proven":    {nil, create(unverified), []string{accepted, plan.AcceptedWhole(create(unverified).Spec)}},
		"the youngest is first": {before[:1], create(), []string{accepted, stood, proof, before[0]}},
		"again":                 {[]string{before[0], proof, stood, accepted}, create(), []string{accepted, stood, proof, before[0]}},
		"as many as fit":        {before, create(), append([]string{accepted, stood, proof}, before[:12]...)},
		"of another version":    {[]string{"verified", "x", before[0]}, create(), []string{accepted, stood, proof, before[0]}},
	} {
		got := plan.CompletedTag(c.before, c.want.Spec, "A")
		if !slices.Equal(strings.Fields(got), c.then) || len(got) > 256 {
			t.Errorf("%s: %s", what, got)
		}
	}
}

// Going back to what was proven needs no new proof: the bucket may be
// deleted. Another key, or other buckets, are proven.
func TestWhatIsProven(t *testing.T) {
	proven := func(scopes ...plan.Desired) find {
		return func(o *plan.Observed) {
			var before []string
			for _, d := range scopes {
				before = strings.Fields(plan.CompletedTag(before, d.Spec, "A"))
			}
			o.User.Tags[name.TagCompleted] = strings.Join(before, " ")
		}
	}
	two := create(buckets("two"))
	for what, c := range map[string]struct {
		want plan.Desired
		seen plan.Observed
		then bool
	}{
		"other buckets":          {update(buckets("two")), one(proven(create())), true},
		"those of before":        {update(buckets("two")), one(proven(two, create())), false},
		"with a new key":         {update(buckets("two"), serial(2)), one(proven(two, create())), true},
		"with another key":       {update(), with("B-1", "1:B=current", proven(create())), true},
		"it was never proven":    {update(), one(proven(create(unverified))), true},
		"it need not be":         {update(buckets("two"), unverified), one(proven(create())), false},
		"a user that is no more": {update(), one(noUser), true},
	} {
		proves := slices.ContainsFunc(steps(t, c.want, c.seen), func(s plan.Step) bool { _, is := s.(plan.Prove); return is })
		if proves != c.then {
			t.Errorf("%s: proven %t", what, proves)
		}
	}
}
