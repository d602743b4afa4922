package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/lazyregexp"
	"cloney-s3-credentials/internal/name"
)

func (r *reader) places() []access.Place {
	items := r.list("Buckets")
	if len(items) == 0 {
		r.missing("Buckets", "is missing; name at least one bucket")
	}
	var places []access.Place
	for _, item := range items {
		place, problem := parsePlace(item.text, r.rules.Owner.Stack.Partition)
		if problem != "" {
			r.wrong(item.property, item.text, "%s", problem)
			continue
		}
		if !r.limitBucket(item, place) {
			places = append(places, place)
		}
	}
	return access.Fold(places)
}

var s3ARN = lazyregexp.New(`^arn:([a-z0-9-]*):s3:([a-z0-9-]*):([0-9]*):((?s:.*))$`)

// Programs write s3:// before a bucket's name, Hadoop's s3a:// or s3n://. Of other
// URLs, what the bucket is depends on the host.
var (
	s3URL    = lazyregexp.New(`^(?i:s3[an]?)://`)
	otherURL = lazyregexp.New(`^[A-Za-z][A-Za-z0-9+.-]*://`)
)

// parsePlace returns the place that an entry names, or what is wrong with it.
func parsePlace(entry, partition string) (place access.Place, problem string) {
	scheme := s3URL.FindString(entry)
	place, problem = parsePath(entry[len(scheme):], partition)
	if scheme != "" && problem == "" {
		return "", "is a URL; leave " + scheme + " out: " + howURLIsWritten(place)
	}
	return place, problem
}

// parsePath reads an entry that is not an S3 URL.
func parsePath(entry, partition string) (place access.Place, problem string) {
	bucket, prefix, _ := strings.Cut(entry, "/")
	if strings.HasPrefix(entry, "arn:") {
		if bucket, prefix, problem = cutARN(entry, partition); problem != "" {
			return "", problem
		}
	}
	switch {
	case otherURL.MatchString(entry) || isHost(bucket, partition):
		return "", "is a web address; write the bucket's name, or NAME/PREFIX"
	case strings.ContainsAny(bucket, "*?"):
		return "", "has a wildcard; name each bucket instead"
	}
	if prefix == "*" {
		prefix = "" // as in the Resource of a policy: the whole bucket
	}
	if problem = bucketProblem(bucket, partition); problem == "" {
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
		return "", "", "is not the ARN of a bucket, which has neither region nor account; write arn:" + partition + ":s3:::NAME"
	case m[1] != partition:
		return "", "", "is in another partition than the stack; write arn:" + partition + ":s3:::NAME"
	}
	bucket, prefix, _ = strings.Cut(m[4], "/")
	return bucket, prefix, ""
}

// mostPrefix is how many bytes a prefix can have: those of an object's key, less
// what verification adds to it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const mostPrefix = 978

// prefixProblem says what is wrong with a prefix, or nothing. IAM takes some prefixes
// that match no object: a * at the end is meant as a wildcard, a / at the beginning and
// white space are typing errors. IAM takes U+0020 to U+00FF.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
func prefixProblem(bucket, prefix string) string {
	begin := func(c rune) bool { return c == '/' || unicode.IsSpace(c) }
	end := func(c rune) bool { return c == '*' || unicode.IsSpace(c) }
	meant := strings.TrimLeftFunc(prefix, begin)
	if strings.HasSuffix(strings.TrimSpace(prefix), "*") {
		meant = beforeWildcards(meant)
	}
	meant = strings.TrimRightFunc(meant, end)
	advice := howPlaceIsWritten(bucket, meant)
	switch {
	case strings.TrimSpace(prefix) != prefix:
		return "has a prefix that begins or ends with white space; " + advice
	case strings.HasSuffix(prefix, "*"):
		return "has a prefix that ends in *, which is not a wildcard here; " + advice
	case strings.HasPrefix(prefix, "/"):
		return "has two slashes after the bucket; " + advice
	case len(prefix) > mostPrefix:
		return fmt.Sprintf("has a prefix of %d bytes, and can have at most %d, because verification adds the name of an object to it; name a shorter prefix", len(prefix), mostPrefix)
	}
	for _, c := range prefix {
		if c < 0x20 || c > 0xFF {
			return fmt.Sprintf("has the character %U in its prefix, which an IAM policy cannot hold (only U+0020 to U+00FF); name a shorter prefix that ends before it, or the whole bucket", c)
		}
	}
	return ""
}

// howPlaceIsWritten says how to write a bucket, or a prefix in it.
func howPlaceIsWritten(bucket, prefix string) string {
	place := quote(string(placeOf(bucket, prefix)))
	if prefix == "" {
		return "write " + place + ", which is the whole bucket"
	}
	return "write " + place + ", which covers every key that begins with this prefix"
}

// howURLIsWritten says how to write what a URL names. A URL without a slash at its end
// often means a folder, and the prefix would cover more: "in" also covers in-other/.
func howURLIsWritten(place access.Place) string {
	bucket, prefix := place.Bucket(), place.Prefix()
	advice := howPlaceIsWritten(bucket, prefix)
	if prefix == "" || strings.HasSuffix(prefix, "/") {
		return advice
	}
	folder := quote(string(placeOf(bucket, prefix+"/")))
	return "write " + folder + " for the keys in this folder, or " + strings.TrimPrefix(advice, "write ")
}

// beforeWildcards returns the part before the first wildcard of a prefix that was meant
// as a pattern. A dot alone before the wildcard comes from a regular expression.
func beforeWildcards(prefix string) string {
	if i := strings.IndexAny(prefix, "*?"); i >= 0 {
		prefix = prefix[:i]
	}
	if prefix == "." || strings.HasSuffix(prefix, "/.") {
		prefix = strings.TrimSuffix(prefix, ".")
	}
	return prefix
}

var (
	bucketName = lazyregexp.New(`^[a-z0-9][a-z0-9.-]+[a-z0-9]$`)
	// Until March 2018 buckets in us-east-1 could have these names, and such buckets
	// still exist. Only path-style requests reach them; a name of dots alone would
	// change the path.
	oldBucketName = lazyregexp.New(`^[A-Za-z0-9._-]+$`)
	// How the names of other things than general purpose buckets end.
	reservedSuffixes = map[string]string{
		"-s3alias":   "an access point's alias; name the bucket behind it",
		"--ol-s3":    "an Object Lambda access point's alias; name the bucket behind it",
		".mrap":      "a multi-region access point's alias; name the bucket behind it",
		"--x-s3":     "a directory bucket, which Cloney's guide does not cover; name a general purpose bucket",
		"--table-s3": "a table bucket, which Cloney's guide does not cover; name a general purpose bucket",
	}
)

const howBucketsAreNamed = "write 3 to 63 of a–z, 0–9, dots and hyphens, with a letter or digit at both ends and no two dots in a row"

// bucketProblem says what is wrong with a general purpose bucket's name, or
// nothing. An old bucket may have a name that S3 refuses for a new one: xn--, sthree-,
// amzn-s3-demo-, capitals. An IP address was never the name of a bucket.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func bucketProblem(bucket, partition string) string {
	for suffix, what := range reservedSuffixes {
		if strings.HasSuffix(bucket, suffix) {
			return "is " + what
		}
	}
	_, err := netip.ParseAddr(bucket)
	switch {
	case err == nil:
		return "is an IP address, not a bucket name; write the bucket's name"
	case len(bucket) <= 63 && bucketName.MatchString(bucket) && !strings.Contains(bucket, ".."):
		return ""
	case numberInName.MatchString(bucket):
		return "holds an account id that a tool has rewritten as a number, so digits may be lost; " + instead
	case len(bucket) < 3 || len(bucket) > 255 || !oldBucketName.MatchString(bucket) || strings.Trim(bucket, ".") == "":
		return "is not a bucket name; " + howBucketsAreNamed
	case partition != "aws":
		return "is a name that only old buckets of us-east-1 have, from before March 2018, and partition " + partition + " does not reach them; " + howBucketsAreNamed
	}
	return ""
}

// isHost reports whether a bucket's name is a host name of S3: that of the bucket, which
// Fn::GetAtt returns as DomainName, or that of S3 itself.
func isHost(bucket, partition string) bool {
	host, domain := strings.ToLower(bucket), name.Suffix(partition)
	return strings.HasSuffix(host, ".amazonaws.com") || domain != "" && strings.HasSuffix(host, "."+domain)
}

// allowed reports whether the bucket matches one of the patterns, or there are
// none.
func allowed(bucket string, patterns []string) bool {
	return len(patterns) == 0 || matchesAny(patterns, bucket)
}

func matchesAny(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return Match(pattern, s) })
}

// Match reports whether s matches a pattern in which * stands for any
// characters, or for none. Everything else stands for itself. It looks for the text
// between two stars where that comes first: no later place leaves more for the rest of
// the pattern. So it reads s once, however many stars there are.
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

// Patterns reads a comma-separated list, such as ALLOWED_BUCKETS. Spaces around an entry
// do not count.
func Patterns(list string) []string {
	var patterns []string
	for pattern := range strings.SplitSeq(list, ",") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}
