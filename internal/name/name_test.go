package name_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/name"
)

const stackID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/migration/51af3dc0-da77-11e4-872e-1234567db123"

func owner(t *testing.T, stackName, logical string) name.Owner {
	t.Helper()
	stack, err := name.ParseStackID(strings.Replace(stackID, "migration", stackName, 1))
	if err != nil {
		t.Fatal(err)
	}
	return name.Owner{Stack: stack, Logical: logical}
}

// A released version must never name users otherwise: every stack would have
// its users replaced.
func TestUserNamesNeverChange(t *testing.T) {
	for _, c := range []struct{ stack, logical, want string }{
		{"migration", "SourceCredentials", "migration-SourceCredentials-llenfpwg2yik"},
		{strings.Repeat("s", 128), "Key", strings.Repeat("s", 47) + "-Key-"},
		{"s", strings.Repeat("L", 255), "s-" + strings.Repeat("L", 49) + "-"},
		{strings.Repeat("s", 128), strings.Repeat("L", 255), strings.Repeat("s", 25) + "-" + strings.Repeat("L", 25) + "-"},
	} {
		got := owner(t, c.stack, c.logical).User()
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%.10s, %.10s: %q, want %q…", c.stack, c.logical, got, c.want)
		}
		if !name.IsUser(got) || len(got) > name.MaxUser {
			t.Errorf("%q is not a user name", got)
		}
		if regexp.MustCompile(`-[A-Za-z0-9]{6}$`).MatchString(got) {
			t.Errorf("%q ends like a secret's ARN", got)
		}
	}
}

func TestUserNamesDifferWhereStacksDo(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{
		stackID,
		strings.Replace(stackID, "eu-west-1", "eu-west-2", 1),
		strings.Replace(stackID, "12345678901", "22345678901", 1),
		strings.Replace(stackID, "db123", "db124", 1),
	} {
		stack, err := name.ParseStackID(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, logical := range []string{"A", "B", "a"} {
			user := strings.ToLower(name.Owner{Stack: stack, Logical: logical}.User())
			if other, taken := seen[user]; taken {
				t.Errorf("%s/%s and %s share %s", id, logical, other, user)
			}
			seen[user] = id + "/" + logical
		}
	}
}

// IAM's users are one space for all regions of an account. Of a stack set's
// instances the readable parts are the same there, once the set's or the logical id
// is long enough for the UUID to be cut off. The hash alone tells them apart: it
// covers the region, and the UUID, which is another one when a stack is created again.
func TestTheHashTellsTheRegionsOfAStackSetApart(t *testing.T) {
	const set, uuid, again = "cloney-source-of-the-department", "6e84f2e0-f223-11e4-872e-1234567db123", "7f95a3f1-f223-11e4-872e-1234567db123"
	id := func(region, uuid string) string {
		return "arn:aws:cloudformation:" + region + ":123456789012:stack/StackSet-" + set + "-" + uuid + "/" + uuid
	}
	readable, hashes := map[string]bool{}, map[string]bool{}
	for _, id := range []string{id("eu-west-1", uuid), id("eu-west-2", uuid), id("eu-west-1", again)} {
		stack, err := name.ParseStackID(id)
		if err != nil {
			t.Fatal(err)
		}
		user := name.Owner{Stack: stack, Logical: "SourceCredentials"}.User()
		end := strings.LastIndex(user, "-")
		readable[user[:end]], hashes[strings.ToLower(user[end:])] = true, true
	}
	if len(readable) != 1 || len(hashes) != 3 {
		t.Errorf("readable parts %v, hashes %v", readable, hashes)
	}
}

func TestParseStackID(t *testing.T) {
	for id, want := range map[string]name.Stack{
		stackID: {Partition: "aws", Region: "eu-west-1", Account: "123456789012", Name: "migration"},
		"arn:aws-us-gov:cloudformation:us-gov-west-1:000000000000:stack/A/1":   {Partition: "aws-us-gov", Region: "us-gov-west-1", Account: "000000000000", Name: "A"},
		"arn:aws-eusc:cloudformation:eusc-de-east-1:000000000000:stack/A/1":    {Partition: "aws-eusc", Region: "eusc-de-east-1", Account: "000000000000", Name: "A"},
		"arn:aws-iso-b:cloudformation:us-isob-east-1:000000000000:stack/A-b/1": {Partition: "aws-iso-b", Region: "us-isob-east-1", Account: "000000000000", Name: "A-b"},
	} {
		want.ID = id
		if got, err := name.ParseStackID(id); err != nil || got != want {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	for _, id := range []string{
		"", "arn", strings.Replace(stackID, ":stack/", ":changeSet/", 1), stackID + "\n", stackID + "/x", "x" + stackID,
		strings.Replace(stackID, "eu-west-1", "", 1), strings.Replace(stackID, "eu-west-1", "evil.example/", 1),
		strings.Replace(stackID, "migration", "a/b", 1), strings.Replace(stackID, "migration", strings.Repeat("a", 129), 1),
		strings.Replace(stackID, "123456789012", "12345678901", 1), strings.Replace(stackID, "51af3dc0-da77-11e4-872e-1234567db123", strings.Repeat("a", 65), 1),
	} {
		if got, err := name.ParseStackID(id); err == nil || got != (name.Stack{}) {
			t.Errorf("%q: %+v, %v", id, got, err)
		}
	}
}

func TestOwnership(t *testing.T) {
	mine := owner(t, "migration", "Source")
	tags := mine.Tags("user")
	if !mine.Owns(tags) || !mine.OwnsAs("user", tags) {
		t.Error("own tags are not recognised")
	}
	for _, other := range []name.Owner{owner(t, "migration", "Other"), owner(t, "other", "Source"), {}} {
		if other.Owns(tags) {
			t.Errorf("%+v owns another's", other)
		}
	}
	if mine.OwnsAs("former", tags) || mine.Owns(nil) || (name.Owner{}).Owns(nil) {
		t.Error("owns what is not its own")
	}
}

func TestPolicyNumbers(t *testing.T) {
	for n := 1; n <= name.MaxPolicyNumber; n++ {
		if got, ok := name.PolicyNumber("u-1", name.Policy("u-1", n)); !ok || got != n {
			t.Errorf("%d came back as %d, %v", n, got, ok)
		}
	}
	for _, other := range []string{"u-1", "u-1-0", "u-1-11", "u-1-01", "u-1-+1", "u-1-x", "u-1-1-1", "U-1-1", ""} {
		if _, ok := name.PolicyNumber("u-1", other); ok {
			t.Errorf("%q counts as ours", other)
		}
	}
}

func TestKeyLabels(t *testing.T) {
	serial, key, ok := name.ParseKeyLabel(name.KeyLabel(12, "AKIA1"))
	if !ok || serial != 12 || key != "AKIA1" {
		t.Errorf("%d %s %v", serial, key, ok)
	}
	for _, other := range []string{"AWSCURRENT", "cloney:serial:", "cloney:serial:1", "cloney:serial:1:", "cloney:serial:0:K", "cloney:serial:x:K", "cloney:serial:01:K", "cloney:serial:+1:K"} {
		if _, _, ok := name.ParseKeyLabel(other); ok {
			t.Errorf("%q counts as ours", other)
		}
	}
}

func TestTokens(t *testing.T) {
	a := name.Token("a", "b")
	if len(a) != 36 || a != name.Token("a", "b") || a == name.Token("ab", "") || a == name.Token("a\x00b", "c") {
		t.Errorf("token %q", a)
	}
}

// The ids of Creates that failed can be no user's, and one of them is read back.
func TestIDsOfCreatesThatFailed(t *testing.T) {
	notCreated, maybeCreated := name.NotCreated("u-1"), name.MaybeCreated("0a1b2c", "u-1")
	if name.IsUser(notCreated) || name.IsUser(maybeCreated) {
		t.Errorf("%s or %s could be a user", notCreated, maybeCreated)
	}
	if event, user, ok := name.ParseMaybeCreated(maybeCreated); !ok || event != "0a1b2c" || user != "u-1" {
		t.Errorf("%s came back as %q, %q, %v", maybeCreated, event, user, ok)
	}
	for _, other := range []string{notCreated, "u-1", "not-finished:", "not-finished:u-1", "not-finished::u-1", "", "x-not-finished:0a:u"} {
		if event, user, ok := name.ParseMaybeCreated(other); ok {
			t.Errorf("%q is read as %q, %q", other, event, user)
		}
	}
}

// A name of up to 512 characters is kept in tags whose values hold 256.
func TestSecretsAreRemembered(t *testing.T) {
	tags := map[string]string{"cloney:policies": "1"}
	want := []string{"cloney/a", "cloney/" + strings.Repeat("b", 249), "cloney/" + strings.Repeat("b", 250), "cloney/" + strings.Repeat("c", 505)}
	for _, secret := range want {
		for key, value := range name.RememberSecret(secret) {
			if len(value) > 256 || len(key) > 128 {
				t.Errorf("AWS takes no tag %s with %d characters", key, len(value))
			}
			tags[key] = value
		}
	}
	if got := name.RememberedSecrets(tags); !slices.Equal(got, want) {
		t.Errorf("came back as %q", got)
	}
}
