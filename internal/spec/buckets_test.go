package spec_test

import (
	"encoding/json"
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
		// Begins as an access point's ARN goes on.
		"accesspoint-logs":              "accesspoint-logs",
		"arn:aws:s3:::accesspoint-logs": "accesspoint-logs",
		"s3-logs":                       "s3-logs",
		"arn-of-noah":                   "arn-of-noah",
		// Prefixes are taken as they stand.
		"abc/in":                "abc/in",
		"abc/in/":               "abc/in/",
		"arn:aws:s3:::abc/in/x": "abc/in/x",
		"abc/a b":               "abc/a b",
		"abc/in//":              "abc/in//",
		"abc/*in":               "abc/*in",
		// So people copy it out of every policy.
		"abc/*":                        "abc",
		"arn:aws:s3:::abc/*":           "abc",
		"abc/a*?${x}\"\\<&>:://\u00ff": "abc/a*?${x}\"\\<&>:://\u00ff",
		"abc/s3://":                    "abc/s3://",
	} {
		got, err := spec.Parse(properties(t, bucket(t, entry)), rules(t))
		if diff := cmp.Diff([]access.Place{access.Place(want)}, got.Scope.Places); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", entry, err, diff)
		}
	}
}

func TestBucketsThatAreNone(t *testing.T) {
	for entry, advice := range map[string]string{
		"ab":                                   "3 to 63 characters",
		strings.Repeat("a", 64):                "3 to 63 characters",
		strings.Repeat("a", 100_000):           "3 to 63 characters",
		"/":                                    "3 to 63 characters",
		"My-Bucket":                            "use a–z, 0–9, dots and hyphens",
		"my_bucket":                            "use a–z",
		"-abc":                                 "letter or digit at both ends",
		"abc-":                                 "letter or digit at both ends",
		".abc":                                 "letter or digit at both ends",
		"abc.":                                 "letter or digit at both ends",
		"abc\n":                                "use a–z",
		" abc":                                 "use a–z",
		"bücket":                               "use a–z",
		"${Bucket}":                            "use a–z",
		"a..b":                                 "no two dots in a row",
		"192.168.5.4":                          "is an IP address",
		"xn--abc":                              "begins with xn--, which S3 reserves",
		"sthree-abc":                           "begins with sthree-, which S3 reserves",
		"sthree-configurator-abc":              "begins with sthree-",
		"amzn-s3-demo-bucket":                  "begins with amzn-s3-demo-, which S3 reserves",
		"my-point-abcdef123-s3alias":           "access point's alias; name the bucket behind it",
		"my-point-abcdef123--ol-s3":            "Object Lambda access point's alias; name the bucket behind it",
		"mfzwi23gnjvgw.mrap":                   "multi-region access point's alias; name the bucket behind it",
		"fast--euw1-az1--x-s3":                 "directory bucket",
		"table--table-s3":                      "table bucket",
		"ab*c/in":                              "has a wildcard; name each bucket",
		"abc/d\u20acta/":                       "has the character U+20AC in its prefix, which an IAM policy cannot hold (only U+0020 to U+00FF)",
		"abc/a\nb":                             "has the character U+000A in its prefix",
		"abc/" + strings.Repeat("é", 513):      "has a prefix of 1026 bytes; with more than 978 no key is left to verify it with",
		"abc/in/*":                             `has a prefix that ends in *, which is no wildcard here; write "abc/in/", which covers every key that begins so`,
		"arn:aws:s3:::abc/in/*":                `has a prefix that ends in *, which is no wildcard here; write "abc/in/"`,
		"abc/in*":                              `ends in *, which is no wildcard here; write "abc/in", which`,
		"abc/**":                               `ends in *, which is no wildcard here; write "abc", which`,
		"abc/in/**":                            `write "abc/in/", which`,
		"abc//":                                `has a prefix that begins with /, which is no part of it; write "abc", `,
		"abc//in/":                             `has a prefix that begins with /, which is no part of it; write "abc/in/", `,
		"arn:aws:s3:::abc///in":                `write "abc/in", `,
		"abc//*":                               `write "abc", `,
		"abc/ in/":                             `has a prefix that begins or ends with white space; write "abc/in/", `,
		"abc/in/ ":                             `begins or ends with white space; write "abc/in/", `,
		"abc/in\n":                             `begins or ends with white space; write "abc/in", `,
		"abc/\u00a0in":                         `begins or ends with white space; write "abc/in", `,
		"abc/in\u0085":                         `begins or ends with white space; write "abc/in", `,
		"abc/ ":                                `begins or ends with white space; write "abc", `,
		"abc/ /in/* ":                          `write "abc/in/", `,
		"arn:aws:s3:::abc/in ":                 `begins or ends with white space; write "abc/in", `,
		"abc/* ":                               `write "abc", `,
		"abc/in" + strings.Repeat("*", 10_000): `write "abc/in", `,
		"a_b/in/":                              "use a–z",
		"*":                                    "has a wildcard; name each bucket",
		"abc-*":                                "has a wildcard",
		"abc-?":                                "has a wildcard",
		"arn:aws:s3:::*":                       "has a wildcard",
		"s3://abc/in":                          `is a URL; write it without s3://, "abc/in"`,
		"s3://abc":                             `is a URL; write it without s3://, "abc"`,
		"https://abc.s3.amazonaws.com/x":       "is a URL; write the bucket's name alone",
		"arn:aws:s3:eu-west-1:123456789012:accesspoint/p":                      "is an access point; name the bucket behind it",
		"arn:aws:s3:eu-west-1:123456789012:accesspoint:p":                      "is an access point; name the bucket behind it",
		"arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap":              "is an access point; name the bucket behind it",
		"arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint/p":        "write arn:aws:s3:::NAME or the name alone",
		"arn:aws:s3express:eu-west-1:123456789012:bucket/fast--euw1-az1--x-s3": "write arn:aws:s3:::NAME or the name alone",
		"arn:aws:s3:::fast--euw1-az1--x-s3":                                    "directory bucket",
		"arn:aws:s3:eu-west-1::abc":                                            "it has neither region nor account: arn:aws:s3:::NAME",
		"arn:aws:s3::123456789012:abc":                                         "it has neither region nor account",
		"arn:aws:iam::123456789012:user/abc":                                   "write arn:aws:s3:::NAME or the name alone",
		"arn:aws-cn:s3:::abc":                                                  "is of another partition than the stack; write arn:aws:s3:::NAME",
		"arn:aws:s3:::":                                                        "3 to 63 characters",
		"arn:aws:s3:::My-Bucket":                                               "use a–z",
		"arn:":                                                                 "write arn:aws:s3:::NAME",
	} {
		only(t, bucket(t, entry), "Buckets[0]", advice, rules(t))
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

// What advice says to write is taken, and is what was meant.
func TestTheAdviceOnPrefixesIsTaken(t *testing.T) {
	for _, entry := range []string{"abc/in/*", "abc/in*", "abc/**", "abc//", "abc// *in/* *", "abc/ /in/* ", "arn:aws:s3:::abc//in/\t"} {
		found := problems(t, bucket(t, entry), rules(t))
		if len(found) != 1 {
			t.Fatalf("%q: %v", entry, found)
		}
		_, advice, _ := strings.Cut(found[0].Text, "; write \"")
		advice, _, _ = strings.Cut(advice, "\"")
		if again := problems(t, bucket(t, advice), rules(t)); advice == "" || again != nil {
			t.Errorf("%q: %v; and then %v", entry, found, again)
		}
	}
}

// A pattern of many stars takes no longer than its text and the name are long:
// one that takes its powers would not end.
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

// words are all words of the letters, up to that many of them.
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
		{"data-*", "data-", false}, // not a bucket's name, see below
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
	only(t, bucket(t, "other"), "Buckets[0]", "(its AllowedBuckets: logs, data-*); ask the owner of the provider's stack", given)
	// By its ARN it is the same bucket.
	only(t, bucket(t, "arn:aws:s3:::other"), "Buckets[0]", "is not among the buckets", given)
}
