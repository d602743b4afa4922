package spec_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/spec"
)

const (
	ownKey  = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	awayKey = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

// noon is when the events of these tests were sent.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// limited are rules with each limit that is not a list of patterns.
func limited(t *testing.T) spec.Rules {
	given := rules(t)
	given.ClosedBuckets = spec.Patterns("cdk-*,aws-sam-cli-*")
	given.RequireSecretKMSKey, given.MaxDays, given.Now = true, 90, noon
	var err error
	if given.SourceCIDRs, err = spec.Ranges("203.0.113.0/24, 2001:db8::/32,192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	return given
}

func property(name, value string) string { return `"` + name + `": "` + value + `"` }

// What the owner's limits allow, above all values at the edge of a limit.
func TestWhatTheLimitsAllow(t *testing.T) {
	for _, key := range []string{ownKey, "alias/mine", "alias/awsome", "arn:aws:kms:eu-west-1:123456789012:alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab"} {
		text := with(property("SecretKmsKeyId", key) + "," + property("ExpiresAt", "2026-08-30T12:00:00Z"))
		if found := problems(t, text, limited(t)); found != nil {
			t.Errorf("%s: %v", key, found)
		}
	}
	for name, value := range map[string]string{
		"Buckets": "cdk,xcdk-a,aws-sam-cl", "SourceIps": "203.0.113.255,2001:db8::1,203.0.0.0/16,192.0.2.1", "ExpiresAt": "2026-06-01T12:00:01Z",
	} {
		given := properties(t, with(property("SecretKmsKeyId", ownKey)+","+property("ExpiresAt", "2026-08-30T12:00:00Z")))
		given[name] = value
		if _, err := spec.Parse(given, limited(t)); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// The owner has to allow KMS keys of other accounts. Another account is one that is not the
// secret's, and a pattern has to match the whole ARN.
func TestKeysOfOtherAccounts(t *testing.T) {
	for _, c := range []struct {
		account, keys, key string
		ok                 bool
	}{
		{"", "", ownKey, true},
		{"", "", awayKey, false},
		{"444455556666", "", awayKey, true},
		{"444455556666", "", ownKey, false},
		{"444455556666", "", "alias/x", true},
		{"", "arn:aws:kms:*:444455556666:key/*", awayKey, true},
		{"", "arn:aws:kms:eu-west-1:444455556666:key/*", awayKey, true},
		{"", "arn:aws:kms:us-east-1:444455556666:key/*", awayKey, false},
		{"", "arn:aws:kms:*:444455556666:key/mrk-*", awayKey, false},
		{"", awayKey[:len(awayKey)-1], awayKey, false},
		{"", "arn:aws:kms:*:555566667777:key/*," + awayKey, awayKey, true},
		{"", "arn:aws:kms:*:444455556666:key/*", "arn:aws:kms:eu-west-1:444455556666:alias/x", false},
		{"", "*", "arn:aws:kms:eu-west-1:444455556666:alias/x", true},
	} {
		given := rules(t)
		given.Account, given.SecretKMSKeys = c.account, spec.Patterns(c.keys)
		if found := problems(t, with(property("SecretKmsKeyId", c.key)), given); (found == nil) != c.ok {
			t.Errorf("%+v: %v", c, found)
		}
	}
}

const breaksEachLimit = `{"Access": "Source", "Buckets": ["data", "cdk-assets"], "SourceIps": ["203.0.113.7", "198.51.100.7"]}`

// The plan gets each limit that an Update exceeds, with the sentence with which a Create is
// refused.
func TestWhatAnUpdateBreaksOfTheLimits(t *testing.T) {
	updating := limited(t)
	updating.Update = true
	for text, want := range map[string][]spec.NotAllowed{
		breaksEachLimit: {{Property: "Buckets", Value: "cdk-assets"}, {Property: "SourceIps", Value: "198.51.100.7"}, {Property: "ExpiresAt"}, {Property: "SecretKmsKeyId"}},
		with(property("SecretKmsKeyId", awayKey) + "," + property("ExpiresAt", "2026-08-30 14:00:01.5+02:00")): {
			{Property: "ExpiresAt", Value: "2026-08-30T12:00:01Z"}, {Property: "SecretKmsKeyId", Value: awayKey},
		},
		with(property("SecretKmsKeyId", "alias/aws/secretsmanager") + "," + property("ExpiresAt", "2026-01-01T00:00:00Z")): {{Property: "SecretKmsKeyId", Value: "alias/aws/secretsmanager"}},
	} {
		got, err := spec.Parse(properties(t, text), updating)
		if err != nil {
			t.Fatal(err)
		}
		_, refused := spec.Parse(properties(t, text), limited(t))
		for i, n := range got.NotAllowed {
			if refused == nil || !strings.HasPrefix(n.Problem, n.Property) || !strings.Contains(refused.Error(), n.Problem) {
				t.Errorf("an Update says %q, and a Create %v", n.Problem, refused)
			}
			got.NotAllowed[i].Problem = ""
		}
		if diff := cmp.Diff(want, got.NotAllowed); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
}

// A property that is wrong in itself is not said to be missing as well.
func TestOneProblemForAProperty(t *testing.T) {
	for _, text := range []string{
		with(property("SecretKmsKeyId", ownKey) + `,"ExpiresAt": ["x"]`), with(property("ExpiresAt", "2026-08-30T12:00:00Z") + `,"SecretKmsKeyId": {}`),
		with(property("SecretKmsKeyId", ownKey) + "," + property("ExpiresAt", "2026-05-30T12:00:00Z")),
	} {
		if found := problems(t, text, limited(t)); len(found) != 1 {
			t.Errorf("%s: %v", text, found)
		}
	}
}

func TestRanges(t *testing.T) {
	got, err := spec.Ranges(" 203.0.113.9/24 ,2001:db8::1,, 198.51.100.0/25")
	var texts []string
	for _, prefix := range got {
		texts = append(texts, prefix.String())
	}
	if diff := cmp.Diff([]string{"203.0.113.0/24", "2001:db8::1/128", "198.51.100.0/25"}, texts); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	for _, list := range []string{"x", "203.0.113.0/33", "203.0.113.0/24,203.0.113", "fe80::1%eth0", "10.0.0.0/8", "0.0.0.0/0"} {
		if got, err := spec.Ranges(list); err == nil || got != nil || errors.Unwrap(err) != nil {
			t.Errorf("%s: %v", list, got)
		}
	}
	if got, err := spec.Ranges(""); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}
