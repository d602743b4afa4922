package iamtest_test

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/iamtest"
)

// questions is how many questions both evaluators judge.
const questions = 6000

//go:embed testdata/oracle.mjs
var script string

// An independent IAM evaluator decides the same. If it does not, a known dialect must
// explain that: without the dialect both agree, and our decision does not change.
func TestOracleAgrees(t *testing.T) {
	oracle := startOracle(t)
	g := generator{rand.New(rand.NewPCG(2012, 10))}
	outcomes, differences, refusals := map[string]int{}, map[string]int{}, map[string]int{}
	var asked []question
	var ours []string
	for range questions {
		q := g.question()
		outcome, refusal := judged(t, q)
		if refusal != nil {
			refusals[kindOf(refusal)]++
			continue
		}
		outcomes[outcome]++
		asked, ours = append(asked, q), append(ours, outcome)
	}
	for i, theirs := range oracle.ask(t, asked...) {
		if theirs != ours[i] {
			differences[explain(t, oracle, asked[i], ours[i], theirs)]++
		}
	}
	t.Logf("of %d pairs we judge %v, and refuse %v", questions, outcomes, refusals)
	for _, d := range dialects {
		t.Logf("%4d differ by %s", differences[d.name], d.name)
		if differences[d.name] == 0 {
			t.Errorf("no difference by %s: it explains nothing", d.name)
		}
	}
	for outcome, n := range outcomes {
		if n < questions/10 {
			t.Errorf("only %d are %s", n, outcome)
		}
	}
	if len(refusals) != len(open) {
		t.Errorf("refused are %v, and to be refused %v", refusals, open)
	}
}

// explain returns the dialect that removes a difference, alone or as the first of several.
// It fails the test if there is none.
func explain(t *testing.T, o *oracle, q question, ours, theirs string) string {
	t.Helper()
	several := q.clone()
	for _, d := range dialects {
		alone := q.clone()
		d.write(&alone)
		if same(t, o, alone, ours) {
			return d.name
		}
		d.write(&several)
		if same(t, o, several, ours) {
			return d.name
		}
	}
	t.Errorf("we say %s, the oracle %s:\n%s", ours, theirs, q.text())
	return ""
}

// same checks that our decision has not changed, and reports whether the oracle agrees.
func same(t *testing.T, o *oracle, q question, ours string) bool {
	t.Helper()
	if again, refusal := judged(t, q); refusal != nil || again != ours {
		t.Errorf("we say %s, and no more when it is written:\n%s", ours, q.text())
	}
	return o.ask(t, q)[0] == ours
}

// open are the refusals of generated questions that AWS's pages leave open.
var open = []string{
	"a variable without a value", // whether its statement never applies, or it equals nothing
	"a boundary",                 // whether it limits what a resource policy allows to everyone
}

func kindOf(refusal error) string {
	switch text := refusal.Error(); {
	case strings.Contains(text, "does not resolve"):
		return open[0]
	case strings.Contains(text, "whether a boundary"):
		return open[1]
	default:
		return text
	}
}

// judged returns our decision in the oracle's words.
func judged(t *testing.T, q question) (outcome string, refusal error) {
	t.Helper()
	account, err := q.account()
	if err != nil {
		t.Fatalf("%v:\n%s", err, q.text())
	}
	defer func() {
		if r := recover(); r != nil {
			refusal = r.(iamtest.Refusal)
		}
	}()
	request := iamtest.Request{Action: q.Action, Resource: q.ARN, Context: q.Context}
	switch iamtest.Evaluate(account, request).Outcome {
	case iamtest.Allowed:
		return "Allowed", nil
	case iamtest.ExplicitDeny:
		return "ExplicitlyDenied", nil
	}
	return "ImplicitlyDenied", nil
}

// account returns the question's policies as our own types.
func (q question) account() (iamtest.Account, error) {
	var failed error
	parse := func(d document) *iamtest.Policy {
		if d == nil {
			return nil
		}
		text, err := json.Marshal(d)
		must(err)
		policy, err := iamtest.Parse(string(text))
		failed = errors.Join(failed, err)
		return policy
	}
	a := iamtest.Account{Boundary: parse(q.Boundary), Control: parse(q.Control), Resource: parse(q.Resource), Principal: q.Principal}
	for _, d := range q.Identity {
		a.Identity = append(a.Identity, parse(d))
	}
	return a, failed
}

// oracle is the other evaluator, one process for all questions.
type oracle struct {
	in  io.Writer
	out *bufio.Scanner
}

// startOracle starts the oracle where Node finds its modules.
func startOracle(t *testing.T) *oracle {
	t.Helper()
	root, err := filepath.Abs("../..")
	must(err)
	command := exec.Command(filepath.Join(root, ".tools/venv/bin/node"), "--import", "./collators.mjs", "--input-type=module", "--eval", script)
	command.Dir, command.Stderr = filepath.Join(root, ".tools/oracle"), os.Stderr
	in, err := command.StdinPipe()
	must(err)
	out, err := command.StdoutPipe()
	must(err)
	if err := command.Start(); err != nil {
		t.Fatalf("%v; make oracle installs it", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), command.Wait()); err != nil {
			t.Error(err)
		}
	})
	return &oracle{in, bufio.NewScanner(out)}
}

// ask sends all questions at once, and returns one answer for each.
func (o *oracle) ask(t *testing.T, questions ...question) (answers []string) {
	t.Helper()
	var lines bytes.Buffer
	for _, q := range questions {
		lines.Write(append(q.text(), '\n'))
	}
	written := make(chan error, 1)
	go func() {
		_, err := o.in.Write(lines.Bytes())
		written <- err
	}()
	for range questions {
		if !o.out.Scan() {
			t.Fatalf("the oracle ended: %v", o.out.Err())
		}
		answers = append(answers, o.out.Text())
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return answers
}
