package confinement_test

import (
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// everything is the policy that an attacker writes, and AdministratorAccess.
const everythingText = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

var everything = iamtest.MustParse(everythingText)

// attacked returns everything that decides on an attack.
func (m *model) attacked(a attack) iamtest.Account {
	var account iamtest.Account
	switch a.by {
	case overlooked:
		account = m.Function(confinement.Provider, everything)
	case issued:
		account = m.User(everything)
	case direct:
		account = iamtest.Account{Identity: []*iamtest.Policy{everything}, Resource: iamtest.MustParse(confinement.Text(m.Invocation)), Principal: m.admin()}
	default:
		account = m.Function(a.by.function())
	}
	if a.resource != "" {
		account.Resource, account.Principal = iamtest.MustParse(a.resource), m.ours()
	}
	return account
}

// succeeds returns the first request of an attack that is not denied as it must be.
func (m *model) succeeds(a attack) (iamtest.Request, iamtest.Decision, bool) {
	account := m.attacked(a)
	for _, r := range a.requests {
		d := iamtest.Evaluate(account, r)
		if d.Outcome == iamtest.Allowed || a.outright && d.Outcome != iamtest.ExplicitDeny {
			return r, d, true
		}
	}
	return iamtest.Request{}, iamtest.Decision{}, false
}

// broken returns the first attack that succeeds.
func (m *model) broken() (attack, bool) {
	for _, a := range m.attacks {
		if _, _, found := m.succeeds(a); found {
			return a, true
		}
	}
	return attack{}, false
}

func TestAttacksAreDenied(t *testing.T) {
	for _, s := range setups {
		m := of(t, s)
		requests := 0
		for _, a := range m.attacks {
			requests += len(a.requests)
			if r, d, found := m.succeeds(a); found {
				t.Errorf("%v: %s: %s on %s %v: %v", s, a.what, r.Action, r.Resource, r.Context, d)
			}
		}
		t.Logf("%v: %d attacks, %d requests", s, len(m.attacks), requests)
	}
}

// stops says what stops an attack: the statements that deny it. If there are none, it names
// the parts of the statements with that action that do not allow the attack.
func (m *model) stops(a attack) string {
	var found []string
	add := func(what string) {
		if !slices.Contains(found, what) {
			found = append(found, what)
		}
	}
	for _, r := range a.requests {
		d := iamtest.Evaluate(m.attacked(a), r)
		if d.Outcome == iamtest.ExplicitDeny {
			add("`" + d.By.Sid + "`")
			continue
		}
		document := m.Roles[a.by.function()]
		if a.by == issued {
			document = m.Boundary
		}
		for _, what := range m.limits(a, r, document) {
			add(what)
		}
	}
	// "Not granted" is only for attacks without any other reason.
	if i := slices.Index(found, notGranted); i >= 0 && len(found) > 1 {
		found = append(slices.Delete(found, i, i+1), notGranted)
	}
	return strings.Join(found, "; ")
}

const notGranted = "not granted"

// limits returns the part of each statement with that action that stops the request:
// without that part, the statement would allow it.
func (m *model) limits(a attack, r iamtest.Request, document map[string]any) (found []string) {
	for i, s := range document["Statement"].([]any) {
		statement := s.(map[string]any)
		if denies(s) || !names(list(statement["Action"]), r.Action) {
			continue
		}
		what := "resource and condition"
		for _, c := range conditions(statement) {
			if m.lets(a, r, i, func(s map[string]any) { drop(s, c) }) {
				what = "condition " + c.key
			}
		}
		if m.lets(a, r, i, func(s map[string]any) { s["Resource"] = "*" }) {
			what = "resource"
		}
		found = append(found, "`"+sid(s)+"` ("+what+")")
	}
	if len(found) == 0 {
		return []string{notGranted}
	}
	return found
}

// lets reports whether a request is allowed after a statement was changed.
func (m *model) lets(a attack, r iamtest.Request, i int, change func(map[string]any)) bool {
	changed := func(document map[string]any) map[string]any {
		return mutated(document, func(s []any) []any {
			change(s[i].(map[string]any))
			return s
		})
	}
	d := m.Documents
	if a.by == issued {
		d.Boundary = changed(d.Boundary)
	} else {
		d = d.With(a.by.function(), changed(d.Roles[a.by.function()]))
	}
	return iamtest.Evaluate(m.with(d).attacked(a), r).Outcome == iamtest.Allowed
}
