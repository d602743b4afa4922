package sandbox_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/release/published"
	"cloney-s3-credentials/internal/sandbox"
)

// followReleasePage runs what docs/releases.md has a reader type who has a release and nothing
// else, in one shell, and compares what it prints. It returns what each command prints.
func followReleasePage(t *testing.T, shell *pages.Shell, ours *strings.Replacer) (printed []string) {
	t.Helper()
	commands, err := pages.Commands("../../docs/releases.md")
	must(t, err)
	for _, c := range commands {
		// A reader without a checkout has no make, and internal/release lints by the page.
		if strings.HasPrefix(c.Text, "make ") || strings.HasPrefix(c.Text, "cfn-lint ") {
			continue
		}
		output, err := shell.Follow(c, ours.Replace(c.Text))
		must(t, err)
		printed = append(printed, output)
	}
	return printed
}

// runsTheCodeThatItSays fails unless the last three commands of the page print the same
// checksums of the functions' code: as outputs of the stack, and as answers of Lambda.
func runsTheCodeThatItSays(t *testing.T, printed []string) {
	t.Helper()
	if len(printed) != 10 {
		t.Fatalf("docs/releases.md has %d commands: are the last three the same?", len(printed))
	}
	outputs, provider, rotator := strings.Fields(printed[7]), strings.TrimSpace(printed[8]), strings.TrimSpace(printed[9])
	if diff := cmp.Diff([]string{"CodeSha256", provider, "RotatorCodeSha256", rotator}, outputs); diff != "" {
		t.Error(diff)
	}
}

// release writes the folder of version 0.1.0 into a directory, of the provider that this
// checkout has built. What no event here runs has no more than a placeholder.
func release(t *testing.T) (directory string) {
	t.Helper()
	directory = t.TempDir()
	source := published.Source{Version: "0.1.0", Commit: "unknown", ARM64: filepath.Join(directory, "arm64"), X86: filepath.Join(directory, "x86_64")}
	for _, built := range []string{source.ARM64, source.X86} {
		for _, function := range published.Functions {
			must(t, os.MkdirAll(filepath.Join(built, function), 0o755))
			must(t, os.WriteFile(filepath.Join(built, function, "bootstrap"), nil, 0o755))
		}
	}
	bootstrap, err := os.ReadFile(filepath.Join("../../.aws-sam/local", sandbox.Arch(), "ProviderFunction/bootstrap"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(directory, sandbox.Arch(), "ProviderFunction/bootstrap"), bootstrap, 0o755))
	must(t, published.Folder{
		Source: source, Root: "../..", Dir: filepath.Join(directory, "dist", source.Version),
		Template: func(ctx context.Context, r published.Release) ([]byte, error) { return r.Template(ctx, "../..") },
	}.Write(ctxOf(t)))
	return directory
}

// physical are the physical ids of the provider's resources by their logical ids.
func physical(t *testing.T, s *sandbox.Sandbox) map[string]string {
	t.Helper()
	found, err := cloudformation.NewFromConfig(s.Config()).DescribeStackResources(ctxOf(t), &cloudformation.DescribeStackResourcesInput{StackName: aws.String(sandbox.ProviderStack)})
	must(t, err)
	ids := map[string]string{}
	for _, resource := range found.StackResources {
		ids[aws.ToString(resource.LogicalResourceId)] = aws.ToString(resource.PhysicalResourceId)
	}
	return ids
}

// The AWS CLI alone, by the commands of the page, updates a provider that SAM deployed to a
// release. Its functions run, what it gave out before stays, and stacks go on.
func TestAReleaseIsDeployedByTheCLIAlone(t *testing.T) {
	turn(t, false)
	ctx := ctxOf(t)
	s, err := sandbox.Start(ctx, sandbox.Options{Root: "../..", OwnFunctions: true})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, s.MakeBuckets(ctx))
	must(t, s.DeployProviderIn(ctx, sandbox.Account, sandbox.Region, "AllowedBuckets=*"))
	credentials := filepath.Join(t.TempDir(), "credentials.yaml")
	declare := func(more string) {
		t.Helper()
		must(t, os.WriteFile(credentials, []byte("Resources:\n  Credentials:\n    Type: Custom::CloneyS3Credentials\n    Properties:\n"+
			"      ServiceToken: !ImportValue cloney-s3-credentials-ServiceToken\n      Access: Source\n      Buckets: ["+sandbox.SourceBucket+"]\n"+more+
			"Outputs: {User: {Value: !Ref Credentials}, Key: {Value: !GetAtt Credentials.AccessKeyId}}\n"), 0o600))
		must(t, s.Deploy(ctx, "credentials", credentials))
	}
	declare("")
	before, err := s.Outputs(ctx, "credentials")
	must(t, err)
	was := physical(t, s)

	// The page is for an account that has buckets of other names, and for arm64.
	ours := strings.NewReplacer("my-data-*,archive", "cloney-sandbox-*", "CodeBucket=$CODE", "CodeBucket=$CODE Architecture="+sandbox.Arch())
	shell := pages.NewShell(t, ctx, release(t), append(s.Env(), "PATH="+loadCLI(t).Directory+":"+os.Getenv("PATH")))
	runsTheCodeThatItSays(t, followReleasePage(t, shell, ours))
	if diff := cmp.Diff(was, physical(t, s)); diff != "" {
		t.Errorf("the update replaces: %s", diff)
	}
	declare("      Tags: [{Key: team, Value: data}]\n")
	after, err := s.Outputs(ctx, "credentials")
	must(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the stack has other credentials: %s", diff)
	}
	log, err := s.FunctionLog(sandbox.Account, sandbox.Region)
	must(t, err)
	for _, version := range []string{"development", "0.1.0"} {
		if !strings.Contains(log, `"message":"the provider starts","version":"`+version+`"`) {
			t.Errorf("the log does not say that version %s starts", version)
		}
	}
}
