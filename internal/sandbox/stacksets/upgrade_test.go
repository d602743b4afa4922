//go:build stacksets

package stacksets_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"cloney-s3-credentials/internal/sandbox"
)

// nextRelease changes the copy of the checkout so that it logs its release.
func nextRelease(t *testing.T, l *life) {
	l.remember(t)
	file := filepath.Join(l.checkout, "functions/provider/main.go")
	text, err := os.ReadFile(file)
	must(t, err)
	const line = "log := slog.New(lambdacontext.NewLogHandler())"
	if !strings.Contains(string(text), line) {
		t.Fatalf("main.go has no line %q", line)
	}
	must(t, os.WriteFile(file, []byte(strings.Replace(string(text), line, line+`.With("release", "next")`, 1)), 0o600))
}

// upgraded checks that nothing was replaced and no resource got an event. Then the new code
// answers the next update of the credentials.
func upgraded(t *testing.T, l *life) {
	if now := l.events(t); now != l.sent {
		t.Errorf("%d events were sent to resources", now-l.sent)
	}
	l.unchanged(t)
	l.holds(t, l.everywhere())
	l.allAtOnce(t, "cloney-provider")
	l.runs(t, "1.1.0")
	l.revise(t, "2")
	for _, account := range l.members() {
		for _, region := range regions {
			if log := l.log(t, account, region); !strings.Contains(log, `"release":"next"`) {
				t.Errorf("the new release did not answer in %s %s", account, region)
			}
		}
	}
}

// wentBack checks that the earlier release reads what the later one has left.
func wentBack(t *testing.T, l *life) {
	l.allAtOnce(t, "cloney-provider")
	l.runs(t, "1.0.0")
	counted := map[string]int{}
	for _, account := range l.members() {
		for _, region := range regions {
			counted[account+region] = strings.Count(l.log(t, account, region), `"release":"next"`)
		}
	}
	l.revise(t, "3")
	for _, account := range l.members() {
		for _, region := range regions {
			log := l.log(t, account, region)
			if n := strings.Count(log, `"release":"next"`); n != counted[account+region] {
				t.Errorf("the later release still answers in %s %s", account, region)
			}
		}
	}
	l.holds(t, l.everywhere())
}

// runs fails unless each provider logs this release.
func (l *life) runs(t *testing.T, version string) {
	t.Helper()
	for _, account := range l.members() {
		for _, region := range regions {
			said := ""
			for _, stack := range l.stacks(t, account, region) {
				for _, output := range stack.Outputs {
					if strings.HasPrefix(*stack.StackName, "StackSet-cloney-provider") && *output.OutputKey == "Version" {
						said = *output.OutputValue
					}
				}
			}
			if said != version {
				t.Errorf("%s %s runs %q, not %s", account, region, said, version)
			}
		}
	}
}

// revise updates the credentials of all members, and checks that their keys stay.
func (l *life) revise(t *testing.T, revision string) {
	t.Helper()
	before := l.organization.keys(t)
	set := "cloney-source"
	described, err := l.sets(t).DescribeStackSet(t.Context(), &cloudformation.DescribeStackSetInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
	must(t, err)
	parameters := slices.DeleteFunc(described.StackSet.Parameters, func(p types.Parameter) bool { return *p.ParameterKey == "Revision" })
	_, err = l.sets(t).UpdateStackSet(t.Context(), &cloudformation.UpdateStackSetInput{
		StackSetName: &set, CallAs: types.CallAsDelegatedAdmin, UsePreviousTemplate: aws.Bool(true),
		Parameters: append(parameters, types.Parameter{ParameterKey: aws.String("Revision"), ParameterValue: &revision}),
	})
	must(t, err)
	l.settled(t, set, "SUCCEEDED")
	same(t, "keys", before, l.organization.keys(t))
}

// The account that left gets a provider by SAM, and credentials from it.
func deployBySAM(t *testing.T, l *life) {
	region := regions[0]
	must(t, l.DeployProviderIn(t.Context(), l.joiner, region, "AllowedBuckets=data-*"))
	template := filepath.Join(t.TempDir(), "stack.yaml")
	must(t, os.WriteFile(template, []byte(fmt.Sprintf(`Resources:
  Credentials:
    Type: Custom::CloneyS3Credentials
    Properties: {ServiceToken: !ImportValue cloney-s3-credentials-ServiceToken, ServiceTimeout: 900, Access: Source, Buckets: [%s], SecretName: %s}
`, bucketOf("data", l.joiner, region), secretName)), 0o600))
	must(t, sandbox.StacksOf(l.in(t, l.joiner, region)).Deploy(t.Context(), "migration", template))
	l.remember(t)
}

// adopted checks that resources and keys are the same, without an event. Then it goes back
// to SAM's template.
func adopted(t *testing.T, l *life) {
	l.mayReadCode(t, "arn:aws:iam::"+l.joiner+":role/OrganizationAccountAccessRole")
	l.unchanged(t)
	must(t, l.DeployProviderIn(t.Context(), l.joiner, regions[0], "AllowedBuckets=data-*"))
	l.unchanged(t)
	if now := l.events(t); now != l.sent {
		t.Errorf("%d events were sent to resources", now-l.sent)
	}
	for _, stack := range []string{"migration", sandbox.ProviderStack} {
		must(t, sandbox.StacksOf(l.in(t, l.joiner, regions[0])).DeleteStack(t.Context(), stack))
	}
	l.holds(t, l.everywhere())
}

// mayReadCode fails unless the code buckets have a parameter that lets a role in. The
// sandbox creates no bucket policy: package internal/confinement judges its text.
func (l *life) mayReadCode(t *testing.T, role string) {
	t.Helper()
	for _, region := range regions {
		told := slices.ContainsFunc(l.stacks(t, l.hub, region), func(stack types.Stack) bool {
			return slices.ContainsFunc(stack.Parameters, func(p types.Parameter) bool {
				return *p.ParameterKey == "MoreReaders" && strings.Contains(aws.ToString(p.ParameterValue), role)
			})
		})
		if !told {
			t.Errorf("in %s, %s deploys code that it may not read", region, role)
		}
	}
}
