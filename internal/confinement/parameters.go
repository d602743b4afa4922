package confinement

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

type parameter struct {
	Type           string
	Default        any
	AllowedPattern string
	AllowedValues  []any
}

// takes reports whether CloudFormation accepts the value of the parameter. A pattern is
// for each entry of a list.
func (p parameter) takes(value string) bool {
	entries := []string{value}
	if p.Type == "CommaDelimitedList" {
		entries = strings.Split(value, ",")
	}
	pattern := regexp.MustCompile("^(?:" + p.AllowedPattern + ")$")
	allowed := func(v any) bool { return fmt.Sprint(v) == value }
	return (p.AllowedValues == nil || slices.ContainsFunc(p.AllowedValues, allowed)) &&
		(p.AllowedPattern == "" || !slices.ContainsFunc(entries, func(entry string) bool { return !pattern.MatchString(strings.TrimSpace(entry)) }))
}

// rule is a rule of the template about several parameters.
type rule struct {
	RuleCondition any
	Assertions    []struct {
		Assert            any
		AssertDescription string
	}
}

// Refused returns CloudFormation's answer to a stack with these parameters: one sentence
// for each parameter that it refuses, and for each assertion of the template's Rules that
// is false.
func (t *Template) Refused(p Place, parameters map[string]string) (sentences []string, err error) {
	truth := func(tree any) bool {
		value, problem := t.Value(map[string]any{"it": tree}, p, parameters, nil)
		if problem != nil {
			err = problem
			return false
		}
		return value.(map[string]any)["it"].(bool)
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if parameter, known := t.Parameters[name]; !known || !parameter.takes(parameters[name]) {
			sentences = append(sentences, "Parameter "+name+" does not take "+parameters[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Rules)) {
		rule := t.Rules[name]
		if rule.RuleCondition != nil && !truth(rule.RuleCondition) {
			continue
		}
		for _, asserted := range rule.Assertions {
			if !truth(asserted.Assert) {
				sentences = append(sentences, asserted.AssertDescription)
			}
		}
	}
	return sentences, err
}
