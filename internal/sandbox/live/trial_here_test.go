package live_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// linted checks the template with cfn-lint, because nothing deploys it here.
func (w *trial) linted(t *testing.T, template string) {
	file := filepath.Join(t.TempDir(), "trial.json")
	must(t, os.WriteFile(file, []byte(template), 0o600))
	if out, err := exec.CommandContext(ctxOf(t), filepath.Join(root, ".tools/venv/bin/cfn-lint"), "--regions", w.place.Region, "--", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// here runs the trial's function in this machine's Python, for one event.
func (w *trial) here(t *testing.T, event any, into any) {
	t.Helper()
	const handle = "import json, sys, trial\nanswer = trial.handler(json.load(sys.stdin), None)\nprint(json.dumps(answer))"
	python := exec.CommandContext(ctxOf(t), filepath.Join(root, ".tools/venv/bin/python"), "-c", handle)
	text, err := json.Marshal(event)
	must(t, err)
	here, err := filepath.Abs(".")
	must(t, err)
	python.Stdin, python.Env = bytes.NewReader(text), append(w.sandbox.Env(), "PYTHONPATH="+here, "PYTHONDONTWRITEBYTECODE=1")
	out, err := python.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	must(t, json.Unmarshal([]byte(lines[len(lines)-1]), into))
}

// answersHere checks the response: as CloudFormation requires it, at a URL signed without a
// content type.
func (w *trial) answersHere(t *testing.T) {
	var got map[string]string
	bucket := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPut || r.Header.Get("Content-Type") != "" || json.Unmarshal(body, &got) != nil {
			t.Errorf("%s of %q: %s", r.Method, r.Header.Get("Content-Type"), body)
		}
	}))
	defer bucket.Close()
	event := map[string]string{"RequestType": "Create", "ResponseURL": bucket.URL + "/answer", "StackId": "stack", "RequestId": "request", "LogicalResourceId": "Resource"}
	var nothing any
	w.here(t, event, &nothing)
	for field, want := range map[string]string{"Status": "SUCCESS", "StackId": "stack", "RequestId": "request", "LogicalResourceId": "Resource", "PhysicalResourceId": "trial"} {
		if got[field] != want {
			t.Errorf("%s is %q", field, got[field])
		}
	}
}

// asksHere makes the calls that AWS allows. Nothing here would deny the others.
func (w *trial) asksHere(t *testing.T) {
	asked := []call{{"sns", "create_topic", map[string]any{"Name": w.stack}, ""}}
	for _, c := range w.calls() {
		if c.allowed() {
			asked = append(asked, c)
		}
	}
	var codes []string
	w.here(t, tree{"calls": asked}, &codes)
	if len(codes) != len(asked) || len(codes) != 8 {
		t.Fatalf("%d calls were made", len(codes))
	}
	for i, code := range codes {
		if code != asked[i].right {
			t.Errorf("%s came to %q", asked[i].Call, code)
		}
	}
}
