package iamtest_test

import (
	"slices"
	"strings"
)

func (g generator) action(q question, s service) string {
	action := q.Action
	if g.chance(30) {
		action = pick(g, s.actions)
	}
	vendor, name, _ := strings.Cut(action, ":")
	switch g.IntN(8) {
	case 0:
		return "*"
	case 1:
		return vendor + ":*"
	case 2:
		return strings.ToUpper(vendor) + ":" + strings.ToLower(name)
	case 3:
		at := g.IntN(len(name))
		return vendor + ":" + name[:at] + pick(g, []string{"*", "?"}) + name[at+g.IntN(2):]
	}
	return action
}

func (g generator) resource(q question, s service) string {
	if g.chance(15) {
		return "*"
	}
	arn := q.ARN
	if g.chance(20) {
		arn = pick(g, s.arns)
	}
	return g.arn(arn)
}

// arn returns a pattern that matches the ARN or nearly matches it.
func (g generator) arn(text string) string {
	segments := strings.SplitN(text, ":", 6)
	for i := 3; i < 5; i++ {
		if segments[i] != "" && g.chance(12) {
			segments[i] = pick(g, []string{"*", segments[i][:3] + "*", segments[i][:len(segments[i])-1] + "?", ""})
		}
	}
	// A wildcard cannot replace only the type of a resource.
	kind, id, _ := strings.Cut(segments[5], "/")
	switch {
	case segments[2] == "s3":
		segments[5] = g.pattern(segments[5], true)
	case g.chance(4):
		segments[5] = ""
	default:
		segments[5] = kind + "/" + g.pattern(id, true)
	}
	if segments[5] == "" {
		segments[5] = "*"
	}
	return strings.Join(segments, ":")
}

// pattern returns the text with most special characters escaped and up to two changes. With
// some changes the pattern still matches the text.
func (g generator) pattern(text string, wild bool) string {
	var tokens []string
	for rest := text; rest != ""; {
		if strings.HasPrefix(rest, "dana") && g.chance(60) {
			tokens = append(tokens, pick(g, []string{"${aws:username}", "${AWS:UserName}", "${aws:PrincipalTag/team, 'dana'}", "${aws:PrincipalTag/team}"}))
			rest = rest[len("dana"):]
			continue
		}
		c := string([]rune(rest)[0])
		rest = rest[len(c):]
		if strings.Contains("*?$", c) && g.chance(80) {
			c = "${" + c + "}"
		}
		tokens = append(tokens, c)
	}
	for range g.IntN(3) {
		tokens = g.change(tokens, wild)
	}
	for i := range tokens {
		if tokens[i] == "$" {
			tokens[i] = "${$}"
		}
	}
	return strings.Join(tokens, "")
}

func (g generator) change(tokens []string, wild bool) []string {
	at := g.IntN(len(tokens) + 1)
	end := min(len(tokens), at+g.IntN(4))
	put := []string{"*"}
	switch choice := g.IntN(8); {
	case choice < 3 && (wild || g.chance(20)):
	case choice == 3 && (wild || g.chance(20)):
		put, end = []string{"?"}, min(len(tokens), at+1)
	case choice == 4:
		put, end = []string{pick(g, []string{"${*}", "${?}", "${$}", "/", "x"})}, at
	case choice == 5 && at < len(tokens) && !strings.HasPrefix(tokens[at], "$"):
		put, end = []string{strings.ToUpper(tokens[at])}, at+1
	case choice == 6:
		put, end = nil, min(len(tokens), at+1)
	default:
		return tokens
	}
	return slices.Concat(tokens[:at], put, tokens[end:])
}

func (g generator) condition(q question, key contextKey) (operator, name string, values any) {
	operator, name = pick(g, key.operators), key.name
	if q.shouting {
		name = strings.ToUpper(name[:3]) + name[3:] // in all of a question, lest a key comes twice
	}
	if g.chance(8) {
		return "Null", name, g.few(func() string { return pick(g, []string{"true", "false"}) })
	}
	value := func() string { return g.value(q, key, operator) }
	values = g.few(value)
	if operator == "Bool" && g.chance(30) {
		values = g.chance(50)
	}
	if slices.Contains(many, key.name) || strings.HasPrefix(operator, "String") && key.name != "s3:prefix" && g.chance(8) {
		operator = pick(g, []string{"ForAllValues:", "ForAnyValue:"}) + operator
	}
	if g.chance(15) && !strings.HasPrefix(operator, "ForAny") {
		operator += "IfExists"
	}
	return operator, name, values
}

// value returns a value for a policy, often the request's own.
func (g generator) value(q question, key contextKey, operator string) string {
	if key.policies != nil {
		return pick(g, key.policies)
	}
	value := pick(g, key.values)
	if own := q.Context[key.name]; own != nil && g.chance(60) {
		value = pick(g, own)
	}
	switch {
	case strings.HasPrefix(operator, "Arn"):
		return g.arn(value)
	case strings.HasPrefix(operator, "String"):
		value = g.pattern(value, strings.HasSuffix(operator, "Like"))
		return strings.ReplaceAll(value, "${$}{", "${$}")
	}
	return value
}
