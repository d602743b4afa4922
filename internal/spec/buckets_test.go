package spec_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/spec"
)

func bucket(t *testing.T, entry string) string {
	t.Helper()
	text, err := json.Marshal([]string{entry})
	if err != nil {
		t.Fatal(err)
	}
	return `{"Access": "Source", "Buckets": ` + string(text) + `}`
}

func TestBucketNamesThatS3Gives(t *testing.T) {
	for entry, want := range map[string]string{
		"abc":                   "abc",
		"0-0":                   "0-0",
		"my.bucket-1":           "my.bucket-1",
		strings.Repeat("a", 63): strings.Repeat("a", 63),
		"192.168.5.4.example":   "192.168.5.4.example",
		// March 2026: buckets in an account's regional namespace.
		"data-123456789012-eu-west-1-an": "data-123456789012-eu-west-1-an",
		"arn:aws:s3:::abc":               "abc",
		"abc/":                           "abc",
		"arn:aws:s3:::abc/":              "abc",
		// Begins like a part of an access point's ARN.
		"accesspoint-logs":              "accesspoint-logs",
		"arn:aws:s3:::accesspoint-logs": "accesspoint-logs",
		"s3-logs":                       "s3-logs",
		"arn-of-noah":                   "arn-of-noah",
		// Prefixes have no wildcards.
		"abc/in":                "abc/in",
		"abc/in/":               "abc/in/",
		"arn:aws:s3:::abc/in/x": "abc/in/x",
		"abc/a b":               "abc/a b",
		"abc/in//":              "abc/in//",
		"abc/*in":               "abc/*in",
		// As in the Resource of a policy.
		"abc/*":                        "abc",
		"arn:aws:s3:::abc/*":           "abc",
		"abc/a*?${x}\"\\<&>:://\u00ff": "abc/a*?${x}\"\\<&>:://\u00ff",
		"abc/s3://":                    "abc/s3://",
	} {
		got, err := spec.Parse(properties(t, bucket(t, entry)), rules(t))
		if diff := cmp.Diff([]access.Place{access.Place(want)}, got.Scope.Places); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", entry, err, diff)
		}
		if schemaOf(t, "Buckets").refuses([]any{entry}) {
			t.Errorf("the schema refuses %q", entry)
		}
	}
}

// An entry that is far too long is refused at once.
func TestEntriesThatAreFarTooLong(t *testing.T) {
	for entry, advice := range map[string]string{
		strings.Repeat("a", 100_000):           "is not a bucket name",
		strings.Repeat("s3://", 100_000):       "is a web address",
		"abc/" + strings.Repeat("é", 513):      "has a prefix of 1026 bytes",
		"abc/in" + strings.Repeat("*", 10_000): `write "abc/in", which covers every key`,
	} {
		only(t, bucket(t, entry), "Buckets[0]", advice, rules(t))
	}
}

// Old buckets of us-east-1, from before March 2018, have names that S3 refuses today. A
// stack in any region of the partition may name them. Other partitions have none.
func TestLegacyBucketNames(t *testing.T) {
	china := spec.Rules{Owner: owner(t, "aws-cn", "cn-north-1")}
	for _, old := range []string{
		"ABCD_Central_1", "My-Bucket", "my_bucket", "_ab", "-abc", "abc-", ".abc", "abc.", "a..b", "MY.BUCKET", "1_2",
		strings.Repeat("a", 64), strings.Repeat("Z", 255),
	} {
		for entry, want := range map[string]access.Place{old: access.Place(old), old + "/in/": access.Place(old + "/in/"), "arn:aws:s3:::" + old + "/*": access.Place(old)} {
			got, err := spec.Parse(properties(t, bucket(t, entry)), rules(t))
			if diff := cmp.Diff([]access.Place{want}, got.Scope.Places); err != nil || diff != "" {
				t.Errorf("%q: %v\n%s", entry, err, diff)
			}
		}
		only(t, bucket(t, old), "Buckets[0]", "only old buckets of us-east-1 have, from before March 2018, and partition aws-cn does not reach them", china)
	}
	for _, none := range []string{"A_", "...", "....", strings.Repeat("a", 256), "A B", "Ä_bucket", "a_b:c", "192.168.5.4", "A_b-s3alias", "A_b--x-s3"} {
		if found := problems(t, bucket(t, none), rules(t)); len(found) != 1 {
			t.Errorf("%q: %v", none, found)
		}
	}
	// Names that differ only in capitals are sorted the same way in any order.
	got, err := spec.Parse(properties(t, `{"Access": "Source", "Buckets": ["data_1", "Data/in/", "data", "Data", "DATA", "data-1", "data/in"]}`), rules(t))
	if diff := cmp.Diff([]access.Place{"DATA", "Data", "data", "data-1", "data_1"}, got.Scope.Places); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// A host name could be the name of a bucket. But it comes from Fn::GetAtt, and means another.
func TestHostsAreNotBuckets(t *testing.T) {
	for _, c := range []struct{ partition, region, entry string }{
		{"aws", "eu-west-1", "data.s3.amazonaws.com"},
		{"aws", "eu-west-1", "data.s3.dualstack.eu-west-1.amazonaws.com/in/"},
		{"aws", "eu-west-1", "data.s3-website-eu-west-1.amazonaws.com"},
		{"aws", "eu-west-1", "Data.S3.AmazonAWS.com"},
		{"aws", "eu-west-1", "s3.amazonaws.com/data"},
		{"aws-cn", "cn-north-1", "data.s3.cn-north-1.amazonaws.com.cn"},
		{"aws-eusc", "eusc-de-east-1", "data.s3.eusc-de-east-1.amazonaws.eu"},
	} {
		only(t, bucket(t, c.entry), "Buckets[0]", "is a web address; write the bucket's name", spec.Rules{Owner: owner(t, c.partition, c.region)})
	}
	// The domain of an unknown partition is unknown too.
	only(t, bucket(t, "data."), "Buckets[0]", "partition aws-new does not reach them", spec.Rules{Owner: owner(t, "aws-new", "new-west-1")})
}

// Old buckets may have names that S3 reserves today.
func TestReservedBeginnings(t *testing.T) {
	for _, entry := range []string{"xn--abc", "sthree-abc", "sthree-configurator-abc", "amzn-s3-demo-bucket"} {
		if found := problems(t, bucket(t, entry), rules(t)); found != nil {
			t.Error(found)
		}
	}
}

func TestPartitionsOfBucketARNs(t *testing.T) {
	china := spec.Rules{Owner: owner(t, "aws-cn", "cn-north-1")}
	got, err := spec.Parse(properties(t, bucket(t, "arn:aws-cn:s3:::abc")), china)
	if err != nil || !cmp.Equal(got.Scope.Places, []access.Place{"abc"}) {
		t.Errorf("%v, %v", got.Scope.Places, err)
	}
	only(t, bucket(t, "arn:aws:s3:::abc"), "Buckets[0]", "write arn:aws-cn:s3:::NAME", china)
}

// What the advice says to write is accepted.
func TestTheAdviceOnPrefixesIsTaken(t *testing.T) {
	for _, entry := range []string{"abc/in/*", "abc/in*", "abc/**", "abc//", "s3://abc/in", "S3A://abc/in/*", "s3://abc//in", "abc// *in/* *", "abc/ /in/* ", "arn:aws:s3:::abc//in/\t"} {
		found := problems(t, bucket(t, entry), rules(t))
		if len(found) != 1 {
			t.Fatalf("%q: %v", entry, found)
		}
		_, advice, _ := strings.Cut(found[0].Text, "write \"")
		advice, _, _ = strings.Cut(advice, "\"")
		if again := problems(t, bucket(t, advice), rules(t)); advice == "" || again != nil {
			t.Errorf("%q: %v; and then %v", entry, found, again)
		}
	}
}

// The advice never proposes a pattern as a prefix: it would be accepted, and match no object.
func TestTheAdviceOnPatternsHasNoWildcard(t *testing.T) {
	for entry, want := range map[string]string{
		"data/**/*": `write "data", which is the whole bucket`, "data/*/*": `write "data", which is the whole bucket`,
		"data/.*": `write "data", which is the whole bucket`, "data/in/.*": `write "data/in/", which covers`,
		"data/in/?*": `write "data/in/", which covers`, "data/in/a?b/*": `write "data/in/a", which covers`,
		"data/in *": `write "data/in", which covers`, "data/in/*/x* ": `write "data/in/", which covers`,
		"data/.git*": `write "data/.git", which covers`, "data/a.*": `write "data/a.", which covers`,
		"s3://data/in/**/*": `write "data/in/", which covers`, "data/a?b ": `write "data/a?b", which covers`,
	} {
		only(t, bucket(t, entry), "Buckets[0]", want, rules(t))
	}
}

// !Sub before what Fn::Sub does not know breaks the template.
func TestTheAdviceOnVariables(t *testing.T) {
	const sub = "write !Sub before it"
	for entry, want := range map[string]string{
		"data/${aws:username}/*": `holds "${aws:username}", which nothing replaces here`, "data/${saml:sub}*": "nothing replaces",
		"data/${AWS::AccountId}/${aws:PrincipalTag/team}/*": `holds "${aws:PrincipalTag/team}", which nothing`, "data/${*}/*": "nothing replaces", "${env:BUCKET}": "nothing replaces",
		"${Bucket}": sub, "data/${AWS::StackName}/*": sub, "data-${Other.Outputs.Name}": sub, "data/${/*": "ends in *",
	} {
		only(t, bucket(t, entry), "Buckets[0]", want, rules(t))
	}
}

// The time for a pattern of many stars grows with the length of the text alone. If it
// grew as a power of the number of stars, this test would not end.
func TestPatterns(t *testing.T) {
	many, long := strings.Repeat("a*", 500), strings.Repeat("a", 200_000)
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{many, long, true}, {many + "b", long, false}, {many + "b", long + "b", true}, {"*" + many, "b" + long, true},
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"**", "a", true}, {"a*a", "a", false}, {"a*a", "aa", true}, {"ab*bc", "abc", false},
		{"*ab*ab*", "abab", true}, {"*ab*ab*", "abb", false}, {"*aab", "aaab", true},
	} {
		if got := spec.Match(c.pattern, c.text); got != c.want {
			t.Errorf("%.20q, %.20q: %v", c.pattern, c.text, got)
		}
	}
	// Against the plain definition, on all short texts of two letters.
	for _, pattern := range words("ab*", 5) {
		for _, text := range words("ab", 5) {
			if got, want := spec.Match(pattern, text), matches(pattern, text); got != want {
				t.Errorf("%q, %q: %v, want %v", pattern, text, got, want)
			}
		}
	}
}

// words are all words of these letters, up to that length.
func words(letters string, most int) []string {
	all := []string{""}
	for begin, n := 0, 0; n < most; n++ {
		end := len(all)
		for _, word := range all[begin:end] {
			for _, letter := range letters {
				all = append(all, word+string(letter))
			}
		}
		begin = end
	}
	return all
}

func matches(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		return matches(pattern[1:], text) || text != "" && matches(pattern, text[1:])
	}
	return text != "" && text[0] == pattern[0] && matches(pattern[1:], text[1:])
}

func TestAllowedBuckets(t *testing.T) {
	for _, c := range []struct {
		patterns, bucket string
		allowed          bool
	}{
		{"", "any", true},
		{" , ", "any", true},
		{"*", "any", true},
		{"data", "data", true},
		{"data", "data2", false},
		{"data", "adata", false},
		{"data-*", "data-", true},
		{"data-*", "Data-1", false},
		{"Data_*", "Data_1", true},
		{"Data_*", "data_1", false},
		{"data-*", "data-1", true},
		{"data-*", "my-data-1", false},
		{"*-data", "my-data", true},
		{"*-data", "my-data-1", false},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "acb", false},
		{"logs , data-*", "data-x", true},
		{"logs,data", "other", false},
		{"d?ta", "data", false},
		{"d.ta", "data", false},
	} {
		given := rules(t)
		given.AllowedBuckets = spec.Patterns(c.patterns)
		_, err := spec.Parse(properties(t, bucket(t, c.bucket)), given)
		if (err == nil) != c.allowed {
			t.Errorf("%q, %q: %v", c.patterns, c.bucket, err)
		}
	}
	given := rules(t)
	given.AllowedBuckets = []string{"logs", "data-*"}
	only(t, bucket(t, "other"), "Buckets[0]", "AllowedBuckets of the provider's stack (logs, data-*); ask the owner of that stack", given)
	// The ARN names the same bucket.
	only(t, bucket(t, "arn:aws:s3:::other"), "Buckets[0]", "is not in AllowedBuckets", given)
}

// The provider's owner can allow every bucket that a stack can name.
func TestTheTemplateTakesTheNamesOfBuckets(t *testing.T) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, parameter, _ := strings.Cut(string(template), "\n  AllowedBuckets:\n")
	_, pattern, _ := strings.Cut(parameter, "AllowedPattern: ")
	pattern, _, _ = strings.Cut(pattern, "\n")
	takes := regexp.MustCompile(pattern)
	for name, want := range map[string]bool{
		"*": true, "data-*": true, "my.bucket-1": true, "ABCD_Central_1": true, "Data_*": true, strings.Repeat("Z", 255): true,
		"": false, "data/in": false, "arn:aws:s3:::data": false, "d?ta": false, "data ": false, "${x}": false,
	} {
		if takes.MatchString(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
