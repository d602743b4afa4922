package sandbox_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/sandbox"
)

// The hub of stacksets/hub.yaml in two regions: one key id, and in each region a
// policy of its own that names the one reader. An update changes it in place.
func TestHub(t *testing.T) {
	own(t)
	first, other := account(t).Config(), account(t).Config()
	first.Region, other.Region = "eu-west-1", "us-east-1"
	const template, organization, reader = "../../stacksets/hub.yaml", "o-a1b2c3d4e5", "arn:aws:iam::" + sandbox.Account + ":role/Copier"
	outputs := func(stacks sandbox.Stacks, parameters ...string) map[string]string {
		must(t, stacks.Deploy(ctxOf(t), "hub", template, append(parameters, "OrganizationId="+organization)...))
		made, err := stacks.Outputs(ctxOf(t), "hub")
		must(t, err)
		return made
	}
	primary := outputs(sandbox.StacksOf(first), "ReaderPrincipals="+reader)
	replica := outputs(sandbox.StacksOf(other), "PrimaryKeyArn="+primary["KeyArn"], "ReaderRoleArn="+primary["ReaderRoleArn"])
	defer func() {
		must(t, sandbox.StacksOf(other).DeleteStack(ctxOf(t), "hub"))
		must(t, sandbox.StacksOf(first).DeleteStack(ctxOf(t), "hub"))
	}()
	if id := primary["KeyId"]; !strings.HasPrefix(id, "mrk-") || replica["KeyId"] != id {
		t.Errorf("the keys are %s and %s", id, replica["KeyId"])
	}
	if want := strings.Replace(primary["KeyArn"], "eu-west-1", "us-east-1", 1); replica["KeyArn"] != want || replica["ReaderRoleArn"] != primary["ReaderRoleArn"] {
		t.Errorf("of the replica: %v", replica)
	}
	if again := outputs(sandbox.StacksOf(other), "PrimaryKeyArn="+primary["KeyArn"], "ReaderRoleArn="+reader); again["KeyArn"] != replica["KeyArn"] {
		t.Errorf("an update replaces the replica: %v", again)
	}
	// Who may become the reader is said by name: no administrator of the account is.
	person := account(t).Config()
	person.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(person), reader)
	for _, may := range []bool{true, false} {
		by := account(t).Config()
		if may {
			by = person
		}
		_, err := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(by), primary["ReaderRoleArn"]).Retrieve(ctxOf(t))
		if (err == nil) != may || err != nil && !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("one who may become the reader (%t): %v", may, err)
		}
	}
	for region, named := range map[string]string{first.Region: primary["ReaderRoleArn"], other.Region: reader} {
		policy, err := command(t, "kms", "get-key-policy", "--region", region, "--key-id", primary["KeyId"], "--policy-name", "default", "--query", "Policy", "--output", "text")
		must(t, err)
		if !strings.Contains(policy, named) || !strings.Contains(policy, "secretsmanager."+region+".amazonaws.com") {
			t.Errorf("%s: %s", region, policy)
		}
	}
}
