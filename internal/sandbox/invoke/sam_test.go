//go:build samlocal

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

// These tests run `make invoke` as a reader of docs/local.md does: the real SAM CLI, a
// real container engine, the events as they are shipped. They need an engine
// and the port that events/ name. What keeps another machine out they show
// where NEIGHBOUR names one, which .ci/engine makes.

const root = "../../.."

// enough ends what hangs: many times what the slowest machine needs.
const enough = 15 * time.Minute

type step struct {
	event, status string
	physical      string // that the answer names
	key           string // the event whose key it still is; empty: not asked
}

// table is that of docs/local.md, in its order.
var table = []step{
	{"create-source", "SUCCESS", "local-try-SourceCredentials-b7swqkv4cn5t", ""},
	{"create-destination", "SUCCESS", "local-try-DestinationCredentials-3hhpoltujgd6", ""},
	{"update-add-bucket", "SUCCESS", "local-try-SourceCredentials-b7swqkv4cn5t", "create-source"},
	{"update-change-user", "SUCCESS", "local-try-renamed", ""},
	{"delete-former-user", "SUCCESS", "local-try-SourceCredentials-b7swqkv4cn5t", ""},
	{"delete", "SUCCESS", "local-try-renamed", ""},
	{"delete-destination", "SUCCESS", "local-try-DestinationCredentials-3hhpoltujgd6", ""},
	{"create-bad-input", "FAILED", "not-created:local-try-BadInput-atdr3acrrtwi", ""},
}

// What is expected here is what docs/local.md says, event by event.
func TestThePagesTable(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/local.md")
	must(t, err)
	var events, statuses []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `") && strings.Contains(line, ".json`") {
			for _, name := range regexp.MustCompile("`([a-z-]+)[.]json`").FindAllStringSubmatch(line, -1) {
				events, statuses = append(events, name[1]), append(statuses, regexp.MustCompile("SUCCESS|FAILED").FindString(line))
			}
		}
	}
	for i, step := range table {
		if len(events) != len(table) || events[i] != step.event || statuses[i] != step.status {
			t.Fatalf("docs/local.md has %v, answered %v; here it is %v", events, statuses, table)
		}
	}
}

type answer struct {
	Status, Reason, PhysicalResourceId string
	Data                               struct{ AccessKeyId string }
}

// Before the sandbox runs, and without an engine or an image.
func TestWhatIsMissingIsSaid(t *testing.T) {
	refuses(t, "no sandbox", nil, "Run make sandbox in another shell")
	start(t)
	refuses(t, "no engine", []string{"DOCKER_HOST=unix:///nowhere/docker.sock"}, "no container engine")
	refuses(t, "no event", []string{"EVENT="}, "name an event")
}

func TestEventsInSAMsContainer(t *testing.T) {
	s := start(t)
	keepsItsBuild(t, s)
	keys := map[string]string{}
	for _, step := range table {
		a, _ := plays(t, "events/"+step.event+".json")
		if a.Status != step.status || a.PhysicalResourceId != step.physical {
			t.Fatalf("%s was answered %+v", step.event, a)
		}
		if keys[step.event] = a.Data.AccessKeyId; step.key != "" && keys[step.event] != keys[step.key] {
			t.Errorf("%s: the key of %s has changed", step.event, step.key)
		}
		if step.status == "FAILED" && strings.Count(a.Reason, ";") < 4 {
			t.Errorf("%s: not all problems: %s", step.event, a.Reason)
		}
	}
	if keys["update-change-user"] == keys["create-source"] {
		t.Error("another user has the former one's key")
	}
	left(t, s)
}

// What it prints can be pasted into a shell that knows of a real account.
func TestThePrintedLine(t *testing.T) {
	s := start(t)
	first, printed := plays(t, "events/create-source.json")
	line := regexp.MustCompile(`(?m)^  cd .*\n  env .*$`).FindString(printed)
	command := exec.Command("bash", "-ec", line)
	command.Dir = "/"
	command.Env = append(os.Environ(), "AWS_PROFILE=nobody", "AWS_SESSION_TOKEN=real", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1")
	if text, err := command.CombinedOutput(); err != nil || strings.Count(string(text), `"outcome":"SUCCESS"`) != 1 {
		t.Errorf("%s: %v\n%s", line, err, text)
	}
	// What samconfig.toml says is enough for SAM by itself.
	architecture := []string{"--parameter-overrides", "Architecture=" + arch()}
	if text, err := bySAM(append([]string{"build"}, architecture...)...); err != nil {
		t.Errorf("sam build: %v\n%s", err, text)
	}
	flags := strings.Fields(os.Getenv("SAM_FLAGS"))
	if text, err := bySAM(slices.Concat([]string{"local", "invoke", "ProviderFunction", "--event", "events/create-source.json"}, architecture, flags)...); err != nil || strings.Count(text, `"outcome":"SUCCESS"`) != 1 {
		t.Errorf("sam local invoke: %v\n%s", err, text)
	}
	if again, _ := plays(t, "events/create-source.json"); again.Data.AccessKeyId != first.Data.AccessKeyId {
		t.Error("the same event again gives another key")
	}
	must(t, s.Invoke(t.Context(), deletion(t)))
	left(t, s)
}

// bySAM runs the SAM CLI in the checkout, and returns all that it prints.
func bySAM(arguments ...string) (string, error) {
	command := exec.Command(sam, arguments...)
	command.Dir = root
	command.Env = append(os.Environ(), "SAM_CLI_TELEMETRY=0", "AWS_CONFIG_FILE="+sandbox.ShellDirectory(".")+"/config", "AWS_PROFILE="+sandbox.Profile)
	text, err := command.CombinedOutput()
	return string(text), err
}

// An event of somebody's stack: another account, another region, buckets that
// the sandbox does not have. Its stack hears nothing, and its ResponseURL is
// seen nowhere.
func TestAnEventOfAnotherStack(t *testing.T) {
	s := start(t)
	fields := map[string]any{
		"RequestType": "Create", "RequestId": "3f9d6c1e", "LogicalResourceId": "SourceCredentials", "ResourceType": "Custom::CloneyS3Credentials",
		"ResponseURL":  "https://cloudformation-custom-resource-response-eucentral1.s3.eu-central-1.amazonaws.com/arn%3Aaws?X-Amz-Signature=real-signature",
		"StackId":      "arn:aws:cloudformation:eu-central-1:999988887777:stack/mine/6f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0",
		"ServiceToken": "arn:aws:lambda:eu-central-1:999988887777:function:cloney-s3-credentials",
		"ResourceProperties": map[string]any{"ServiceToken": "arn:aws:lambda:eu-central-1:999988887777:function:cloney-s3-credentials",
			"Access": "Source", "Buckets": []string{"somebodys-bucket/in/"}},
	}
	for _, request := range []string{"Create", "Delete"} {
		fields["RequestType"] = request
		text, err := json.Marshal(fields)
		must(t, err)
		path := t.TempDir() + "/copied.json"
		must(t, os.WriteFile(path, text, 0o600))
		a, printed := plays(t, path)
		if a.Status != "SUCCESS" || a.PhysicalResourceId == "" {
			t.Fatalf("%s was answered %+v\n%s", request, a, printed)
		}
		if !strings.Contains(printed, "the stack gets no response") || strings.Contains(printed, "real-signature") || strings.Contains(printed, "amazonaws.com/arn") {
			t.Errorf("%s: it printed\n%s", request, printed)
		}
		fields["PhysicalResourceId"] = a.PhysicalResourceId
	}
	left(t, s)
}

// The containers' door is shut to other machines, and nothing else is open.
func TestNoOtherMachine(t *testing.T) {
	neighbour := os.Getenv("NEIGHBOUR")
	if neighbour == "" {
		t.Skip("no other machine to try from: .ci/engine makes one")
	}
	start(t)
	at := gateway(t)
	// Where a socket is bound to the address alone, the neighbour comes in.
	control, err := net.Listen("tcp4", net.JoinHostPort(at, "0"))
	must(t, err)
	defer control.Close()
	_, port, _ := net.SplitHostPort(control.Addr().String())
	if err := dials(neighbour, at, port); err != nil {
		t.Fatalf("the neighbour reaches nothing at all: %v", err)
	}
	if dials(neighbour, at, "4599") == nil {
		t.Error("another machine reaches the sandbox")
	}
	if dials(neighbour, "192.0.2.1", "4599") == nil {
		t.Error("another machine reaches the sandbox by this machine's address")
	}
	control.Close()
	listening, err := exec.Command("ss", "-Hltn").Output()
	must(t, err)
	open := 0
	for line := range strings.Lines(string(listening)) {
		switch local := strings.Fields(line)[3]; {
		case strings.HasPrefix(local, "127."):
			open++
		case local != at+"%docker0:4599":
			t.Errorf("something listens on %s", local)
		}
	}
	if open < 3 {
		t.Errorf("only %d sockets are listened on: not the sandbox's", open)
	}
}

// The image goes last, for it is not there afterwards.
func TestWithoutTheImage(t *testing.T) {
	if os.Getenv("NEIGHBOUR") == "" {
		t.Skip("the engine is not ours to take an image from")
	}
	start(t)
	for _, image := range []string{"public.ecr.aws/lambda/provided:al2023-" + arch(), "public.ecr.aws/lambda/provided:al2023-rapid-" + arch()} {
		_ = exec.Command("curl", "-sS", "--unix-socket", strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://"), "-X", "DELETE", "http://engine/images/"+image+"?force=1").Run()
	}
	refuses(t, "no image", []string{"SAM_FLAGS=--skip-pull-image"}, "is not here, and --skip-pull-image forbids to pull it")
	refuses(t, "no registry", []string{"SAM_FLAGS="}, "pulling public.ecr.aws/lambda/provided:al2023-")
}

func arch() string {
	return map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
}

// start starts the sandbox as make sandbox does.
func start(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	files, err := sandbox.OpenShellFiles(sandbox.ShellDirectory(root))
	must(t, err)
	t.Cleanup(func() { must(t, files.Close()) })
	s, err := sandbox.Start(t.Context(), sandbox.Options{Root: root, Port: sandbox.Port, ShellFiles: files})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, s.Open(t.Context(), files))
	said := make(chan string, 16)
	must(t, s.LetContainersIn(func(format string, _ ...any) { said <- format }))
	if os.Getenv("NEIGHBOUR") == "" {
		return s // Docker Desktop has no bridge here
	}
	select {
	case what := <-said:
		if !strings.Contains(what, "reach it too") {
			t.Fatal(what)
		}
	case <-time.After(enough):
		t.Fatal("the sandbox does not let containers in")
	}
	return s
}

// run runs make invoke and returns what it prints: the answer, and the rest.
func run(t *testing.T, event string, variables ...string) (out, rest string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	command := exec.CommandContext(ctx, "make", append([]string{"--no-print-directory", "invoke", "EVENT=" + event, "SAM_FLAGS=" + os.Getenv("SAM_FLAGS")}, variables...)...)
	command.Dir = root
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = enough
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	for _, variable := range variables {
		if strings.HasPrefix(variable, "DOCKER_HOST=") {
			command.Env = append(os.Environ(), variable)
		}
	}
	begun := time.Now()
	err = command.Run()
	t.Logf("%s: %s", event, time.Since(begun).Round(100*time.Millisecond))
	return stdout.String(), stderr.String(), err
}

func plays(t *testing.T, event string) (a answer, printed string) {
	t.Helper()
	out, rest, err := run(t, event)
	if err != nil {
		t.Fatalf("%s: %v: it printed\n%s%s", event, err, rest, out)
	}
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatalf("%s was answered %q: %v\n%s", event, out, err, rest)
	}
	return a, rest
}

func refuses(t *testing.T, what string, variables []string, says string) {
	t.Helper()
	out, rest, err := run(t, "events/create-source.json", variables...)
	if err == nil || out != "" || !strings.Contains(rest, says) {
		t.Errorf("%s: exit status 0 is %v; it printed\n%s%s\nand should say %q", what, err == nil, out, rest, says)
	}
}

// keepsItsBuild has the sandbox run a function whose bootstrap is gone from
// where it was built, as it is while `sam build` writes another.
func keepsItsBuild(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	built := root + "/.aws-sam/local"
	must(t, os.Rename(built, built+".away"))
	defer func() { must(t, os.Rename(built+".away", built)) }()
	text, err := os.ReadFile(root + "/events/create-bad-input.json")
	must(t, err)
	if err := s.Invoke(t.Context(), string(text)); err != nil {
		t.Errorf("without .aws-sam/local the sandbox's function is gone: %v", err)
	}
}

// deletion is the Delete of what create-source makes.
func deletion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(root + "/events/delete.json")
	must(t, err)
	return strings.ReplaceAll(string(text), "local-try-renamed", "local-try-SourceCredentials-b7swqkv4cn5t")
}

func left(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	found, err := s.Inventory(t.Context())
	must(t, err)
	if len(found) != 0 {
		t.Errorf("left behind: %s", strings.Join(found, ", "))
	}
}

func gateway(t *testing.T) string {
	t.Helper()
	bridge, err := net.InterfaceByName("docker0")
	must(t, err)
	addresses, err := bridge.Addrs()
	must(t, err)
	i := slices.IndexFunc(addresses, func(a net.Addr) bool { return a.(*net.IPNet).IP.To4() != nil })
	return addresses[i].(*net.IPNet).IP.String()
}

// dials connects from another machine.
func dials(machine, host, port string) error {
	return exec.Command("ip", "netns", "exec", machine, "timeout", "20", "bash", "-c", `exec 3<>"/dev/tcp/$0/$1"`, host, port).Run()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
