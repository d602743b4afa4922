package spec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/spec"
)

// owner is the resource Source of a stack called migration.
func owner(t testing.TB, partition, region string) name.Owner {
	t.Helper()
	stack, err := name.ParseStackID("arn:" + partition + ":cloudformation:" + region + ":123456789012:stack/migration/51af3dc0-da77-11e4-872e-1234567db123")
	if err != nil {
		t.Fatal(err)
	}
	return name.Owner{Stack: stack, Logical: "Source"}
}

func rules(t testing.TB) spec.Rules {
	return spec.Rules{Owner: owner(t, "aws", "eu-west-1"), Rotates: true}
}

// properties reads JSON as package resource does: numbers stay as written.
func properties(t testing.TB, text string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var read map[string]any
	if err := decoder.Decode(&read); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return read
}

// with returns the smallest valid properties and some more.
func with(more string) string {
	if more != "" {
		more = ", " + more
	}
	return `{"ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:f", "Access": "Source", "Buckets": ["data"]` + more + `}`
}

const defaultUser = "migration-Source-4kqgyhwxv6wn"

// declared is the Spec of the smallest valid properties, changed by each function.
func declared(changes ...func(*spec.Spec)) spec.Spec {
	want := spec.Spec{
		Scope:      access.Scope{Source: true, Places: []access.Place{"data"}},
		UserName:   defaultUser,
		SecretName: "cloney/" + defaultUser,
		Serial:     1,
		GraceDays:  7,
		Verify:     true,
	}
	for _, change := range changes {
		change(&want)
	}
	return want
}

func TestWhatPropertiesMean(t *testing.T) {
	user := func(user, secret string) func(*spec.Spec) {
		return func(s *spec.Spec) { s.UserName, s.SecretName = user, secret }
	}
	roles := func(source, destination bool, buckets ...access.Place) func(*spec.Spec) {
		return func(s *spec.Spec) {
			s.Scope = access.Scope{Source: source, Destination: destination, Places: buckets}
		}
	}
	kms := func(key string) func(*spec.Spec) { return func(s *spec.Spec) { s.KMSKey = key } }
	serial := func(n int) func(*spec.Spec) { return func(s *spec.Spec) { s.Serial = n } }
	grace := func(days int) func(*spec.Spec) { return func(s *spec.Spec) { s.GraceDays = days } }
	verify := func(v bool) func(*spec.Spec) { return func(s *spec.Spec) { s.Verify = v } }
	tags := func(tags map[string]string) func(*spec.Spec) { return func(s *spec.Spec) { s.Tags = tags } }
	narrow := func(by access.Scope) func(*spec.Spec) {
		return func(s *spec.Spec) {
			by.Source, by.Places = s.Scope.Source, s.Scope.Places
			s.Scope = by
		}
	}
	mrkARN := "arn:aws:kms:us-east-1:210987654321:key/mrk-1234abcd12ab34cd56ef1234567890ab"
	keyARN := "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	longest := "cloney/" + strings.Repeat("s", 505)
	for text, want := range map[string]spec.Spec{
		with(""):                        declared(),
		with(`"ServiceTimeout": "330"`): declared(),
		with(`"ServiceTimeout": 330`):   declared(),
		// AWS::NoValue leaves out; a null by hand means the same.
		with(`"UserName": null, "SecretName": null, "Serial": null, "Verify": null, "Tags": null, "SecretKmsKeyId": null`): declared(),

		`{"Access": "Destination", "Buckets": "data"}`:                                  declared(roles(false, true, "data")),
		`{"Access": ["Source", "Destination"], "Buckets": ["data"]}`:                    declared(roles(true, true, "data")),
		`{"Access": "Destination, Source", "Buckets": "b-2 ,a-1"}`:                      declared(roles(true, true, "a-1", "b-2")),
		`{"Access": ["Source", "Source"], "Buckets": ["b-b", "a-a", "b-b"]}`:            declared(roles(true, false, "a-a", "b-b")),
		`{"Access": "Source", "Buckets": ["data", "arn:aws:s3:::data", "data/"]}`:       declared(),
		`{"Access": "Source", "Buckets": ["arn:aws:s3:::data/", "arn:aws:s3:::other"]}`: declared(roles(true, false, "data", "other")),
		`{"Access": "Source", "Buckets": 123}`:                                          declared(roles(true, false, "123")),

		`{"Access": "Source", "Buckets": ["data/in/x", "data/in", "data-2/", "data/out/", "data/in/"]}`: declared(roles(true, false, "data/in", "data/out/", "data-2")),
		`{"Access": "Source", "Buckets": ["data/in", "data"]}`:                                          declared(),

		with(`"KmsKeyArns": ["` + mrkARN + `", "` + keyARN + `", "` + mrkARN + `"]`): declared(narrow(access.Scope{KMSKeys: []string{keyARN, mrkARN}})),
		with(`"KmsKeyArns": []`):              declared(),
		with(`"BucketOwner": "012345678901"`): declared(narrow(access.Scope{Owner: "012345678901"})),
		with(`"BucketOwner": 123456789012`):   declared(narrow(access.Scope{Owner: "123456789012"})),
		with(`"SourceIps": "203.0.113.7, 198.51.100.9/24,203.0.113.7/32,2001:DB8::1,2001:db8:1::/48"`): declared(narrow(access.Scope{SourceIPs: []string{"198.51.100.0/24", "2001:db8:1::/48", "2001:db8::1", "203.0.113.7"}})),
		with(`"SourceIps": ["8.8.8.8"]`):                 declared(narrow(access.Scope{SourceIPs: []string{"8.8.8.8"}})),
		with(`"ExpiresAt": "2030-01-31T18:00:00+01:00"`): declared(narrow(access.Scope{ExpiresAt: time.Date(2030, 1, 31, 17, 0, 0, 0, time.UTC)})),
		// As tools write a time without quotes again.
		with(`"ExpiresAt": "2030-01-31 18:00:00+00:00"`):        declared(narrow(access.Scope{ExpiresAt: time.Date(2030, 1, 31, 18, 0, 0, 0, time.UTC)})),
		with(`"ExpiresAt": "2030-01-31 18:00:00.500000+05:30"`): declared(narrow(access.Scope{ExpiresAt: time.Date(2030, 1, 31, 12, 30, 0, 0, time.UTC)})),
		with(`"ExpiresAt": "2030-01-31T18:00:00.000Z"`):         declared(narrow(access.Scope{ExpiresAt: time.Date(2030, 1, 31, 18, 0, 0, 0, time.UTC)})),
		with(`"ExpiresAt": "2030-01-31 18:00:00.000000000 Z"`):  declared(narrow(access.Scope{ExpiresAt: time.Date(2030, 1, 31, 18, 0, 0, 0, time.UTC)})),
		with(`"ExpiresAt": "2030-01-31t18:00:00z"`):             declared(narrow(access.Scope{ExpiresAt: time.Date(2030, 1, 31, 18, 0, 0, 0, time.UTC)})),
		with(`"ExpiresAt": "2000-01-01T00:00:00.999Z"`):         declared(narrow(access.Scope{ExpiresAt: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)})),

		with(`"UserName": "cloney.source_1+=@-"`):                       declared(user("cloney.source_1+=@-", "cloney/cloney.source_1+=@-")),
		with(`"UserName": "` + strings.Repeat("u", 64) + `"`):           declared(user(strings.Repeat("u", 64), "cloney/"+strings.Repeat("u", 64))),
		with(`"UserName": 7`):                                           declared(user("7", "cloney/7")),
		with(`"UserName": "reader-abc123", "SecretName": "cloney/ab"`):  declared(user("reader-abc123", "cloney/ab")),
		with(`"UserName": "for-abcdef", "SecretName": "cloney/team/x"`): declared(user("for-abcdef", "cloney/team/x")),
		with(`"SecretName": "cloney/other"`):                            declared(user(defaultUser, "cloney/other")),
		with(`"SecretName": "` + longest + `"`):                         declared(user(defaultUser, longest)),

		with(`"SecretKmsKeyId": "` + keyARN + `"`):                             declared(kms(keyARN)),
		with(`"SecretKmsKeyId": "alias/team/secrets"`):                         declared(kms("alias/team/secrets")),
		with(`"SecretKmsKeyId": "arn:aws:kms:eu-west-1:123456789012:alias/a"`): declared(kms("arn:aws:kms:eu-west-1:123456789012:alias/a")),
		with(`"SecretKmsKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"`):       declared(kms("1234abcd-12ab-34cd-56ef-1234567890ab")),
		with(`"SecretKmsKeyId": "mrk-1234abcd12ab34cd56ef1234567890ab"`):       declared(kms("mrk-1234abcd12ab34cd56ef1234567890ab")),
		with(`"Serial": "3"`):                                declared(serial(3)),
		with(`"Serial": 3`):                                  declared(serial(3)),
		with(`"Serial": 2147483647`):                         declared(serial(2147483647)),
		with(`"RotationGraceDays": "1"`):                     declared(grace(1)),
		with(`"RotationGraceDays": 365`):                     declared(grace(365)),
		with(`"RotationGraceDays": null`):                    declared(),
		with(`"RotationSchedule": null`):                     declared(),
		with(`"Verify": "false"`):                            declared(verify(false)),
		with(`"Verify": false`):                              declared(verify(false)),
		with(`"Verify": "False"`):                            declared(verify(false)),
		with(`"Verify": "TRUE"`):                             declared(),
		with(`"Verify": true`):                               declared(),
		with(`"Tags": [{"Key": "team", "Value": "data é"}]`): declared(tags(map[string]string{"team": "data é"})),
		with(`"Tags": [{"Key": "n", "Value": 1}, {"Key": "x:y", "Value": ""}]`): declared(tags(map[string]string{"n": "1", "x:y": ""})),
		with(`"Tags": []`): declared(tags(map[string]string{})),
	} {
		got, err := spec.Parse(properties(t, text), rules(t))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
}

// A Create refuses an ExpiresAt in the past. In an Update it is the quickest way to end
// access.
func TestAnEndThatIsPast(t *testing.T) {
	now := rules(t)
	now.Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	only(t, with(`"ExpiresAt": "2026-06-01T12:00:00Z"`), "ExpiresAt", "is in the past; write a later time", now)
	only(t, with(`"ExpiresAt": "2026-06-01T12:30:00+01:00"`), "ExpiresAt", "is in the past", now)
	if found := problems(t, with(`"ExpiresAt": "2026-06-01T12:00:01Z"`), now); found != nil {
		t.Error(found)
	}
}

// An empty list of a property that narrows is a mistake. It does not mean everything.
func TestAnEmptyListOfAddresses(t *testing.T) {
	only(t, with(`"SourceIps": []`), "SourceIps", "is an empty list; name the addresses", rules(t))
}

// An event's properties may come through another decoder as float64.
func TestNumbersOfAnyDecoder(t *testing.T) {
	got, err := spec.Parse(map[string]any{"Access": "Source", "Buckets": "data", "Serial": float64(12), "ServiceTimeout": float64(330)}, rules(t))
	if err != nil || got.Serial != 12 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNothingComesWithAProblem(t *testing.T) {
	got, err := spec.Parse(properties(t, with(`"Serial": "0"`)), rules(t))
	var problems spec.Problems
	if !errors.As(err, &problems) || !cmp.Equal(got, spec.Spec{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A number that a tool has rewritten may have lost digits, so no property accepts it. Other
// text with digits is accepted as it is.
func TestNumbersThatAToolHasRewritten(t *testing.T) {
	for _, property := range []string{"ServiceTimeout", "Access", "Buckets", "KmsKeyArns", "BucketOwner", "SourceIps", "UserName", "SecretName", "SecretKmsKeyId", "SecretReaders", "Serial", "RotationSchedule", "RotationGraceDays", "Verify"} {
		for _, number := range []string{"1.2345678901E10", "1.23456789012e+11", "123456789012.0", "1e11", "1E11"} {
			for _, written := range []any{number, json.Number(number)} {
				given := properties(t, with(""))
				given[property] = written
				_, err := spec.Parse(given, rules(t))
				var found spec.Problems
				if !errors.As(err, &found) || len(found) != 1 || found[0].Property != property || !strings.Contains(found[0].Text, "as if a tool had rewritten it as a number") {
					t.Errorf("%s: %v: %v", property, written, err)
				}
			}
		}
	}
	for _, name := range []string{"12345678901", "12e45678", "1e", "e11", "1.2.3", "1e-5", "2024.0", "1.5"} {
		if found := problems(t, bucket(t, name), rules(t)); found != nil && len(name) > 2 {
			t.Errorf("%q: %v", name, found)
		}
	}
	// A bucket that really has such a name can be named by its ARN.
	if found := problems(t, bucket(t, "arn:aws:s3:::1e11"), rules(t)); found != nil {
		t.Error(found)
	}
	// A Delete looks where the Create of an earlier version looked.
	if names := spec.Peek(map[string]any{"UserName": "1e11"}, owner(t, "aws", "eu-west-1")); names.UserName != "1e11" {
		t.Errorf("%+v", names)
	}
}
