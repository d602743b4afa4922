package plan_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
)

var write = flag.Bool("update", false, "write the files of testdata anew")

// many are more buckets than one policy holds.
func many() (places []access.Place) {
	for n := range 60 {
		places = append(places, access.Place(fmt.Sprintf("bucket-%02d-%s", n, strings.Repeat("x", 40))))
	}
	return places
}

// plans are those of testdata/plans.txt.
var plans = []struct {
	what string
	want plan.Desired
	seen plan.Observed
}{
	{"Create: nothing is there", create(), plan.Observed{}},
	{"Create: readers, and another secret", create(readers(a, b), moved("cloney/other")), plan.Observed{}},
	{"Create: not to be proven", create(unverified), plan.Observed{}},
	{"Create: a crash has left the user and the secret", create(), one(halfMade, func(o *plan.Observed) { o.Keys, o.Policies, o.Secret.Versions = nil, nil, nil })},
	{"Create: more buckets than one policy holds", create(buckets(many()...)), plan.Observed{}},
	{"Update: all is as declared", update(), one()},
	{"Update: another bucket", update(buckets("two")), one()},
	{"Update: the other role too, so that some buckets move to another policy", update(buckets(many()...), func(d *plan.Desired) { d.Spec.Scope.Destination = true }), one(func(o *plan.Observed) {
		o.Policies, o.User.Tags[name.TagPolicies] = held(create(buckets(many()...))), "2"
	})},
	{"Update: fewer policies", update(), one(func(o *plan.Observed) { o.Policies = held(create(buckets(append(many(), "one")...))) })},
	{"Update: another tag", update(func(d *plan.Desired) { d.Spec.Tags, d.Old.TagKeys = map[string]string{"team": "b"}, []string{"old"} }), one(func(o *plan.Observed) { o.User.Tags["old"], o.User.Tags["theirs"] = "x", "x" })},
	{"Update: a new Serial", update(serial(2)), one()},
	{"Update: the Serial of before", update(), two()},
	{"Update: the Serial of before, and it was proven", update(), two(func(o *plan.Observed) {
		o.User.Tags[name.TagCompleted] = plan.CompletedTag([]string{keyring.Proof("A", create().Spec.Scope)}, create().Spec, "B")
	})},
	{"Update: a third Serial, the replaced key is not in use", update(serial(3)), two()},
	{"Update: a third Serial, the current key was switched off", update(serial(3)), with("A-90 B-3-off", "1:A=previous 2:B=current")},
	{"Update: a new Serial, readers and buckets", update(serial(2), readers(b, c), buckets("two")), one(func(o *plan.Observed) { o.ResourcePolicy = policy.Readers([]string{a, b}) })},
	{"Update: the key was deleted by hand", update(), with("", "1:A=current")},
	{"Update: the key was deactivated by hand", update(), with("A-90-off", "1:A=current")},
	{"Update: the boundary was taken off", update(), one(bounded(""))},
	{"Update: a former boundary, a new Serial, more buckets, another tag", update(serial(2), buckets(many()...), func(d *plan.Desired) { d.Spec.Tags = map[string]string{"team": "b"} }), one(bounded(formerBoundary))},
	{"Update: a key of nobody", update(), with("A-90 X-1", "1:A=current")},
	{"Update: a key of nobody makes room", update(serial(2)), with("A-90 X-1", "1:A=current")},
	{"Update: the secret was deleted by hand", update(), one(noSecret)},
	{"Update: the secret is in its recovery window", update(), one(func(o *plan.Observed) { o.Secret.Deleted = now })},
	{"Update: the user was deleted by hand", update(), one(noUser)},
	{"Update: another KMS key", update(kms("alias/x")), one()},
	{"Update: another KMS key and a new Serial", update(kms("alias/x"), serial(2)), one()},
	{"Update: another secret", update(serial(2), moved("cloney/other")), two(aside)},
	{"Update: another secret, and a crash has left the former one", update(serial(2), moved("cloney/other")), two(func(o *plan.Observed) { o.OldSecrets = []access.SecretInfo{*o.Secret} })},
	{"Replacement: a secret of its own", update(renamed("new", "cloney/new")), one(noUser, noSecret, other(finished(user, create(), "A"), "A-90"))},
	{"Replacement: the secret is shared", update(serial(2), renamed("new", secret)), two(noUser, other(finished(user, create(), "B"), "A-90 B-30"))},
	{"Rollback of that", update(serial(2), rollback("new")), with("A-90 B-30", "1:A 2:B=previous 1:N=current,latest", passed("new"), other(aUser("new"), "N-0"), func(o *plan.Observed) { o.User = finished(user, create(), "B") })},
	{"Create: rotated by a schedule, with another grace", create(scheduled(monthly), graced(30)), plan.Observed{}},
	{"Update: a schedule", update(scheduled(monthly)), one(rotates(""))},
	{"Update: a schedule and a new Serial", update(scheduled(monthly), serial(2)), one(rotates(""))},
	{"Update: another schedule", update(scheduled("rate(1 day)")), one(rotates(monthly))},
	{"Update: no schedule any more", update(), one(rotates(monthly))},
	{"Update: another grace", update(graced(30)), one()},
	{"Update: the grace of before", update(), one(func(o *plan.Observed) { o.Secret.Tags[name.TagGrace] = "30" })},
	{"Update: another bucket, in the middle of a rotation", update(scheduled(monthly), buckets("two")), halfDone()},
	{"Update: no schedule any more, in the middle of a rotation", update(), halfDone()},
	{"Update: the same, and a crash has left its version", update(), halfDone(rotates(""), func(o *plan.Observed) { o.Keys = keys("A-90") })},
	{"Update: another secret, in the middle of a rotation", update(scheduled(monthly), moved("cloney/other")), halfDone(aside)},
	{"Update: another schedule, and Secrets Manager tests the one of before", update(scheduled("rate(1 day)")), with("A-90", "1:A=current x=pending", rotates(monthly))},
	{"Replacement: the secret is shared, in the middle of a rotation", update(scheduled(monthly), renamed("new", secret)), halfDone(noUser, other(finished(user, create(), "A"), "A-90 B-0"))},
	{"Update: somebody has cancelled a rotation in the middle", update(scheduled(monthly)), halfDone(rotates(""))},
	{"Rollback to another schedule, in the middle of a rotation", update(scheduled("rate(1 day)")), halfDone(func(o *plan.Observed) {
		o.User = finished(user, create(scheduled("rate(1 day)")), "A")
	})},
	{"Update: a new Serial after rotations, and a key that is gone", update(scheduled(monthly), serial(2)), with("B-1", "1:A=previous 1:B=current,latest", rotates(monthly),
		labelled("A", name.ProvenLabel("0123456789abcdef")), labelled("A", name.AnnouncedLabel("A")))},
	{"Update: a secret from a skipped rollback is still rotated", update(), with("A-90 B-1", "1:A=current", used("B", 0), func(o *plan.Observed) {
		o.OldSecrets = []access.SecretInfo{{Name: "cloney/b", Tags: tags(user), Versions: versions("2:B=current 2:C=pending"), Rotation: access.Rotation{On: true}}}
		o.User.Tags = remembering("cloney/b").Tags
	})},
	{"Rollback of a new Serial that failed before it was current", update(), with("A-90 B-0", "1:A=current 2:B=latest")},
}

// halfDone is in the middle of a rotation: its key B is stored, and not current.
func halfDone(changes ...find) plan.Observed {
	return with("A-90 B-0", "1:A=current 1:B=pending,latest", append([]find{rotates(monthly)}, changes...)...)
}

// What is done, and what has to wait for what, is to be read in testdata/plans.txt.
func TestPlans(t *testing.T) {
	var text strings.Builder
	for _, c := range plans {
		tasks, err := plan.Converge(c.want, c.seen, now)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		fmt.Fprintf(&text, "# %s\n%s\n", c.what, lines(tasks))
	}
	golden(t, "testdata/plans.txt", text.String())
}

// golden compares with a file, or writes it.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *write {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if diff := cmp.Diff(string(want), text); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// steps are those of a plan.
func steps(t *testing.T, want plan.Desired, seen plan.Observed) []plan.Step {
	t.Helper()
	tasks, err := plan.Converge(want, seen, now)
	if err != nil {
		t.Fatal(err)
	}
	var steps []plan.Step
	for _, task := range tasks {
		steps = append(steps, task.Step)
	}
	return steps
}

// the returns the plan's only step of that type.
func the[T plan.Step](t *testing.T, want plan.Desired, seen plan.Observed) (step T) {
	t.Helper()
	n := 0
	for _, s := range steps(t, want, seen) {
		if is, ok := s.(T); ok {
			step, n = is, n+1
		}
	}
	if n != 1 {
		t.Fatalf("%d steps of type %T", n, step)
	}
	return step
}

// A new user carries whose it is, that its event has begun, how far a Delete has
// to look for policies, and where its secret is.
func TestTheTagsOfANewUser(t *testing.T) {
	remembered := name.RememberSecret("cloney/other")
	for what, c := range map[string]struct {
		want plan.Desired
		seen plan.Observed
		more []map[string]string
	}{
		"a Create":           {create(), plan.Observed{}, []map[string]string{{name.TagPolicies: "1"}}},
		"another secret":     {create(moved("cloney/other")), plan.Observed{}, []map[string]string{{name.TagPolicies: "1"}, remembered}},
		"more buckets":       {create(buckets(many()...)), plan.Observed{}, []map[string]string{{name.TagPolicies: "2"}}},
		"it was made before": {update(), one(noUser), []map[string]string{{name.TagPolicies: fmt.Sprint(name.MaxPolicyNumber)}}},
	} {
		want := tags(user)
		for _, more := range append(c.more, c.want.Run.Begun()) {
			for key, value := range more {
				want[key] = value
			}
		}
		if diff := cmp.Diff(want, the[plan.CreateUser](t, c.want, c.seen).Tags); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

// A Delete looks for as many policies as there may be.
func TestHighestPolicy(t *testing.T) {
	for written, want := range map[string]int{"0": 0, "1": 1, "10": 10, "": 10, "11": 10, "-1": 10, "x": 10} {
		if got := plan.HighestPolicy(map[string]string{name.TagPolicies: written}); got != want {
			t.Errorf("%q: %d", written, got)
		}
	}
}

// Of two runs that see the same only one can store a key.
func TestTheNameOfANewVersion(t *testing.T) {
	token := func(want plan.Desired, seen plan.Observed) string { return the[plan.Mint](t, want, seen).Token }
	first := token(update(serial(2)), one())
	for what, c := range map[string]struct {
		token string
		same  bool
	}{
		"another run, that sees the first one's key": {token(update(serial(2)), with("A-90 X-0", "1:A=current")), true},
		"the next Serial": {token(update(serial(3)), one()), false},
		"once a KMS key was tried": {token(update(serial(2)), one(func(o *plan.Observed) {
			o.Secret.Versions = append(o.Secret.Versions, access.Version{ID: "tried", Labels: []string{name.LabelTried}})
		})), true},
		"after another version": {token(update(serial(2)), with("A-90", "1:A=current 2:B")), false},
	} {
		if (c.token == first) != c.same {
			t.Errorf("%s: %s, %s", what, first, c.token)
		}
	}
}

func TestNamesThatDifferInCapitalsOnly(t *testing.T) {
	for pair, want := range map[[2]string]bool{{"U", "u"}: true, {"u", "u"}: false, {"u", "v"}: false} {
		if plan.InCapitalsOnly(pair[0], pair[1]) != want {
			t.Errorf("%v", pair)
		}
	}
}

// Which other user, and which old secret, an event is about.
func TestWhatAnEventIsAbout(t *testing.T) {
	for what, c := range map[string]struct {
		want                plan.Desired
		user                *access.User
		other, formerSecret string
		replaces            bool
	}{
		"Create":                     {create(), nil, "", "", false},
		"Update":                     {update(), nil, "", "", false},
		"Update, another secret":     {update(moved("cloney/other")), nil, "", secret, false},
		"Replacement":                {update(renamed("new", "cloney/new")), nil, user, "", true},
		"its rollback":               {update(rollback("new")), nil, "new", "", false},
		"its rollback, secret moved": {update(rollback("new"), moved("cloney/other")), nil, "new", "", false},
		"it remembers one":           {update(), remembering("cloney/b"), "", "cloney/b", false},
		"it remembers the wanted":    {update(moved("cloney/b")), remembering("cloney/b"), "", secret, false},
		"a stranger remembers":       {update(), &access.User{Name: user, Tags: name.RememberSecret("cloney/b")}, "", "", false},
		"a Create again":             {create(), remembering("cloney/b"), "", "cloney/b", false},
	} {
		if d, former := c.want, strings.Join(c.want.OldSecretNames(c.user), " "); d.Other() != c.other || former != c.formerSecret || d.Replaces() != c.replaces {
			t.Errorf("%s: other %q, former secrets %q, replaces %t", what, d.Other(), former, d.Replaces())
		}
	}
}

// remembering is the resource's user, of whose secrets these were.
func remembering(secrets ...string) *access.User {
	u := aUser(user)
	for _, secret := range secrets {
		maps.Copy(u.Tags, name.RememberSecret(secret))
	}
	return u
}
