package spec

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloney-s3-credentials/internal/access"
)

func (r *reader) places() []access.Place {
	items := r.list("Buckets")
	if len(items) == 0 && !r.refused("Buckets") {
		r.refuse("Buckets", "is missing; name at least one bucket")
	}
	var places []access.Place
	for _, item := range items {
		place, problem := parsePlace(item.text, r.rules.Owner.Stack.Partition)
		if problem != "" {
			r.refuse(item.property, "%s %s", quote(item.text), problem)
			continue
		}
		if !allowed(place.Bucket(), r.rules.AllowedBuckets) && r.disallow(NotAllowed{Place: place}, item, "the buckets that this provider may give access to (its AllowedBuckets", r.rules.AllowedBuckets) {
			continue
		}
		places = append(places, place)
	}
	return access.Fold(places)
}

var s3ARN = regexp.MustCompile(`^arn:([a-z0-9-]*):s3:([a-z0-9-]*):([0-9]*):((?s:.*))$`)

// parsePlace returns the place that an entry names, or what is wrong with it.
func parsePlace(entry, partition string) (place access.Place, problem string) {
	if rest, ok := strings.CutPrefix(entry, "s3://"); ok {
		return "", "is a URL; write it without s3://, " + quote(rest)
	}
	bucket, prefix, _ := strings.Cut(entry, "/")
	if strings.HasPrefix(entry, "arn:") {
		if bucket, prefix, problem = cutARN(entry, partition); problem != "" {
			return "", problem
		}
	}
	switch {
	case strings.HasSuffix(bucket, ":") && strings.HasPrefix(prefix, "/"):
		return "", "is a URL; write the bucket's name alone"
	case strings.ContainsAny(bucket, "*?"):
		return "", "has a wildcard; name each bucket, without one"
	}
	if prefix == "*" {
		prefix = "" // so people copy it out of other policies: all of the bucket
	}
	if problem = bucketProblem(bucket); problem == "" {
		problem = prefixProblem(bucket, prefix)
	}
	return placeOf(bucket, prefix), problem
}

func placeOf(bucket, prefix string) access.Place {
	if prefix == "" {
		return access.Place(bucket)
	}
	return access.Place(bucket + "/" + prefix)
}

// cutARN returns what the ARN of a bucket, or of a prefix in it, names.
func cutARN(arn, partition string) (bucket, prefix, problem string) {
	m := s3ARN.FindStringSubmatch(arn)
	switch {
	case m == nil:
		return "", "", "is not the ARN of a bucket; write arn:" + partition + ":s3:::NAME or the name alone"
	case m[3] != "" && strings.HasPrefix(m[4], "accesspoint"):
		return "", "", "is an access point; name the bucket behind it"
	case m[2] != "" || m[3] != "":
		return "", "", "is not the ARN of a bucket; it has neither region nor account: arn:" + partition + ":s3:::NAME"
	case m[1] != partition:
		return "", "", "is of another partition than the stack; write arn:" + partition + ":s3:::NAME"
	}
	bucket, prefix, _ = strings.Cut(m[4], "/")
	return bucket, prefix, ""
}

// mostPrefix is how many bytes a prefix can have: those of an object's key, less
// what verifying writes behind it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const mostPrefix = 978

// prefixProblem says what is wrong with a prefix, or nothing. Some could stand
// in a policy, but would reach no key that anyone has: * at the end is meant as
// a wildcard, / at the beginning and white space are slips. IAM takes U+0020 to
// U+00FF.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
func prefixProblem(bucket, prefix string) string {
	begin := func(c rune) bool { return c == '/' || unicode.IsSpace(c) }
	end := func(c rune) bool { return c == '*' || unicode.IsSpace(c) }
	meant := quote(string(placeOf(bucket, strings.TrimRightFunc(strings.TrimLeftFunc(prefix, begin), end))))
	switch {
	case strings.TrimSpace(prefix) != prefix:
		return "has a prefix that begins or ends with white space; write " + meant + ", which stands for itself"
	case strings.HasSuffix(prefix, "*"):
		return "has a prefix that ends in *, which is no wildcard here; write " + meant + ", which covers every key that begins so"
	case strings.HasPrefix(prefix, "/"):
		return "has a prefix that begins with /, which is no part of it; write " + meant + ", with one slash after the bucket"
	case len(prefix) > mostPrefix:
		return fmt.Sprintf("has a prefix of %d bytes; with more than %d no key is left to verify it with, for S3's have at most 1024", len(prefix), mostPrefix)
	case !utf8.ValidString(prefix):
		return "has a prefix that is no UTF-8, as every object's key is"
	}
	for _, c := range prefix {
		if c < 0x20 || c > 0xFF {
			return fmt.Sprintf("has the character %U in its prefix, which an IAM policy cannot hold (only U+0020 to U+00FF); name a shorter prefix that ends before it, or the whole bucket", c)
		}
	}
	return ""
}

var (
	bucketCharacters = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*[a-z0-9]$`)
	// What S3 gives to others than general purpose buckets.
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = map[string]string{
		"-s3alias":   "an access point's alias; name the bucket behind it",
		"--ol-s3":    "an Object Lambda access point's alias; name the bucket behind it",
		".mrap":      "a multi-region access point's alias; name the bucket behind it",
		"--x-s3":     "a directory bucket, which Cloney's guide does not cover",
		"--table-s3": "a table bucket, which Cloney's guide does not cover",
	}
)

// bucketProblem says what is wrong with a general purpose bucket's name, or
// nothing.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func bucketProblem(bucket string) string {
	for suffix, what := range reservedSuffixes {
		if strings.HasSuffix(bucket, suffix) {
			return "is " + what
		}
	}
	_, err := netip.ParseAddr(bucket)
	switch {
	case len(bucket) < 3 || len(bucket) > 63:
		return "is no bucket name, which has 3 to 63 characters"
	case !bucketCharacters.MatchString(bucket):
		return "is no bucket name; use a–z, 0–9, dots and hyphens, with a letter or digit at both ends"
	case strings.Contains(bucket, ".."):
		return "is no bucket name, which has no two dots in a row"
	case err == nil:
		return "is an IP address, which no bucket is called"
	}
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(bucket, prefix) {
			return "begins with " + prefix + ", which S3 reserves"
		}
	}
	return ""
}

// allowed reports whether the bucket matches one of the patterns, or there are
// none.
func allowed(bucket string, patterns []string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool { return Match(pattern, bucket) })
}

// Match reports whether s matches a pattern in which * stands for any
// characters, none included. Everything else stands for itself. It takes what
// stands between two stars where it comes first: no other place of it leaves
// more for the rest. So it goes through s once, however many stars there are.
func Match(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	last := len(parts) - 1
	if last == 0 {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	for _, part := range parts[1:last] {
		if ok {
			_, rest, ok = strings.Cut(rest, part)
		}
	}
	return ok && strings.HasSuffix(rest, parts[last])
}

// Patterns reads ALLOWED_BUCKETS and its likes: comma-separated, spaces around
// aside.
func Patterns(list string) []string {
	var patterns []string
	for pattern := range strings.SplitSeq(list, ",") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}
