package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/spec"
)

// FuzzDocuments: whatever buckets a stack may name, and has named before, its
// documents fit AWS's bounds and grant the guide's table on those buckets,
// nothing more and nothing less, and at no moment of the change less than
// before and after.
func FuzzDocuments(f *testing.F) {
	f.Add("data", "", byte(0), byte(0), byte(0), byte(0))
	f.Add("data,arn:aws:s3:::logs", "data", byte(1), byte(0), byte(0), byte(0))
	f.Add(strings.Repeat("x", 40), "data", byte(2), byte(1), byte(6), byte(0))
	f.Add("a.b-c,data", strings.Repeat("y", 58), byte(2), byte(0), byte(1), byte(8))
	f.Add("data", "data,logs", byte(0), byte(2), byte(10), byte(5))
	f.Add("\"},{\"Effect\":\"Allow\"", "*,x/*,${aws:username}", byte(0), byte(1), byte(3), byte(3))
	f.Fuzz(func(t *testing.T, names, before string, roles, rolesBefore, copies, copiesBefore byte) {
		former := map[int]string{}
		held := map[int][]access.Place{}
		scopeBefore := scopeOf(t, before, rolesBefore, copiesBefore)
		documents, err := policy.Documents(scopeBefore, "aws", nil)
		if err != nil {
			scopeBefore = access.Scope{} // refused: nothing stands
		}
		judge(t, scopeBefore, documents)
		for _, d := range documents {
			former[d.Number], held[d.Number] = d.Text, policy.Places(d.Text)
		}
		scope := scopeOf(t, names, roles, copies)
		documents, err = policy.Documents(scope, "aws", held)
		again, errAgain := policy.Documents(scope, "aws", held)
		if !cmp.Equal(documents, again) || !cmp.Equal(err, errAgain) {
			t.Fatalf("differs the second time: %v, %v", err, errAgain)
		}
		var tooMany policy.TooManyError
		if errors.As(err, &tooMany) && tooMany.Fit < tooMany.Places && tooMany.Places == len(scope.Places) && documents == nil {
			return
		}
		if err != nil {
			t.Fatalf("%d buckets: %v", len(scope.Places), err)
		}
		judge(t, scope, documents)
		replaced(t, scopeBefore, scope, former, documents)
	})
}

// scopeOf reads bucket names as a stack writes them; those that a stack may
// not name are left out. The first one counts many times over, with numbers at
// its end.
func scopeOf(t *testing.T, names string, roles, copies byte) access.Scope {
	stack, err := name.ParseStackID("arn:aws:cloudformation:eu-west-1:123456789012:stack/m/1")
	if err != nil {
		t.Fatal(err)
	}
	scope := access.Scope{Source: roles%3 != 1, Destination: roles%3 != 0}
	parsed := func(bucket string) []access.Place {
		declared, err := spec.Parse(map[string]any{"Access": "Source", "Buckets": []any{bucket}}, spec.Rules{Owner: name.Owner{Stack: stack, Logical: "L"}})
		if err != nil {
			return nil
		}
		return declared.Scope.Places
	}
	list := strings.Split(names, ",")
	for _, bucket := range list {
		scope.Places = append(scope.Places, parsed(bucket)...)
	}
	for _, bucket := range parsed(list[0] + "000") {
		for i := range 1 << (copies % 11) {
			scope.Places = append(scope.Places, access.Place(fmt.Sprintf("%s%03d", strings.TrimSuffix(string(bucket), "000"), i%1000)))
		}
	}
	slices.Sort(scope.Places)
	scope.Places = slices.Compact(scope.Places)
	return scope
}

// judge asks for documents that AWS takes, and that grant the scope exactly.
func judge(t *testing.T, scope access.Scope, documents []policy.Document) {
	want := map[string]bool{}
	for role, actions := range guide {
		if role == "Source" && !scope.Source || role == "Destination" && !scope.Destination {
			continue
		}
		for action, on := range actions {
			for _, bucket := range scope.Places {
				want[action+" "+"arn:aws:s3:::"+string(bucket)+map[string]string{"object": "/*"}[on]] = true
			}
		}
	}
	got := map[string]bool{}
	numbers := map[int]bool{}
	for _, d := range documents {
		if d.Number < 1 || d.Number > name.MaxPolicies || numbers[d.Number] {
			t.Errorf("number %d", d.Number)
		}
		numbers[d.Number] = true
		if size := visible(d.Text); size > 6144 {
			t.Errorf("policy %d has %d characters", d.Number, size)
		}
		maps.Copy(got, grants(t, d.Text))
	}
	if !maps.Equal(want, got) {
		t.Errorf("of %+v: %s", scope, cmp.Diff(want, got))
	}
}

// visible counts characters as AWS does: white space is free.
func visible(text string) (n int) {
	for _, r := range text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// grants lists a document's action-resource pairs. Whatever else a policy can
// say fails the test.
func grants(t *testing.T, text string) map[string]bool {
	var doc struct {
		Version   string
		Statement []struct {
			Sid, Effect      string
			Action, Resource []string
		}
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil || decoder.More() || doc.Version != "2012-10-17" {
		t.Fatalf("%v in %s", err, text)
	}
	granted := map[string]bool{}
	for _, s := range doc.Statement {
		if s.Effect != "Allow" || !strings.HasPrefix(s.Sid, "Cloney") || len(s.Action) == 0 || len(s.Resource) == 0 {
			t.Errorf("statement %+v", s)
		}
		for _, action := range s.Action {
			for _, resource := range s.Resource {
				granted[action+" "+resource] = true
			}
		}
	}
	return granted
}

// replaced applies the documents one by one, and asks after each that what was
// granted before and is wanted after is granted.
func replaced(t *testing.T, before, after access.Scope, standing map[int]string, documents []policy.Document) {
	source, destination := before.Source && after.Source, before.Destination && after.Destination
	if !source && !destination {
		return
	}
	for _, d := range documents {
		standing[d.Number] = d.Text
		held := map[access.Place]bool{}
		for _, text := range standing {
			for _, bucket := range policy.Places(text) {
				held[bucket] = true
			}
		}
		for _, bucket := range after.Places {
			if _, was := slices.BinarySearch(before.Places, bucket); was && !held[bucket] {
				t.Errorf("after policy %d, bucket %s is in none", d.Number, bucket)
			}
		}
	}
}
