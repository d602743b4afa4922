package spec

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

func (r *reader) buckets() []string {
	items := r.list("Buckets")
	if len(items) == 0 && !r.refused("Buckets") {
		r.refuse("Buckets", "is missing; name at least one bucket")
	}
	var buckets []string
	for _, item := range items {
		bucket, problem := bucketName(item.text, r.rules.Owner.Stack.Partition)
		if problem == "" && !allowed(bucket, r.rules.AllowedBuckets) {
			problem = "is not among the buckets that this provider may give access to (its AllowedBuckets: " + short(strings.Join(r.rules.AllowedBuckets, ", ")) + "); ask the owner of the provider's stack"
		}
		if problem != "" {
			r.refuse(item.property, "%s %s", quote(item.text), problem)
			continue
		}
		buckets = append(buckets, bucket)
	}
	slices.Sort(buckets)
	return slices.Compact(buckets)
}

var s3ARN = regexp.MustCompile(`^arn:([a-z0-9-]*):s3:([a-z0-9-]*):([0-9]*):(.*)$`)

// bucketName returns the bucket that an entry names, or what is wrong with it.
func bucketName(entry, partition string) (bucket, problem string) {
	bucket = entry
	if strings.HasPrefix(entry, "arn:") {
		m := s3ARN.FindStringSubmatch(entry)
		switch {
		case m == nil:
			return "", "is not the ARN of a bucket; write arn:" + partition + ":s3:::NAME or the name alone"
		case m[3] != "" && strings.HasPrefix(m[4], "accesspoint"):
			return "", "is an access point; name the bucket behind it"
		case m[2] != "" || m[3] != "":
			return "", "is not the ARN of a bucket; it has neither region nor account: arn:" + partition + ":s3:::NAME"
		case m[1] != partition:
			return "", "is of another partition than the stack; write arn:" + partition + ":s3:::NAME"
		}
		bucket = m[4]
	}
	if rest, ok := strings.CutPrefix(entry, "s3://"); ok {
		before, _, _ := strings.Cut(rest, "/")
		return "", "is a URL; write the bucket's name alone, " + quote(before)
	}
	if strings.Contains(entry, "://") {
		return "", "is a URL; write the bucket's name alone"
	}
	if strings.ContainsAny(entry, "*?") {
		return "", "has a wildcard; name each bucket, without one"
	}
	bucket, prefix, _ := strings.Cut(bucket, "/")
	if prefix != "" {
		return "", "has a prefix, which this version does not support; name the bucket alone"
	}
	return bucket, bucketProblem(bucket)
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

// Patterns reads ALLOWED_BUCKETS: comma-separated, spaces around aside.
func Patterns(list string) []string {
	var patterns []string
	for pattern := range strings.SplitSeq(list, ",") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}
