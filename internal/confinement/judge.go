package confinement

import (
	"encoding/json"
	"maps"
	"sync"

	"cloney-s3-credentials/internal/iamtest"
)

// Judge decides on calls by a stack's policies.
type Judge struct {
	Documents
	roles    map[Function]*iamtest.Policy
	boundary *iamtest.Policy
}

// NewJudge reads the policies. It panics if the evaluator does not know something in them.
func NewJudge(d Documents) Judge {
	roles := map[Function]*iamtest.Policy{}
	for f, document := range d.Roles {
		roles[f] = parse(Text(document))
	}
	return Judge{d, roles, iamtest.MustParse(Text(d.Boundary))}
}

// Replaced returns the judge with another document: the policy of a function's role, or
// without a function the users' boundary. It does not read the other documents again.
func (j Judge) Replaced(of Function, document map[string]any) Judge {
	if of == "" {
		j.Boundary, j.boundary = document, iamtest.MustParse(Text(document))
		return j
	}
	j.Documents, j.roles = j.With(of, document), maps.Clone(j.roles)
	j.roles[of] = iamtest.MustParse(Text(document))
	return j
}

// Function returns everything that decides on a function's calls. More are policies that
// somebody has attached to its role.
func (j Judge) Function(f Function, more ...*iamtest.Policy) iamtest.Account {
	return iamtest.Account{Identity: append([]*iamtest.Policy{j.roles[f]}, more...)}
}

// User returns everything that decides on the calls of a user with these policies.
func (j Judge) User(policies ...*iamtest.Policy) iamtest.Account {
	return iamtest.Account{Identity: policies, Boundary: j.boundary}
}

// Account returns everything that decides on a call.
func (j Judge) Account(c Call) iamtest.Account {
	if c.User == "" {
		return j.Function(c.Function)
	}
	var policies []*iamtest.Policy
	for _, document := range c.Documents {
		policies = append(policies, parse(document))
	}
	return j.User(policies...)
}

// parsed caches policies that many calls share.
var parsed sync.Map

func parse(text string) *iamtest.Policy {
	if found, ok := parsed.Load(text); ok {
		return found.(*iamtest.Policy)
	}
	policy := iamtest.MustParse(text)
	parsed.Store(text, policy)
	return policy
}

// Refused returns the first call that is not allowed.
func (j Judge) Refused(calls []Call) (Call, iamtest.Decision, bool) {
	for _, c := range calls {
		if d := iamtest.Evaluate(j.Account(c), c.Request); d.Outcome != iamtest.Allowed {
			return c, d, true
		}
	}
	return Call{}, iamtest.Decision{}, false
}

// Question returns a call as a question for the other evaluator.
func (j Judge) Question(p Place, c Call) Question {
	q := Question{Principal: p.Principal(c.Function), Identity: []json.RawMessage{json.RawMessage(Text(j.Roles[c.Function]))}}
	if c.User != "" {
		q = Question{Principal: p.ARN("user/cloney/" + p.Region + "/" + c.User), Boundary: json.RawMessage(Text(j.Boundary))}
		for _, document := range c.Documents {
			q.Identity = append(q.Identity, json.RawMessage(document))
		}
	}
	return q.About(c.Request)
}
