package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/sandbox"
)

// A new user pastes README from "Declare" to "Delete", each command and each snippet as it
// is there: the key works through the profile, a new Serial brings another key, and
// nothing is left.
func TestREADME(t *testing.T) {
	own(t)
	const bucket = "my-data-bucket"
	ctx, dir := ctxOf(t), t.TempDir()
	client := s3.NewFromConfig(account(t).Config(), func(o *s3.Options) { o.UsePathStyle = true })
	must(t, sandbox.MakeBucket(ctx, client, bucket))
	readme := readREADME(t)
	shell := pages.NewShell(t, ctx, dir, append(account(t).Env(),
		"PATH="+loadCLI(t).Directory+":"+os.Getenv("PATH"), "AWS_CONFIG_FILE="+filepath.Join(dir, "config")))
	values := strings.NewReplacer()
	run := func(section string) (printed []string) {
		t.Helper()
		for _, c := range readme.commands[section] {
			output, err := shell.Follow(c, values.Replace(c.Text))
			must(t, err)
			printed = append(printed, output)
		}
		return printed
	}
	write := func(file, text string) { must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600)) }

	write("config", "")
	template := readme.snippet(t, "Declare", "yaml")
	write("credentials.yaml", template)
	run("Declare")
	made := outputs(t, "migration")
	values = strings.NewReplacer(" NAME ", " "+made["SecretName"]+" ")
	read := run("Read the key, and use it")
	if !strings.Contains(read[0], made["SecretName"]) {
		t.Errorf("the first command prints %s, and the secret is %s", read[0], made["SecretName"])
	}
	keyID, key := halves(t, made["SecretName"])

	mine := "[profile P]\naws_access_key_id = sandbox\naws_secret_access_key = sandbox\n"
	write("config", mine+values.Replace(readme.snippet(t, "Read the key, and use it", "ini")))
	const use = "aws s3 ls s3://" + bucket + " --profile source"
	if !strings.Contains(readme.text, "`"+use+"`") {
		t.Errorf("README does not say %s", use)
	}
	if output, err := shell.Run(use + " --debug 2>&1 | grep -c " + keyID); err != nil {
		t.Errorf("%s does not use the key: %v: %s", use, err, output)
	}

	const where = "      Buckets: [" + bucket + "]\n"
	write("credentials.yaml", strings.Replace(template, where, where+readme.snippet(t, "A new key", "yaml"), 1))
	run("Declare")
	if newID, newKey := halves(t, made["SecretName"]); newID == keyID || newKey == key {
		t.Error("a new Serial brings no other key")
	}
	run("Delete")
	if status, err := account(t).Status(ctx, "migration"); err == nil {
		t.Errorf("the stack is %s", status)
	}
	empty(t)
}

// A test deploys a release by the commands of docs/releases.md: README has the same ones.
func TestREADMEDeploysAReleaseAsItsPage(t *testing.T) {
	t.Parallel()
	commands, err := pages.Commands("../../docs/releases.md")
	must(t, err)
	page := map[string]bool{}
	for _, c := range commands {
		page[oneLine(c.Text)] = true
	}
	var same int
	for _, c := range readREADME(t).commands["Deploy"] {
		for command := range strings.SplitSeq(c.Text, " && ") {
			switch {
			case strings.HasPrefix(command, "sam "): // TestSAMDeploysAsREADMESays
			case !page[oneLine(command)]:
				t.Errorf("%s:%d: docs/releases.md does not have %s", c.Page, c.Line, command)
			default:
				same++
			}
		}
	}
	if same < 5 {
		t.Errorf("README deploys a release by %d commands", same)
	}
}

// oneLine is a command with one space for each break and indentation.
func oneLine(command string) string { return strings.Join(strings.Fields(command), " ") }

// readme is README, with its commands and blocks by section.
type readme struct {
	text     string
	commands map[string][]pages.Command
	blocks   []pages.Block
}

func readREADME(t *testing.T) readme {
	t.Helper()
	const page = "../../README.md"
	text, err := os.ReadFile(page)
	must(t, err)
	blocks, err := pages.Blocks(page)
	must(t, err)
	commands, err := pages.Commands(page)
	must(t, err)
	r := readme{string(text), map[string][]pages.Command{}, blocks}
	for _, c := range commands {
		r.commands[c.Section] = append(r.commands[c.Section], c)
	}
	return r
}

// snippet returns the one block of a section in a language.
func (r readme) snippet(t *testing.T, section, language string) (text string) {
	t.Helper()
	for _, b := range r.blocks {
		if b.Section == section && b.Language == language {
			if text != "" {
				t.Fatalf("README has two blocks of %s under %q", language, section)
			}
			text = b.Text
		}
	}
	if text == "" {
		t.Fatalf("README has no block of %s under %q", language, section)
	}
	return text
}
