package plan_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

const (
	user   = "stack-Credentials"
	secret = name.SecretPrefix + user
)

var (
	now   = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	owner = ownerOf("Credentials")
)

func ownerOf(logical string) name.Owner {
	stack, err := name.ParseStackID("arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/51af3dc0-da77-11e4-872e-1234567db123")
	if err != nil {
		panic(err)
	}
	return name.Owner{Stack: stack, Logical: logical}
}

func desired(changes ...func(*plan.Desired)) plan.Desired {
	d := plan.Desired{Owner: owner, RequestID: "r", Spec: spec.Spec{
		Scope: access.Scope{Source: true, Places: []access.Place{"one"}}, UserName: user, SecretName: secret, Serial: 1, Verify: true,
	}}
	for _, change := range changes {
		change(&d)
	}
	return d
}

func serial(n int) func(*plan.Desired) { return func(d *plan.Desired) { d.Spec.Serial = n } }
func moved(to string) func(*plan.Desired) {
	return func(d *plan.Desired) { d.Spec.SecretName, d.FormerSecret = to, secret }
}
func buckets(names ...access.Place) func(*plan.Desired) {
	return func(d *plan.Desired) { d.Spec.Scope.Places = names }
}

// version is a stored key: "1:KEY", with its staging labels.
func version(id, issued string, labels ...string) access.Version {
	return access.Version{ID: id, Labels: append(labels, "cloney:serial:"+issued)}
}

func key(id string, age time.Duration) access.Key {
	return access.Key{ID: id, Active: true, Created: now.Add(-age)}
}

const day = 24 * time.Hour

// there is a finished resource, as desired() has it, with these keys.
func there(keys []access.Key, versions ...access.Version) plan.Observed {
	documents, err := policy.Documents(desired().Spec.Scope, "aws", nil)
	if err != nil {
		panic(err)
	}
	text := documents[0].Text
	tags := func(more ...string) map[string]string {
		tags := owner.Tags(user)
		for i := 0; i < len(more); i += 2 {
			tags[more[i]] = more[i+1]
		}
		return tags
	}
	current, _ := access.SecretInfo{Versions: versions}.Labelled(access.Current)
	return plan.Observed{
		User: &access.User{Name: user, Tags: tags(name.TagRequest, "r", name.TagPolicies, "1",
			name.TagCompleted, plan.Completed([]string{text}, plan.KeyOf(current), true))},
		Keys:     keys,
		LastUse:  map[string]access.LastUse{},
		Policies: map[int]access.Policy{1: {Name: user + "-1", Document: text, Tags: tags()}},
		Secret:   &access.SecretInfo{Name: secret, Tags: tags(name.TagPromoted, now.Add(-30*day).Format(time.RFC3339)), Versions: versions},
	}
}

func one() plan.Observed {
	return there([]access.Key{key("A", 90*day)}, version("v1", "1:A", access.Current))
}

func two() plan.Observed {
	return there([]access.Key{key("A", 90*day), key("B", 30*day)},
		version("v1", "1:A", access.Previous), version("v2", "2:B", access.Current))
}

// steps are the kinds of steps in their order.
func steps(t *testing.T, want plan.Desired, seen plan.Observed) []string {
	t.Helper()
	planned, err := plan.Converge(want, seen, now)
	if err != nil {
		t.Fatal(err)
	}
	return kinds(planned)
}

func kinds(planned []plan.Step) []string {
	kinds := make([]string, len(planned))
	for i, step := range planned {
		kinds[i] = strings.TrimPrefix(fmt.Sprintf("%T", step), "plan.")
		switch s := step.(type) {
		case plan.DeleteKey:
			kinds[i] += " " + s.ID
		case plan.Prove:
			kinds[i] += strings.TrimRight(" "+s.Version, " ")
		case plan.Promote:
			kinds[i] += strings.TrimRight(" "+s.Version, " ")
		case plan.Unlabel:
			kinds[i] += " " + s.Version
		}
	}
	return kinds
}

func TestOrder(t *testing.T) {
	changed := func(seen plan.Observed, change func(*plan.Observed)) plan.Observed { change(&seen); return seen }
	for what, c := range map[string]struct {
		want plan.Desired
		seen plan.Observed
		then []string
	}{
		"nothing there": {desired(), plan.Observed{},
			[]string{"CreateUser", "CreatePolicy", "CreateSecret", "Mint", "Prove", "Complete"}},
		"as desired":   {desired(), one(), []string{}},
		"other bucket": {desired(buckets("two")), one(), []string{"UpdatePolicy", "Prove v1", "Complete"}},
		"new Serial": {desired(serial(2)), one(),
			[]string{"Mint", "Prove", "Promote", "Complete"}},
		"former Serial": {desired(), two(), []string{"Prove v1", "Promote v1", "Complete"}},
		"third Serial, the replaced key unused": {desired(serial(3)), two(),
			[]string{"DeleteKey A", "Mint", "Prove", "Promote", "Unlabel v1", "Complete"}},
		"a key of nobody goes last": {desired(serial(2)), changed(one(), func(o *plan.Observed) { o.Keys = nil; o.Keys = append(o.Keys, key("X", day)) }),
			[]string{"Mint", "Prove", "Promote", "DeleteKey X", "Complete"}},
		"a key of nobody goes": {desired(), changed(one(), func(o *plan.Observed) { o.Keys = append(o.Keys, key("X", day)) }),
			[]string{"DeleteKey X"}},
		"a key of nobody makes room": {desired(serial(2)), changed(one(), func(o *plan.Observed) { o.Keys = append(o.Keys, key("X", day)) }),
			[]string{"DeleteKey X", "Mint", "Prove", "Promote", "Complete"}},
		"the key is gone": {desired(), changed(one(), func(o *plan.Observed) { o.Keys = nil }),
			[]string{"Mint", "Prove", "Promote", "Complete"}},
		"a key of nobody goes after going back": {desired(), changed(two(), func(o *plan.Observed) { o.Keys = append(o.Keys, key("X", day)) }),
			[]string{"Prove v1", "Promote v1", "DeleteKey X", "Complete"}},
		"no secret": {desired(), changed(one(), func(o *plan.Observed) { o.Secret = nil }),
			[]string{"CreateSecret", "Mint", "Prove", "DeleteKey A", "Complete"}},
		"the secret was deleted": {desired(), changed(one(), func(o *plan.Observed) { o.Secret.Deleted = now }),
			[]string{"RestoreSecret", "DeleteResourcePolicy"}},
		"a policy that is no longer needed": {desired(), changed(one(), func(o *plan.Observed) {
			o.Policies[2] = access.Policy{Name: user + "-2", Document: o.Policies[1].Document, Tags: o.Policies[1].Tags}
		}), []string{"DeletePolicy"}},
		"the secret moves": {desired(moved("cloney/moved")), changed(one(), func(o *plan.Observed) { o.Secret, o.Former = nil, o.Secret }),
			[]string{"CreateSecret", "CopyVersions", "DeleteSecret"}},
		"the secret has moved, the former is left": {desired(moved("cloney/moved")), changed(one(), func(o *plan.Observed) { o.Former = o.Secret }),
			[]string{"DeleteSecret"}},
		"unverified": {desired(func(d *plan.Desired) { d.Spec.Verify = false }), plan.Observed{},
			[]string{"CreateUser", "CreatePolicy", "CreateSecret", "Mint", "Complete"}},
	} {
		t.Run(what, func(t *testing.T) {
			if diff := cmp.Diff(c.then, steps(t, c.want, c.seen)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

// A seat is refused, kept or freed by who uses the key of AWSPREVIOUS.
func TestRoom(t *testing.T) {
	for what, c := range map[string]struct {
		change  func(*plan.Observed)
		refused bool
	}{
		"long replaced, never used": {func(*plan.Observed) {}, false},
		"replaced yesterday":        {func(o *plan.Observed) { o.Secret.Tags[name.TagPromoted] = now.Add(-day).Format(time.RFC3339) }, true},
		"replaced at the edge":      {func(o *plan.Observed) { o.Secret.Tags[name.TagPromoted] = now.Add(-7 * day).Format(time.RFC3339) }, false},
		"no record of when":         {func(o *plan.Observed) { delete(o.Secret.Tags, name.TagPromoted) }, true},
		"used yesterday": {func(o *plan.Observed) {
			o.LastUse["A"] = access.LastUse{Time: now.Add(-day), Service: "s3", Region: "eu-west-1"}
		}, true},
		"used long ago": {func(o *plan.Observed) { o.LastUse["A"] = access.LastUse{Time: now.Add(-8 * day)} }, false},
		"deactivated": {func(o *plan.Observed) {
			o.Keys[0].Active = false
			o.Secret.Tags[name.TagPromoted] = now.Format(time.RFC3339)
			o.LastUse["A"] = access.LastUse{Time: now}
		}, false},
	} {
		t.Run(what, func(t *testing.T) {
			seen := two()
			c.change(&seen)
			planned, err := plan.Converge(desired(serial(3)), seen, now)
			var refused plan.Refused
			if errors.As(err, &refused) != c.refused {
				t.Fatalf("%v, %v", kinds(planned), err)
			}
			if c.refused && (planned != nil || !strings.Contains(err.Error(), "Key A") || !strings.Contains(err.Error(), "--access-key-id A")) {
				t.Errorf("%v, %v", kinds(planned), err)
			}
			if !c.refused && !slices.Contains(kinds(planned), "DeleteKey A") {
				t.Errorf("no room: %v", kinds(planned))
			}
		})
	}
}

// A key that nobody knows goes before the one of AWSPREVIOUS, however old that is.
func TestRoomIsMadeWithWhatNobodyKnows(t *testing.T) {
	seen := two()
	seen.Keys = []access.Key{key("A", 90*day), key("X", day)} // someone has deleted B
	planned := steps(t, desired(serial(3)), seen)
	if !slices.Contains(planned, "DeleteKey X") || slices.Contains(planned, "DeleteKey A") {
		t.Errorf("planned %v", planned)
	}
}

// The key of AWSCURRENT is never deleted, whatever else is there.
func TestTheCurrentKeyStays(t *testing.T) {
	for n := 1; n <= 3; n++ {
		for _, crowd := range []int{0, 1, 2, 5} {
			seen := two()
			seen.LastUse["B"] = access.LastUse{}
			for i := range crowd {
				seen.Keys = append(seen.Keys, key(fmt.Sprint("X", i), day))
			}
			planned, err := plan.Converge(desired(serial(n)), seen, now)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(kinds(planned), "DeleteKey B") {
				t.Errorf("Serial %d, %d more keys: %v", n, crowd, kinds(planned))
			}
		}
	}
}

func TestTwoRunsThatSeeTheSameGiveTheVersionTheSameName(t *testing.T) {
	token := func(want plan.Desired, seen plan.Observed) string {
		planned, err := plan.Converge(want, seen, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range planned {
			if mint, ok := step.(plan.Mint); ok {
				return mint.Token
			}
		}
		t.Fatal("nothing is minted")
		return ""
	}
	again := one()
	again.Keys = append(again.Keys, key("X", time.Second)) // the other run's, not stored yet
	first := token(desired(serial(2)), one())
	if first != token(desired(serial(2)), again) {
		t.Error("two runs of one event could both store a key")
	}
	dead := two()
	dead.Keys = dead.Keys[:1]
	if first == token(desired(serial(2)), dead) || first == token(desired(serial(3)), one()) {
		t.Error("the next key could not be stored")
	}
}

func TestForeignEntitiesAreRefused(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*plan.Observed)
		says   string
	}{
		"user":             {func(o *plan.Observed) { o.User.Tags = nil }, "UserName: "},
		"another's user":   {func(o *plan.Observed) { o.User.Tags = ownerOf("Other").Tags(user) }, "UserName: "},
		"renamed user":     {func(o *plan.Observed) { o.User.Tags[name.TagPhysical] = "other" }, "UserName: "},
		"secret":           {func(o *plan.Observed) { o.Secret.Tags = nil }, "SecretName: "},
		"another's secret": {func(o *plan.Observed) { o.Secret.Tags = ownerOf("Other").Tags(user) }, "SecretName: "},
		"deleted secret":   {func(o *plan.Observed) { o.Secret.Tags, o.Secret.Deleted = nil, now }, "scheduled for deletion"},
	} {
		t.Run(what, func(t *testing.T) {
			seen := one()
			c.change(&seen)
			planned, err := plan.Converge(desired(), seen, now)
			var refused plan.Refused
			if !errors.As(err, &refused) || planned != nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "not touched") {
				t.Errorf("%v, %v", kinds(planned), err)
			}
		})
	}
	// The former user's secret passes on: it is this resource's, under another id.
	seen := one()
	seen.User, seen.Keys, seen.Policies = nil, nil, nil
	seen.Secret.Tags[name.TagPhysical] = "former"
	if got := steps(t, desired(), seen); !slices.Contains(got, "TagSecret") {
		t.Errorf("%v", got)
	}
}

func TestRemoveKillsAccessFirst(t *testing.T) {
	seen := two()
	want := []string{"DeleteKey A", "DeleteKey B", "DeletePolicy", "DeleteUser", "DeleteSecret"}
	if diff := cmp.Diff(want, kinds(plan.Remove(user, seen, []string{secret}))); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if left := plan.Remove(user, plan.Observed{}, nil); len(left) > 0 {
		t.Errorf("nothing is there, but %v", left)
	}
}

func TestSettledIsByTheSameRequestOnly(t *testing.T) {
	if !plan.Settled(desired(), one()) {
		t.Error("the same request is not recognised")
	}
	unfinished, foreign := one(), one()
	delete(unfinished.User.Tags, name.TagCompleted)
	foreign.User.Tags[name.TagLogical] = "Other"
	other := desired()
	other.RequestID = "other"
	if plan.Settled(desired(), unfinished) || plan.Settled(desired(), foreign) || plan.Settled(other, one()) || plan.Settled(desired(), plan.Observed{}) {
		t.Error("something else is taken for it")
	}
}
