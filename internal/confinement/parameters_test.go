package confinement_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/spec"
)

// CloudFormation refuses parameters that are dangerous only together, before it creates
// anything.
func TestRules(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at    confinement.Place
		given map[string]string
		want  []string // what the sentences begin with
	}{
		{ireland, map[string]string{"AllowedBuckets": "*"}, nil},
		{ireland, map[string]string{"AllowedBuckets": named, "TrustedAccounts": member}, nil},
		{ireland, map[string]string{"AllowedBuckets": "*", "TrustedAccounts": member}, []string{"TrustedAccounts are given, and AllowedBuckets is *."}},
		{ireland, map[string]string{"AllowedBuckets": "data-*, *", "TrustedAccounts": member}, []string{"TrustedAccounts are given, and AllowedBuckets is *."}},
		{ireland, map[string]string{"AllowedBuckets": "*", "AllowedReaders": "*", "TrustedAccounts": member}, []string{"TrustedAccounts are given, and AllowedBuckets is *.", "TrustedAccounts are given, and AllowedReaders is *."}},
		{ireland, map[string]string{"AllowedBuckets": named, "AllowedReaders": "*"}, nil},
		{ireland, map[string]string{"AllowedBuckets": named, "Invocation": "CloudFormationOnly"}, nil},
		{beijing, map[string]string{"AllowedBuckets": named, "Invocation": "CloudFormationOnly"}, []string{"CloudFormation has no AWS::Lambda::ResourcePolicy in this region."}},
		{beijing, map[string]string{"AllowedBuckets": named}, nil},
		{ireland, map[string]string{"AllowedBuckets": named, "SubnetIds": "subnet-1"}, []string{"SubnetIds are given, and SecurityGroupIds are not."}},
		{ireland, map[string]string{"AllowedBuckets": named, "SecurityGroupIds": "sg-1"}, []string{"SecurityGroupIds are given, and SubnetIds are not."}},
	} {
		sentences, err := template.Refused(c.at, c.given)
		if err != nil {
			t.Fatal(err)
		}
		if len(sentences) != len(c.want) {
			t.Errorf("%s %v: %q", c.at.Region, c.given, sentences)
			continue
		}
		for i, sentence := range sentences {
			if !strings.HasPrefix(sentence, c.want[i]) {
				t.Errorf("%s %v: %q", c.at.Region, c.given, sentence)
			}
		}
	}
}

// An update keeps the values that the stack has: earlier defaults, and values of its owner.
// CloudFormation still accepts them, except those that the owner must decide again.
func TestFormerParametersAreTaken(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/former-defaults.json") // of the template before ClosedBuckets
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		given map[string]string
		want  int // refusals
	}{
		{nil, 0},
		{map[string]string{"AllowedBuckets": "data-*, archive", "AllowedReaders": "none", "TrustedAccounts": member + "," + outsider}, 0},
		{map[string]string{"AllowedReaders": member + ",arn:aws:iam::" + member + ":role/app-*", "LogRetentionDays": "731", "UserPermissionsBoundary": ireland.ARN("policy/org/users")}, 0},
		{map[string]string{"AlarmTopicArn": ireland.Topic(), "LogKmsKeyArn": ireland.KeyARN(), "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}, 0},
		// The owner must decide again what one account's event may do in another account's
		// name.
		{map[string]string{"TrustedAccounts": member}, 2},
		{map[string]string{"AllowedBuckets": "data-*", "AllowedReaders": "none", "TrustedAccounts": member + " , " + outsider}, 1},
		{map[string]string{"UserPermissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, 1},
	} {
		former := map[string]string{}
		if err := json.Unmarshal(text, &former); err != nil {
			t.Fatal(err)
		}
		maps.Copy(former, c.given)
		if sentences, err := template.Refused(ireland, former); err != nil || len(sentences) != c.want {
			t.Errorf("%v: %q, %v", c.given, sentences, err)
		}
	}
}

// If a region has no such resource type, the stack must not have the resource:
// CloudFormation would refuse the whole template.
func TestTheFunctionsPolicyIsMadeWhereItCanBe(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"cn-north-1", "cn-northwest-1", "me-central-1", "us-gov-east-1", "us-gov-west-1", "us-east-1", "eusc-de-east-1"} {
		at := confinement.Place{Partition: name.Partition(region), Region: region, Account: member}
		documents, err := template.At(at, map[string]string{"AllowedBuckets": "*", "Invocation": "CloudFormationOnly"})
		if err != nil {
			t.Fatal(err)
		}
		can := region == "us-east-1" || region == "eusc-de-east-1"
		sentences, err := template.Refused(at, map[string]string{"AllowedBuckets": "*", "Invocation": "CloudFormationOnly"})
		if made := documents.Invocation != nil; err != nil || made != can || can != (len(sentences) == 0) {
			t.Errorf("%s: made %t, %q, %v", region, made, sentences, err)
		}
	}
}

// These are the values for a deployer who sets only the buckets.
func TestDefaults(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	defaults := map[string]any{}
	for name, parameter := range template.Parameters {
		defaults[name] = parameter.Default
	}
	for name, want := range map[string]any{
		"AllowedBuckets": nil, "AllowedReaders": "none", "TrustedAccounts": "", "SecretKmsKeys": "", "UnboundEvents": "Report", "LogRetentionDays": 365.0,
	} {
		if defaults[name] != want {
			t.Errorf("%s is %v by default", name, defaults[name])
		}
	}
	for _, bucket := range []string{"cdk-hnb659fds-assets-123456789012-eu-west-1", "aws-sam-cli-managed-default-samclisourcebucket-1a2b3c", "cf-templates-1a2b3c-eu-west-1", "cloney-code-123456789012-eu-west-1-an"} {
		if !slices.ContainsFunc(closedByDefault(), func(pattern string) bool { return spec.Match(pattern, bucket) }) {
			t.Errorf("%s is open", bucket)
		}
	}
}
