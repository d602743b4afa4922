package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/keyring/keyringtest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

const (
	user   = "u"
	secret = name.SecretPrefix + user
)

var (
	now            = keyringtest.Now
	keys, versions = keyringtest.Keys, keyringtest.Versions
	owner          = ownerOf("Credentials")
)

func ownerOf(logical string) name.Owner {
	stack, err := name.ParseStackID("arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/51af3dc0-da77-11e4-872e-1234567db123")
	if err != nil {
		panic(err)
	}
	return name.Owner{Stack: stack, Logical: logical}
}

// event is one that was sent so many seconds before now, and delivered after
// some of them. "Update a" is its type and request.
func event(what string, sent, after int) order.Run {
	kind, request, _ := strings.Cut(what, " ")
	at := now.Add(-time.Duration(sent) * time.Second)
	return order.Run{Type: order.Type(kind), Request: request, Sent: at, Began: at.Add(time.Duration(after) * time.Second)}
}

// What a case wants, and what it sees, otherwise than the usual.
type (
	change = func(*plan.Desired)
	find   = func(*plan.Observed)
)

// create wants the user u with bucket "one", Serial 1.
func create(changes ...change) plan.Desired {
	d := plan.Desired{Owner: owner, Run: event("Create me", 0, 0), Spec: spec.Spec{
		Scope: access.Scope{Source: true, Places: []access.Place{"one"}}, UserName: user, SecretName: secret, Serial: 1, GraceDays: name.DefaultGraceDays, Verify: true,
	}}
	for _, change := range changes {
		change(&d)
	}
	return d
}

// update wants that of a resource that is there.
func update(changes ...change) plan.Desired {
	d := create()
	d.Run, d.PhysicalID, d.Old = event("Update me", 0, 0), user, plan.Old{UserName: user, SecretName: secret}
	for _, change := range changes {
		change(&d)
	}
	return d
}

func serial(n int) change        { return func(d *plan.Desired) { d.Spec.Serial = n } }
func moved(to string) change     { return func(d *plan.Desired) { d.Spec.SecretName = to } }
func kms(key string) change      { return func(d *plan.Desired) { d.Spec.KMSKey = key } }
func unverified(d *plan.Desired) { d.Spec.Verify = false }
func graced(days int) change     { return func(d *plan.Desired) { d.Spec.GraceDays = days } }
func scheduled(by string) change { return func(d *plan.Desired) { d.Spec.Schedule = by } }

// monthly is a schedule, and rotator the function that goes by it.
const (
	monthly = "rate(30 days)"
	rotator = "arn:aws:lambda:eu-west-1:123456789012:function:cloney-s3-credentials-rotator"
)

// rotates says that the secret is rotated by a schedule; empty: not any more.
func rotates(by string) find {
	return func(o *plan.Observed) {
		o.Secret.Rotation = access.Rotation{On: by != "", Schedule: by, Function: rotator, Ours: rotator}
	}
}

// labelled puts one more label on the version of a key.
func labelled(key, label string) find {
	return func(o *plan.Observed) {
		for i, v := range o.Secret.Versions {
			if keyring.KeyID(v) == key {
				o.Secret.Versions[i].Labels = append(v.Labels, label)
			}
		}
	}
}

func buckets(names ...access.Place) change {
	return func(d *plan.Desired) { d.Spec.Scope.Places = names }
}

// readers names them, as before.
func readers(arns ...string) change {
	return func(d *plan.Desired) { d.Spec.Readers, d.Old.Readers = arns, arns }
}

// renamed is a replacement: the user becomes another one, with a secret of that name.
func renamed(to, secret string) change {
	return func(d *plan.Desired) { d.Spec.UserName, d.Spec.SecretName = to, secret }
}

// rollback goes back to u from another user.
func rollback(from string) change { return func(d *plan.Desired) { d.Old.UserName = from } }

func tags(physical string, more ...string) map[string]string {
	tags := owner.Tags(physical)
	for i := 0; i < len(more); i += 2 {
		tags[more[i]] = more[i+1]
	}
	return tags
}

// Boundaries of users: the provider's, one of a provider before it, and one that
// somebody else has made.
const (
	account        = "arn:aws:iam::123456789012:"
	ourBoundary    = account + "policy/cloney-boundary/p-UserBoundary-1"
	formerBoundary = account + "policy/cloney-boundary/p-UserBoundary-0"
	otherBoundary  = account + "policy/org/boundary"
)

// bounded puts the user under a boundary; empty: none.
func bounded(arn string) find { return func(o *plan.Observed) { o.User.Boundary.ARN = arn } }

// aUser is one of the resource, incomplete.
func aUser(name string) *access.User {
	return &access.User{ID: "AIDA" + name, Name: name, ARN: account + "user/cloney/eu-west-1/" + name, Tags: tags(name), Boundary: access.Boundary{ARN: ourBoundary, Ours: ourBoundary}}
}

// finished is one that was completed with these properties and key.
func finished(user string, want plan.Desired, key string) *access.User {
	u := aUser(user)
	u.Tags[name.TagPolicies], u.Tags[name.TagCompleted] = "1", plan.CompletedTag(nil, want.Spec, key)
	return u
}

// one is the resource of create(), finished; its key A is 90 days old.
func one(changes ...find) plan.Observed { return with("A-90", "1:A=current", changes...) }

// two has had Serial 1 and has 2, for 30 days.
func two(changes ...find) plan.Observed {
	return with("A-90 B-30", "1:A=previous 2:B=current,latest", changes...)
}

// with is a finished resource with these keys, see package keyringtest.
func with(ofUser, ofSecret string, changes ...find) plan.Observed {
	info := access.SecretInfo{Name: secret, Tags: tags(user, name.TagPromoted, keyringtest.Ago(30).Format(time.RFC3339)), Versions: versions(ofSecret)}
	current, _ := info.Labelled(access.Current)
	seen := plan.Observed{
		User: finished(user, create(), keyring.KeyID(current)), Keys: keys(ofUser), LastUse: map[string]access.LastUse{},
		Policies: held(create()), Secret: &info,
	}
	for _, change := range changes {
		change(&seen)
	}
	return seen
}

// held are the policies of who was just made so.
func held(d plan.Desired) map[int]access.Policy {
	documents, err := policy.Documents(name.MaxPolicies, d.Spec.Scope, "aws", nil)
	if err != nil {
		panic(err)
	}
	held := map[int]access.Policy{}
	for _, document := range documents {
		held[document.Number] = access.Policy{Name: name.Policy(user, document.Number), ARN: "arn:" + name.Policy(user, document.Number), Document: document.Text, Tags: tags(user)}
	}
	return held
}

func used(key string, days int) find {
	return func(o *plan.Observed) { o.LastUse[key] = access.LastUse{Time: keyringtest.Ago(days)} }
}
func noUser(o *plan.Observed) { o.User, o.Keys, o.Policies = nil, nil, nil }

// aside says that the secret has an old name.
func aside(o *plan.Observed)    { o.Secret, o.OldSecrets = nil, []access.SecretInfo{*o.Secret} }
func noSecret(o *plan.Observed) { o.Secret = nil }
func halfMade(o *plan.Observed) { delete(o.User.Tags, name.TagCompleted) }

// other is the second user that an event is about, with its keys.
func other(user *access.User, ofUser string) find {
	return func(o *plan.Observed) { o.Other, o.OtherKeys = user, keys(ofUser) }
}

// passed says that the secret is another user's of the resource.
func passed(to string) find { return func(o *plan.Observed) { o.Secret.Tags[name.TagPhysical] = to } }

// marked are the marks on the user.
func marked(marks ...map[string]string) find {
	return func(o *plan.Observed) {
		for _, mark := range marks {
			maps.Copy(o.User.Tags, mark)
		}
	}
}

// lines prints a plan: each step with those of the earlier ones that it has to
// wait for, but for those that these wait for themselves.
func lines(tasks []plan.Task) string {
	var text strings.Builder
	for i, task := range tasks {
		fmt.Fprintf(&text, "%d %s%s", i, plan.Describe(task.Step), detail(task.Step))
		if direct := direct(tasks, i); len(direct) > 0 {
			fmt.Fprintf(&text, " (needs %s)", strings.Join(direct, ", "))
		}
		text.WriteString("\n")
	}
	return text.String()
}

func direct(tasks []plan.Task, i int) (needs []string) {
	for _, need := range tasks[i].Needs {
		if !slices.ContainsFunc(tasks[i].Needs, func(between int) bool { return between != need && before(tasks)[between][need] }) {
			needs = append(needs, fmt.Sprint(need))
		}
	}
	return needs
}

// before says of each task which ones are done before it begins.
func before(tasks []plan.Task) []map[int]bool {
	all := make([]map[int]bool, len(tasks))
	for i, task := range tasks {
		all[i] = map[int]bool{}
		for _, need := range task.Needs {
			all[i][need] = true
			maps.Copy(all[i], all[need])
		}
	}
	return all
}

// detail is what a step's own words leave out.
func detail(step plan.Step) string {
	named := func(set map[string]string, unset []string) string {
		keys := slices.Sorted(maps.Keys(set))
		for i := range keys {
			keys[i] += "=" + set[keys[i]]
		}
		for _, key := range unset {
			keys = append(keys, "no "+key)
		}
		return ": " + strings.Join(keys, ", ")
	}
	switch s := step.(type) {
	case plan.TagUser:
		return named(s.Set, s.Unset)
	case plan.TagPolicy:
		return named(s.Set, s.Unset)
	case plan.TagSecret:
		return named(s.Set, s.Unset)
	case plan.PutResourcePolicy:
		return ": " + brief(s.Readers) + map[bool]string{true: ", whoever is gone"}[s.Tolerant]
	case plan.RekeySecret:
		return " to " + s.KMSKey + map[bool]string{true: ", if it is there"}[s.Tolerant]
	case plan.CopyVersions:
		return fmt.Sprintf(": %d versions", len(s.Versions))
	case plan.Mint:
		return fmt.Sprintf(" for Serial %d", s.Serial) + map[bool]string{true: ", current at once"}[s.First]
	case plan.Prove:
		return ": " + which(s.Version)
	case plan.Schedule:
		return ": " + s.Expression + map[bool]string{true: ", if Secrets Manager takes it"}[s.Tolerant]
	case plan.Unlabel:
		if !strings.HasPrefix(s.Label, name.TagPrefix+"serial:") {
			return ": " + s.Label
		}
	case plan.Promote:
		return fmt.Sprintf(": %s after %s", which(s.Version), s.From) + map[bool]string{true: ", and note when"}[s.Note]
	}
	return ""
}

func which(version string) string {
	if version == "" {
		return "the new one"
	}
	return version
}

// brief are the last words of ARNs.
func brief(arns []string) string {
	var words []string
	for _, arn := range arns {
		words = append(words, arn[strings.LastIndex(arn, "/")+1:])
	}
	return strings.Join(words, " ")
}
