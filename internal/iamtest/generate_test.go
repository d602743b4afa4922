package iamtest_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
)

// document is a policy as JSON.
type document map[string]any

// question is policies and a request, in the form that the oracle reads.
type question struct {
	Identity  []document          `json:"identity"`
	Boundary  document            `json:"boundary"`
	Control   document            `json:"control"`
	Resource  document            `json:"resource"`
	Principal string              `json:"principal"`
	Action    string              `json:"action"`
	ARN       string              `json:"arn"`
	Context   map[string][]string `json:"context"`
	Many      []string            `json:"many"`

	shouting bool // its policies write keys in other capitals
	plain    bool // one policy of one statement with one condition
}

const principal = "arn:aws:iam::123456789012:user/cloney/us-east-1/dana"

// service is a family of requests: what is asked, of what, with which keys.
type service struct {
	actions, arns []string
	keys          []contextKey
}

// contextKey is a key, its operators without Not, and values: of requests, and
// of policies where these are others.
type contextKey struct {
	name             string
	operators        []string
	values, policies []string
}

var (
	texts = []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"}
	arns  = []string{"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"}
	dates = []string{"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"}
	sizes = []string{"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"}
)

var everywhere = []contextKey{
	{name: "aws:SourceIp", operators: []string{"IpAddress", "NotIpAddress"}, values: []string{"203.0.113.7", "203.0.113.128", "203.0.114.0", "2001:db8::7", "2001:db9::1"},
		policies: []string{"203.0.113.0/24", "203.0.113.0/25", "203.0.113.7/32", "203.0.113.7", "203.0.112.0/22", "2001:db8::/32", "2001:db8::7", "2001:0db8:0:0::7", "2001:db8::4/126"}},
	{name: "aws:CurrentTime", operators: dates, values: []string{"2026-11-25T00:00:00Z", "2026-11-24T23:59:59Z", "2026-11-25T00:00:01Z"},
		policies: []string{"2026-11-25T00:00:00Z", "2026-11-25T01:00:00+01:00", "2026-11-25", "1795564800", "2026-11-24T23:59:59Z", "2026-11-25T00:00Z"}},
	{name: "aws:SecureTransport", operators: []string{"Bool"}, values: []string{"true", "false"}},
	{name: "aws:ResourceAccount", operators: texts, values: []string{"123456789012", "123456789013"}},
	{name: "aws:PrincipalTag/team", operators: texts, values: []string{"blue", "Blue", "dana"}},
}

var services = []service{
	{
		actions: []string{"s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject"},
		arns:    []string{"arn:aws:s3:::data/in/a", "arn:aws:s3:::data/in*/a", "arn:aws:s3:::data/in?/a", "arn:aws:s3:::data/in$/${x}", "arn:aws:s3:::data-2/in/a", "arn:aws:s3:::data/home/dana/x:y", "arn:aws:s3:::data/In/é"},
		keys:    []contextKey{{name: "s3:x-amz-acl", operators: texts, values: []string{"private", "public-read"}}},
	},
	{
		actions: []string{"s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketVersions"},
		arns:    []string{"arn:aws:s3:::data", "arn:aws:s3:::data-2", "arn:aws:s3:::dana"},
		keys: []contextKey{
			{name: "s3:prefix", operators: texts, values: []string{"", "in", "in/", "in/a", "in*/", "in?/a", "In/", "in$/{x}", "home/dana/"}},
			{name: "s3:max-keys", operators: sizes, values: []string{"0", "1", "10", "1000", "10.5"}},
		},
	},
	{
		actions: []string{"iam:CreateUser", "iam:AttachUserPolicy", "iam:PutUserPolicy", "iam:TagUser", "iam:CreateAccessKey"},
		arns:    []string{"arn:aws:iam::123456789012:user/cloney/us-east-1/dana", "arn:aws:iam::123456789012:user/dana", "arn:aws:iam::123456789012:user/cloney/us-east-2/u", "arn:aws:iam::123456789013:user/cloney/us-east-1/dana"},
		keys: []contextKey{
			{name: "iam:PermissionsBoundary", operators: arns, values: []string{"arn:aws:iam::123456789012:policy/cloney-boundary/b", "arn:aws:iam::123456789012:policy/b"}},
			{name: "iam:PolicyARN", operators: arns, values: []string{"arn:aws:iam::123456789012:policy/cloney/us-east-1/p", "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::123456789012:policy/cloney/us-east-1/dana-1"}},
			{name: "aws:RequestTag/cloney:stack-id", operators: texts, values: []string{"arn:aws:cloudformation:us-east-1:123456789012:stack/s/1", "arn:aws:cloudformation:us-east-1:123456789012:stack/S/1"}},
			{name: "aws:ResourceTag/cloney:logical-id", operators: texts, values: []string{"Source", "source", "dana"}},
			{name: "aws:TagKeys", operators: texts, values: []string{"cloney:stack-id", "cloney:logical-id", "Team", "team", "dana"}},
		},
	},
	{
		actions: []string{"kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"},
		arns:    []string{"arn:aws:kms:us-east-1:123456789012:key/1234abcd", "arn:aws:kms:us-east-2:123456789012:key/1234abcd", "arn:aws:kms:us-east-1:123456789012:key/1234abce"},
		keys: []contextKey{
			{name: "kms:ViaService", operators: texts, values: []string{"s3.us-east-1.amazonaws.com", "s3.us-east-2.amazonaws.com", "secretsmanager.us-east-1.amazonaws.com"}},
			{name: "kms:EncryptionContextKeys", operators: texts, values: []string{"aws:s3:arn", "SecretARN"}},
		},
	},
}

// many are the keys that hold lists.
var many = []string{"aws:TagKeys", "kms:EncryptionContextKeys"}

type generator struct{ *rand.Rand }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }

// question makes policies that nearly speak of a request, or just do.
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

// few is one of them as it is, or a list.
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

// most is a number up to n, of a plain question 1.
func (g generator) most(q question, n int) int {
	if q.plain {
		return 1
	}
	return 1 + g.IntN(n)
}

func (g generator) statement(q question, s service, withPrincipal bool) map[string]any {
	deny := !q.plain && g.chance(30)
	statement := map[string]any{"Effect": "Allow"}
	if deny {
		statement["Effect"] = "Deny"
	}
	if withPrincipal {
		statement["Principal"] = pick(g, []any{"*", map[string]any{"AWS": principal}, map[string]any{"AWS": []any{principal, "123456789012"}},
			map[string]any{"AWS": "arn:aws:iam::123456789012:root"}, map[string]any{"AWS": "arn:aws:iam::123456789012:user/dana"},
			map[string]any{"AWS": "arn:aws:iam::123456789013:root"}, map[string]any{"Service": "logging.s3.amazonaws.com"}})
	}
	name := "Action"
	if g.chance(15) {
		name = "NotAction"
	}
	statement[name] = g.few(func() string { return g.action(q, s) })
	name = "Resource"
	if g.chance(12) {
		name = "NotResource"
	}
	statement[name] = g.few(func() string { return g.resource(q, s) })
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

// arn is an ARN as a pattern that nearly is it.
func (g generator) arn(text string) string {
	segments := strings.SplitN(text, ":", 6)
	for i := 3; i < 5; i++ {
		if segments[i] != "" && g.chance(12) {
			segments[i] = pick(g, []string{"*", segments[i][:3] + "*", segments[i][:len(segments[i])-1] + "?", ""})
		}
	}
	// A wildcard may not stand for a resource's type, only for all of it.
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

// pattern is a text, its special characters mostly escaped, with up to two
// changes, some of which keep it a pattern of the text.
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

// value is one that a policy compares with, often the request's own.
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
