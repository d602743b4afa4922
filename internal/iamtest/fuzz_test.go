package iamtest_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"cloney-s3-credentials/internal/iamtest"
)

// FuzzPolicy checks that any policy and request are judged or refused, with the same result
// every time. Another policy never allows what was denied explicitly. If that policy denies
// the request, it is not allowed any more.
func FuzzPolicy(f *testing.F) {
	f.Add(boundary, "s3:GetObject", "arn:aws:s3:::data/a", "s3:prefix", "in/", "")
	f.Add(narrow, "s3:ListBucket", "arn:aws:s3:::data", "aws:SourceIp", "203.0.113.7", "2001:db8::1")
	f.Add(`{"Statement":{"Effect":"Deny","NotAction":"*","NotResource":"arn:aws:iam::*:user/${aws:username}"}}`, "iam:CreateUser", "*", "aws:TagKeys", "a", "b")
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*","Condition":{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["${*}*",1,true]}}}]}`, "sqs:SendMessage", "arn:aws:sqs:::q", "aws:tagkeys", "*", "")
	f.Fuzz(func(t *testing.T, text, action, resource, key, first, second string) {
		policy, err := iamtest.Parse(text)
		if _, isRefusal := err.(iamtest.Refusal); (policy == nil) != isRefusal || (err == nil) == isRefusal {
			t.Fatalf("%v with %v", policy, err)
		}
		if policy == nil {
			return
		}
		request := iamtest.Request{Action: action, Resource: resource, Context: always(nil)}
		request.Context[key] = []string{first}
		if second != "" {
			request.Context[key] = []string{first, second}
		}
		monotonous(t, policy, request)
		denies(t, policy, turned(text), request)
	})
}

// monotonous checks what must be true for any policy of a user, with and without others.
func monotonous(t *testing.T, policy *iamtest.Policy, request iamtest.Request) {
	all := iamtest.MustParse(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	denyAll := iamtest.MustParse(`{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	alone, refused := try(iamtest.Account{Identity: []*iamtest.Policy{policy}}, request)
	if again, _ := try(iamtest.Account{Identity: []*iamtest.Policy{policy}}, request); again != alone {
		t.Errorf("%v, then %v", alone, again)
	}
	if refused {
		return
	}
	for what, more := range map[string]iamtest.Account{
		"a boundary":         {Identity: []*iamtest.Policy{policy}, Boundary: policy},
		"a boundary of all":  {Identity: []*iamtest.Policy{policy}, Boundary: all},
		"a control policy":   {Identity: []*iamtest.Policy{policy}, Control: policy},
		"itself":             {Identity: []*iamtest.Policy{policy, policy}},
		"all as its limit":   {Identity: []*iamtest.Policy{policy}, Boundary: all, Control: all},
		"it as limit of all": {Identity: []*iamtest.Policy{all}, Boundary: policy},
	} {
		if got, _ := try(more, request); got != alone {
			t.Errorf("%v, and with %s %v", alone, what, got)
		}
	}
	for _, denied := range []iamtest.Account{{Identity: []*iamtest.Policy{policy, denyAll}}, {Identity: []*iamtest.Policy{policy}, Boundary: denyAll}, {Identity: []*iamtest.Policy{policy}, Control: denyAll}} {
		if got, _ := try(denied, request); got != explicit {
			t.Errorf("%v with a Deny of all", got)
		}
	}
}

// turned returns the policy with a Deny for every Allow.
func turned(text string) *iamtest.Policy {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var policy document
	must(decoder.Decode(&policy))
	for _, statement := range policy.statements() {
		statement["Effect"] = "Deny"
	}
	written, err := json.Marshal(policy)
	must(err)
	return iamtest.MustParse(string(written))
}

// denies checks that a policy turned into a Deny removes what it allowed, and gives
// nothing.
func denies(t *testing.T, policy, turned *iamtest.Policy, request iamtest.Request) {
	alone, refused := try(iamtest.Account{Identity: []*iamtest.Policy{policy}}, request)
	if refused {
		return
	}
	for _, account := range []iamtest.Account{{Identity: []*iamtest.Policy{policy, turned}}, {Identity: []*iamtest.Policy{policy}, Boundary: turned}, {Identity: []*iamtest.Policy{policy}, Control: turned}} {
		got, _ := try(account, request)
		if got == allowed || alone == allowed && got != explicit || alone == explicit && got != explicit {
			t.Errorf("%v, and %v with a Deny of the same", alone, got)
		}
	}
}

// try returns the outcome, or that the request is refused. Other panics pass through.
func try(a iamtest.Account, r iamtest.Request) (outcome iamtest.Outcome, refused bool) {
	defer func() {
		if reason := recover(); reason != nil {
			_ = reason.(iamtest.Refusal)
			refused = true
		}
	}()
	return iamtest.Evaluate(a, r).Outcome, false
}

// FuzzWildcards checks that * and ? match the same texts as in a regular expression, in
// lower and upper case, and that an escaped character matches itself.
func FuzzWildcards(f *testing.F) {
	f.Add("in/*/a?", "in//ab")
	f.Add("**a*b*a", "aabaaba")
	f.Add("é?*", "éé")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || strings.Contains(pattern, "$") {
			return
		}
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile(`(?s)^` + expression + `$`).MatchString(text)
		if got := likes(t, pattern, text); got != want {
			t.Errorf("%q like %q: %v", text, pattern, got)
		}
		escaped := strings.NewReplacer("*", "${*}", "?", "${?}").Replace(pattern)
		if got := likes(t, escaped, text); got != (pattern == text) {
			t.Errorf("%q like %q: %v", text, escaped, got)
		}
	})
}

// likes reports whether StringLike is true.
func likes(t *testing.T, pattern, text string) bool {
	value, err := json.Marshal(pattern)
	must(err)
	policy := iamtest.MustParse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"s3:prefix":` + string(value) + `}}}}`)
	got, refused := try(iamtest.Account{Identity: []*iamtest.Policy{policy}}, iamtest.Request{Action: "s3:ListBucket", Resource: bucket, Context: map[string][]string{"s3:prefix": {text}}})
	if refused {
		t.Fatalf("%q like %q is refused", text, pattern)
	}
	return got == allowed
}
