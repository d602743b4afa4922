package confinement

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"cloney-s3-credentials/internal/iamtest"
)

//go:embed oracle.mjs
var script string

// Question is one decision for an independent IAM evaluator.
type Question struct {
	Identity  []json.RawMessage   `json:"identity"`
	Boundary  json.RawMessage     `json:"boundary"`
	Control   json.RawMessage     `json:"control"`
	Resource  json.RawMessage     `json:"resource"`
	Principal string              `json:"principal"`
	Owner     string              `json:"owner"` // of the resource; empty: the principal's account
	Action    string              `json:"action"`
	ARN       string              `json:"arn"`
	Context   map[string][]string `json:"context"`
}

// About returns the question with a request in it.
func (q Question) About(r iamtest.Request) Question {
	q.Action, q.ARN, q.Context = r.Action, r.Resource, r.Context
	return q
}

// Verdict is its answer: Allowed, ExplicitlyDenied, ImplicitlyDenied, or what is wrong with
// the question. Ignored are context keys that AWS does not know for such an action and
// resource.
type Verdict struct {
	Outcome string
	Ignored []string
}

// Ask sends questions to the evaluator that make oracle has installed in the checkout at
// root.
func Ask(root string, questions []Question) (verdicts []Verdict, err error) {
	var in bytes.Buffer
	for _, q := range questions {
		if err := json.NewEncoder(&in).Encode(q); err != nil {
			return nil, err
		}
	}
	tools, err := filepath.Abs(filepath.Join(root, ".tools"))
	if err != nil {
		return nil, err
	}
	command := exec.Command(filepath.Join(tools, "venv/bin/node"), "--import", "./collators.mjs", "--input-type=module", "--eval", script)
	// Where Node finds its modules.
	command.Dir, command.Stdin, command.Stderr = filepath.Join(tools, "oracle"), &in, os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%w; make oracle installs it", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var v Verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, err
		}
		verdicts = append(verdicts, v)
	}
	if len(verdicts) != len(questions) {
		return nil, fmt.Errorf("%d answers to %d questions: %w", len(verdicts), len(questions), lines.Err())
	}
	return verdicts, nil
}
