//go:build stacksets

package stacksets_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"cloney-s3-credentials/internal/sandbox"
)

// codeElsewhere deploys the published template to an account by itself: in a region without
// a code bucket, and with a bucket whose name does not follow the region. The region fails
// with Lambda's sentence, and leaves nothing.
func codeElsewhere(t *testing.T, l *life) {
	text, err := os.ReadFile(filepath.Join(l.checkout, "dist/provider-1.0.0.yaml"))
	must(t, err)
	unit, err := l.AWS(t.Context(), "organizations", "create-organizational-unit", "--parent-id", l.root, "--name", "elsewhere", "--query", "OrganizationalUnit.Id", "--output", "text")
	must(t, err)
	elsewhere := strings.TrimSpace(unit)
	l.move(t, l.joiner, l.root, elsewhere)
	defer l.move(t, l.joiner, elsewhere, l.root)
	inOneRegion := strings.Replace(string(text), "-${AWS::Region}-an", "-"+regions[0]+"-an", 1)
	if inOneRegion == string(text) {
		t.Fatal("the published template does not name the code bucket by its region")
	}
	for _, c := range []struct{ title, template, prefix, region, reason string }{
		{"no bucket", string(text), "absent", regions[0], "The specified bucket does not exist"},
		{"a bucket of another region", inOneRegion, "cloney-code", regions[1], "PermanentRedirect"},
	} {
		const set = "cloney-elsewhere"
		_, err := l.sets(t).CreateStackSet(t.Context(), &cloudformation.CreateStackSetInput{
			StackSetName: aws.String(set), CallAs: types.CallAsDelegatedAdmin, TemplateBody: &c.template, Capabilities: []types.Capability{types.CapabilityCapabilityIam},
			PermissionModel: types.PermissionModelsServiceManaged, AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(false)},
			Parameters: []types.Parameter{
				{ParameterKey: aws.String("AllowedBuckets"), ParameterValue: aws.String("data-*")},
				{ParameterKey: aws.String("CodeBucketPrefix"), ParameterValue: &c.prefix},
				{ParameterKey: aws.String("Architecture"), ParameterValue: aws.String(sandbox.Arch())},
			},
		})
		must(t, err)
		targets := &types.DeploymentTargets{OrganizationalUnitIds: []string{elsewhere}}
		_, err = l.sets(t).CreateStackInstances(t.Context(), &cloudformation.CreateStackInstancesInput{
			StackSetName: aws.String(set), CallAs: types.CallAsDelegatedAdmin, Regions: []string{c.region}, DeploymentTargets: targets,
		})
		must(t, err)
		l.settled(t, set, "FAILED")
		if _, reasons := l.instances(t, set); !strings.Contains(reasons[l.joiner+" "+c.region], c.reason) {
			t.Errorf("%s: %v", c.title, reasons)
		}
		l.holds(t, nil)
		_, err = l.sets(t).DeleteStackInstances(t.Context(), &cloudformation.DeleteStackInstancesInput{
			StackSetName: aws.String(set), CallAs: types.CallAsDelegatedAdmin, Regions: []string{c.region}, DeploymentTargets: targets, RetainStacks: aws.Bool(false),
		})
		must(t, err)
		_, err = l.sets(t).DeleteStackSet(t.Context(), &cloudformation.DeleteStackSetInput{StackSetName: aws.String(set), CallAs: types.CallAsDelegatedAdmin})
		must(t, err)
	}
}

// move moves an account between units, as the management account does.
func (l *life) move(t *testing.T, account, from, to string) {
	t.Helper()
	_, err := l.AWS(t.Context(), "organizations", "move-account", "--account-id", account, "--source-parent-id", from, "--destination-parent-id", to)
	must(t, err)
}
