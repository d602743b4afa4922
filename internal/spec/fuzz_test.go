package spec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/spec"
)

// FuzzParse: any properties give either the zero Spec and problems that fit a response, or a
// Spec that AWS accepts and that agrees with Peek.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"Access": "Source", "Buckets": ["data"]}`,
		`{"Access": "Source,Destination", "Buckets": "data, arn:aws:s3:::logs,data/"}`,
		`{"Access": ["Destination"], "Buckets": ["data"], "UserName": "x", "SecretName": "cloney/y", "Serial": 2, "Verify": "FALSE"}`,
		`{"Access": "Source", "Buckets": "data", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "A", "Value": "b"}]}`,
		`{"Access": "Source", "Buckets": "data", "SecretKmsKeyId": "alias/x", "ServiceTimeout": "330"}`,
		`{"Access": "Source", "Buckets": "data", "RotationSchedule": "cron(0 8,20/4 ? JAN-DEC/2 SUN#1 *)", "RotationGraceDays": 30}`,
		`{"Access": "Source", "Buckets": "data", "RotationSchedule": "rate(30 days)", "RotationGraceDays": "366"}`,
		`{"Acess": null, "Buckets": [[], {}, null, 1e99, "\u0000", "*", "s3://x"], "Serial": -0.1, "": ""}`,
		`{"Access": "Source", "Buckets": ["arn:aws:s3:eu-west-1:123456789012:accesspoint/x", "1.2.3.4", "a..b", "x--x-s3"]}`,
		`{"Access": "Source", "Buckets": ["ABCD_Central_1", "...", "s3://Data/in/*", "1e11", "${x}", "a.s3.amazonaws.com"], "ExpiresAt": "2030-01-31 18:00:00.5 z", "BucketOwner": 1.2e10}`,
		`{"Access": "Source", "Buckets": ["data/in/", "data/in", "data", "logs/*?${a}\u00ff"], "KmsKeyArns": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"}`,
		`{"Access": "Source", "Buckets": "data", "BucketOwner": "123456789012", "SourceIps": "203.0.113.7/24,2001:db8::/32", "ExpiresAt": "2030-01-31T18:00:00.5+01:00"}`,
		`{"Access": "Source", "Buckets": "data", "SecretReaders": ["123456789012", "arn:aws:iam::210987654321:role/a/b"], "SecretKmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"}`,
		`{"Access": "Source", "Buckets": "data", "SecretReaders": ["123456789012", "arn:aws:iam::210987654321:role/a/b", "*"]}`,
	} {
		f.Add([]byte(text), "", "", 0)
		f.Add([]byte(text), "data*,l*s", "logs*", 90)
		f.Add([]byte(text), "", "arn:aws:kms:*:2*:key/*", -3)
	}
	// patterns are both the owner's closed buckets and KMS keys of other accounts. Negative
	// days also require a KMS key and addresses.
	f.Fuzz(func(t *testing.T, text []byte, allowed, patterns string, days int) {
		var given map[string]any
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&given) != nil || !utf8.ValidString(allowed+patterns) {
			return
		}
		rules := rules(t)
		rules.AllowedBuckets, rules.ClosedBuckets, rules.SecretKMSKeys = spec.Patterns(allowed), spec.Patterns(patterns), spec.Patterns(patterns)
		rules.Now, rules.MaxDays = noon, max(days, -days)%1000
		if days < 0 {
			rules.RequireSecretKMSKey = true
			rules.SourceCIDRs = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25")}
		}
		got, err := spec.Parse(given, rules)
		again, errAgain := spec.Parse(given, rules)
		if !cmp.Equal(got, again) || !cmp.Equal(err, errAgain) {
			t.Errorf("differs the second time: %v, %v, %v, %v", got, again, err, errAgain)
		}
		if err == nil {
			for property, value := range given {
				if written := schemaOf(t, property); written.refuses(value) {
					t.Errorf("the schema refuses %s: %q, which is accepted", property, value)
				}
			}
		}
		updating := rules
		updating.Update = true
		updated, errUpdate := spec.Parse(given, updating)
		if errUpdate == nil && (err == nil) != (len(updated.NotAllowed) == 0) || err == nil && !cmp.Equal(got, updated) {
			t.Errorf("%v, but in an Update %v, %+v", err, errUpdate, updated)
		}
		if err != nil {
			var problems spec.Problems
			if !errors.As(err, &problems) || len(problems) == 0 || !cmp.Equal(got, spec.Spec{}) {
				t.Errorf("%+v with %#v", got, err)
			}
			if text := err.Error(); len(text) > most || !utf8.ValidString(text) {
				t.Errorf("%d bytes: %q", len(text), text)
			}
			spec.Peek(given, rules.Owner)
			return
		}
		valid(t, got, rules)
		if got.NotAllowed != nil {
			t.Errorf("taken, and not allowed: %v", got.NotAllowed)
		}
		names := spec.Peek(given, rules.Owner)
		slices.Sort(names.TagKeys)
		want := spec.Names{UserName: got.UserName, SecretName: got.SecretName, TagKeys: slices.Sorted(maps.Keys(got.Tags)), Readers: got.Readers}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("a Delete would look elsewhere:\n%s", diff)
		}
	})
}

var (
	bucketRule = regexp.MustCompile(`^[A-Za-z0-9._-]{3,255}$`)
	prefixRule = regexp.MustCompile(`^[\x{20}-\x{ff}]*$`)
	endRule    = regexp.MustCompile(`^/|\*$`)
	keyRule    = regexp.MustCompile(`^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$`)
	readerRule = regexp.MustCompile(`^arn:aws:iam::[0-9]{12}:(root|(user|role)/[^*?$"\\]+)$`)
	ownerRule  = regexp.MustCompile(`^([0-9]{12})?$`)
	secretRule = regexp.MustCompile(`^cloney/[A-Za-z0-9/_+=.@-]{1,505}$`)
	timeRule   = regexp.MustCompile(`^[0-9A-Za-z()#?*/, -]{0,256}$`) // RotationRules' ScheduleExpression
	suffixRule = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
)

// narrowed checks that the conditions fit a policy, and are never wider than they look.
func narrowed(t *testing.T, scope access.Scope) {
	t.Helper()
	for _, arn := range scope.KMSKeys {
		if !keyRule.MatchString(arn) {
			t.Errorf("key %q", arn)
		}
	}
	for _, text := range scope.SourceIPs {
		address, err := netip.ParseAddr(text)
		if prefix, errCIDR := netip.ParsePrefix(text); errCIDR == nil {
			address, err = prefix.Addr(), nil
		}
		if err != nil || address.IsPrivate() || address.IsLoopback() || address.IsUnspecified() || address.IsLinkLocalUnicast() || address.IsMulticast() {
			t.Errorf("address %q", text)
		}
	}
	at := scope.ExpiresAt
	if !ownerRule.MatchString(scope.Owner) || !at.IsZero() && (at.Nanosecond() != 0 || at.Location() != time.UTC || at.Year() < 1970 || at.Year() > 9999) {
		t.Errorf("owner %q, expires %v", scope.Owner, at)
	}
}

// limitsHold checks that a Create keeps the owner's limits.
func limitsHold(t *testing.T, s spec.Spec, rules spec.Rules) {
	t.Helper()
	at, latest := s.Scope.ExpiresAt, rules.Now.Add(time.Duration(rules.MaxDays)*24*time.Hour)
	if rules.MaxDays > 0 && (at.IsZero() || at.After(latest)) || !at.IsZero() && !at.After(rules.Now) {
		t.Errorf("expires %v, and %d days from %v are allowed", at, rules.MaxDays, rules.Now)
	}
	if rules.RequireSecretKMSKey && (s.KMSKey == "" || strings.Contains(s.KMSKey, "alias/aws/")) {
		t.Errorf("the secret's key is %q", s.KMSKey)
	}
	if parts := strings.Split(s.KMSKey, ":"); len(parts) > 1 && parts[4] != rules.Owner.Stack.Account && !slices.ContainsFunc(rules.SecretKMSKeys, func(pattern string) bool { return spec.Match(pattern, s.KMSKey) }) {
		t.Errorf("the secret's key is %q, and %q are allowed", s.KMSKey, rules.SecretKMSKeys)
	}
	for _, text := range s.Scope.SourceIPs {
		if !strings.Contains(text, "/") {
			text += "/32"
		}
		if prefix, err := netip.ParsePrefix(text); err == nil && len(rules.SourceCIDRs) > 0 && !rules.SourceCIDRs[0].Overlaps(prefix) {
			t.Errorf("address %s", text)
		}
	}
}

func valid(t *testing.T, s spec.Spec, rules spec.Rules) {
	t.Helper()
	if !name.IsUser(s.UserName) {
		t.Errorf("user %q", s.UserName)
	}
	if !timeRule.MatchString(s.Schedule) || s.GraceDays < 1 || s.GraceDays > 365 {
		t.Errorf("schedule %q, %d days", s.Schedule, s.GraceDays)
	}
	if !secretRule.MatchString(s.SecretName) || suffixRule.MatchString(s.SecretName) {
		t.Errorf("secret %q", s.SecretName)
	}
	if !s.Scope.Source && !s.Scope.Destination || s.Serial < 1 || len(s.KMSKey) > 256 {
		t.Errorf("%+v", s)
	}
	places := s.Scope.Places
	if len(places) == 0 || !cmp.Equal(access.Fold(places), places) {
		t.Errorf("places %q", places)
	}
	for _, place := range places {
		bucket := place.Bucket()
		permitted := len(rules.AllowedBuckets) == 0 || slices.ContainsFunc(rules.AllowedBuckets, func(pattern string) bool { return spec.Match(pattern, bucket) })
		closed := slices.ContainsFunc(rules.ClosedBuckets, func(pattern string) bool { return spec.Match(pattern, bucket) })
		if !bucketRule.MatchString(bucket) || strings.Trim(bucket, ".") == "" || !permitted || closed {
			t.Errorf("bucket %q", bucket)
		}
		if prefix := place.Prefix(); !prefixRule.MatchString(prefix) || len(prefix) > 978 || endRule.MatchString(prefix) || strings.TrimSpace(prefix) != prefix {
			t.Errorf("prefix %q", prefix)
		}
	}
	narrowed(t, s.Scope)
	limitsHold(t, s, rules)
	if strings.HasPrefix(s.KMSKey, "arn:") && !strings.HasPrefix(s.KMSKey, "arn:aws:kms:eu-west-1:") {
		t.Errorf("the secret's key is %q", s.KMSKey)
	}
	for _, reader := range s.Readers {
		own := strings.Split(reader, ":")[4] == rules.Owner.Stack.Account
		if !readerRule.MatchString(reader) || !own && !strings.Contains(s.KMSKey, ":key/") {
			t.Errorf("reader %q, key %q", reader, s.KMSKey)
		}
	}
	if len(s.Tags) > spec.MaxTags {
		t.Errorf("%d tags", len(s.Tags))
	}
	for key := range s.Tags {
		if lower := strings.ToLower(key); key == "" || strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, "cloney:") {
			t.Errorf("tag %q", key)
		}
	}
}

// patterns are the part of the schema that a text can fail by.
type patterns struct {
	Pattern    string
	Not, Items *patterns
	Properties map[string]patterns
}

var readSchema = sync.OnceValues(func() (all patterns, err error) {
	text, err := os.ReadFile("../../schema/custom-cloneys3credentials.json")
	if err != nil {
		return all, err
	}
	return all, json.Unmarshal(text, &all)
})

// schemaOf returns the patterns of a property in the schema, as it is written.
func schemaOf(t *testing.T, property string) patterns {
	t.Helper()
	all, err := readSchema()
	if err != nil {
		t.Fatal(err)
	}
	return all.Properties[property]
}

func (p patterns) refuses(value any) bool {
	switch v := value.(type) {
	case []any:
		return p.Items != nil && slices.ContainsFunc(v, p.Items.refuses)
	case string:
		return !regexp.MustCompile(p.Pattern).MatchString(v) || p.Not != nil && !p.Not.refuses(v)
	}
	return false
}
