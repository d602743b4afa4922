package spec

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
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
		if problem == "" && !allowed(place.Bucket(), r.rules.AllowedBuckets) {
			problem = "is not among the buckets that this provider may give access to (its AllowedBuckets: " + short(strings.Join(r.rules.AllowedBuckets, ", ")) + "); ask the owner of the provider's stack"
		}
		if problem != "" {
			r.refuse(item.property, "%s %s", quote(item.text), problem)
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
	if problem = bucketProblem(bucket); problem == "" {
		problem = prefixProblem(prefix)
	}
	if prefix == "" {
		return access.Place(bucket), problem
	}
	return access.Place(bucket + "/" + prefix), problem
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

// prefixProblem says why a prefix cannot stand in a policy, or nothing. IAM
// takes U+0020 to U+00FF.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
func prefixProblem(prefix string) string {
	switch {
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
// characters, none included. Everything else stands for itself.
func Match(pattern, s string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, before)
	if !ok {
		return false
	}
	for i := 0; i <= len(rest); i++ {
		if Match(after, rest[i:]) {
			return true
		}
	}
	return false
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
