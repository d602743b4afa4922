package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	f.Add("data/in/,data/out", "data", byte(2), byte(2), byte(0), byte(0))
	f.Add("data/", "data/in/,data/out/", byte(0), byte(0), byte(9), byte(9))
	f.Add("data/in/x", "data/in/x", byte(2), byte(0), byte(8), byte(9))
	f.Add("data/*?$,data/${*}", "data/*", byte(2), byte(1), byte(0), byte(0))
	f.Add("\"},{\"Effect\":\"Allow\"", "*,x/*,${aws:username}", byte(0), byte(1), byte(3), byte(3))
	f.Fuzz(func(t *testing.T, names, before string, roles, rolesBefore, copies, copiesBefore byte) {
		former := map[int]string{}
		held := map[int][]access.Place{}
		scopeBefore := scopeOf(t, before, rolesBefore, copiesBefore)
		documents, err := policy.Documents(name.MaxPolicies, scopeBefore, "aws", nil)
		if err != nil {
			scopeBefore = access.Scope{} // refused: nothing stands
		}
		judge(t, scopeBefore, documents)
		for _, d := range documents {
			former[d.Number], held[d.Number] = d.Text, policy.Places(d.Text)
		}
		scope := scopeOf(t, names, roles, copies)
		documents, err = policy.Documents(name.MaxPolicies, scope, "aws", held)
		again, errAgain := policy.Documents(name.MaxPolicies, scope, "aws", held)
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

// scopeOf reads bucket names as a stack writes them, prefixes too; those that a
// stack may not name are left out. The first one counts many times over, with
// numbers at its end.
func scopeOf(t *testing.T, names string, roles, copies byte) access.Scope {
	rules := rulesOf(t, "arn:aws:cloudformation:eu-west-1:123456789012:stack/m/1")
	scope := access.Scope{Source: roles%3 != 1, Destination: roles%3 != 0}
	parsed := func(entry string) []access.Place {
		declared, err := spec.Parse(map[string]any{"Access": "Source", "Buckets": []any{entry}}, rules)
		if err != nil {
			return nil
		}
		return declared.Scope.Places
	}
	list := strings.Split(names, ",")
	for _, entry := range list {
		scope.Places = append(scope.Places, parsed(entry)...)
	}
	for _, place := range parsed(list[0] + "000") {
		for i := range 1 << (copies % 11) {
			scope.Places = append(scope.Places, access.Place(fmt.Sprintf("%s%03d", strings.TrimSuffix(string(place), "000"), i%1000)))
		}
	}
	scope.Places = access.Fold(scope.Places)
	return scope
}

// judge asks for documents that AWS takes, and that grant the scope exactly.
func judge(t *testing.T, scope access.Scope, documents []policy.Document) {
	want := map[string]bool{}
	grant := func(actions, resource, condition string) {
		for _, action := range strings.Fields(actions) {
			want[action+" "+resource+" "+condition] = true
		}
	}
	objects := strings.TrimSpace(map[bool]string{true: read}[scope.Source] + " " + map[bool]string{true: write}[scope.Destination])
	for _, place := range scope.Places {
		arn, prefix := "arn:aws:s3:::"+place.Bucket(), literally(place.Prefix())
		grant(objects, arn+"/"+prefix+"*", "{}")
		if prefix == "" {
			grant(bucket, arn, "{}")
			continue
		}
		grant(locate, arn, "{}")
		condition, _ := json.Marshal(map[string]any{"StringLike": map[string]any{"s3:prefix": []string{prefix + "*"}}})
		grant(list, arn, string(condition))
	}
	got := map[string]bool{}
	numbers := map[int]bool{}
	for _, d := range documents {
		if d.Number < 1 || d.Number > name.MaxPolicyNumber || numbers[d.Number] {
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

// literally is how IAM has a text stand for itself in a pattern.
func literally(text string) (pattern string) {
	for _, c := range text {
		if strings.ContainsRune("*?$", c) {
			pattern += "${" + string(c) + "}"
		} else {
			pattern += string(c)
		}
	}
	return pattern
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

// grants lists a document's actions, resources and conditions. Whatever else a policy can
// say fails the test.
func grants(t *testing.T, text string) map[string]bool {
	var doc struct {
		Version   string
		Statement []struct {
			Sid, Effect      string
			Action, Resource []string
			Condition        map[string]map[string][]string
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
		condition, _ := json.Marshal(s.Condition)
		for _, action := range s.Action {
			for _, resource := range s.Resource {
				granted[action+" "+resource+" "+strings.Replace(string(condition), "null", "{}", 1)] = true
			}
		}
	}
	return granted
}

// replaced applies the documents one by one, and asks after each that what was
// granted before and is declared after is granted.
func replaced(t *testing.T, before, after access.Scope, standing map[int]string, documents []policy.Document) {
	source, destination := before.Source && after.Source, before.Destination && after.Destination
	if !source && !destination {
		return
	}
	was, is := setOf(before.Places), setOf(after.Places)
	for _, d := range documents {
		standing[d.Number] = d.Text
		held := map[access.Place]bool{}
		for _, text := range standing {
			for _, p := range policy.Places(text) {
				held[p] = true
			}
		}
		// What both scopes hold is what of either the other one covers.
		for _, both := range [][2]map[access.Place]bool{{was, is}, {is, was}} {
			for p := range both[0] {
				if covered(both[1], p) && !covered(held, p) {
					t.Errorf("after policy %d, %s is not held, which is before and after", d.Number, p)
				}
			}
		}
	}
}

func setOf(places []access.Place) map[access.Place]bool {
	set := map[access.Place]bool{}
	for _, p := range places {
		set[p] = true
	}
	return set
}

// covered reports whether one of the places holds all of p.
func covered(places map[access.Place]bool, p access.Place) bool {
	for i := range len(p) + 1 {
		if i >= len(p.Bucket()) && places[p[:i]] {
			return true
		}
	}
	return false
}
