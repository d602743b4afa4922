//go:build stacksets

package stacksets_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"cloney-s3-credentials/internal/sandbox"
)

// theJoinerFails checks the new account: its provider exists, and its credentials do not,
// because it has no bucket.
func theJoinerFails(t *testing.T, l *life) {
	want := l.everywhere()
	want[l.joiner] = holding{provider: "StackSet-cloney-provider", providerIn: regions}
	l.holds(t, want)
	_, reasons := l.instances(t, "cloney-source")
	if reason := reasons[l.joiner+" "+regions[0]]; !strings.Contains(reason, bucketOf("data", l.joiner, regions[0])+`" cannot be used: there is no such bucket`) {
		t.Errorf("the reason is %q", reason)
	}
	l.unchanged(t)
	l.sent = l.events(t)
}

func theJoinerIsMended(t *testing.T, l *life) {
	want := l.everywhere()
	want[l.joiner] = both("StackSet-cloney-provider")
	l.holds(t, want)
	l.unchanged(t) // those that were well were left alone
	if sent := l.events(t) - l.sent; sent != len(regions) {
		t.Errorf("%d events were sent to mend %d instances that failed", sent, len(regions))
	}
}

// hasLeft checks an account that has left: the key is deleted. The provider exists, and
// belongs to no set any more.
func hasLeft(t *testing.T, l *life) {
	want := l.everywhere()
	want[l.joiner] = holding{provider: "StackSet-cloney-provider", providerIn: regions}
	l.holds(t, want)
	l.unchanged(t)
	for _, set := range []string{"cloney-provider", "cloney-source"} {
		if states, _ := l.instances(t, set); states[l.joiner+" "+regions[0]] != "" {
			t.Errorf("%s still has the account that left", set)
		}
	}
	l.deleteByHand(t, l.joiner, "StackSet-cloney-provider")
}

// leavesTheOtherWay plays a pair of sets whose credentials were created before the
// provider, so that they are removed before it. In the page the order is the other one.
func leavesTheOtherWay(t *testing.T, l *life) {
	ctx := t.Context()
	unit, err := l.AWS(ctx, "organizations", "create-organizational-unit", "--parent-id", l.root, "--name", "late", "--query", "OrganizationalUnit.Id", "--output", "text")
	must(t, err)
	late := strings.TrimSpace(unit)
	l.move(t, l.joiner, l.root, late)
	targets := &types.DeploymentTargets{OrganizationalUnitIds: []string{late}}
	for _, set := range []string{"source", "provider"} {
		like, err := l.sets(t).DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: aws.String("cloney-" + set), CallAs: types.CallAsDelegatedAdmin})
		must(t, err)
		_, err = l.sets(t).CreateStackSet(ctx, &cloudformation.CreateStackSetInput{
			StackSetName: aws.String("cloney-late-" + set), CallAs: types.CallAsDelegatedAdmin, PermissionModel: types.PermissionModelsServiceManaged,
			TemplateBody: like.StackSet.TemplateBody, Parameters: like.StackSet.Parameters, Capabilities: like.StackSet.Capabilities,
			AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(true), RetainStacksOnAccountRemoval: aws.Bool(set == "provider")},
		})
		must(t, err)
	}
	for _, set := range []string{"cloney-late-provider", "cloney-late-source"} {
		_, err := l.sets(t).CreateStackInstances(ctx, &cloudformation.CreateStackInstancesInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin, Regions: regions, DeploymentTargets: targets})
		must(t, err)
		l.settled(t, set, "SUCCEEDED")
	}
	l.move(t, l.joiner, late, l.root)
	for _, set := range []string{"cloney-late-provider", "cloney-late-source"} {
		l.settled(t, set, "SUCCEEDED")
		_, err := l.sets(t).DeleteStackSet(ctx, &cloudformation.DeleteStackSetInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
		must(t, err)
	}
	want := l.everywhere()
	want[l.joiner] = holding{provider: "StackSet-cloney-late-provider", providerIn: regions}
	l.holds(t, want)
	l.deleteByHand(t, l.joiner, "StackSet-cloney-late-provider")
}

// deleteByHand deletes an account's stacks of that name.
func (l *life) deleteByHand(t *testing.T, account, name string) {
	t.Helper()
	for _, region := range regions {
		for _, stack := range l.stacks(t, account, region) {
			if setOf(aws.ToString(stack.StackName)) == name {
				must(t, sandbox.StacksOf(l.in(t, account, region)).DeleteStack(t.Context(), *stack.StackName))
			}
		}
	}
}
