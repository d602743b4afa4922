package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// reader takes the properties one by one and collects what is wrong.
type reader struct {
	properties map[string]any
	rules      Rules
	problems   Problems
	notAllowed []NotAllowed
	peeking    bool // what was valid by other rules is still told
}

func (r *reader) refuse(property, format string, args ...any) {
	r.problems = append(r.problems, Problem{property, fmt.Sprintf(format, args...)})
}

// disallow tells what is not among those that a list of the provider's owner
// allows: as a problem, or in an Update to the plan. It reports whether that
// refuses it.
func (r *reader) disallow(what NotAllowed, item item, among string, list []string) (refused bool) {
	problem := Problem{item.property, fmt.Sprintf("%s is not among %s: %s); ask the owner of the provider's stack", quote(item.text), among, short(strings.Join(list, ", ")))}
	if !r.rules.Update {
		r.problems = append(r.problems, problem)
		return true
	}
	what.Problem = problem.String()
	r.notAllowed = append(r.notAllowed, what)
	return false
}

// text reads any scalar: CloudFormation sends strings, people who test by hand
// send numbers and booleans too.
func text(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// scalar returns the property's text, or false when it is absent or refused.
func (r *reader) scalar(property string) (string, bool) {
	value, present := r.properties[property]
	if !present || value == nil {
		return "", false
	}
	s, ok := text(value)
	if !ok {
		r.refuse(property, "is a %s; write one value", kind(value))
	}
	return s, ok
}

// item is one entry of a list, with the name that a message calls it by.
type item struct{ property, text string }

// list returns the property's entries: a single string is split at commas, an
// element of a list never is.
func (r *reader) list(property string) []item {
	var items []item
	add := func(label, s string) {
		if s == "" {
			r.refuse(label, "is empty; leave it out (AWS::NoValue does)")
			return
		}
		items = append(items, item{label, s})
	}
	switch value := r.properties[property].(type) {
	case nil:
	case []any:
		for i, element := range value {
			label := fmt.Sprintf("%s[%d]", property, i)
			if s, ok := text(element); ok {
				add(label, s)
			} else {
				r.refuse(label, "is a %s; write one value", kind(element))
			}
		}
	default:
		whole, ok := text(value)
		if !ok {
			r.refuse(property, "is a %s; write a list", kind(value))
			return nil
		}
		parts := strings.Split(whole, ",")
		for i, part := range parts {
			label := property
			if len(parts) > 1 {
				label = fmt.Sprintf("%s[%d]", property, i)
			}
			add(label, strings.TrimSpace(part))
		}
	}
	return items
}

func kind(value any) string {
	switch value.(type) {
	case map[string]any:
		return "map"
	case []any:
		return "list"
	case nil:
		return "null"
	}
	return "single value"
}

// known are the properties that this version takes, in the contract's order;
// later are those of the contract that a coming version takes.
var (
	known = []string{"ServiceToken", "ServiceTimeout", "Access", "Buckets", "KmsKeyArns", "BucketOwner", "SourceIps", "ExpiresAt", "UserName", "SecretName", "SecretKmsKeyId", "SecretReaders", "Serial", "Verify", "Tags"}
	later = []string{"RotationSchedule", "RotationGraceDays"}
)

// unknown refuses every property that is not known. A property that would
// narrow the credential must never be ignored.
func (r *reader) unknown() {
	for _, property := range slices.Sorted(maps.Keys(r.properties)) {
		switch {
		case slices.Contains(known, property):
		case slices.Contains(later, property):
			r.refuse(property, "is not supported by this version of the provider; leave it out, or update the provider")
		default:
			r.refuse(quote(property), "is no property of Custom::CloneyS3Credentials; did you mean %s?", nearest(property, slices.Concat(known, later)))
		}
	}
}

// nearest returns the candidate that is the fewest edits away, case aside.
func nearest(s string, candidates []string) string {
	// A name of a megabyte is nearest to nothing, and would take long to tell.
	s = strings.ToLower(s[:min(len(s), 64)])
	return slices.MinFunc(candidates, func(a, b string) int {
		return levenshtein.ComputeDistance(s, strings.ToLower(a)) - levenshtein.ComputeDistance(s, strings.ToLower(b))
	})
}
