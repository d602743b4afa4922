package stacksets_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeAWS is an AWS CLI that knows two members in two regions each. One has no secret, and
// one has a secret of somebody else. It records its calls.
const fakeAWS = `#!/bin/bash
echo "$*" >> "$CALLS"
case "$1 $2" in
  "sts get-caller-identity") printf 'arn:%s:sts::444455556666:assumed-role/Reader/me\n' "$PARTITION" ;;
  "cloudformation list-stack-instances")
    [ -z "$NO_SET" ] || { echo "An error occurred (StackSetNotFoundException): StackSet $4 not found" >&2; exit 254; }
    printf "$INSTANCES" ;;
  "secretsmanager get-secret-value")
    cat # what the loop's list would lose
    case "$6" in
      *eu-west-1:111122223333*) printf '{"Version":1,"AccessKeyId":"AKIAONE","SecretAccessKey":"first/secret"}\n' ;;
      *us-east-1:111122223333*) printf '{"Version": 1, "AccessKeyId": "AKIATWO", "SecretAccessKey": "second/secret"}\n' ;;
      *eu-west-1:222233334444*) printf '\nAn error occurred (ResourceNotFoundException) when calling the GetSecretValue operation\n' >&2; exit 254 ;;
      *) echo '{"password":"theirs"}' ;;
    esac ;;
esac
`

const fourInstances = `222233334444\tus-east-1\n111122223333\tus-east-1\n111122223333\teu-west-1\n222233334444\teu-west-1\n`

type run struct {
	out, err string
	status   int
	calls    []string
}

// readKeys runs the command with the fake CLI.
func readKeys(t *testing.T, environment []string, arguments ...string) (r run) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "aws"), []byte(fakeAWS), 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(root, "stacksets/read-keys"), arguments...)
	command.Env = append(append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+dir+"/calls", "TMPDIR="+dir, "PARTITION=aws", "NO_SET=", "INSTANCES="+fourInstances), environment...)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	var exit *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r.out, r.err, r.status = out.String(), problems.String(), command.ProcessState.ExitCode()
	if text, err := os.ReadFile(dir + "/calls"); err == nil {
		r.calls = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	if left, _ := filepath.Glob(dir + "/tmp.*"); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
	return r
}

// The command prints the ids of all keys, sorted, and AWS's reason for each key that cannot
// be read. It prints no secret value.
func TestReadKeys(t *testing.T) {
	r := readKeys(t, nil, "cloney-source", "cloney/migration/source")
	if want := "111122223333\teu-west-1\tAKIAONE\n111122223333\tus-east-1\tAKIATWO\n"; r.out != want || r.status != 1 {
		t.Errorf("status %d:\n%s", r.status, r.out)
	}
	for _, told := range []string{"222233334444 eu-west-1: ", "(ResourceNotFoundException)", "222233334444 us-east-1: the secret cloney/migration/source holds no access key"} {
		if !strings.Contains(r.err, told) {
			t.Errorf("%q is not told: %s", told, r.err)
		}
	}
	for _, secret := range []string{"first/secret", "second/secret", "theirs"} {
		if strings.Contains(r.out+r.err, secret) {
			t.Errorf("it shows %s", secret)
		}
	}
	want := []string{
		"sts get-caller-identity --query Arn --output text",
		"cloudformation list-stack-instances --stack-set-name cloney-source --call-as DELEGATED_ADMIN --query Summaries[].[Account, Region] --output text",
		"secretsmanager get-secret-value --region eu-west-1 --secret-id arn:aws:secretsmanager:eu-west-1:111122223333:secret:cloney/migration/source --query SecretString --output text",
	}
	if len(r.calls) != 6 {
		t.Fatalf("%d calls: %v", len(r.calls), r.calls)
	}
	if diff := cmp.Diff(want, r.calls[:3]); diff != "" {
		t.Error(diff)
	}
	// A secret is read in its own region.
	elsewhere := strings.ReplaceAll(want[2], "eu-west-1", "us-east-1")
	if r.calls[3] != elsewhere {
		t.Errorf("the second secret: %s", r.calls[3])
	}
}

func TestReadKeysShowsKeysWhenAsked(t *testing.T) {
	one := `INSTANCES=111122223333\teu-west-1\n`
	r := readKeys(t, []string{one}, "--show-keys", "cloney-source", "cloney/migration/source")
	want := "111122223333\teu-west-1\tAKIAONE\t{\"Version\":1,\"AccessKeyId\":\"AKIAONE\",\"SecretAccessKey\":\"first/secret\"}\n"
	if r.out != want || r.err != "" || r.status != 0 {
		t.Errorf("status %d: %s%s", r.status, r.out, r.err)
	}
}

// This is in another partition, and with another set.
func TestReadKeysElsewhere(t *testing.T) {
	r := readKeys(t, []string{"PARTITION=aws-cn", `INSTANCES=111122223333\teu-west-1\n`}, "--call-as", "SELF", "cloney-source", "cloney/x")
	if r.status != 0 || len(r.calls) != 3 || !strings.Contains(r.calls[1], "--call-as SELF") ||
		!strings.Contains(r.calls[2], "--secret-id arn:aws-cn:secretsmanager:eu-west-1:111122223333:secret:cloney/x ") {
		t.Errorf("status %d: %v", r.status, r.calls)
	}
}

func TestReadKeysWithoutInstances(t *testing.T) {
	if r := readKeys(t, []string{"INSTANCES="}, "cloney-source", "cloney/x"); r.status != 0 || r.out != "" || !strings.Contains(r.err, "has no instances") {
		t.Errorf("no instances: %+v", r)
	}
	if r := readKeys(t, []string{"NO_SET=yes"}, "cloney-source", "cloney/x"); r.status == 0 || !strings.Contains(r.err, "StackSet cloney-source not found") {
		t.Errorf("no set: %+v", r)
	}
}

func TestReadKeysSaysHowItIsCalled(t *testing.T) {
	for _, arguments := range [][]string{{}, {"set"}, {"set", "name", "more"}, {"--show", "set", "name"}, {"--call-as", "ADMIN", "set", "name"}, {"--help"}} {
		r := readKeys(t, nil, arguments...)
		if r.status != 2 || !strings.HasPrefix(r.err, "stacksets/read-keys [--show-keys] [--call-as SELF] SET SECRET_NAME\n") || strings.Contains(r.err, "pipefail") || len(r.calls) > 0 {
			t.Errorf("%v: %+v", arguments, r)
		}
	}
}
