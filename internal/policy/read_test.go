package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

func TestReadingTheGoldenPolicies(t *testing.T) {
	for _, name := range goldens(t) {
		text := readFile(t, filepath.Join("testdata", name, "policy.json"))
		got, ok := policy.Read([]string{text})
		if want := declared(t, name, nil); !ok || !cmp.Equal(want, got) {
			t.Errorf("%s: %v %s", name, ok, cmp.Diff(want, got))
		}
	}
}

// FuzzRead: what was written is read back, whatever it is and however the
// places are spread. What is read is what would be written.
func FuzzRead(f *testing.F) {
	for seed := range int64(400) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed int64) {
		random := rand.New(rand.NewSource(seed))
		scope, partition := randomScope(random)
		documents, err := policy.Documents(name.MaxPolicies, scope, partition, formerOf(random, scope.Places))
		var tooMany policy.TooManyError
		if errors.As(err, &tooMany) {
			return
		}
		var texts []string
		for _, d := range documents {
			texts = append(texts, d.Text)
		}
		random.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
		got, ok := policy.Read(texts)
		if !ok || !cmp.Equal(scope, got) {
			t.Fatalf("%v %s\n%s", ok, cmp.Diff(scope, got), texts)
		}
		if len(texts) > 1 {
			if got, ok := policy.Read(append(texts, texts[0])); ok {
				t.Errorf("one twice: %+v", got)
			}
		}
	})
}

// FuzzReadAnything: no text makes it panic, and what it reads it would write.
func FuzzReadAnything(f *testing.F) {
	for _, name := range []string{"everything", "prefix-of-wildcards", "source-one"} {
		f.Add(document(f, name, nil))
	}
	for _, text := range []string{"", "{", "null", "[]", `{"Statement":[{"Sid":"CloneySourceAccessObjects","Resource":["arn:aws:s3:::*/*"]}]}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		scope, ok := policy.Read([]string{text})
		if !ok {
			if !cmp.Equal(scope, access.Scope{}) {
				t.Errorf("of what is not ours: %+v", scope)
			}
			return
		}
		for _, partition := range partitions {
			if documents, err := policy.Documents(name.MaxPolicies, scope, partition, nil); err == nil && len(documents) == 1 && policy.Same(documents[0].Text, text) {
				return
			}
		}
		t.Errorf("%s is read as %+v", text, scope)
	})
}

var partitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"}

// randomScope is any scope that a stack could declare, and its partition.
func randomScope(random *rand.Rand) (access.Scope, string) {
	partition := partitions[random.Intn(len(partitions))]
	roles := 1 + random.Intn(3)
	scope := access.Scope{Source: roles&1 > 0, Destination: roles&2 > 0}
	for range 1 + random.Intn([]int{4, 40, 200}[random.Intn(3)]) {
		scope.Places = append(scope.Places, randomPlace(random))
	}
	scope.Places = access.Fold(scope.Places)
	for range random.Intn(4) {
		region := fmt.Sprintf("%s-%d", []string{"eu-west", "us-east"}[random.Intn(2)], 1+random.Intn(12))
		scope.KMSKeys = append(scope.KMSKeys, fmt.Sprintf("arn:%s:kms:%s:%012d:key/mrk-%032x", partition, region, random.Intn(1e9), random.Intn(9)))
	}
	for range random.Intn(3) {
		scope.SourceIPs = append(scope.SourceIPs, []string{"203.0.113.0/24", "203.0.113.7", "2001:db8::/32", "2001:db8::1"}[random.Intn(4)])
	}
	if random.Intn(2) > 0 {
		scope.Owner = fmt.Sprintf("%012d", random.Intn(1e9))
	}
	if random.Intn(2) > 0 {
		scope.ExpiresAt = time.Unix(random.Int63n(253402300800), 0).UTC()
	}
	scope.KMSKeys, scope.SourceIPs = sortedSet(scope.KMSKeys), sortedSet(scope.SourceIPs)
	return scope, partition
}

func randomPlace(random *rand.Rand) access.Place {
	place := []string{"data", "data-lake", "a.b", "Old_Bucket", "data.lake"}[random.Intn(5)] + []string{"", fmt.Sprint(random.Intn(300))}[random.Intn(2)]
	const odd = `*?$${}/"\<>&' ab0:é` + "ÿ\u00a0,"
	if random.Intn(2) > 0 {
		place += "/"
		for range 1 + random.Intn(12) {
			runes := []rune(odd)
			place += string(runes[random.Intn(len(runes))])
		}
	}
	return access.Place(place)
}

// formerOf says at random where some of the places stood before.
func formerOf(random *rand.Rand, places []access.Place) map[int][]access.Place {
	former := map[int][]access.Place{}
	for _, p := range places {
		if random.Intn(3) == 0 {
			number := 1 + random.Intn(10)
			former[number] = append(former[number], p)
		}
	}
	return former
}

func sortedSet(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// Every single change of a document makes it another one than was written.
func TestReadingWhatWasTamperedWith(t *testing.T) {
	for _, name := range []string{"everything", "both-three", "prefix-of-wildcards"} {
		text := document(t, name, nil)
		tampered := 0
		for _, changed := range mutations(decoded(t, text)) {
			other, err := json.Marshal(changed)
			if err != nil {
				t.Fatal(err)
			}
			if policy.Same(text, string(other)) {
				continue // a list of one reversed, say
			}
			tampered++
			if got, ok := policy.Read([]string{string(other)}); ok {
				t.Errorf("%s: read as %+v: %s", name, got, other)
			}
		}
		if tampered < 50 {
			t.Errorf("%s: only %d changes: the test tests nothing", name, tampered)
		}
	}
}

func decoded(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// mutations are the values that differ from this one in one place.
func mutations(value any) (all []any) {
	switch v := value.(type) {
	case string:
		return []any{v + "x", v + "*", "*", "", strings.ToUpper(v), []any{v}, nil}
	case []any:
		reversed := slices.Clone(v)
		slices.Reverse(reversed)
		all = []any{reversed, []any{}, append(slices.Clone(v), "x"), nil}
		for i := range v {
			all = append(all, slices.Delete(slices.Clone(v), i, i+1), slices.Insert(slices.Clone(v), i, v[i]))
			for _, changed := range mutations(v[i]) {
				all = append(all, slices.Replace(slices.Clone(v), i, i+1, changed))
			}
		}
	case map[string]any:
		for key := range v {
			without := maps.Clone(v)
			delete(without, key)
			other := maps.Clone(without)
			other["Not"+key] = v[key]
			beside := maps.Clone(v)
			beside["Not"+key] = v[key]
			all = append(all, without, other, beside)
			for _, changed := range mutations(v[key]) {
				with := maps.Clone(v)
				with[key] = changed
				all = append(all, with)
			}
		}
	}
	return all
}

// What is consistent in itself, and still none of ours.
func TestReadingWhatNobodyWrote(t *testing.T) {
	everything := document(t, "everything", nil)
	swap := func(old, new string) []string {
		if !strings.Contains(everything, old) {
			t.Fatalf("no %s in the document", old)
		}
		return []string{strings.ReplaceAll(everything, old, new)}
	}
	simple := document(t, "source-one", nil)
	var eleven []string
	for i := range 11 {
		one, err := policy.Documents(name.MaxPolicies, access.Scope{Source: true, Places: []access.Place{access.Place(fmt.Sprintf("data-%d", i))}}, "aws", nil)
		if err != nil {
			t.Fatal(err)
		}
		eleven = append(eleven, one[0].Text)
	}
	if _, ok := policy.Read(eleven[:10]); !ok {
		t.Error("ten are refused")
	}
	for label, texts := range map[string][]string{
		"eleven":               eleven,
		"any partition at all": {strings.ReplaceAll(simple, "arn:aws:", "arn:*:")},
		"nothing":              nil,
		"no list":              {},
		"an empty text":        {""},
		"null":                 {"null"},
		"no statements":        {`{"Version":"2012-10-17","Statement":[]}`},
		"another's":            {`{"Version":"2012-10-17","Statement":[{"Sid":"X","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::x/*"]}]}`},
		"and more":             {everything + "{}"},
		"any bucket":           swap(":::logs", ":::*"),
		"buckets of a pattern": swap(":::logs", ":::l?gs"),
		"a variable":           swap(":::logs", ":::${aws:username}"),
		"no bucket":            swap(":::logs", ":::"),
		"a variable as prefix": swap("in/", "${aws:username}/"),
		"a pattern as prefix":  swap("in/", "*/"),
		"a whole bucket in it": swap("in/*", "*"),
		"another partition":    swap("arn:aws:s3", "arn:aws-cn:s3"),
		"any partition":        swap("arn:aws:", "arn:*:"),
		"partition unknown":    swap("arn:aws:", "arn:aws-moon:"),
		"an owner of letters":  swap("210987654321", "21098765432x"),
		"any owner":            swap("210987654321", "*"),
		"no owner":             swap("210987654321", ""),
		"no address":           swap("203.0.113.0/24", "everywhere"),
		"an address twice":     swap(`["203.0.113.0/24"]`, `["203.0.113.0/24","203.0.113.0/24"]`),
		"addresses unsorted":   swap(`["203.0.113.0/24"]`, `["203.0.113.0/24","198.51.100.1"]`),
		"host bits":            swap("203.0.113.0/24", "203.0.113.7/24"),
		"another form":         swap("203.0.113.0/24", "203.0.113.0/32"),
		"no time":              swap("2030-01-31T17:00:00Z", "soon"),
		"another zone":         swap("2030-01-31T17:00:00Z", "2030-01-31T18:00:00+01:00"),
		"parts of seconds":     swap("2030-01-31T17:00:00Z", "2030-01-31T17:00:00.5Z"),
		"no end":               swap("2030-01-31T17:00:00Z", "0001-01-01T00:00:00Z"),
		"any key":              swap("key/1234abcd-12ab-34cd-56ef-1234567890ab", "key/*"),
		"an alias":             swap("key/1234abcd-12ab-34cd-56ef-1234567890ab", "alias/x"),
		"a key's region":       swap("kms:eu-west-1", "kms:us-east-1"),
		"another service":      swap("arn:aws:kms:", "arn:aws:s3:"),
		"without a service":    swap(`"kms:ViaService"`, `"kms:CallerAccount"`),
		"twice":                {everything, everything},
		"of two scopes":        {everything, document(t, "source-one", nil)},
		"of two partitions":    {document(t, "partition-aws-cn", nil), document(t, "source-one", nil)},
		"one is another's":     {everything, "{}"},
		"too long":             {strings.ReplaceAll(everything, "in/", "in/"+strings.Repeat("x", 970))},
	} {
		if scope, ok := policy.Read(texts); ok || !cmp.Equal(scope, access.Scope{}) {
			t.Errorf("%s: %+v", label, scope)
		}
	}
}

// AWS keeps the text, but a person may have changed its layout.
func TestReadingAnotherLayout(t *testing.T) {
	text := document(t, "everything", nil)
	want, _ := policy.Read([]string{text})
	sorted, err := json.MarshalIndent(decoded(t, text), "  ", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := policy.Read([]string{string(sorted)}); !ok || !cmp.Equal(want, got) {
		t.Errorf("%v %s", ok, cmp.Diff(want, got))
	}
}
