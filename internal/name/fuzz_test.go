package name_test

import (
	"regexp"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/name"
)

// What AWS takes, in its own words.
var (
	logicalRule = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)
	userRule    = regexp.MustCompile(`^[A-Za-z0-9_+=.@-]{1,64}$`) // also as the value of a tag
	policyRule  = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,128}$`)
	secretRule  = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	tagRule     = regexp.MustCompile(`^[A-Za-z0-9_.:/=+@ -]{0,256}$`)
	tokenRule   = regexp.MustCompile(`^[A-Za-z0-9-]{32,64}$`)
	// A secret whose name ends so cannot be told from another one's ARN.
	arnRule = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
)

// FuzzNames: whatever an event or an account calls things, the names that we
// give fit AWS's bounds and are the same every time, and what is read back is
// what was written and nothing else.
func FuzzNames(f *testing.F) {
	f.Add(stackID, "SourceCredentials", "migration-SourceCredentials-llenfpwg2yik-1", "cloney:serial:2:AKIAEXAMPLE", 2)
	f.Add("arn:aws-iso-b:cloudformation:us-isob-east-1:000000000000:stack/"+strings.Repeat("s", 128)+"/1", strings.Repeat("L", 255), "u-01", "cloney:serial:01:K", 10)
	f.Add("arn:aws:cloudformation:eu-west-1:123456789012:stack/a/b/c", "é", "-1", "cloney:serial::", -1)
	f.Add("arn:aws-:cloudformation:xx--1:123456789012:stack/a/b\n", "", "x-+1", "cloney:serial:+1:K", 0)
	f.Add("\x00", "\xff", "x-18446744073709551617", "cloney:serial:1:a:b", 11)
	f.Fuzz(func(t *testing.T, id, logical, policy, label string, n int) {
		stack := parsed(t, id)
		if stack.ID != "" && logicalRule.MatchString(logical) {
			given(t, name.Owner{Stack: stack, Logical: logical})
		}
		numbered(t, logical, policy, n)
		labelled(t, label, policy, n)
		if token := name.Token(id, logical); !tokenRule.MatchString(token) || token != name.Token(id, logical) {
			t.Errorf("token %q", token)
		}
	})
}

// parsed asks that a stack is all of its id or nothing.
func parsed(t *testing.T, id string) name.Stack {
	stack, err := name.ParseStackID(id)
	if again, _ := name.ParseStackID(id); again != stack {
		t.Errorf("%q: %+v, then %+v", id, stack, again)
	}
	if err != nil {
		if stack != (name.Stack{}) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v with %v", id, stack, err)
		}
		return stack
	}
	prefix := "arn:" + stack.Partition + ":cloudformation:" + stack.Region + ":" + stack.Account + ":stack/" + stack.Name + "/"
	if stack.ID != id || !strings.HasPrefix(id, prefix) || len(stack.Account) != 12 || !tagRule.MatchString(id) {
		t.Errorf("%q: %+v", id, stack)
	}
	return stack
}

// given asks for names that AWS takes, of this resource alone.
func given(t *testing.T, o name.Owner) {
	user := o.User()
	if user != o.User() || !userRule.MatchString(user) || !name.IsUser(user) || arnRule.MatchString(user) {
		t.Errorf("%+v: user %q", o, user)
	}
	if secret := name.Secret(user); !secretRule.MatchString(secret) || !strings.HasPrefix(secret, name.SecretPrefix) || arnRule.MatchString(secret) {
		t.Errorf("%+v: secret %q", o, secret)
	}
	other := name.Owner{Stack: o.Stack, Logical: o.Logical + "x"}
	if strings.EqualFold(user, other.User()) {
		t.Errorf("%s and %s share user %q", o.Logical, other.Logical, user)
	}
	for tag, value := range o.Tags(user) {
		if !strings.HasPrefix(tag, name.TagPrefix) || !tagRule.MatchString(value) {
			t.Errorf("tag %s: %q", tag, value)
		}
	}
	if tags := o.Tags(user); !o.OwnsAs(user, tags) || other.Owns(tags) || o.OwnsAs(user+"x", tags) {
		t.Errorf("%+v: tags %v", o, tags)
	}
}

// numbered asks that a policy has a number exactly if we would call it so.
func numbered(t *testing.T, user, policy string, n int) {
	if number, ok := name.PolicyNumber(user, policy); ok && (number < 1 || number > name.MaxPolicyNumber || name.Policy(user, number) != policy) {
		t.Errorf("%q of %q counts as number %d", policy, user, number)
	}
	number, ok := name.PolicyNumber(user, name.Policy(user, n))
	if ours := n >= 1 && n <= name.MaxPolicyNumber; ok != ours || ours && number != n {
		t.Errorf("policy %d of %q came back as %d, %v", n, user, number, ok)
	}
	if name.IsUser(user) != userRule.MatchString(user) {
		t.Errorf("user %q: %v", user, name.IsUser(user))
	}
	if name.IsUser(user) && ok && !policyRule.MatchString(name.Policy(user, n)) {
		t.Errorf("policy %q", name.Policy(user, n))
	}
}

// labelled asks that a label says a Serial and a key exactly if we wrote it.
func labelled(t *testing.T, label, key string, n int) {
	if serial, keyID, ok := name.ParseKeyLabel(label); ok && name.KeyLabel(serial, keyID) != label {
		t.Errorf("%q is read as %q", label, name.KeyLabel(serial, keyID))
	}
	serial, keyID, ok := name.ParseKeyLabel(name.KeyLabel(n, key))
	if ours := n >= 1 && key != ""; ok != ours || ours && (serial != n || keyID != key) {
		t.Errorf("%d, %q came back as %d, %q, %v", n, key, serial, keyID, ok)
	}
}
