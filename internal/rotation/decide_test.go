package rotation

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/keyring/keyringtest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/reasons"
)

var update = flag.Bool("update", false, "write testdata/refusals.golden again")

var scope = access.Scope{Source: true, Places: []access.Place{"one"}}

const function = "arn:aws:lambda:eu-west-1:123456789012:function:cloney-s3-credentials-rotator"

var resource = func() name.Owner {
	stack, err := name.ParseStackID("arn:aws:cloudformation:eu-west-1:123456789012:stack/migration/51af3dc0-da77-11e4-872e-1234567db123")
	if err != nil {
		panic(err)
	}
	return name.Owner{Stack: stack, Logical: "Source"}
}()

// found returns what a step finds: the user u with these keys and versions. The version vP
// is the rotation's; it holds the key P or no key.
func found(step Step, keys, versions string, changes ...func(*seen)) seen {
	documents, err := policy.Documents(name.MaxPolicies, scope, "aws", nil)
	if err != nil {
		panic(err)
	}
	s := seen{
		step: step, token: "vP", owner: resource, keys: keyringtest.Keys(keys), lastUse: map[string]access.LastUse{}, now: keyringtest.Now,
		user: &access.User{Name: "u", ARN: "arn:aws:iam::123456789012:user/cloney/eu-west-1/u", Tags: resource.Tags("u")},
		secret: access.SecretInfo{
			Name: "cloney/u", ARN: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cloney/u-AbCdEf", Tags: resource.Tags("u"),
			Versions: keyringtest.Versions(versions), Rotation: access.Rotation{On: true, Function: function},
		},
		policies: []access.Policy{{Name: "u-1", Document: documents[0].Text, Tags: resource.Tags("u")}},
	}
	s.user.Tags[name.TagCompleted] = "x"
	for _, change := range changes {
		change(&s)
	}
	return s
}

func labelled(label string) func(*seen) {
	return func(s *seen) {
		for i := range s.secret.Versions {
			if s.secret.Versions[i].ID == "vP" {
				s.secret.Versions[i].Labels = append(s.secret.Versions[i].Labels, label)
			}
		}
	}
}

func used(key string, days int) func(*seen) {
	return func(s *seen) {
		s.lastUse[key] = access.LastUse{Time: keyringtest.Ago(days), Service: "s3", Region: "eu-west-1"}
	}
}

// The decision of each step for what it finds. The golden file has the refusals.
func TestDecisions(t *testing.T) {
	const fresh, stored, done = "2:A=current P=pending", "2:A=current 2:P=pending", "2:A=previous 2:P=current"
	proven := labelled(name.ProvenLabel(keyring.Proof("P", scope)))
	for _, c := range []struct {
		what string
		seen seen
		does action
		free string // keys that go
	}{
		{"createSecret, a free place", found(CreateSecret, "A-30", fresh), mint, ""},
		{"createSecret, the previous key is unused", found(CreateSecret, "F-90 A-30", "2:F=previous 2:A=current P=pending", used("F", 20)), mint, "F"},
		{"createSecret, a key by hand that is unused", found(CreateSecret, "A-30 X-90", fresh), mint, "X"},
		{"createSecret, the previous key is deactivated", found(CreateSecret, "F-90-off A-30", "2:F=previous 2:A=current P=pending", used("F", 1)), mint, "F"},
		{"createSecret, the current key is deactivated", found(CreateSecret, "F-90 A-3-off", "1:F=previous 2:A=current P=pending", used("F", 1)), mint, "A"},
		{"createSecret, again", found(CreateSecret, "A-30 P-0", stored), nothing, ""},
		{"createSecret, its key does not exist", found(CreateSecret, "A-30", stored), discard, ""},
		{"createSecret, its key is current", found(CreateSecret, "A-30 P-0", done), nothing, ""},
		{"setSecret", found(SetSecret, "A-30 P-0", stored), nothing, ""},
		{"testSecret", found(TestSecret, "A-30 P-0", stored), prove, ""},
		{"testSecret, again", found(TestSecret, "A-30 P-0", stored, proven), nothing, ""},
		{"testSecret, proven for something else", found(TestSecret, "A-30 P-0", stored, labelled(name.ProvenLabel("x"))), prove, ""},
		{"testSecret, its key does not exist", found(TestSecret, "A-30", stored), discard, ""},
		{"testSecret alone, an empty version", found(TestSecret, "A-30", fresh), nothing, ""},
		{"testSecret alone, while the event that sets the schedule is at work", found(TestSecret, "A-30", fresh, func(s *seen) { delete(s.user.Tags, name.TagCompleted) }), nothing, ""},
		{"testSecret alone, the current version", found(TestSecret, "P-30", "2:P=current,pending"), nothing, ""},
		{"finishSecret", found(FinishSecret, "A-30 P-0", stored, proven), promote, ""},
		{"finishSecret, not proven", found(FinishSecret, "A-30 P-0", stored), promote, ""},
		{"finishSecret, its key does not exist", found(FinishSecret, "A-30", stored, proven), discard, ""},
		{"finishSecret, current and not announced", found(FinishSecret, "A-30 P-0", done, labelled(name.SinceLabel(keyringtest.Now))), announce, ""},
		{"finishSecret, current and announced", found(FinishSecret, "A-30 P-0", done, labelled(name.SinceLabel(keyringtest.Now)), labelled(name.AnnouncedLabel("P"))), nothing, ""},
		{"finishSecret, announced and still pending", found(FinishSecret, "A-30 P-0", "2:P=current,pending", labelled(name.SinceLabel(keyringtest.Now)), labelled(name.AnnouncedLabel("P"))), announce, ""},
		{"finishSecret, current by an event", found(FinishSecret, "A-30 P-0", done), nothing, ""},
	} {
		d, err := decide(c.seen)
		if err != nil || d.action != c.does {
			t.Errorf("%s: %s, %v", c.what, d.action, err)
		}
		var free []string
		for _, key := range d.free {
			free = append(free, key.ID)
		}
		if strings.Join(free, " ") != c.free {
			t.Errorf("%s: %v go", c.what, free)
		}
		if d.action == mint && d.serial != 2 {
			t.Errorf("%s: for Serial %d", c.what, d.serial)
		}
		if d.action == promote && d.proven != slices.ContainsFunc(c.seen.pending().Labels, func(l string) bool { return strings.Contains(l, "proven") }) {
			t.Errorf("%s: proven %t", c.what, d.proven)
		}
	}
	back, err := decide(found(CreateSecret, "F-90 A-3-off", "1:F=previous 2:A=current P=pending", used("F", 1)))
	if err != nil || back.back.ID != "vF" {
		t.Errorf("AWSCURRENT goes back to %q, %v", back.back.ID, err)
	}
}

func foreignTags(s *seen) { s.user.Tags[name.TagStack] = "x" }

// refusals are the situations in which a rotation cannot continue.
var refusals = []struct {
	what string
	seen seen
}{
	{"the user does not exist", found(CreateSecret, "", "2:A=current P=pending", func(s *seen) { s.user = nil })},
	{"the user has lost its tags", found(CreateSecret, "A-30", "2:A=current P=pending", foreignTags)},
	{"the user is incomplete", found(CreateSecret, "A-30", "2:A=current P=pending", func(s *seen) { delete(s.user.Tags, name.TagCompleted) })},
	{"somebody has stored a value by hand", found(CreateSecret, "A-30", "2:A=previous x=current P=pending")},
	{"the rotation's version holds something", found(CreateSecret, "A-30", "2:A=current P=pending", func(s *seen) { s.filled = true })},
	{"another boundary", found(CreateSecret, "A-30", "2:A=current P=pending", func(s *seen) { s.user.Boundary = access.Boundary{ARN: "arn:x", Ours: "arn:y"} })},
	{"no boundary", found(CreateSecret, "A-30", "2:A=current P=pending", func(s *seen) { s.user.Boundary = access.Boundary{Ours: "arn:y"} })},
	{"both places are in use", found(CreateSecret, "F-90 A-30", "2:F=previous 2:A=current P=pending", used("F", 1))},
	{"a key by hand is in use", found(CreateSecret, "X-90 A-30", "2:A=current P=pending", used("X", 1))},
	{"a key is being stored", found(CreateSecret, "X-0 A-30", "2:A=current P=pending")},
	{"no policy", found(TestSecret, "A-30 P-0", "2:A=current 2:P=pending", func(s *seen) { s.policies = nil })},
	{"a policy was changed", found(TestSecret, "A-30 P-0", "2:A=current 2:P=pending", func(s *seen) { s.policies[0].Document = "{}" })},
	{"a policy has lost its tags", found(TestSecret, "A-30 P-0", "2:A=current 2:P=pending", func(s *seen) { s.policies[0].Tags = nil })},
	{"testSecret alone, the current key does not exist", found(TestSecret, "", "2:A=current P=pending")},
	{"finishSecret before createSecret", found(FinishSecret, "A-30", "2:A=current P=pending")},
}

// A secret is this provider's if its name and all three tags say so: with any of them
// missing, its value is never read and its versions are not changed.
func TestWhoseASecretIs(t *testing.T) {
	for what, change := range map[string]func(*access.SecretInfo){
		"no stack":         func(s *access.SecretInfo) { delete(s.Tags, name.TagStack) },
		"no logical id":    func(s *access.SecretInfo) { delete(s.Tags, name.TagLogical) },
		"no user":          func(s *access.SecretInfo) { delete(s.Tags, name.TagPhysical) },
		"another path":     func(s *access.SecretInfo) { s.Name = "own/u" },
		"nothing is wrong": func(*access.SecretInfo) {},
	} {
		s := found(CreateSecret, "A-30", "2:A=current P=pending")
		s.secret.Tags = maps.Clone(s.secret.Tags)
		change(&s.secret)
		if _, ours := ownerOf(s.secret); ours != (what == "nothing is wrong") {
			t.Errorf("%s: ours: %t", what, ours)
		}
	}
}

// The golden file shows every sentence of the log and the notices.
func TestRefusals(t *testing.T) {
	const golden = "testdata/refusals.golden"
	var text strings.Builder
	show := func(what string, err error) {
		if err == nil {
			t.Errorf("%s: not refused", what)
			return
		}
		var refused Refused
		announced := ""
		if errors.As(err, &refused) && refused.announced {
			announced = " (announced)"
		}
		fmt.Fprintf(&text, "# %s%s\n%v\n\n", what, announced, err)
	}
	for _, c := range refusals {
		_, err := decide(c.seen)
		show(c.what, err)
	}
	event := Event{SecretID: "cloney/u", Token: "vP"}
	for _, c := range []struct {
		what   string
		change func(*seen)
	}{
		{"not ours", func(s *seen) { s.secret.Tags = nil }},
		{"another region", func(s *seen) { s.secret.ARN = strings.Replace(s.secret.ARN, "eu-west-1", "eu-west-2", 1) }},
		{"scheduled for deletion", func(s *seen) { s.secret.Deleted = keyringtest.Now }},
		{"not rotated", func(s *seen) { s.secret.Rotation.On = false }},
	} {
		s := found(CreateSecret, "A-30", "2:A=current P=pending", c.change)
		_, err := whose(s.secret, event, function)
		show(c.what, err)
	}
	show("no secret", noSecret(event))
	show("not pending", found(CreateSecret, "A-30", "2:A=current P=previous").checkNotEnded())
	s := found(TestSecret, "A-30", "2:A=current 2:P=pending")
	show("its key does not exist", s.discardDeleted("P").why)
	show("the proof of its key fails", s.again(testFailed, "P", errors.New("bucket one does not exist")))
	show("its version holds another key", s.again(holdsAnother, s.secret.Name))
	show("out of time", fmt.Errorf(outOfTime, "P", context.DeadlineExceeded))
	for _, sentence := range []string{notHere, notOurs, holdsOther} {
		show("a current key that is to be proven", fmt.Errorf(sentence, "cloney/u"))
	}
	for _, sentence := range []string{keyDeleted, keyInactive} {
		show("a current key that is to be proven", fmt.Errorf(sentence, "A", "cloney/u"))
	}
	for _, raw := range []string{`[]`, `{"Step":"x"}`, `{"Step":"setSecret"}`, `{"Step":"setSecret","SecretId":"cloney/u","ClientRequestToken":"x"}`} {
		_, err := ParseEvent([]byte(raw))
		show("the event "+raw, err)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	reasons.Read(t, golden, reasons.Sentences, ".")
}
