package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring/keyringtest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/reasons"
	"cloney-s3-credentials/internal/spec"
)

// refusals are situations in which nothing can be done, and what the stack owner
// reads then is in testdata/refusals.golden.
var refusals = []struct {
	what string
	want plan.Desired
	seen plan.Observed
}{
	{"Create: a user of nobody", create(), one(func(o *plan.Observed) { o.User.Tags = nil })},
	{"Update: the user's tags were taken off", update(), one(func(o *plan.Observed) { o.User.Tags, o.User.ARN = nil, pathARN })},
	{"Update: one of its tags was taken off", update(), one(func(o *plan.Observed) { delete(o.User.Tags, name.TagLogical); o.User.ARN = pathARN })},
	{"Update: another UserName, and the former user's tags were taken off", update(renamed("new", secret)), one(noUser, noSecret, func(o *plan.Observed) {
		o.LostUser = &access.User{Name: user}
	})},
	{"Update: another SecretName, and the former secret's tags were taken off", update(moved("cloney/b")), one(noSecret, func(o *plan.Observed) {
		o.Lost = []access.SecretInfo{{Name: secret}}
	})},
	{"Create: a sibling's user", create(), one(func(o *plan.Observed) { o.User.Tags = ownerOf("Other").Tags(user) })},
	{"Create: a user of another stack", create(), one(func(o *plan.Observed) { o.User.Tags = elsewhere().Tags(user) })},
	{"Update: ours under another name", update(), one(func(o *plan.Observed) { o.User.Tags[name.TagPhysical] = "x" })},
	{"Create: a secret of nobody", create(), one(noUser, func(o *plan.Observed) { o.Secret.Tags = nil })},
	{"Update: the secret's tags were taken off", update(), one(func(o *plan.Observed) { o.Secret.Tags = nil })},
	{"Create: a secret of another stack", create(), one(noUser, func(o *plan.Observed) { o.Secret.Tags = elsewhere().Tags(user) })},
	{"Create: a stranger's secret was deleted", create(), one(noUser, func(o *plan.Observed) { o.Secret.Tags, o.Secret.Deleted = nil, now })},
	{"Update: an attached policy of a sibling", update(), one(func(o *plan.Observed) {
		existing := o.Policies[1]
		existing.Tags = ownerOf("Other").Tags(user)
		o.Policies[1] = existing
	})},
	{"Update: the replaced key was used yesterday", update(serial(3)), two(yesterday("A"))},
	{"Update: the replaced key was replaced lately, and not used", update(serial(3)), with("A-90 B-3", "1:A=previous 2:B=current")},
	{"Update: the same, and only its proof used it", update(serial(3)), with("A-90 B-3", "1:A=previous 2:B=current", used("A", 90))},
	{"Update: a key made by hand is in use", update(serial(2)), with("A-90 X-9", "1:A=current", yesterday("X"))},
	{"Update: a rotation has not finished", update(serial(2)), with("A-90 B-0", "1:A=current 1:B=pending")},
	{"Update: the same, in a former secret", update(serial(2), moved("cloney/b")), with("A-90 B-0", "1:A=current 1:B=pending", aside)},
	{"Update: another schedule, in the middle of a rotation", update(scheduled("rate(1 day)")), halfDone()},
	{"Update: a new key under somebody else's boundary", update(serial(2)), one(bounded(otherBoundary))},
	{"Update: or in place of one that is gone", update(), with("", "1:A=current", bounded(otherBoundary))},
	{"Update: one more policy under somebody else's boundary", update(buckets(many()...)), one(bounded(otherBoundary))},
	{"Update: a bucket that is not allowed", update(func(d *plan.Desired) {
		d.Spec.Scope.Places = []access.Place{"two"}
		d.Spec.NotAllowed = notAllowed("Buckets", "two")
	}), one()},
	{"Update: more readers than fit", update(func(d *plan.Desired) { d.Spec.Readers = crowd() }), one()},
	{"Update: more buckets than fit", update(buckets(append(many(), lots()...)...)), one()},
	{"Update: the secret takes no new key", update(serial(2)), one(locked(secret))},
	{"Update: the key is in a former secret that cannot be read", update(moved("cloney/b")), one(aside, locked(secret))},
}

// pathARN is the user's, on the provider's path.
const pathARN = "arn:aws:iam::123456789012:user/cloney/eu-west-1/" + user

// elsewhere is the resource of another stack.
func elsewhere() name.Owner {
	other := ownerOf("Theirs")
	other.Stack.ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/migration/9c1e2d3f-da77-11e4-872e-1234567db123"
	return other
}

func yesterday(key string) find {
	return func(o *plan.Observed) {
		o.LastUse[key] = access.LastUse{Time: keyringtest.Ago(1), Service: "s3", Region: "eu-west-1"}
	}
}

func crowd() (readers []string) {
	for n := range 600 {
		readers = append(readers, fmt.Sprintf("arn:aws:iam::123456789012:role/reader-%04d", n))
	}
	return readers
}

// What cannot be done is refused in a sentence, before anything is done. Every
// sentence that this package can say is in the file, to be read against the
// contract: whose fault it is, and what to do that makes nothing less safe.
func TestRefused(t *testing.T) {
	var text strings.Builder
	say := func(what string, err error) {
		var refused plan.Refused
		var tooMany policy.TooManyError
		if !errors.As(err, &refused) && !errors.As(err, &tooMany) {
			t.Errorf("%s: %v", what, err)
		}
		fmt.Fprintf(&text, "# %s\n%v\n\n", what, err)
	}
	for _, c := range refusals {
		tasks, err := plan.Converge(c.want, c.seen, now)
		if tasks != nil {
			t.Errorf("%s:\n%s", c.what, lines(tasks))
		}
		say(c.what, err)
	}
	_, _, err := plan.Admit(create(), one(), false)
	say("Create: the user of this very resource was retained", err)
	late := update()
	late.Run = event("Update me", 50, 49)
	_, _, err = plan.Admit(late, one(noUser, noSecret), true)
	say("Update: late, and all was deleted", err)
	say("Delete: the user's tags were taken off", plan.LostUser(owner, user))
	golden(t, "testdata/refusals.golden", text.String())
	reasons.Read(t, "testdata/refusals.golden", reasons.Sentences, ".", "../keyring")
	// What needs no new key and no further policy goes on, and the limit stays.
	tasks, err := plan.Converge(update(buckets("two")), one(bounded(otherBoundary)), now)
	if err != nil || strings.Contains(lines(tasks), "boundary") {
		t.Errorf("%v\n%s", err, lines(tasks))
	}
}

// A boundary that may be meant to limit a user is never replaced, one of ours is.
func TestWhoseABoundaryIs(t *testing.T) {
	for carries, others := range map[string]bool{
		ourBoundary: false, "": false, formerBoundary: false,
		account + "policy/cloney-boundary/quarantine": true,
		otherBoundary: true, "arn:aws:iam::aws:policy/cloney-boundary/x": true, "arn:aws:iam::210987654321:policy/cloney-boundary/x": true,
		account + "policy/cloney/eu-west-1/u-1": true, account + "policy/org/cloney-boundary/x": true,
	} {
		seen := one(bounded(carries))
		if plan.LimitedByOthers(*seen.User) != others {
			t.Errorf("%q", carries)
		}
	}
}

// What was there before the account's owner narrowed a list stays, and a stack can go
// back to it.
func TestWhatIsNotAllowedAnyMore(t *testing.T) {
	back := update(buckets("two"))
	reader := func(d *plan.Desired) {
		d.Spec.Readers, d.Spec.NotAllowed = []string{a}, notAllowed("SecretReaders", a)
	}
	for what, c := range map[string]struct {
		want plan.Desired
		seen plan.Observed
		ok   bool
	}{
		"a bucket that the user has": {update(func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("Buckets", "one") }), one(), true},
		"a part of it":               {update(buckets("one/in"), func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("Buckets", "one/in") }), one(), true},
		"more than it has": {update(func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("Buckets", "one") }), one(func(o *plan.Observed) {
			in := create(buckets("one/in"))
			o.Policies, o.User = held(in), finished(user, in, "A")
		}), false},
		"a bucket that it never had":                {update(buckets("two"), func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("Buckets", "two") }), one(), false},
		"a bucket that it had before":               {update(buckets("two"), func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("Buckets", "two") }), one(func(o *plan.Observed) { o.User = finished(user, back, "A") }), true},
		"a reader of the secret":                    {update(reader), one(func(o *plan.Observed) { o.ResourcePolicy = policy.Readers([]string{a}) }), true},
		"a reader that it never had":                {update(reader), one(func(o *plan.Observed) { o.ResourcePolicy = policy.Readers([]string{b}) }), false},
		"a reader that it had before":               {update(reader), one(func(o *plan.Observed) { o.User = finished(user, update(reader), "A") }), true},
		"a bucket that is closed now, and was had":  {update(func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("Buckets", "one") }), one(), true},
		"no end, as before":                         {update(buckets("one", "two"), lacks("ExpiresAt")), one(), true},
		"no end any more":                           {update(lacks("ExpiresAt")), one(ends(2030)), false},
		"no end any more, as before that":           {update(lacks("ExpiresAt")), one(ends(2030), remembers(create())), true},
		"the same end":                              {update(buckets("one", "two"), until(2030)), one(ends(2030)), true},
		"a later end":                               {update(until(2031)), one(ends(2030)), false},
		"an end, and there was none":                {update(until(2031)), one(), false},
		"no end of one whose policies are gone":     {update(buckets("two"), lacks("ExpiresAt")), one(func(o *plan.Observed) { o.Policies = nil }), false},
		"no end, where the policy is a stranger's":  {update(buckets("two"), lacks("ExpiresAt")), one(func(o *plan.Observed) { o.Policies = map[int]access.Policy{1: {Document: "{}"}} }), false},
		"the same addresses":                        {update(buckets("one", "two"), from("203.0.113.7")), one(onlyFrom("203.0.113.7")), true},
		"other addresses":                           {update(from("203.0.113.8")), one(onlyFrom("203.0.113.7")), false},
		"addresses, and there were none":            {update(from("203.0.113.8")), one(), false},
		"the same KMS key":                          {update(buckets("two"), encrypted("alias/x")), one(encryptedWith("alias/x")), true},
		"the same KMS key, for a secret that moves": {update(moved("cloney/b"), encrypted("alias/x")), one(aside, func(o *plan.Observed) { o.OldSecrets[0].Tags[name.TagKMSKey] = "alias/x" }), true},
		"another KMS key":                           {update(encrypted("alias/x")), one(encryptedWith("alias/y")), false},
		"a KMS key, and there was none":             {update(encrypted("alias/x")), one(), false},
		"no KMS key, as before":                     {update(buckets("two"), lacks("SecretKmsKeyId")), one(), true},
		"no KMS key any more":                       {update(buckets("two"), lacks("SecretKmsKeyId")), one(encryptedWith("alias/y")), false},
		"no KMS key of a secret that is gone":       {update(buckets("two"), lacks("SecretKmsKeyId")), one(noSecret), false},
		"what no plan knows": {update(func(d *plan.Desired) {
			d.Spec.Scope.Owner = "210987654321"
			d.Spec.NotAllowed = notAllowed("BucketOwner", "210987654321")
		}), one(), false},
		"one of two":                       {update(from("203.0.113.8"), func(d *plan.Desired) { d.Spec.NotAllowed = append(d.Spec.NotAllowed, notAllowed("Buckets", "one")...) }), one(), false},
		"who was made anew has no history": {update(func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed("Buckets", "one") }), one(noUser), false},
	} {
		if tasks, err := plan.Converge(c.want, c.seen, now); (err == nil) != c.ok || err != nil && tasks != nil {
			t.Errorf("%s: %v\n%s", what, err, lines(tasks))
		}
	}
}

// lacks says that the owner asks for a property that the stack does not declare.
func lacks(property string) change {
	return func(d *plan.Desired) { d.Spec.NotAllowed = notAllowed(property, "") }
}

func newYear(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }

// until declares an end that the owner does not allow, from addresses, encrypted a
// KMS key.
func until(year int) change {
	return func(d *plan.Desired) {
		d.Spec.Scope.ExpiresAt = newYear(year)
		d.Spec.NotAllowed = notAllowed("ExpiresAt", newYear(year).Format(time.RFC3339))
	}
}

func from(address string) change {
	return func(d *plan.Desired) {
		d.Spec.Scope.SourceIPs, d.Spec.NotAllowed = []string{address}, notAllowed("SourceIps", address)
	}
}

func encrypted(key string) change {
	return func(d *plan.Desired) { d.Spec.KMSKey, d.Spec.NotAllowed = key, notAllowed("SecretKmsKeyId", key) }
}

// ends, onlyFrom and encryptedWith say that it stands so, and has never been
// otherwise; remembers that the user has been so before.
func ends(year int) find {
	return stood(func(d *plan.Desired) { d.Spec.Scope.ExpiresAt = newYear(year) })
}

func onlyFrom(address string) find {
	return stood(func(d *plan.Desired) { d.Spec.Scope.SourceIPs = []string{address} })
}

func encryptedWith(key string) find {
	return func(o *plan.Observed) {
		stood(func(d *plan.Desired) { d.Spec.KMSKey = key })(o)
		o.Secret.Tags[name.TagKMSKey] = key
	}
}

func stood(so change) find {
	return func(o *plan.Observed) { o.Policies, o.User = held(create(so)), finished(user, create(so), "A") }
}

func remembers(d plan.Desired) find {
	return func(o *plan.Observed) {
		o.User.Tags[name.TagCompleted] = plan.CompletedTag(strings.Fields(o.User.Tags[name.TagCompleted]), d.Spec, "A")
	}
}

// locked are secrets whose values could not be stored or read.
func locked(secrets ...string) find {
	return func(o *plan.Observed) {
		o.Locked = map[string]string{}
		for _, secret := range secrets {
			o.Locked[secret] = "(why the secret " + secret + " is locked)"
		}
	}
}

// A new Serial needs nothing of a secret that cannot be read, and neither does what
// needs no new key.
func TestWhatNeedsNothingOfALockedSecret(t *testing.T) {
	for what, c := range map[string]struct {
		want plan.Desired
		seen plan.Observed
	}{
		"a new Serial":         {update(moved("cloney/b"), serial(2)), one(aside, locked(secret))},
		"the same key":         {update(buckets("two")), one(locked(secret))},
		"it is here too":       {update(moved(secret)), one(func(o *plan.Observed) { o.OldSecrets = []access.SecretInfo{*o.Secret} }, locked("cloney/b"))},
		"a key that is gone":   {update(moved("cloney/b")), with("", "1:A=current", aside, locked(secret))},
		"what an earlier said": {update(moved("cloney/b"), serial(2)), one(aside, func(o *plan.Observed) { o.OldSecrets[0].Tags[name.TagLocked] = "true" })},
	} {
		for _, step := range steps(t, c.want, c.seen) {
			if copies, is := step.(plan.CopyVersions); is {
				t.Errorf("%s: reads %s", what, copies.From)
			}
		}
	}
}

func notAllowed(property, value string) []spec.NotAllowed {
	return []spec.NotAllowed{{Property: property, Value: value, Problem: "not one of AllowedBuckets"}}
}

func lots() (places []access.Place) {
	for n := range 2000 {
		places = append(places, access.Place(fmt.Sprintf("lots-%04d-%s", n, strings.Repeat("x", 40))))
	}
	return places
}
