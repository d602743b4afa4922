package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/sandbox"
)

// filesOfCommands makes the files that commands read: a pattern, a policy, an event, a
// template, and an empty zip.
const filesOfCommands = `mkdir -p events; echo '{}' | tee PATTERN.json POLICY.json other-account.yaml > events/sweep.json; { printf 'PK\5\6'; head -c 18 /dev/zero; } > FUNCTION.zip; `

// unknown is what AWS documents for version 2 of its CLI, and the version that is pinned
// here does not have.
const unknown = "aws lambda delete-resource-policy "

// An engineer who is called at night pastes the commands of a page: the AWS CLI accepts
// each of them, with all that it needs and nothing that it does not know, and sends it.
// The pages that other tests run from beginning to end are left out.
func TestCommandsOfPages(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	for _, page := range append(files, "../../README.md", "../../SECURITY.md", "../../CONTRIBUTING.md") {
		if runWhole[filepath.Base(page)] {
			continue
		}
		commands, err := pages.Commands(page)
		must(t, err)
		if commands = slices.DeleteFunc(commands, notAWS); len(commands) == 0 {
			continue
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			commandsAreTaken(t, commands)
		})
	}
}

// runWhole are the pages whose commands a test runs one after the other.
var runWhole = map[string]bool{
	"stacksets.md":   true, // internal/sandbox/stacksets
	"clients.md":     true, // internal/sandbox/minio
	"releases.md":    true, // TestAReleaseIsDeployedByTheCLIAlone
	"local.md":       true,
	"moving-over.md": true,
	"README.md":      true, // TestREADME, TestREADMEDeploysAReleaseAsItsPage, TestSAMDeploysAsREADMESays
}

func notAWS(c pages.Command) bool { return !strings.Contains(c.Text, "aws ") }

// aKey stands for the id of an access key that a page leaves to its reader.
var aKey = strings.NewReplacer("AKIA…", "AKIAIOSFODNN7EXAMPLE")

// recorder answers every call of AWS with an error, and counts them.
func recorder(t *testing.T) (env []string, sent *atomic.Int64) {
	t.Helper()
	sent = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(server.Close)
	return []string{
		"AWS_ENDPOINT_URL=" + server.URL, "AWS_DEFAULT_REGION=" + sandbox.Region, "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
		"AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE=" + os.DevNull, "SAM_CLI_TELEMETRY=0",
	}, sent
}

func commandsAreTaken(t *testing.T, commands []pages.Command) {
	t.Helper()
	env, sent := recorder(t)
	cli := loadCLI(t)
	for _, c := range commands {
		if strings.HasPrefix(c.Text, unknown) {
			continue
		}
		got := shell(t, cli.Directory, env, filesOfCommands+aKey.Replace(c.Text))
		if sent.Swap(0) == 0 {
			t.Errorf("%s:%d: %s\n%s", c.Page, c.Line, c.Text, got.Err)
		}
	}
}

// SAM accepts the options of README's command, finds what it deploys, and calls AWS. No
// call gets as far as the parameters: their names are compared with the template's.
func TestSAMDeploysAsREADMESays(t *testing.T) {
	t.Parallel()
	commands, err := pages.Commands("../../README.md")
	must(t, err)
	i := slices.IndexFunc(commands, func(c pages.Command) bool { return strings.HasPrefix(c.Text, "sam build && sam deploy") })
	if i < 0 {
		t.Fatal("README does not build and deploy by SAM")
	}
	checkout := t.TempDir()
	must(t, os.CopyFS(filepath.Join(checkout, ".aws-sam/build"), os.DirFS("../../.aws-sam/local/"+sandbox.Arch())))
	config, err := os.ReadFile("../../samconfig.toml")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(checkout, "samconfig.toml"), config, 0o600))
	env, sent := recorder(t)
	tools, err := filepath.Abs("../../.tools/venv/bin")
	must(t, err)
	got := shell(t, tools, env, "cd "+checkout+"; "+strings.TrimPrefix(commands[i].Text, "sam build && "))
	if sent.Load() == 0 {
		t.Errorf("%s\n%s%s", commands[i].Text, got.Out, got.Err)
	}
	parameters := templateParameters(t)
	_, overrides, _ := strings.Cut(commands[i].Text, "--parameter-overrides ")
	given := regexp.MustCompile(`\b(\w+)=`).FindAllStringSubmatch(overrides, -1)
	if len(given) == 0 {
		t.Error("README gives SAM no parameter")
	}
	for _, parameter := range given {
		if !parameters[parameter[1]] {
			t.Errorf("README gives SAM %s, which is not a parameter of template.yaml", parameter[1])
		}
	}
}

// templateParameters are the names of the parameters of template.yaml.
func templateParameters(t *testing.T) map[string]bool {
	t.Helper()
	template, err := os.ReadFile("../../template.yaml")
	must(t, err)
	_, section, _ := strings.Cut(string(template), "\nParameters:\n")
	section, _, _ = strings.Cut(section, "\nMetadata:\n")
	names := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^  (\w+):$`).FindAllStringSubmatch(section, -1) {
		names[found[1]] = true
	}
	return names
}

// What a strict organization is told to set are parameters of the template.
func TestPagesNameParameters(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/deploying.md")
	must(t, err)
	parameters := templateParameters(t)
	_, section, _ := strings.Cut(string(page), "## For a strict organization\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)`").FindAllStringSubmatch(section, -1)
	if len(rows) < 10 {
		t.Fatalf("docs/deploying.md has %d parameters for a strict organization", len(rows))
	}
	for _, row := range rows {
		if !parameters[row[1]] {
			t.Errorf("%s is not a parameter of template.yaml", row[1])
		}
	}
}
