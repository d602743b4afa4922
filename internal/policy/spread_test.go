package policy_test

import (
	"errors"
	"fmt"
	"math/rand"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

func TestSpreadingOverPolicies(t *testing.T) {
	for _, scope := range []access.Scope{{Source: true}, {Destination: true}, {Source: true, Destination: true}} {
		most := 0
		for n := 1; n < 2000; n += 37 {
			scope.Places = buckets(0, n)
			documents, err := policy.Documents(name.MaxPolicies, scope, "aws", nil)
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

// ofLength are n buckets whose names have so many characters.
func ofLength(n, length int) (places []access.Place) {
	for i := range n {
		places = append(places, access.Place(fmt.Sprintf("%03d%s", i, strings.Repeat("x", length-3))))
	}
	return places
}

// README tells these numbers.
func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		scope       access.Scope
		length, fit int
	}{
		{access.Scope{Source: true}, 20, 711},
		{access.Scope{Source: true}, 63, 324},
		{access.Scope{Destination: true}, 20, 702},
		{access.Scope{Destination: true}, 63, 324},
		{access.Scope{Source: true, Destination: true}, 20, 333},
		{access.Scope{Source: true, Destination: true}, 63, 153},
	} {
		c.scope.Places = ofLength(1000, c.length)
		_, err := policy.Documents(name.MaxPolicies, c.scope, "aws", nil)
		var tooMany policy.TooManyError
		if !errors.As(err, &tooMany) || tooMany.Fit != c.fit {
			t.Errorf("of names with %d characters: %v, want %d to fit", c.length, err, c.fit)
		}
		c.scope.Places = c.scope.Places[:c.fit]
		if _, err := policy.Documents(name.MaxPolicies, c.scope, "aws", nil); err != nil {
			t.Errorf("%d do not fit: %v", c.fit, err)
		}
	}
}

// A user from before has a tenth policy. What is in it stays, whatever is added to the
// others, and nothing else comes into it unless that is asked for.
func TestATenthPolicyFromBefore(t *testing.T) {
	scope := access.Scope{Source: true, Places: ofLength(780, 20)}
	documents, err := policy.Documents(name.MaxPolicyNumber, scope, "aws", nil)
	if err != nil || len(documents) != name.MaxPolicyNumber {
		t.Fatalf("%d policies, %v", len(documents), err)
	}
	if _, err := policy.Documents(name.MaxPolicies, scope, "aws", nil); err == nil {
		t.Error("a new user gets ten")
	}
	former := map[int][]access.Place{}
	for _, d := range documents {
		former[d.Number] = policy.Places(d.Text)
	}
	again, err := policy.Documents(name.MaxPolicies, scope, "aws", former)
	if err != nil || !slices.Equal(documents, again) {
		t.Errorf("what stands is written otherwise: %v", err)
	}
	texts := make([]string, len(documents))
	for i, d := range documents {
		texts[i] = d.Text
	}
	if read, ok := policy.Read(texts); !ok || len(read.Places) != len(scope.Places) {
		t.Errorf("the rotator reads %d of %d places of ten policies", len(read.Places), len(scope.Places))
	}
	// There is room in the tenth alone.
	gone := former[name.MaxPolicyNumber][0]
	scope.Places = append(slices.DeleteFunc(slices.Clone(scope.Places), func(p access.Place) bool { return p == gone }), "zzz")
	var tooMany policy.TooManyError
	if _, err := policy.Documents(name.MaxPolicies, scope, "aws", former); !errors.As(err, &tooMany) {
		t.Errorf("a new bucket came into the tenth: %v", err)
	}
	if _, err := policy.Documents(name.MaxPolicyNumber, scope, "aws", former); err != nil {
		t.Error(err)
	}
}

// What a stack owner reads says how many fit, or what takes the room.
func TestWhatIsSaidOfTooMany(t *testing.T) {
	many := access.Scope{Source: true, Places: buckets(0, 2000)}
	none := access.Scope{Source: true, Places: buckets(0, 1)}
	for i := range 400 {
		none.SourceIPs = append(none.SourceIPs, fmt.Sprintf("203.0.%d.%d", i/256, i%256))
	}
	for _, c := range []struct {
		scope access.Scope
		want  string
	}{
		{many, `^Buckets: 2000 entries are too many, because a user's policies hold about [1-9][0-9]{2} of these\. Declare more resources for the others$`},
		{none, `^Buckets: a user's policies have no room for any entry, because KmsKeyArns, SourceIps or a long prefix fill them\. Declare several resources, each with fewer of these$`},
	} {
		if _, err := policy.Documents(name.MaxPolicies, c.scope, "aws", nil); err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// A managed policy has at most 6,144 characters, white space not counted. A
// document is filled up to the last of them, and not beyond.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func TestADocumentIsFilledUpToTheLastCharacter(t *testing.T) {
	// A letter of a whole bucket stands twice in the document; one of a bucket
	// with a prefix three times.
	documents := func(whole, prefixed int) []policy.Document {
		scope := access.Scope{Source: true, Places: buckets(0, 55)}
		scope.Places = append(scope.Places, access.Place("data"+strings.Repeat("x", prefixed)+"/in/"), access.Place("whole"+strings.Repeat("x", whole)))
		documents, err := policy.Documents(name.MaxPolicies, scope, "aws", nil)
		if err != nil {
			t.Fatal(err)
		}
		return documents
	}
	short := len(documents(0, 0)[0].Text)
	for _, c := range []struct{ size, policies int }{{6143, 1}, {6144, 1}, {6145, 2}, {6146, 2}} {
		prefixed := (c.size - short) % 2
		got := documents((c.size-short-3*prefixed)/2, prefixed)
		if len(got) != c.policies {
			t.Errorf("%d characters are spread over %d policies, want %d", c.size, len(got), c.policies)
		}
		if c.policies == 1 && len(got[0].Text) != c.size {
			t.Errorf("%d characters, want %d", len(got[0].Text), c.size)
		}
	}
}

// A policy is replaced whole, one after the other, in the given order. At no
// moment may a bucket that is declared before and after be without its policy.
func TestChangesLeaveNoGap(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	moved := 0
	for range 300 {
		before := access.Scope{Source: true, Destination: random.Intn(3) == 0, Places: sample(random)}
		after := access.Scope{Source: true, Destination: random.Intn(2) == 0, Places: sample(random)}
		first, err := policy.Documents(name.MaxPolicies, before, "aws", nil)
		if err != nil {
			continue
		}
		state := map[int][]access.Place{}
		for _, d := range first {
			state[d.Number] = policy.Places(d.Text)
		}
		second, err := policy.Documents(name.MaxPolicies, after, "aws", state)
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
	first, err := policy.Documents(name.MaxPolicies, scope, "aws", nil)
	if err != nil {
		t.Fatal(err)
	}
	state, texts := map[int][]access.Place{}, map[int]string{}
	for _, d := range first {
		state[d.Number], texts[d.Number] = policy.Places(d.Text), d.Text
	}
	scope.Places = append([]access.Place{"aaa"}, scope.Places...)
	second, err := policy.Documents(name.MaxPolicies, scope, "aws", state)
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
		if len(d.Text) > policy.MaxSize || d.Number < 1 || d.Number > name.MaxPolicyNumber || numbers[d.Number] {
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
