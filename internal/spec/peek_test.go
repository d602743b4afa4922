package spec_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/spec"
)

// The properties of a Delete, and the previous properties of an Update, are read even if
// they are not valid.
func TestPeekReadsNamesFromAnything(t *testing.T) {
	usual := spec.Names{UserName: defaultUser, SecretName: "cloney/" + defaultUser}
	for text, want := range map[string]spec.Names{
		`{}`:                      usual,
		with(""):                  usual,
		`{"UserName": "x"}`:       {UserName: "x", SecretName: "cloney/x"},
		`{"UserName": 7}`:         {UserName: "7", SecretName: "cloney/7"},
		`{"UserName": "a b"}`:     usual,
		`{"UserName": ["x"]}`:     usual,
		`{"UserName": null}`:      usual,
		`{"UserName": ""}`:        usual,
		`{"SecretName": {}}`:      usual,
		`{"SecretName": "other"}`: usual,
		`{"UserName": "x", "SecretName": "other"}`:                     {UserName: "x", SecretName: "cloney/x"},
		`{"UserName": "x", "SecretName": "cloney/y"}`:                  {UserName: "x", SecretName: "cloney/y"},
		`{"Acess": 1, "Buckets": {"x": []}, "SecretName": "cloney/y"}`: {UserName: defaultUser, SecretName: "cloney/y"},
		`{"Tags": "x"}`:                          usual,
		`{"Tags": [1, {"Key": "a"}, null, [2]]}`: usual,
		`{"Tags": [{"Key": "a", "Value": "1"}, {"Key": "aws:x", "Value": ""}, {"Key": "b", "Value": ""}]}`: {UserName: defaultUser, SecretName: "cloney/" + defaultUser, TagKeys: []string{"a", "b"}},
		// A stack of another account may have named readers of the secret's.
		`{"SecretReaders": ["210987654321", "*", 7]}`:            {UserName: defaultUser, SecretName: "cloney/" + defaultUser, Readers: []string{"arn:aws:iam::210987654321:root"}},
		`{"Serial": "x", "Verify": [], "RotationGraceDays": 7}`:  usual,
		`{"UserName": "` + strings.Repeat("u", 1_000_000) + `"}`: usual,
	} {
		got := spec.Peek(properties(t, text), owner(t, "aws", "eu-west-1"))
		slices.Sort(got.TagKeys)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.200s\n%s", text, diff)
		}
	}
	if diff := cmp.Diff(usual, spec.Peek(nil, owner(t, "aws", "eu-west-1"))); diff != "" {
		t.Error(diff)
	}
}

// The time that CloudFormation waits is read from any properties: an event that is refused
// ends too.
func TestServiceTimeout(t *testing.T) {
	for _, c := range []struct {
		written any
		seconds int
	}{
		{"330", 330}, {json.Number("330"), 330}, {float64(330), 330}, {"1", 1}, {"3600", 3600},
		{nil, 3600}, {"", 3600}, {"0", 3600}, {"-5", 3600}, {"3601", 3600}, {"soon", 3600}, {"1.5", 3600}, {[]any{"60"}, 3600}, {map[string]any{}, 3600},
	} {
		if got := spec.ServiceTimeout(map[string]any{"ServiceTimeout": c.written}); got != c.seconds {
			t.Errorf("%v: %d seconds", c.written, got)
		}
	}
}
