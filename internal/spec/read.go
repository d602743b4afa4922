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

// wrong refuses a value.
func (r *reader) wrong(property, value, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if account := accountInARN.FindStringSubmatch(value); account != nil && digitsLost(account[1]) {
		problem = "holds an account id that does not have 12 digits. " + takenForNumber
	}
	r.refuse(property, "%s %s", quote(value), filledIn(value, problem))
}

// variable is ${…}. notOfSub is one that Fn::Sub takes for an error in the template:
// a variable of IAM policies (${aws:username}, ${*}) or of another tool.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-sub.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
var (
	variable = lazyregexp.New(`\$\{[^}]*\}`)
	notOfSub = lazyregexp.New(`^\$\{(?:[^:}]+:[^:}][^}]*|[*?$])\}$`)
)

// filledIn returns what is wrong with a value that was meant as it stands, or that
// it still waits to be filled in: only Fn::Sub does that. The prefix of a key may
// hold ${…}, so this is said of nothing but what is refused anyway.
func filledIn(value, problem string) string {
	variables := variable.FindAllString(value, -1)
	if i := slices.IndexFunc(variables, notOfSub.MatchString); i >= 0 {
		return "holds " + quote(variables[i]) + ", which nothing fills in here; write what it stands for"
	}
	if variables != nil {
		return "holds ${…}, which only !Sub replaces; write !Sub before it"
	}
	return problem
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

// A number in the form in which a tool, and nobody else, writes it: with an
// exponent (1.2345678901E10, 1.23456789012e+11), or a long one with a fraction that
// is none (123456789012.0). `aws cloudformation package` takes quotes away, and
// whoever reads the template next sees a number in an account id.
// https://github.com/aws/aws-cli/issues/3991
var numberOfATool = lazyregexp.New(`^[0-9](\.[0-9]+)?[eE]\+?[0-9]{1,3}$|^[0-9]{9,}\.0+$`)

// instead is what keeps a tool from taking text for a number. A parameter's default
// stands in a template too.
const instead = "pass it as a parameter, with its value given at deployment, or package the template with --use-json"

// takenForNumber is said of an account id, alone or in an ARN, where Fn::Sub puts the
// value of a parameter.
const takenForNumber = "A tool may have taken it for a number, so that digits are lost; " + instead

var (
	accountInARN = lazyregexp.New(`^arn:[^:]*:(?:iam|sts|kms):[^:]*:([0-9][0-9.eE+]*):`)
	// In a bucket's name nothing but an account id comes to look like this.
	numberInName = lazyregexp.New(`[._-][0-9]\.[0-9]{5,}[eE]\+?[0-9]{1,3}(?:$|[._-])`)
)

// digitsLost reports whether an account id is one that a tool has rewritten, or whose
// leading zeros it has dropped, or that it has read as octal.
func digitsLost(account string) bool {
	return numberOfATool.MatchString(account) || account != "" && len(account) < 12 && strings.Trim(account, "0123456789") == ""
}

// rewritten refuses a number that a tool has rewritten. Nobody knows the digits that
// were there, so none are guessed. A bucket that is really called so has its ARN.
func (r *reader) rewritten(property, value string) bool {
	if r.peeking || !numberOfATool.MatchString(value) {
		return false
	}
	r.wrong(property, value, "was taken for a number by a tool, so that digits may be lost; %s", instead)
	return true
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

// known are the properties that there are, in the contract's order.
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

// nearest returns the candidate that is the fewest edits away, case aside.
func nearest(s string, candidates []string) string {
	// A name of a megabyte is nearest to nothing, and would take long to tell.
	s = strings.ToLower(s[:min(len(s), 64)])
	return slices.MinFunc(candidates, func(a, b string) int {
		return levenshtein.ComputeDistance(s, strings.ToLower(a)) - levenshtein.ComputeDistance(s, strings.ToLower(b))
	})
}
