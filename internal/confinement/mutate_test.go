package confinement_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/confinement"
)

// mutation is the stack's policies with one part removed.
type mutation struct {
	kind, what string
	document   map[string]any
	// of says which document it is: the policy of a function's role, or without a function
	// the users' boundary. Only that document judges the calls and attacks.
	of confinement.Function
	// shrinks: the policies allow less, so a call of the code must be denied.
	shrinks bool
}

type condition struct{ operator, key string }

// conditions are those of a statement, in order.
func conditions(statement map[string]any) (found []condition) {
	operators, _ := statement["Condition"].(map[string]any)
	for _, operator := range slices.Sorted(maps.Keys(operators)) {
		for _, key := range slices.Sorted(maps.Keys(operators[operator].(map[string]any))) {
			found = append(found, condition{operator, key})
		}
	}
	return found
}

// drop removes a condition from a statement.
func drop(statement map[string]any, c condition) {
	operators := statement["Condition"].(map[string]any)
	keys := operators[c.operator].(map[string]any)
	if delete(keys, c.key); len(keys) == 0 {
		delete(operators, c.operator)
	}
	if len(operators) == 0 {
		delete(statement, "Condition")
	}
}

// allOfItsType matches a resource for everything of its type, so that nothing is outside of
// it. S3 also has access points, which NoAccessPoints denies.
var allOfItsType = regexp.MustCompile(`^arn:[a-z-]+:(s3:::|iam::\d+:user/|kms:\*:\*:key/|cloudformation:\*:\*:stackset/)\*$`)

// covered reports whether another pattern in the list also matches the value: data-* also
// matches data-in/key. The template writes both forms of every pattern.
func covered(values []string, n int) bool {
	pattern, objects := strings.CutSuffix(values[n], "/*")
	return objects && strings.HasSuffix(pattern, "*") && slices.Contains(values, pattern)
}

// mutations returns all mutations of one document.
func mutations(name string, of confinement.Function, document map[string]any) (all []mutation) {
	for i, s := range document["Statement"].([]any) {
		add := func(kind, what string, shrinks bool, change func(map[string]any)) {
			all = append(all, mutation{kind, name + " " + sid(s) + what, mutated(document, func(statements []any) []any {
				if change == nil {
					return slices.Delete(statements, i, i+1)
				}
				change(statements[i].(map[string]any))
				return statements
			}), of, shrinks})
		}
		add("statement", "", !denies(s), nil)
		statement := s.(map[string]any)
		for _, element := range []string{"Action", "NotAction", "Resource", "NotResource"} {
			values := list(statement[element])
			// Without a value, a Not… matches more and a Deny denies less.
			shrinks := denies(s) == (element[0] == 'N')
			for n := range values {
				if len(values) > 1 && !covered(values, n) {
					add(element, " "+values[n], shrinks, func(s map[string]any) { s[element] = slices.Delete(s[element].([]any), n, n+1) })
				}
			}
		}
		for _, c := range conditions(statement) {
			add("condition", " "+c.operator+" "+c.key, denies(s), func(s map[string]any) { drop(s, c) })
			values := list(statement["Condition"].(map[string]any)[c.operator].(map[string]any)[c.key])
			for n := range values {
				if len(values) > 1 {
					// Fewer requests match fewer values; with a Not… more requests do.
					add("condition's value", " "+c.operator+" "+c.key+" "+values[n], denies(s) == strings.Contains(c.operator, "Not"), func(s map[string]any) {
						keys := s["Condition"].(map[string]any)[c.operator].(map[string]any)
						keys[c.key] = slices.Delete(keys[c.key].([]any), n, n+1)
					})
				}
			}
		}
		if where := list(statement["Resource"]); !denies(s) && where[0] != "*" && !allOfItsType.MatchString(where[0]) {
			add("resource widened", " to *", false, func(s map[string]any) { s["Resource"] = "*" })
		}
	}
	return all
}

// mutations returns all mutations of a stack's policies.
func (m *model) mutations() []mutation {
	var all []mutation
	for _, f := range confinement.Functions {
		all = append(all, mutations(f.Role(), f, m.Roles[f])...)
	}
	if m.ownBoundary {
		return all // the other document is not what bounds the users
	}
	return append(all, mutations("UserBoundary", "", m.Boundary)...)
}

// documentOf returns the policy of a function's role, or the boundary.
func (m *model) documentOf(f confinement.Function) map[string]any {
	if f == "" {
		return m.Boundary
	}
	return m.Roles[f]
}

// caught returns what catches a mutation: a call of the code that is denied now, or an
// attack that succeeds; empty: nothing does.
func (m *model) caught(by mutation) string {
	changed := *m
	changed.Judge = m.Replaced(by.of, by.document)
	changed.calls = slices.DeleteFunc(slices.Clone(m.calls), func(c confinement.Call) bool { return c.Function != by.of })
	if _, _, found := changed.Refused(changed.calls); found {
		return "call"
	}
	changed.attacks = slices.DeleteFunc(slices.Clone(m.attacks), func(a attack) bool { return a.by == direct || a.by.function() != by.of })
	// A right that no call needs is superfluous, whatever an attack does.
	if _, found := changed.broken(); found && !by.shrinks {
		return "attack"
	}
	return ""
}

// found is a mutation in several setups: its kind, and what caught it in any of them.
type found struct{ kind, by string }

// everywhere makes every mutation of every setup.
func everywhere(t *testing.T) map[string]found {
	t.Helper()
	all, seen := map[string]found{}, map[string]bool{}
	for _, s := range setups {
		m := of(t, s)
		texts := map[confinement.Function]string{}
		for _, f := range append([]confinement.Function{""}, confinement.Functions...) {
			texts[f] = confinement.Text(m.documentOf(f))
		}
		for _, mutation := range m.mutations() {
			what := s.Partition + " " + mutation.what
			// The same thing catches the same document in another setup.
			form := what + texts[mutation.of] + fmt.Sprint(s.ownBoundary)
			if seen[form] {
				continue
			}
			seen[form] = true
			all[what] = found{mutation.kind, max(all[what].by, m.caught(mutation))}
		}
	}
	return all
}

// Everything in the template is needed: without any part of it, a call of the code is
// denied or an attack succeeds, with at least one setting of AllowedBuckets.
func TestMutationsAreCaught(t *testing.T) {
	all := everywhere(t)
	made, caught := map[string]int{}, map[found]int{}
	for what, f := range all {
		made[f.kind]++
		caught[f]++
		if f.by == "" {
			t.Errorf("without %s nothing is missed and nothing is won: it is superfluous, or an attack is", what)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(made)) {
		t.Logf("%s: %d mutations, %d caught by a call that is denied, %d by an attack that succeeds", kind, made[kind], caught[found{kind, "call"}], caught[found{kind, "attack"}])
	}
	t.Logf("%d mutations", len(all))
}
