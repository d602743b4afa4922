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
)

// oneFails plays a second set of credentials. Each account names its buckets in an SSM
// parameter. One member has no such parameter, so its stack fails before the provider gets
// an event. "An account joins" shows what a failure of the provider leaves.
func oneFails(t *testing.T, l *life) {
	const set = "cloney-other"
	body, err := os.ReadFile(filepath.Join(root, "stacksets/credentials.yaml"))
	must(t, err)
	hub := func(name string) string {
		value, err := l.shell.Run("hub " + name)
		must(t, err)
		return strings.TrimSpace(value)
	}
	parameters := []types.Parameter{}
	for name, value := range map[string]string{
		"BucketsFrom": "Parameter", "SecretName": "cloney/other/source",
		"HubAccountId": l.hub, "HubKeyId": hub("KeyId"), "HubReaderArn": hub("ReaderRoleArn"),
	} {
		parameters = append(parameters, types.Parameter{ParameterKey: &name, ParameterValue: &value})
	}
	_, err = l.sets(t).CreateStackSet(t.Context(), &cloudformation.CreateStackSetInput{
		StackSetName: aws.String(set), CallAs: types.CallAsDelegatedAdmin, TemplateBody: aws.String(string(body)), Parameters: parameters,
		PermissionModel: types.PermissionModelsServiceManaged, AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(false)},
	})
	must(t, err)
	l.nameBuckets(t, l.canary)
	l.nameBuckets(t, l.deep)
	deploy := func(preferences *types.StackSetOperationPreferences) {
		_, err := l.sets(t).CreateStackInstances(t.Context(), &cloudformation.CreateStackInstancesInput{
			StackSetName: aws.String(set), CallAs: types.CallAsDelegatedAdmin, Regions: regions, OperationPreferences: preferences,
			DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{l.canaryOU, l.workloads}},
		})
		must(t, err)
	}
	expect := func(of map[string]string) {
		t.Helper()
		states, _ := l.instances(t, set)
		for account, want := range of {
			for _, region := range regions {
				if got := states[account+" "+region]; !strings.Contains(want, got) || got == "" {
					t.Errorf("%s %s is %q, not %s", account, region, got, want)
				}
			}
		}
	}

	// With tolerance 0 the first failure ends the operation, and the other instances do not
	// exist.
	deploy(&types.StackSetOperationPreferences{FailureToleranceCount: aws.Int32(0)})
	l.settled(t, set, "FAILED")
	const failed, cancelled, done = "OUTDATED FAILED", "OUTDATED CANCELLED", "CURRENT SUCCEEDED"
	expect(map[string]string{l.app: failed + " or " + cancelled, l.canary: done + " or " + cancelled, l.deep: done + " or " + cancelled})
	states, reasons := l.instances(t, set)
	failures, cancellations := 0, 0
	for where, state := range states {
		switch state {
		case failed:
			failures++
			if !strings.Contains(reasons[where], "[ssm:/cloney/source-buckets] cannot be found") {
				t.Errorf("%s failed because %q", where, reasons[where])
			}
		case cancelled:
			cancellations++
			if reasons[where] != "Cancelled since failure tolerance has exceeded" {
				t.Errorf("%s was cancelled because %q", where, reasons[where])
			}
		}
	}
	if failures != 1 || cancellations < len(regions) {
		t.Errorf("%d failed and %d were cancelled: %v", failures, cancellations, states)
	}
	l.heldBy(t, set, states)

	// With soft failure tolerance all other instances are created.
	deploy(&types.StackSetOperationPreferences{
		ConcurrencyMode: types.ConcurrencyModeSoftFailureTolerance, MaxConcurrentPercentage: aws.Int32(100), FailureTolerancePercentage: aws.Int32(100),
		RegionConcurrencyType: types.RegionConcurrencyTypeParallel,
	})
	l.settled(t, set, "SUCCEEDED")
	expect(map[string]string{l.app: failed, l.canary: done, l.deep: done})
	states, _ = l.instances(t, set)
	l.heldBy(t, set, states)

	// After the repair, the same operation creates the failed instances, and nothing else.
	sent := l.events(t)
	l.nameBuckets(t, l.app)
	deploy(nil)
	l.settled(t, set, "SUCCEEDED")
	expect(map[string]string{l.app: done, l.canary: done, l.deep: done})
	if now := l.events(t) - sent; now != len(regions) {
		t.Errorf("%d events were sent to mend %d instances", now, len(regions))
	}

	_, err = l.sets(t).DeleteStackInstances(t.Context(), &cloudformation.DeleteStackInstancesInput{
		StackSetName: aws.String(set), CallAs: types.CallAsDelegatedAdmin, Regions: regions, RetainStacks: aws.Bool(false),
		DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{l.canaryOU, l.workloads}},
	})
	must(t, err)
	l.settled(t, set, "SUCCEEDED")
	_, err = l.sets(t).DeleteStackSet(t.Context(), &cloudformation.DeleteStackSetInput{StackSetName: aws.String(set), CallAs: types.CallAsDelegatedAdmin})
	must(t, err)
	providersAlone(t, l)
}

// nameBuckets names an account's bucket in its SSM parameter, by the page's command.
func (l *life) nameBuckets(t *testing.T, account string) {
	t.Helper()
	for _, region := range regions {
		credentials, err := l.in(t, account, region).Credentials.Retrieve(t.Context())
		must(t, err)
		_, err = l.AWSWith(t.Context(), []string{
			"AWS_ACCESS_KEY_ID=" + credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + credentials.SecretAccessKey, "AWS_SESSION_TOKEN=" + credentials.SessionToken,
		}, "ssm", "put-parameter", "--region", region, "--name", "/cloney/source-buckets", "--type", "String", "--value", bucketOf("data", account, region))
		must(t, err)
	}
}

// heldBy fails unless exactly the successful instances have users of ours.
func (l *life) heldBy(t *testing.T, set string, states map[string]string) {
	t.Helper()
	for _, account := range l.members() {
		var got []string
		for _, entry := range l.inventory(t, account) {
			if strings.HasPrefix(entry, "user ") || strings.HasPrefix(entry, "active key ") {
				got = append(got, entry)
			}
		}
		want := 0
		for _, region := range regions {
			if states[account+" "+region] == "CURRENT SUCCEEDED" {
				want += 2
			}
		}
		if len(got) != want {
			t.Errorf("%s of %s has %v", account, set, got)
		}
	}
}
