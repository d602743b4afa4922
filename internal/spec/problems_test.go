package spec_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/spec"
)

// most is the length of the longest message: a response has room for 4,096 bytes.
const most = 3000

func TestAllProblemsInTheOrderOfTheTable(t *testing.T) {
	found := problems(t, `{
		"Zone": "x", "ServiceTimeout": "-1", "Acess": "x", "SecretReaders": "1", "RotationSchedule": "daily", "ExpiresAt": "soon", "SourceIps": "10.0.0.1", "BucketOwner": "me", "KmsKeyArns": "*",
		"Tags": [{"Key": "aws:x", "Value": ""}, {"Key": "ok", "Value": ""}, 7],
		"Verify": "maybe", "Serial": "none", "SecretKmsKeyId": "?", "SecretName": "x", "UserName": "a b",
		"Buckets": ["data", "My!", "logs", "s3://x-x"], "Access": ["Source", "Sink"]
	}`, rules(t))
	var order []string
	for _, problem := range found {
		order = append(order, problem.Property)
	}
	want := []string{"ServiceTimeout", "Access[1]", "Buckets[1]", "Buckets[3]", "KmsKeyArns", "BucketOwner", "SourceIps", "ExpiresAt", "UserName", "SecretName", "SecretKmsKeyId", "SecretReaders", "Serial", "RotationSchedule", "Verify", "Tags[0]", "Tags[2]", `"Acess"`, `"Zone"`}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
	text := found.Error()
	at := 0
	for i, property := range want {
		next := strings.Index(text[at:], fmt.Sprintf("(%d) %s: ", i+1, property))
		if next < 0 {
			t.Fatalf("%s does not follow in %s", property, text)
		}
		at += next
	}
	if !strings.HasPrefix(text, "19 problems: (1) ServiceTimeout: ") {
		t.Error(text)
	}
}

// A misspelt property is one problem, not an unknown and a missing one. An unknown name that
// is not near to a missing property does not hide that it is missing.
func TestATypingErrorIsOneProblem(t *testing.T) {
	for given, want := range map[string][]string{
		`{"Acces": "Source", "Buckets": "data"}`:          {`"Acces"`},
		`{"access": "Source", "Bucket": "data"}`:          {`"Bucket"`, `"access"`},
		`{"Access": "Source", "Bucket": "data"}`:          {`"Bucket"`},
		`{"Bucket": "data"}`:                              {"Access", `"Bucket"`},
		`{"Role": "Source", "Buckets": "data"}`:           {"Access", `"Role"`},
		`{"Access": [], "Acess": "x", "Buckets": "abc,"}`: {"Buckets[1]", `"Acess"`},
	} {
		var got []string
		for _, problem := range problems(t, given, rules(t)) {
			got = append(got, problem.Property)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", given, diff)
		}
	}
}

func TestOneProblemIsOneSentence(t *testing.T) {
	if got := problems(t, with(`"Serial": "0"`), rules(t)).Error(); !strings.HasPrefix(got, `Serial: "0" is not a whole number`) || strings.Contains(got, "(1)") {
		t.Error(got)
	}
}

func TestTooManyProblemsAreCounted(t *testing.T) {
	entries := make([]string, 500)
	for i := range entries {
		entries[i] = fmt.Sprintf(`"NO!%d"`, i)
	}
	found := problems(t, `{"Access": "Source", "Buckets": [`+strings.Join(entries, ",")+`]}`, rules(t))
	text := found.Error()
	if !strings.HasPrefix(text, `500 problems: (1) Buckets[0]: "NO!0" `) || len(text) > most || len(text) < most/2 {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	shown := strings.Count(text, "is not a bucket name")
	if want := fmt.Sprintf("; and %d more", 500-shown); shown == 0 || !strings.HasSuffix(text, want) {
		t.Errorf("%d shown, want%s at the end of %s", shown, want, text)
	}
}

// A message fits even if the words of one problem are very long.
func TestLongValuesAreCut(t *testing.T) {
	long := strings.Repeat("é", 50_000)
	control := strings.Repeat("\x00", 5000)
	wide := rules(t)
	for i := range 400 {
		wide.AllowedBuckets = append(wide.AllowedBuckets, fmt.Sprintf("a-pattern-of-the-owner-%d-*", i))
	}
	for label, given := range map[string]map[string]any{
		"bucket":       {"Access": "Source", "Buckets": long},
		"control":      {"Access": "Source", "Buckets": []any{control, control, control}},
		"user":         {"Access": "Source", "Buckets": "data", "UserName": control},
		"secret":       {"Access": "Source", "Buckets": "data", "SecretName": long},
		"serial":       {"Access": "Source", "Buckets": "data", "Serial": strings.Repeat("9", 100_000)},
		"unknown":      {"Access": "Source", "Buckets": "data", long: "x"},
		"tag":          {"Access": "Source", "Buckets": "data", "Tags": []any{map[string]any{"Key": long, "Value": ""}}},
		"allowed":      {"Access": "Source", "Buckets": "data"},
		"allowed many": {"Access": "Source", "Buckets": "data,logs,other"},
	} {
		_, err := spec.Parse(given, wide)
		if err == nil {
			t.Errorf("%s: no problem", label)
		} else if text := err.Error(); len(text) > most || !utf8.ValidString(text) {
			t.Errorf("%s: %d bytes: %.200s", label, len(text), text)
		}
	}
}
