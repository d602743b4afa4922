package sandbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/pages"
)

// around is the stack that a snippet of a page is put into, and what the pages'
// snippets refer to.
const around = `Resources:
  CopierRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]
  SecretKey:
    Type: AWS::KMS::Key
    Properties:
      KeyPolicy:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {AWS: !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}, Action: "kms:*", Resource: "*"}]
%s`

// credentialsOf is the resource that snippets of its properties belong to.
const credentialsOf = `  Credentials:
    Type: Custom::CloneyS3Credentials
    Properties:
%s`

// base are the properties that each resource has, unless a snippet sets them.
var base = []string{
	"ServiceToken: !ImportValue cloney-s3-credentials-ServiceToken", "ServiceTimeout: 330", "Access: Source", "Buckets: [my-data-bucket]",
}

// Each snippet in YAML is a stack, or a part of one that stands in a stack: cfn-lint
// takes it, by the schema of our properties too.
func TestSnippetsOfPages(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	dir := t.TempDir()
	var stacks []string
	for _, page := range append(files, "../../README.md", "../../SECURITY.md", "../../CONTRIBUTING.md") {
		blocks, err := pages.Blocks(page)
		must(t, err)
		for _, b := range blocks {
			if b.Language != "yaml" {
				continue
			}
			file := filepath.Join(dir, fmt.Sprintf("%s-%d.yaml", filepath.Base(page), b.Line))
			must(t, os.WriteFile(file, []byte(stackWith(b.Text)), 0o600))
			stacks = append(stacks, file)
		}
	}
	if len(stacks) < 5 {
		t.Fatalf("the pages have %d snippets in YAML", len(stacks))
	}
	lint := exec.CommandContext(ctxOf(t), "../../.tools/venv/bin/cfn-lint", append([]string{"--format", "parseable", "--append-rules", "../../schema", "--"}, stacks...)...)
	lint.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1")
	if printed, err := lint.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}

var (
	property   = regexp.MustCompile(`(?m)^(\w+):`)
	isResource = regexp.MustCompile(`(?m)^\w+:\n( *#.*\n)*  Type: `)
)

// stackWith puts a snippet where it belongs: a whole stack stays as it is.
func stackWith(snippet string) string {
	snippet = dedent(snippet)
	switch {
	case strings.HasPrefix(snippet, "AWSTemplateFormatVersion:") || regexp.MustCompile(`(?m)^Resources:`).MatchString(snippet):
		return snippet
	case isResource.MatchString(snippet):
		return fmt.Sprintf(around, indent(snippet, 2))
	case strings.HasPrefix(snippet, "Secrets:"): // of a container of ECS
		return fmt.Sprintf(around, fmt.Sprintf(credentialsOf, properties(""))+"  Task:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n      ContainerDefinitions:\n        - Name: main\n          Image: image\n"+indent(snippet, 10))
	case strings.HasPrefix(snippet, "Value:"): // of a resource that uses the key
		return fmt.Sprintf(around, fmt.Sprintf(credentialsOf, properties(""))+"  Consumer:\n    Type: AWS::SSM::Parameter\n    Properties:\n      Type: String\n"+indent(snippet, 6))
	}
	return fmt.Sprintf(around, fmt.Sprintf(credentialsOf, properties(snippet)))
}

// properties are those of a snippet, and the base that it does not set.
func properties(snippet string) string {
	set := map[string]bool{}
	for _, found := range property.FindAllStringSubmatch(snippet, -1) {
		set[found[1]] = true
	}
	all := snippet
	for _, line := range base {
		if name, _, _ := strings.Cut(line, ":"); !set[name] {
			all += line + "\n"
		}
	}
	return indent(all, 6)
}

func dedent(text string) string {
	first := strings.TrimLeft(text, "\n ")
	spaces := text[:len(text)-len(first)]
	return strings.ReplaceAll("\n"+text, "\n"+spaces, "\n")[1:]
}

func indent(text string, by int) string {
	var indented strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			indented.WriteString(strings.Repeat(" ", by))
		}
		indented.WriteString(line)
	}
	return indented.String()
}
