package spec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

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

func rules(t testing.TB) spec.Rules { return spec.Rules{Owner: owner(t, "aws", "eu-west-1")} }

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

// declared is what the smallest valid properties mean, changed by each of the
// functions.
func declared(changes ...func(*spec.Spec)) spec.Spec {
	want := spec.Spec{
		Scope:      access.Scope{Source: true, Buckets: []string{"data"}},
		UserName:   defaultUser,
		SecretName: "cloney/" + defaultUser,
		Serial:     1,
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
	roles := func(source, destination bool, buckets ...string) func(*spec.Spec) {
		return func(s *spec.Spec) {
			s.Scope = access.Scope{Source: source, Destination: destination, Buckets: buckets}
		}
	}
	kms := func(key string) func(*spec.Spec) { return func(s *spec.Spec) { s.KMSKey = key } }
	serial := func(n int) func(*spec.Spec) { return func(s *spec.Spec) { s.Serial = n } }
	verify := func(v bool) func(*spec.Spec) { return func(s *spec.Spec) { s.Verify = v } }
	tags := func(tags map[string]string) func(*spec.Spec) { return func(s *spec.Spec) { s.Tags = tags } }
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

		with(`"UserName": "cloney.source_1+=@-"`):                       declared(user("cloney.source_1+=@-", "cloney/cloney.source_1+=@-")),
		with(`"UserName": "` + strings.Repeat("u", 64) + `"`):           declared(user(strings.Repeat("u", 64), "cloney/"+strings.Repeat("u", 64))),
		with(`"UserName": 7`):                                           declared(user("7", "cloney/7")),
		with(`"UserName": "a,b", "SecretName": "cloney/ab"`):            declared(user("a,b", "cloney/ab")),
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
