package iamtest

import "strings"

// condition is one key with one operator: "or" joins its values, and "and" joins the
// conditions.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
type condition struct {
	key      string // lower-case
	kind     kind
	set      set
	ifExists bool
	null     bool // the operator is Null: values are compared with "it is missing"
	negated  bool
	compare  compare
}

// set says how a key with many values is compared.
type set int

const (
	single set = iota
	forAll
	forAny
)

// compare reports whether a request's value is one of the policy's.
type compare func(value string, variables map[string][]string) bool

// holds judges a request. A missing key equals nothing, so a negated operator is true.
// Without values ForAllValues is true and ForAnyValue is false. For both, an empty string
// counts as no value.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
func (c *condition) holds(variables map[string][]string) bool {
	values := lookUp(variables, c.key, c.kind)
	if c.null {
		missing := "false"
		if len(values) == 0 {
			missing = "true"
		}
		return c.compare(missing, nil)
	}
	if len(values) == 0 && c.ifExists {
		return true
	}
	if c.set != single && len(values) == 1 && values[0] == "" {
		values = nil
	}
	switch {
	case c.set == forAll:
		return c.every(values, variables)
	case c.set == forAny:
		return c.some(values, variables)
	case len(values) == 0:
		return c.negated
	}
	return c.takes(values[0], variables)
}

func (c *condition) every(values []string, variables map[string][]string) bool {
	for _, value := range values {
		if !c.takes(value, variables) {
			return false
		}
	}
	return true
}

func (c *condition) some(values []string, variables map[string][]string) bool {
	for _, value := range values {
		if c.takes(value, variables) {
			return true
		}
	}
	return false
}

func (c *condition) takes(value string, variables map[string][]string) bool {
	return c.compare(value, variables) != c.negated
}

// newCondition reads an operator with its key and values.
func newCondition(operator, key string, values []string, variables bool) (condition, error) {
	c := condition{key: strings.ToLower(key)}
	var known bool
	if c.kind, known = keyOf(key); !known {
		return condition{}, refuse("condition key %q: it is not known", key)
	}
	name := operator
	if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		name, c.set = rest, forAll
	} else if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		name, c.set = rest, forAny
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	build, known := operators[name]
	c.null = name == "Null"
	if !known || c.null && name != operator {
		return condition{}, refuse("operator %q: it is not known", operator)
	}
	// One page says that IfExists makes a missing key true, another that
	// ForAnyValue makes it false.
	if c.set == forAny && c.ifExists {
		return condition{}, refuse("operator %q", operator)
	}
	if c.kind == many && c.set == single && !c.null {
		return condition{}, refuse("%s on %s, which has many values: it needs ForAllValues or ForAnyValue", operator, key)
	}
	c.negated = build.negated
	var err error
	c.compare, err = build.read(values, variables)
	return c, err
}
