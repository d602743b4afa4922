package accesstest

import (
	"maps"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloney-s3-credentials/internal/access"
)

// These are AWS's default quotas.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const (
	mostKeys       = 2
	mostVersions   = 5 // of a policy
	mostPolicySize = 6144
	mostAttached   = 10
	mostTags       = 50
	mostLabels     = 20 // of a secret's version
	mostSecretSize = 65536
)

var (
	userName   = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	policyName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
	secretName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	arnSuffix  = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
	token      = regexp.MustCompile(`^[A-Za-z0-9-]{32,64}$`)
	label      = regexp.MustCompile(`^.{1,256}$`)
)

// size is a policy's length as AWS counts it, without white space.
func size(document string) int {
	visible := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, document)
	return utf8.RuneCountInString(visible)
}

const (
	mostTagKey   = 128
	mostTagValue = 256
)

// taggable reports whether a tag's key or value has only permitted characters, and at most
// that many. It is called too often for a regular expression.
func taggable(text string, most int) bool {
	return utf8.RuneCountInString(text) <= most && !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
	})
}

// tagged returns the tags after a change, or why AWS refuses it.
func tagged(tags, set map[string]string, unset []string) (map[string]string, error) {
	after := maps.Clone(tags)
	if after == nil {
		after = map[string]string{}
	}
	for _, key := range unset {
		delete(after, key)
	}
	for key, value := range set {
		if key == "" || !taggable(key, mostTagKey) || !taggable(value, mostTagValue) || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, access.ErrInvalid
		}
		after[key] = value
	}
	folded := map[string]bool{}
	for key := range after {
		folded[strings.ToLower(key)] = true
	}
	if len(folded) < len(after) {
		return nil, access.ErrInvalid // the same key twice: capitals do not count
	}
	if len(after) > mostTags {
		return nil, access.ErrLimit
	}
	return after, nil
}
