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
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/sandbox"
)

// alone is the account that joins, in an OU of its own, with two sets for that OU in the
// first region, so that no other credentials change.
type alone struct {
	*life
	region, unit string
	retained     []string // buckets that the stacks have left
}

const aloneProvider, aloneSource = "cloney-live-provider", "cloney-live-source"

// onlyAWSShows plays what a local AWS takes from AWS's pages, or guesses. AWS gives the
// answers; the sandbox shows that the code works. The lines that begin with "SEEN" are the
// findings.
func onlyAWSShows(t *testing.T, l *life) {
	l.define(t)
	a := &alone{life: l, region: regions[0]}
	defer a.end(t)
	a.begin(t)
	a.deploy(t, aloneProvider)
	t.Log("SEEN: the role that deploys has read the code bucket by its ARN")
	a.bucketsFrom(t)
	t.Log("SEEN: the reader has read a secret by its partial ARN, under the hub's key")
	a.deletedInTheWrongOrder(t)
	a.takeAway(t)
	a.deploy(t, aloneProvider)
	a.deploy(t, aloneSource)
	a.leaves(t)
	t.Log("NOT SEEN: a custom execution role, the management account, and Invocation and RoleUse in a set: switch these on in the canary")
}

// begin creates the OU and the sets. The provider may use the bucket that a stack creates.
func (a *alone) begin(t *testing.T) {
	a.unit = a.sh(t, "aws organizations create-organizational-unit --profile management --parent-id "+a.root+" --name cloney-live --query OrganizationalUnit.Id --output text")
	a.moves(t, a.root, a.unit)
	like := a.described(t, "cloney-provider")
	provider := &cloudformation.CreateStackSetInput{TemplateBody: like.TemplateBody, Capabilities: like.Capabilities, Parameters: with(like.Parameters, "AllowedBuckets", "data-*,stackset-*")}
	a.create(t, aloneProvider, provider)
	text, err := os.ReadFile(filepath.Join(a.checkout, "stacksets/credentials.yaml"))
	must(t, err)
	source := &cloudformation.CreateStackSetInput{TemplateBody: aws.String(string(text)), AutoDeployment: &types.AutoDeployment{DependsOn: []string{*a.described(t, aloneProvider).StackSetARN}}}
	for name, value := range map[string]string{
		"BucketsFrom": "Parameter", "HubAccountId": a.hub, "HubKeyId": a.sh(t, "hub KeyId"), "HubReaderArn": a.sh(t, "hub ReaderRoleArn"),
	} {
		source.Parameters = with(source.Parameters, name, value)
	}
	a.create(t, aloneSource, source)
}

func (a *alone) create(t *testing.T, set string, in *cloudformation.CreateStackSetInput) {
	t.Helper()
	in.StackSetName, in.CallAs, in.PermissionModel = &set, types.CallAsDelegatedAdmin, types.PermissionModelsServiceManaged
	if in.AutoDeployment == nil {
		in.AutoDeployment = &types.AutoDeployment{}
	}
	// Both are deleted when the account leaves. Otherwise no order is visible.
	in.AutoDeployment.Enabled, in.AutoDeployment.RetainStacksOnAccountRemoval = aws.Bool(true), aws.Bool(false)
	_, err := a.sets(t).CreateStackSet(t.Context(), in)
	must(t, err)
}

func (a *alone) described(t *testing.T, set string) *types.StackSet {
	t.Helper()
	found, err := a.sets(t).DescribeStackSet(t.Context(), &cloudformation.DescribeStackSetInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
	must(t, err)
	return found.StackSet
}

// with returns the parameters with another value for one of them.
func with(parameters []types.Parameter, name, value string) []types.Parameter {
	others := slices.DeleteFunc(slices.Clone(parameters), func(p types.Parameter) bool { return *p.ParameterKey == name })
	return append(others, types.Parameter{ParameterKey: &name, ParameterValue: &value})
}

func (a *alone) targets() *types.DeploymentTargets {
	return &types.DeploymentTargets{OrganizationalUnitIds: []string{a.unit}}
}

func (a *alone) deploy(t *testing.T, set string) {
	t.Helper()
	_, err := a.sets(t).CreateStackInstances(t.Context(), &cloudformation.CreateStackInstancesInput{
		StackSetName: &set, CallAs: types.CallAsDelegatedAdmin, Regions: []string{a.region}, DeploymentTargets: a.targets(),
	})
	must(t, err)
	a.succeeded(t, set)
}

// succeeded ends the test unless the set's last operation succeeded, because the next step
// needs its result.
func (a *alone) succeeded(t *testing.T, set string) {
	t.Helper()
	a.settled(t, set, "SUCCEEDED")
	if t.Failed() {
		t.FailNow()
	}
}

// remove removes the instances from a set, with their stacks or without.
func (a *alone) remove(t *testing.T, set string, retain bool, status string) {
	t.Helper()
	_, err := a.sets(t).DeleteStackInstances(t.Context(), &cloudformation.DeleteStackInstancesInput{
		StackSetName: &set, CallAs: types.CallAsDelegatedAdmin, Regions: []string{a.region}, DeploymentTargets: a.targets(), RetainStacks: &retain,
	})
	must(t, err)
	a.settled(t, set, status)
}

func (a *alone) moves(t *testing.T, from, to string) {
	t.Helper()
	a.sh(t, "aws organizations move-account --profile management --account-id "+a.joiner+" --source-parent-id "+from+" --destination-parent-id "+to)
}

// stack returns the id of the account's stack of a set.
func (a *alone) stack(t *testing.T, set string) string {
	t.Helper()
	found, err := a.sets(t).DescribeStackInstance(t.Context(), &cloudformation.DescribeStackInstanceInput{
		StackSetName: &set, CallAs: types.CallAsDelegatedAdmin, StackInstanceAccount: &a.joiner, StackInstanceRegion: &a.region,
	})
	must(t, err)
	return *found.StackInstance.StackId
}

// says returns the state of a set's instance and the reason.
func (a *alone) says(t *testing.T, set string) string {
	t.Helper()
	states, reasons := a.instances(t, set)
	where := a.joiner + " " + a.region
	if states[where] == "" {
		return "gone"
	}
	return states[where] + " (" + reasons[where] + ")"
}

// deletedInTheWrongOrder deletes the provider while credentials need it: the provider and
// the key stay.
func (a *alone) deletedInTheWrongOrder(t *testing.T) {
	stacks, provider, key := sandbox.StacksOf(a.in(t, a.joiner, a.region)), a.stack(t, aloneProvider), a.key(t)
	a.remove(t, aloneProvider, false, "FAILED")
	status, err := stacks.Status(t.Context(), provider)
	must(t, err)
	t.Logf("SEEN: after a refused deletion the instance of the provider is %s, its stack %s", a.says(t, aloneProvider), status)
	if strings.HasPrefix(status, "DELETE_") {
		t.Errorf("the provider's stack is %s", status)
	}
	if a.key(t) != key {
		t.Error("the key has changed")
	}
}

// leaves moves the account out: no user is left, and the stacks' events show which of the
// two was deleted first.
func (a *alone) leaves(t *testing.T) {
	stacks := sandbox.StacksOf(a.in(t, a.joiner, a.region))
	ids := map[string]string{aloneProvider: a.stack(t, aloneProvider), aloneSource: a.stack(t, aloneSource)}
	a.retained = append(a.retained, a.dataBucket(t))
	a.moves(t, a.unit, a.root)
	a.await(t, func() string {
		status, err := stacks.Status(t.Context(), ids[aloneSource])
		must(t, err)
		if status != string(types.StackStatusDeleteComplete) {
			return "the account has left, and the stack of its credentials is " + status
		}
		// It is either deleted or was refused.
		if says := a.says(t, aloneProvider); strings.HasPrefix(says, "CURRENT") || strings.Contains(says, "RUNNING") || strings.Contains(says, "PENDING") {
			return "the account has left, and the instance of its provider is " + says
		}
		return ""
	})
	// The operation that removed them may not have ended yet.
	a.sh(t, "settled "+aloneSource)
	a.sh(t, "settled "+aloneProvider)
	for set, id := range ids {
		events, err := stacks.Events(t.Context(), id)
		must(t, err)
		deleted := "no deletion"
		for _, event := range events {
			if strings.HasPrefix(string(event.ResourceStatus), "DELETE_") && aws.ToString(event.PhysicalResourceId) == id {
				deleted = fmt.Sprintf("%s at %s, %s", event.ResourceStatus, event.Timestamp.Format("15:04:05.000"), deleted)
			}
		}
		t.Logf("SEEN: the account has left; %s: the instance is %s; the stack's events: %s", set, a.says(t, set), strings.TrimSuffix(deleted, ", no deletion"))
	}
	users, err := iam.NewFromConfig(a.in(t, a.joiner, a.region)).ListUsers(t.Context(), &iam.ListUsersInput{PathPrefix: aws.String("/cloney/")})
	must(t, err)
	if len(users.Users) > 0 {
		t.Errorf("the account has left with %d users", len(users.Users))
	}
}

// takeAway removes the credentials, and then the provider, with its set or without.
func (a *alone) takeAway(t *testing.T) {
	t.Helper()
	a.remove(t, aloneSource, false, "SUCCEEDED")
	a.remove(t, aloneProvider, true, "SUCCEEDED")
	a.deleteByHand(t, a.joiner, "StackSet-"+aloneProvider)
}

// end restores the organization, however far the test came.
func (a *alone) end(t *testing.T) {
	if t.Failed() {
		t.Logf("if something is left: the sets %s and %s, the OU cloney-live, and in account %s what begins with StackSet-cloney-live, data-live and /cloney/source-buckets", aloneSource, aloneProvider, a.joiner)
	}
	if a.unit == "" {
		return
	}
	a.takeAway(t)
	for _, set := range []string{aloneSource, aloneProvider} {
		_, err := a.sets(t).DeleteStackSet(t.Context(), &cloudformation.DeleteStackSetInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
		must(t, err)
	}
	// The retained buckets must exist, or this fails.
	for _, bucket := range a.retained {
		a.drop(t, bucket)
	}
	if parent := a.sh(t, "aws organizations list-parents --profile management --child-id "+a.joiner+" --query 'Parents[0].Id' --output text"); parent == a.unit {
		a.moves(t, a.unit, a.root)
	}
	a.sh(t, "aws organizations delete-organizational-unit --profile management --organizational-unit-id "+a.unit)
}

func (a *alone) drop(t *testing.T, bucket string) {
	t.Helper()
	if _, err := a.s3(t, a.joiner, a.region).DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		t.Errorf("the bucket %s: %v", bucket, err)
	}
}
