package confinement_test

import (
	"encoding/json"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// asked is a question, and what is to be answered.
type asked struct {
	what    string
	ours    iamtest.Outcome
	allowed bool
}

var outcomes = map[iamtest.Outcome]string{iamtest.Allowed: "Allowed", iamtest.ExplicitDeny: "ExplicitlyDenied", iamtest.ImplicitDeny: "ImplicitlyDenied"}

// An IAM evaluator that is not ours, with AWS's own list of actions, resources
// and condition keys, allows every call and denies every attack.
func TestOracleAgrees(t *testing.T) {
	var questions []confinement.Question
	var all []asked
	for _, s := range setups {
		m := of(t, s)
		for _, c := range m.calls {
			questions = append(questions, m.Question(s.Place, c))
			all = append(all, asked{c.Operation, iamtest.Evaluate(m.Account(c), c.Request).Outcome, true})
		}
		for _, a := range m.attacks {
			for _, r := range a.requests {
				questions = append(questions, m.question(a).About(r))
				all = append(all, asked{a.what, iamtest.Evaluate(m.attacked(a), r).Outcome, false})
			}
		}
	}
	verdicts, err := confinement.Ask(root, questions)
	if err != nil {
		t.Fatal(err)
	}
	for i, theirs := range verdicts {
		q, a := questions[i], all[i]
		if want := outcomes[a.ours]; theirs.Outcome != want || (a.ours == iamtest.Allowed) != a.allowed {
			t.Errorf("%s: %s on %s %v: we say %s, the oracle %s", a.what, q.Action, q.ARN, q.Context, want, theirs.Outcome)
		}
		if a.allowed && len(theirs.Ignored) > 0 {
			t.Errorf("%s on %s: AWS knows no %v for it", q.Action, q.ARN, theirs.Ignored)
		}
	}
	t.Logf("%d decisions", len(questions))
}

// question is an attack without its request.
func (m *model) question(a attack) confinement.Question {
	by := a.by.function()
	q := confinement.Question{Principal: m.Principal(by), Identity: []json.RawMessage{json.RawMessage(confinement.Text(m.Roles[by]))}}
	switch a.by {
	case overlooked:
		q.Identity = append(q.Identity, json.RawMessage(everythingText))
	case issued:
		q.Identity, q.Boundary = []json.RawMessage{json.RawMessage(everythingText)}, json.RawMessage(confinement.Text(m.Boundary))
		q.Principal = m.ours()
	}
	if a.resource != "" {
		q.Resource = json.RawMessage(a.resource)
	}
	return q
}
