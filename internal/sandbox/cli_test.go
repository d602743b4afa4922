package sandbox_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/sandbox"
)

// ran is what a command of the shell printed, and how it ended.
type ran struct {
	Out, Err string
	Status   int
}

// shell runs a script of the shell in a new directory. The program aws is the
// directory's.
func shell(t *testing.T, aws string, env []string, script string) ran {
	t.Helper()
	command := exec.CommandContext(ctxOf(t), "bash", "-c", script)
	command.Dir = t.TempDir()
	command.Env = append(env, "PATH="+aws+":"+os.Getenv("PATH"))
	var out, complaints strings.Builder
	command.Stdout, command.Stderr = &out, &complaints
	_ = command.Run() // ran has the status
	return ran{out.String(), complaints.String(), command.ProcessState.ExitCode()}
}

// loadCLI is the AWS CLI that all tests share.
func loadCLI(t *testing.T) *sandbox.CLI {
	t.Helper()
	cli, err := loadedCLI()
	must(t, err)
	return cli
}

// The AWS CLI that is loaded once does and says what the real one does: the
// statuses and some text of each show that the real one did what is meant.
func TestTheLoadedCLIIsTheRealOne(t *testing.T) {
	own(t)
	cli := loadCLI(t)
	real, err := filepath.Abs("../../.tools/venv/bin")
	must(t, err)
	bucket := "s3://" + sandbox.ResponsesBucket
	for label, c := range map[string]struct {
		script, says string
		status       int
	}{
		"success":         {`aws sts get-caller-identity`, `"Account": "123456789012"`, 0},
		"usage":           {`aws sts no-such-command`, "Invalid choice", 2},
		"refused by AWS":  {`aws iam get-user --user-name nobody`, "NoSuchEntity", 255},
		"no credentials":  {`unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; aws sts get-caller-identity`, "Unable to locate credentials", 255},
		"an environment":  {`printf '%s\n' '[default]' 'credential_process = sh -c "echo home=$HOME. >&2; exit 1"' > c; unset HOME AWS_ACCESS_KEY_ID; AWS_CONFIG_FILE=$PWD/c aws sts get-caller-identity`, "home=.", 255},
		"a configuration": {`printf '[profile there]\nregion = eu-west-3\n' > c; AWS_CONFIG_FILE=$PWD/c AWS_PROFILE=there aws configure get region`, "eu-west-3", 0},
		"a pipe":          {`printf 'sun\n' | aws s3 cp - ` + bucket + `/piped && aws s3 cp ` + bucket + `/piped - | tr a-z A-Z; echo "${PIPESTATUS[@]}"`, "SUN\n0 0\n", 0},
		"a file here":     {`echo sea > 'a file'; aws s3 cp --quiet 'a file' ` + bucket + `/here && aws s3 cp --quiet ` + bucket + `/here there && cat there`, "sea", 0},
		"a stack":         {`echo '{"Resources":{"T":{"Type":"AWS::SNS::Topic"}}}' > t.json; aws cloudformation deploy --stack-name cli --template-file t.json && aws cloudformation delete-stack --stack-name cli`, "Successfully created", 0},
	} {
		t.Run(label, func(t *testing.T) {
			want := shell(t, real, account(t).Env(), c.script)
			if !strings.Contains(want.Out+want.Err, c.says) || want.Status != c.status {
				t.Errorf("the real one: %+v", want)
			}
			if diff := cmp.Diff(want, shell(t, cli.Directory, account(t).Env(), c.script)); diff != "" {
				t.Errorf("the loaded one (-real +loaded):\n%s", diff)
			}
		})
	}
}

// Commands at the same moment are processes of their own: each has its own
// environment, and says its own.
func TestLoadedCLIAtTheSameMoment(t *testing.T) {
	cli := loadCLI(t)
	config := filepath.Join(t.TempDir(), "config")
	var text strings.Builder
	for i := range 16 {
		fmt.Fprintf(&text, "[profile p%d]\nregion = eu-west-%d\n", i, i)
	}
	must(t, os.WriteFile(config, []byte(text.String()), 0o600))
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			got := shell(t, cli.Directory, []string{"AWS_CONFIG_FILE=" + config, fmt.Sprint("AWS_PROFILE=p", i)}, "aws configure get region")
			if want := (ran{Out: fmt.Sprintf("eu-west-%d\n", i)}); got != want {
				t.Errorf("%d: %+v", i, got)
			}
		})
	}
	wait.Wait()
}

// A command that is killed ends, also where it waits for AWS.
func TestLoadedCLIEndsWithItsClient(t *testing.T) {
	cli := loadCLI(t)
	asked, ended := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(asked)
		<-r.Context().Done()
		close(ended)
	}))
	defer server.Close()
	command := exec.CommandContext(ctxOf(t), filepath.Join(cli.Directory, "aws"), "sts", "get-caller-identity")
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=" + server.URL, "AWS_DEFAULT_REGION=" + sandbox.Region,
		"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE=" + os.DevNull,
	}
	var printed strings.Builder
	command.Stderr = &printed
	must(t, command.Start())
	over := make(chan error, 1)
	go func() { over <- command.Wait() }()
	select {
	case <-asked:
	case err := <-over:
		t.Fatal("it ended before it asked AWS: ", err, printed.String())
	}
	must(t, command.Process.Kill())
	<-over
	select {
	case <-ended:
	case <-ctxOf(t).Done():
		t.Error("it still waits for AWS")
	}
}

// What a program aws of an ended sandbox says.
func TestLoadedCLIThatHasEnded(t *testing.T) {
	cli, err := sandbox.StartCLI(ctxOf(t), "../..")
	must(t, err)
	program, err := os.ReadFile(filepath.Join(cli.Directory, "aws"))
	must(t, err)
	must(t, cli.Close())
	if _, err := os.Stat(cli.Directory); !os.IsNotExist(err) {
		t.Errorf("left: %s, %v", cli.Directory, err)
	}
	kept := t.TempDir()
	must(t, os.WriteFile(filepath.Join(kept, "aws"), program, 0o700))
	if got := shell(t, kept, nil, "aws sts get-caller-identity"); got.Status != 1 || !strings.Contains(got.Err, "start it again") {
		t.Errorf("%+v", got)
	}
}
