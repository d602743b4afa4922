package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

var update = flag.Bool("update", false, "write the golden policies anew")

// guide is the guide's table: action → what it acts on, for each role.
var guide = map[string]map[string]string{
	"Source": {
		"s3:ListBucket": "bucket", "s3:GetBucketLocation": "bucket",
		"s3:GetObject": "object", "s3:GetObjectVersion": "object",
	},
	"Destination": {
		"s3:ListBucket": "bucket", "s3:GetBucketLocation": "bucket",
		"s3:PutObject": "object", "s3:PutObjectAcl": "object",
		"s3:AbortMultipartUpload": "object", "s3:ListMultipartUploadParts": "object",
	},
}

// s3Actions are all actions of S3, from testdata/s3-actions.txt.
func s3Actions(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/s3-actions.txt")
	if err != nil {
		t.Fatal(err)
	}
	actions := strings.Fields(string(text))
	if len(actions) < 150 || !slices.Contains(actions, "s3:GetObject") {
		t.Fatalf("only %d actions", len(actions))
	}
	return actions
}

// allows is as much of IAM's evaluation as our documents use: Allow
// statements, exact action names, * in resources. Anything else fails.
func allows(t *testing.T, text, action, resource string) bool {
	t.Helper()
	var doc struct {
		Version   string
		Statement []struct {
			Sid, Effect      string
			Action, Resource []string
		}
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if doc.Version != "2012-10-17" {
		t.Fatalf("version %q", doc.Version)
	}
	for _, s := range doc.Statement {
		if s.Effect != "Allow" {
			t.Fatalf("effect %q", s.Effect)
		}
		for _, a := range s.Action {
			if strings.ContainsAny(a, "*?") {
				t.Fatalf("wildcard action %q", a)
			}
		}
		if slices.Contains(s.Action, action) && slices.ContainsFunc(s.Resource, func(r string) bool { return spec.Match(r, resource) }) {
			return true
		}
	}
	return false
}

func TestGoldenPolicies(t *testing.T) {
	cases, _ := filepath.Glob("testdata/*/properties.json")
	if len(cases) < 6 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, file := range cases {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			properties := readProperties(t, file)
			got := document(t, properties, nil)
			golden := filepath.Join(filepath.Dir(file), "policy.json")
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, []byte(got), "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			if *update {
				if err := os.WriteFile(golden, pretty.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(pretty.Bytes(), want) {
				t.Errorf("policy differs from %s:\n%s", golden, pretty.String())
			}
			for seed := range int64(5) {
				if again := document(t, properties, rand.New(rand.NewSource(seed))); again != got {
					t.Errorf("shuffled properties give other bytes:\n%s\n%s", got, again)
				}
			}
			matrix(t, properties, got)
		})
	}
}

// matrix asks for every action of S3 on named and other buckets and objects,
// and compares with the guide's table.
func matrix(t *testing.T, properties map[string]any, document string) {
	t.Helper()
	parsed, err := spec.Parse(properties, rules(t))
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	if parsed.Scope.Source {
		roles = append(roles, "Source")
	}
	if parsed.Scope.Destination {
		roles = append(roles, "Destination")
	}
	type target struct {
		resource, level string
		named           bool
	}
	targets := []target{{"arn:aws:s3:::other-bucket", "bucket", false}, {"arn:aws:s3:::other-bucket/key", "object", false}}
	for _, bucket := range parsed.Scope.Places {
		arn := "arn:aws:s3:::" + string(bucket)
		targets = append(targets,
			target{arn, "bucket", true}, target{arn + "/key", "object", true}, target{arn + "/deep/key", "object", true},
			target{arn + "-2", "bucket", false}, target{arn + "-2/key", "object", false}, target{"arn:aws:s3:::x" + string(bucket) + "/key", "object", false})
	}
	allowed := 0
	for _, action := range s3Actions(t) {
		for _, target := range targets {
			want := target.named && slices.ContainsFunc(roles, func(role string) bool { return guide[role][action] == target.level })
			if got := allows(t, document, action, target.resource); got != want {
				t.Errorf("%s on %s: allowed %v, by the guide %v", action, target.resource, got, want)
			} else if got {
				allowed++
			}
		}
	}
	if allowed == 0 {
		t.Error("nothing is allowed")
	}
}

func TestSpreadingOverPolicies(t *testing.T) {
	for _, scope := range []access.Scope{{Source: true}, {Destination: true}, {Source: true, Destination: true}} {
		most := 0
		for n := 1; n < 2000; n += 37 {
			scope.Places = buckets(0, n)
			documents, err := policy.Documents(scope, "aws", nil)
			var tooMany policy.TooManyError
			if errors.As(err, &tooMany) {
				if tooMany.Places != n || tooMany.Fit < most || tooMany.Fit > most+37 {
					t.Errorf("%d buckets: %+v after %d fitted", n, tooMany, most)
				}
				break
			}
			most = n
			held := check(t, scope, documents)
			if len(held) != n {
				t.Errorf("%d buckets: %d are held", n, len(held))
			}
		}
		if most < 100 {
			t.Errorf("no more than %d buckets fit", most)
		}
	}
}

// README tells these numbers.
func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		scope       access.Scope
		length, fit int
	}{
		{access.Scope{Source: true}, 20, 790},
		{access.Scope{Source: true}, 63, 360},
		{access.Scope{Destination: true}, 20, 780},
		{access.Scope{Destination: true}, 63, 360},
		{access.Scope{Source: true, Destination: true}, 20, 370},
		{access.Scope{Source: true, Destination: true}, 63, 170},
	} {
		for i := range 1000 {
			c.scope.Places = append(c.scope.Places, access.Place(fmt.Sprintf("%03d%s", i, strings.Repeat("x", c.length-3))))
		}
		_, err := policy.Documents(c.scope, "aws", nil)
		var tooMany policy.TooManyError
		if !errors.As(err, &tooMany) || tooMany.Fit != c.fit {
			t.Errorf("of names with %d characters: %v, want %d to fit", c.length, err, c.fit)
		}
		c.scope.Places = c.scope.Places[:c.fit]
		if _, err := policy.Documents(c.scope, "aws", nil); err != nil {
			t.Errorf("%d do not fit: %v", c.fit, err)
		}
	}
}

// A policy is replaced whole, one after the other, in the given order. At no
// moment may a bucket that is wanted before and after be without its policy.
func TestChangesLeaveNoGap(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	moved := 0
	for range 300 {
		before := access.Scope{Source: true, Destination: random.Intn(3) == 0, Places: sample(random)}
		after := access.Scope{Source: true, Destination: random.Intn(2) == 0, Places: sample(random)}
		first, err := policy.Documents(before, "aws", nil)
		if err != nil {
			continue
		}
		state := map[int][]access.Place{}
		for _, d := range first {
			state[d.Number] = policy.Places(d.Text)
		}
		second, err := policy.Documents(after, "aws", state)
		if err != nil {
			continue
		}
		check(t, after, second)
		for _, d := range second {
			if !slices.Equal(state[d.Number], policy.Places(d.Text)) {
				moved++
			}
			state[d.Number] = policy.Places(d.Text)
			held := map[access.Place]bool{}
			for _, buckets := range state {
				for _, b := range buckets {
					held[b] = true
				}
			}
			for _, b := range before.Places {
				if _, kept := slices.BinarySearch(after.Places, b); kept && !held[b] {
					t.Fatalf("%s has no policy after number %d", b, d.Number)
				}
			}
		}
	}
	if moved < 300 {
		t.Errorf("only %d policies changed: the test tests nothing", moved)
	}
}

func TestAnAddedBucketTouchesOnePolicy(t *testing.T) {
	scope := access.Scope{Source: true, Places: buckets(0, 200)}
	first, err := policy.Documents(scope, "aws", nil)
	if err != nil {
		t.Fatal(err)
	}
	state, texts := map[int][]access.Place{}, map[int]string{}
	for _, d := range first {
		state[d.Number], texts[d.Number] = policy.Places(d.Text), d.Text
	}
	scope.Places = append([]access.Place{"aaa"}, scope.Places...)
	second, err := policy.Documents(scope, "aws", state)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, d := range second {
		if d.Text != texts[d.Number] {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d policies change", changed)
	}
}

func TestSame(t *testing.T) {
	a := `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow"}]}`
	if !policy.Same(a, "{ \"Statement\": [ {\"Effect\":\"Allow\", \"Sid\":\"A\"} ],\n \"Version\": \"2012-10-17\" }") {
		t.Error("layout counts")
	}
	for _, other := range []string{strings.Replace(a, "Allow", "Deny", 1), "", "{", "null"} {
		if policy.Same(a, other) {
			t.Errorf("the same as %q", other)
		}
	}
}

// check returns the buckets that the documents hold, after asking for their
// limits.
func check(t *testing.T, scope access.Scope, documents []policy.Document) map[access.Place]bool {
	t.Helper()
	held, numbers := map[access.Place]bool{}, map[int]bool{}
	for _, d := range documents {
		if len(d.Text) > policy.MaxSize || d.Number < 1 || d.Number > name.MaxPolicies || numbers[d.Number] {
			t.Fatalf("policy %d of %d characters", d.Number, len(d.Text))
		}
		numbers[d.Number] = true
		for _, b := range policy.Places(d.Text) {
			if held[b] {
				t.Fatalf("%s is held twice", b)
			}
			held[b] = true
		}
	}
	for _, b := range scope.Places {
		if !held[b] {
			t.Fatalf("%s is not held", b)
		}
	}
	return held
}

func buckets(from, to int) []access.Place {
	var names []access.Place
	for i := from; i < to; i++ {
		names = append(names, access.Place(fmt.Sprintf("bucket-%06d-%s", i, strings.Repeat("x", i%45))))
	}
	slices.Sort(names)
	return names
}

func sample(random *rand.Rand) []access.Place {
	var names []access.Place
	for _, b := range buckets(0, 120) {
		if random.Intn(3) > 0 {
			names = append(names, b)
		}
	}
	return names
}

func rules(t *testing.T) spec.Rules {
	t.Helper()
	stack, err := name.ParseStackID("arn:aws:cloudformation:us-east-1:123456789012:stack/s/1")
	if err != nil {
		t.Fatal(err)
	}
	return spec.Rules{Owner: name.Owner{Stack: stack, Logical: "L"}}
}

func readProperties(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var properties map[string]any
	if err := json.Unmarshal(text, &properties); err != nil {
		t.Fatal(err)
	}
	return properties
}

func document(t *testing.T, properties map[string]any, shuffle *rand.Rand) string {
	t.Helper()
	if list, ok := properties["Buckets"].([]any); ok && shuffle != nil {
		shuffle.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	parsed, err := spec.Parse(properties, rules(t))
	if err != nil {
		t.Fatal(err)
	}
	documents, err := policy.Documents(parsed.Scope, "aws", nil)
	if err != nil || len(documents) != 1 {
		t.Fatalf("%d documents, %v", len(documents), err)
	}
	return documents[0].Text
}
