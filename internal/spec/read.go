package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

	"cloney-s3-credentials/internal/lazyregexp"
)

// reader reads the properties one by one, and collects the problems.
type reader struct {
	properties map[string]any
	rules      Rules
	problems   Problems
	notAllowed []NotAllowed
	peeking    bool // for Peek: values that were valid by other rules are still returned
}

func (r *reader) refuse(property, format string, args ...any) {
	r.problems = append(r.problems, Problem{property, fmt.Sprintf(format, args...)})
}

// wrong refuses a value.
func (r *reader) wrong(property, value, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if account := accountInARN.FindStringSubmatch(value); account != nil && digitsLost(account[1]) {
		problem = "holds an account id that does not have 12 digits. " + rewrittenAsNumber
	}
	r.refuse(property, "%s %s", quote(value), filledIn(value, problem))
}

// variable matches ${…}. notOfSub matches a variable that is an error in Fn::Sub: one of
// IAM policies, like ${aws:username} or ${*}, or of another tool.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-sub.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
var (
	variable = lazyregexp.New(`\$\{[^}]*\}`)
	notOfSub = lazyregexp.New(`^\$\{(?:[^:}]+:[^:}][^}]*|[*?$])\}$`)
)

// filledIn returns the problem of a value; or, if the value holds ${…}, that nothing has
// replaced it: only Fn::Sub does that. An object's key may hold ${…}, so this is said
// only of a value that is refused anyway.
func filledIn(value, problem string) string {
	variables := variable.FindAllString(value, -1)
	if i := slices.IndexFunc(variables, notOfSub.MatchString); i >= 0 {
		return "holds " + quote(variables[i]) + ", which nothing replaces here; write its value"
	}
	if variables != nil {
		return "holds ${…}, which only !Sub replaces; write !Sub before it"
	}
	return problem
}

// text reads any scalar: CloudFormation sends strings, but tests by hand also send
// numbers and booleans.
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

// written returns the property's text, or false when it is absent or refused.
func (r *reader) written(property string) (string, bool) {
	value, present := r.properties[property]
	if !present || value == nil {
		return "", false
	}
	s, ok := text(value)
	if !ok {
		r.refuse(property, "is %s; write one value", kind(value))
	}
	return s, ok
}

// scalar returns the property's text, or false when it is absent or refused.
func (r *reader) scalar(property string) (string, bool) {
	s, ok := r.written(property)
	return s, ok && !r.rewritten(property, s)
}

// A number in a form that only tools write: with an exponent (1.2345678901E10,
// 1.23456789012e+11), or long and with a fraction of zero (123456789012.0).
// `aws cloudformation package` removes quotes, and the next tool that reads the template
// takes an account id for a number.
// https://github.com/aws/aws-cli/issues/3991
var numberOfATool = lazyregexp.New(`^[0-9](\.[0-9]+)?[eE]\+?[0-9]{1,3}$|^[0-9]{9,}\.0+$`)

// instead says how to keep a tool from rewriting text as a number. It asks for a value at
// deployment, because the default of a parameter is part of a template too.
const instead = "pass it as a parameter, with its value given at deployment, or package the template with --use-json"

// rewrittenAsNumber is said of an account id, alone or in an ARN, where Fn::Sub puts the
// value of a parameter.
const rewrittenAsNumber = "A tool may have rewritten it as a number, so digits are lost; " + instead

var (
	accountInARN = lazyregexp.New(`^arn:[^:]*:(?:iam|sts|kms):[^:]*:([0-9][0-9.eE+]*):`)
	// In a bucket's name only an account id can end up in this form.
	numberInName = lazyregexp.New(`[._-][0-9]\.[0-9]{5,}[eE]\+?[0-9]{1,3}(?:$|[._-])`)
)

// digitsLost reports whether a tool has rewritten an account id, dropped its leading
// zeros, or read it as octal.
func digitsLost(account string) bool {
	return numberOfATool.MatchString(account) || account != "" && len(account) < 12 && strings.Trim(account, "0123456789") == ""
}

// rewritten refuses a number that a tool has rewritten. It does not guess the digits that
// were there before. A bucket that really has such a name can be named by its ARN.
func (r *reader) rewritten(property, value string) bool {
	if r.peeking || !numberOfATool.MatchString(value) {
		return false
	}
	r.wrong(property, value, "looks as if a tool had rewritten it as a number, so digits may be lost; %s", instead)
	return true
}

// item is one entry of a list, with the name that it has in messages.
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
		if !r.rewritten(label, s) {
			items = append(items, item{label, s})
		}
	}
	switch value := r.properties[property].(type) {
	case nil:
	case []any:
		for i, element := range value {
			label := fmt.Sprintf("%s[%d]", property, i)
			if s, ok := text(element); ok {
				add(label, s)
			} else {
				r.refuse(label, "is %s; write one value", kind(element))
			}
		}
	default:
		whole, ok := text(value)
		if !ok {
			r.refuse(property, "is %s; write a list", kind(value))
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
		return "a map"
	case []any:
		return "a list"
	case nil:
		return "null"
	}
	return "a single value"
}

// known are all properties, in the order of the table in docs/reference.md.
var known = []string{
	"ServiceToken", "ServiceTimeout", "Access", "Buckets", "KmsKeyArns", "BucketOwner", "SourceIps", "ExpiresAt", "UserName", "SecretName",
	"SecretKmsKeyId", "SecretReaders", "Serial", "RotationSchedule", "RotationGraceDays", "Verify", "Tags",
}

// unknown refuses every property that is not known. A property that would
// narrow the credential must never be ignored.
func (r *reader) unknown() {
	for _, property := range slices.Sorted(maps.Keys(r.properties)) {
		if !slices.Contains(known, property) {
			r.refuse(quote(property), "is not a property of Custom::CloneyS3Credentials; did you mean %s?", nearest(property, known))
		}
	}
}

// nearest returns the candidate that is the fewest edits away, whatever its case.
func nearest(s string, candidates []string) string {
	return slices.MinFunc(candidates, func(a, b string) int { return edits(s, a) - edits(s, b) })
}

// near reports whether s is most likely a misspelt candidate: at most a third of the
// candidate's letters differ.
func near(s, candidate string) bool { return edits(s, candidate) <= len(candidate)/3 }

// edits counts the letters in which two words differ, whatever their case. A word of a
// megabyte is near to nothing, and takes long to compare: its first letters are enough.
func edits(s, candidate string) int {
	const enough = 64
	return levenshtein.ComputeDistance(strings.ToLower(s[:min(len(s), enough)]), strings.ToLower(candidate))
}

// missing refuses a property that is required and that nothing is known of yet. A
// misspelt name is refused as an unknown property: one mistake is one problem.
func (r *reader) missing(property, problem string) {
	misspelt := func(given string) bool {
		return !slices.Contains(known, given) && nearest(given, known) == property && near(given, property)
	}
	for given := range r.properties {
		if misspelt(given) {
			return
		}
	}
	if !r.refused(property) {
		r.refuse(property, "%s", problem)
	}
}
