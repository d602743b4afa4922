package iamtest_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator generates questions, the same ones from the same seed.
type generator struct{ *rand.Rand }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }

// question generates a request, and policies that match it or nearly match it.
func (g generator) question() question {
	s := pick(g, services)
	s.keys = append(slices.Clone(everywhere), s.keys...)
	q := question{Principal: principal, Action: pick(g, s.actions), ARN: pick(g, s.arns), Many: many}
	withResource := strings.HasPrefix(q.Action, "s3:") && g.chance(30)
	if withResource {
		s.keys = everywhere // with it the oracle takes no keys that do not belong to the action
	}
	q.Context = g.context(s.keys)
	q.shouting, q.plain = g.chance(10), g.chance(30)
	if q.plain {
		q.Identity = append(q.Identity, g.policy(q, s, false))
		return q
	}
	for range 1 + g.IntN(3) {
		q.Identity = append(q.Identity, g.policy(q, s, false))
	}
	if g.chance(40) {
		q.Boundary = g.policy(q, s, false)
	}
	if g.chance(10) {
		must(json.Unmarshal([]byte(boundary), &q.Boundary))
	}
	if g.chance(15) {
		q.Control = g.policy(q, s, false)
	}
	if withResource {
		q.Resource = g.policy(q, s, true)
	}
	return q
}

func (g generator) context(keys []contextKey) map[string][]string {
	context := map[string][]string{"aws:username": {"dana"}}
	for _, key := range keys {
		given := key.name == "aws:CurrentTime" || key.name == "aws:SecureTransport" || g.chance(75)
		switch {
		case given && slices.Contains(many, key.name):
			if g.chance(5) {
				context[key.name] = []string{""}
				continue
			}
			for range 1 + g.IntN(3) {
				context[key.name] = append(context[key.name], pick(g, key.values))
			}
		case given:
			context[key.name] = []string{pick(g, key.values)}
		}
	}
	return context
}

// few returns one value by itself, or a list.
func (g generator) few(make func() string) any {
	if g.chance(50) {
		return make()
	}
	var list []any
	for range 1 + g.IntN(3) {
		list = append(list, make())
	}
	return list
}

func (g generator) policy(q question, s service, withPrincipal bool) document {
	policy := document{"Version": "2012-10-17"}
	if g.chance(6) {
		policy["Version"] = "2008-10-17"
	}
	var statements []any
	for range g.most(q, 3) {
		statements = append(statements, g.statement(q, s, withPrincipal))
	}
	policy["Statement"] = statements
	if len(statements) == 1 && g.chance(50) {
		policy["Statement"] = statements[0]
	}
	return policy
}

// most returns a number up to n, or 1 for a plain question.
func (g generator) most(q question, n int) int {
	if q.plain {
		return 1
	}
	return 1 + g.IntN(n)
}

func (g generator) statement(q question, s service, withPrincipal bool) map[string]any {
	statement := map[string]any{"Effect": "Allow"}
	if !q.plain && g.chance(30) {
		statement["Effect"] = "Deny"
	}
	if withPrincipal {
		statement["Principal"] = pick(g, whom)
	}
	statement[g.not("Action", 15)] = g.few(func() string { return g.action(q, s) })
	statement[g.not("Resource", 12)] = g.few(func() string { return g.resource(q, s) })
	conditions := map[string]any{}
	for range g.most(q, 4) - 1 + g.IntN(2) {
		operator, key, values := g.condition(q, pick(g, s.keys))
		if conditions[operator] == nil {
			conditions[operator] = map[string]any{}
		}
		conditions[operator].(map[string]any)[key] = values
	}
	if len(conditions) > 0 || g.chance(5) {
		statement["Condition"] = conditions
	}
	return statement
}

// not returns an element's name, sometimes with Not before it.
func (g generator) not(name string, percent int) string {
	if g.chance(percent) {
		return "Not" + name
	}
	return name
}
