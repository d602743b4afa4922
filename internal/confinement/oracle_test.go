package confinement_test

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

//go:embed testdata/oracle.mjs
var script string

// question is one decision for the other evaluator.
type question struct {
	Identity  []json.RawMessage   `json:"identity"`
	Boundary  json.RawMessage     `json:"boundary"`
	Resource  json.RawMessage     `json:"resource"`
	Principal string              `json:"principal"`
	Action    string              `json:"action"`
	ARN       string              `json:"arn"`
	Context   map[string][]string `json:"context"`

	ours    iamtest.Outcome
	allowed bool   // what it has to be
	what    string // whose
}

// verdict is its answer.
type verdict struct {
	Outcome string
	Ignored []string
}

var outcomes = map[iamtest.Outcome]string{iamtest.Allowed: "Allowed", iamtest.ExplicitDeny: "ExplicitlyDenied", iamtest.ImplicitDeny: "ImplicitlyDenied"}

// An IAM evaluator that is not ours, with AWS's own list of actions, resources
// and condition keys, allows every call and denies every attack.
func TestOracleAgrees(t *testing.T) {
	var questions []question
	for _, s := range setups {
		questions = append(questions, of(t, s).questions()...)
	}
	for i, theirs := range ask(t, questions) {
		q := questions[i]
		if want := outcomes[q.ours]; theirs.Outcome != want || (q.ours == iamtest.Allowed) != q.allowed {
			t.Errorf("%s: %s on %s %v: we say %s, the oracle %s", q.what, q.Action, q.ARN, q.Context, want, theirs.Outcome)
		}
		if q.allowed && len(theirs.Ignored) > 0 {
			t.Errorf("%s on %s: AWS knows no %v for it", q.Action, q.ARN, theirs.Ignored)
		}
	}
	t.Logf("%d decisions", len(questions))
}

// questions are all calls and attacks.
func (m *model) questions() (all []question) {
	role, boundary := json.RawMessage(confinement.Text(m.documents.Role)), json.RawMessage(confinement.Text(m.documents.Boundary))
	anything := json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	function := "arn:" + m.Partition + ":sts::" + m.Account + ":assumed-role/cloney-s3-credentials-ProviderRole/cloney-s3-credentials"
	ask := func(q question, a iamtest.Account, r iamtest.Request) {
		q.Action, q.ARN, q.Context, q.ours = r.Action, r.Resource, r.Context, iamtest.Evaluate(a, r).Outcome
		all = append(all, q)
	}
	for _, c := range m.calls {
		q := question{Identity: []json.RawMessage{role}, Principal: function, allowed: true, what: c.Operation}
		if c.User != "" {
			q.Identity, q.Boundary, q.Principal = nil, boundary, m.ours()
			for _, document := range c.Documents {
				q.Identity = append(q.Identity, json.RawMessage(document))
			}
		}
		ask(q, m.account(c), c.Request)
	}
	for _, a := range m.attacks {
		q := question{Identity: []json.RawMessage{role}, Principal: function, what: a.what}
		switch a.by {
		case overlooked:
			q.Identity = append(q.Identity, anything)
		case issued:
			q.Identity, q.Boundary, q.Principal = []json.RawMessage{anything}, boundary, m.ours()
		}
		if a.resource != "" {
			q.Resource = json.RawMessage(a.resource)
		}
		for _, r := range a.requests {
			ask(q, m.attacked(a), r)
		}
	}
	return all
}

// ask starts the other evaluator where Node finds its modules.
func ask(t *testing.T, questions []question) (verdicts []verdict) {
	t.Helper()
	var in bytes.Buffer
	for _, q := range questions {
		if err := json.NewEncoder(&in).Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	tools, err := filepath.Abs(filepath.Join(root, ".tools"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(tools, "venv/bin/node"), "--input-type=module", "--eval", script)
	command.Dir, command.Stdin, command.Stderr = filepath.Join(tools, "oracle"), &in, os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v; make oracle installs it", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, v)
	}
	if len(verdicts) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(verdicts), len(questions))
	}
	return verdicts
}
