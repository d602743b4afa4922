package confinement_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// asked is a question with the right answer.
type asked struct {
	what    string
	ours    iamtest.Outcome
	allowed bool
}

var outcomes = map[iamtest.Outcome]string{iamtest.Allowed: "Allowed", iamtest.ExplicitDeny: "ExplicitlyDenied", iamtest.ImplicitDeny: "ImplicitlyDenied"}

// An independent IAM evaluator, with AWS's own list of actions, resources and condition
// keys, allows every call and denies every attack.
func TestOracleAgrees(t *testing.T) {
	var questions []confinement.Question
	var all []asked
	seen := map[string]bool{} // most options change one document of three
	ask := func(q confinement.Question, a asked) {
		context, err := json.Marshal(q.Context)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join([]string{q.Principal, q.Action, q.ARN, string(q.Boundary), string(q.Resource), string(bytes.Join(raw(q.Identity), nil)), string(context)}, " ")
		if !seen[text] {
			seen[text] = true
			questions, all = append(questions, q), append(all, a)
		}
	}
	for n, s := range slices.Concat(onePerOption(ireland), onePerOption(beijing)[1:2], onePerOption(oregon)[1:2], onePerOption(potsdam)[1:2]) {
		m := of(t, s)
		if single := n > 1 && s.Place == ireland; single {
			m.attacks = nil // of one option they are those of all of them
		}
		for _, c := range m.calls {
			ask(m.Question(s.Place, c), asked{c.Operation, iamtest.Evaluate(m.Account(c), c.Request).Outcome, true})
		}
		for _, a := range m.attacks {
			if a.oursAlone {
				continue
			}
			for _, r := range a.requests {
				ask(m.question(a).About(r), asked{a.what, iamtest.Evaluate(m.attacked(a), r).Outcome, false})
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

// raw are documents as bytes.
func raw(documents []json.RawMessage) (all [][]byte) {
	for _, d := range documents {
		all = append(all, d)
	}
	return all
}

// question returns an attack as a question, without its request.
func (m *model) question(a attack) confinement.Question {
	by := a.by.function()
	q := confinement.Question{Principal: m.Principal(by), Identity: []json.RawMessage{json.RawMessage(confinement.Text(m.Roles[by]))}}
	switch a.by {
	case overlooked:
		q.Identity = append(q.Identity, json.RawMessage(everythingText))
	case direct:
		q.Principal, q.Identity, q.Resource = m.admin(), []json.RawMessage{json.RawMessage(everythingText)}, json.RawMessage(confinement.Text(m.Invocation))
	case issued:
		q.Identity, q.Boundary = []json.RawMessage{json.RawMessage(everythingText)}, json.RawMessage(confinement.Text(m.Boundary))
		q.Principal = m.ours()
	}
	if a.resource != "" {
		q.Resource = json.RawMessage(a.resource)
	}
	return q
}
