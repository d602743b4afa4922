package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/sandbox"
)

// Every shipped event answers to the sandbox, under its own name.
func TestShippedEventsAreTheSandboxs(t *testing.T) {
	files, err := filepath.Glob("../../../events/*-*.json")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, "../../../events/delete.json") {
		e, err := readEvent(file)
		if err != nil || e.function != provider || !e.own || e.key != filepath.Base(file) || e.stack.Region != "us-east-1" || e.path != file {
			t.Errorf("%s: %+v %v", file, e, err)
		}
	}
}

// What Secrets Manager and EventBridge send is for the rotator, as it is.
func TestTheRotatorsEvents(t *testing.T) {
	step := filepath.Join(t.TempDir(), "step.json")
	if err := os.WriteFile(step, []byte(`{"Step": "createSecret", "SecretId": "cloney/x", "ClientRequestToken": "t"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir("../../..")
	defer os.RemoveAll(".aws-sam/invoke")
	for _, file := range []string{"events/sweep.json", step} {
		e, err := readEvent(file)
		if err != nil || e.function != rotator || e.key != "" {
			t.Fatalf("%s: %+v %v", file, e, err)
		}
		if err := e.prepare(t.Context(), at(sandbox.Port)); err != nil || e.path != file || e.env != shippedEnv {
			t.Errorf("%s: %+v %v", file, e, err)
		}
		if line := shell(samLine("arm64", at(sandbox.Port), e, nil)); !strings.Contains(line, " local invoke RotatorFunction --template-file .aws-sam/local/arm64/template.yaml ") {
			t.Errorf("it is sent by %s", line)
		}
	}
}

// Whatever looks like the sandbox's address and is not is replaced.
func TestOthersEventsAreRedirected(t *testing.T) {
	for _, to := range []string{
		"https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x?X-Amz-Signature=s",
		"http://host.docker.internal:4599.example/cloney-responses/x",
		"http://host.docker.internal:4599@example/cloney-responses/x",
		"http://host.docker.internal:4599/cloney-responses/",
		"http://host.docker.internal:4599/other-bucket/x",
		"https://host.docker.internal:4599/cloney-responses/x",
		"http://127.0.0.1:4599/cloney-responses/x", // not from a container
		"://", "",
	} {
		t.Chdir(t.TempDir())
		text, _ := json.Marshal(map[string]any{"RequestType": "Delete", "ResponseURL": to, "StackId": "arn:aws:cloudformation:eu-west-1:999988887777:stack/mine/id"})
		if err := os.WriteFile("mine.json", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("events", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(shippedEnv, []byte(`{"ProviderFunction": {"STACK_ACCOUNTS": "123456789012"}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := readEvent("mine.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := e.prepare(t.Context(), at(sandbox.Port)); err != nil {
			t.Fatal(err)
		}
		sent, err := os.ReadFile(e.path)
		if err != nil || e.path == "mine.json" || e.key != "mine.json" || e.stack.Region != "eu-west-1" ||
			!strings.Contains(string(sent), `"ResponseURL": "http://host.docker.internal:4599/cloney-responses/mine.json?X-Amz-Signature=none"`) {
			t.Errorf("%q: sent is %s %v", to, sent, err)
		}
		if env, err := os.ReadFile(e.env); err != nil || !strings.Contains(string(env), `"123456789012,999988887777"`) {
			t.Errorf("%q: the environment is %s %v", to, env, err)
		}
	}
}

// at is a sandbox at a port of this machine.
func at(port int) account { return account{endpoint: fmt.Sprintf("http://127.0.0.1:%d", port)} }

// At another port than the shipped files name, copies of them name that port.
func TestAnotherPort(t *testing.T) {
	t.Chdir("../../..")
	defer os.RemoveAll(copies)
	e, err := readEvent("events/create-source.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.prepare(t.Context(), at(4700)); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{
		e.path: `"ResponseURL": "http://host.docker.internal:4700/cloney-responses/create-source.json?`,
		e.env:  `"RESPONSE_HOSTS": "host.docker.internal:4700"`,
	} {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), says) || strings.Contains(string(text), "4599") {
			t.Errorf("%s should say %s: %s %v", file, says, text, err)
		}
	}
}

// What cannot be read is refused without a word of it.
func TestNoEvent(t *testing.T) {
	for _, text := range []string{"", "[]", "null", `"x"`, `{"ResponseURL": "https://x/?X-Amz-Signature=secret`} {
		path := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if e, err := readEvent(path); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %+v %v", text, e, err)
		}
	}
}

func TestTheLineIsQuoted(t *testing.T) {
	got := shell([]string{"sam", "--event", "my event's.json", "A=b,c:/d", "$(x)", ""})
	if want := `sam --event 'my event'\''s.json' A=b,c:/d '$(x)' ''`; got != want {
		t.Errorf("%s", got)
	}
}
