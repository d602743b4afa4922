//go:build snippets

// Package snippets checks the snippets of docs/cdk-terraform.md by the tools that they are
// written for, and deploys what comes out in the sandbox.
package snippets

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/sandbox"
)

const root = "../../.."

// snippet is the one block of the page in a language.
func snippet(t *testing.T, language string) string {
	t.Helper()
	blocks, err := pages.Blocks(filepath.Join(root, "docs/cdk-terraform.md"))
	must(t, err)
	blocks = slices.DeleteFunc(blocks, func(b pages.Block) bool { return b.Language != language })
	if len(blocks) != 1 {
		t.Fatalf("the page has %d blocks of %s", len(blocks), language)
	}
	return blocks[0].Text
}

// Each snippet becomes a template, and the stack that has it makes a user for the bucket
// that the snippet names, and leaves nothing.
func TestSnippets(t *testing.T) {
	s, err := sandbox.Start(t.Context(), sandbox.Options{Root: root})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, errors.Join(s.MakeBuckets(t.Context()), s.DeployProvider(t.Context())))
	// A template that CDK makes asks for the version of the account's bootstrap stack.
	_, err = s.AWS(t.Context(), "ssm", "put-parameter", "--name", "/cdk-bootstrap/hnb659fds/version", "--type", "String", "--value", "30")
	must(t, err)
	for tool, template := range map[string]func(*testing.T) string{"cdk": byCDK, "terraform": byTerraform} {
		t.Run(tool, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "template.json")
			must(t, os.WriteFile(file, []byte(template(t)), 0o600))
			must(t, s.Deploy(t.Context(), tool, file))
			outputs, err := s.Outputs(t.Context(), tool)
			must(t, err)
			user, named := strings.CutPrefix(outputs["SecretName"], "cloney/"+tool+"-SourceCredentials-")
			if !named {
				t.Fatalf("the stack's outputs are %v", outputs)
			}
			documents, err := s.Documents(t.Context(), tool+"-SourceCredentials-"+user)
			must(t, err)
			if policies := strings.Join(documents, ""); !strings.Contains(policies, `"CloneySourceAccessObjects"`) || !strings.Contains(policies, `"arn:aws:s3:::`+sandbox.SourceBucket+`/*"`) {
				t.Errorf("the user may do this: %s", policies)
			}
			must(t, s.DeleteStack(t.Context(), tool))
			if left, err := s.Inventory(t.Context()); err != nil || len(left) > 0 {
				t.Errorf("left in the account: %v, %v", left, err)
			}
		})
	}
}

// byCDK is the template that the CDK app of the page synthesizes, once TypeScript has
// found nothing wrong with it.
func byCDK(t *testing.T) string {
	t.Helper()
	app := t.TempDir()
	modules, err := filepath.Abs(filepath.Join(root, ".tools/snippets/node_modules"))
	must(t, err)
	must(t, os.Symlink(modules, filepath.Join(app, "node_modules")))
	must(t, os.WriteFile(filepath.Join(app, "package.json"), []byte(`{"type": "module"}`), 0o600))
	must(t, os.WriteFile(filepath.Join(app, "app.ts"), []byte(strings.Replace(snippet(t, "ts"), "BUCKET", sandbox.SourceBucket, 1)), 0o600))
	node, err := filepath.Abs(filepath.Join(root, ".tools/venv/bin/node"))
	must(t, err)
	run(t, app, "", node, "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "app.ts")
	run(t, app, "", node, "app.ts")
	template, err := os.ReadFile(filepath.Join(app, "cdk.out/Migration.template.json"))
	must(t, err)
	return string(template)
}

// byTerraform is the template that HashiCorp's parser reads in the configuration of the page.
func byTerraform(t *testing.T) string {
	t.Helper()
	hcl, err := filepath.Abs(filepath.Join(root, ".tools/bin/hcl"))
	must(t, err)
	return run(t, t.TempDir(), snippet(t, "hcl"), hcl, "buckets="+sandbox.SourceBucket+","+sandbox.SecondBucket)
}

// run runs a program in a directory, and returns what it prints.
func run(t *testing.T, directory, input, program string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Dir, command.Stdin = directory, strings.NewReader(input)
	command.Env = append(os.Environ(), "CDK_OUTDIR="+filepath.Join(directory, "cdk.out"))
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(arguments, " "), err, out.String(), complaints.String())
	}
	return out.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
