package confinement_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/confinement"
)

// What gives rights is judged: a role, a policy or a right to invoke that the
// template gets has to come into the model first.
func TestTheTemplateHasNoOtherRights(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	var rights []string
	for _, name := range slices.Sorted(maps.Keys(template.Resources)) {
		kind := template.Resources[name].Type
		for _, gives := range []string{"AWS::IAM::", "AWS::Lambda::Permission", "AWS::Lambda::Url", "Policy"} {
			if strings.HasPrefix(kind, gives) || strings.HasSuffix(kind, gives) {
				rights = append(rights, name+" "+kind)
				break
			}
		}
	}
	if diff := cmp.Diff([]string{"ProviderRole AWS::IAM::Role", "UserBoundary AWS::IAM::ManagedPolicy"}, rights); diff != "" {
		t.Error(diff)
	}
	role := template.Resources["ProviderRole"].Properties["AssumeRolePolicyDocument"]
	want := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]any{"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole",
	}}}
	if diff := cmp.Diff(want, role); diff != "" {
		t.Errorf("not Lambda alone may assume the role: %s", diff)
	}
	runs := template.Resources["ProviderFunction"].Properties["Role"]
	if diff := cmp.Diff(map[string]any{"Fn::GetAtt": []any{"ProviderRole", "Arn"}}, runs); diff != "" {
		t.Errorf("the function has another role: %s", diff)
	}
}

// What is judged is the published template. What SAM deploys gives the same rights.
func TestBothTemplatesGiveTheSameRights(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	translated, err := confinement.ReadTranslated(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range setups {
		want, err := translated.At(s.Place, s.parameters())
		if err != nil {
			t.Fatal(err)
		}
		got, err := template.At(s.Place, s.parameters())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", s, diff)
		}
	}
}

// CloudFormation replaces the boundary when its name, its path or its description
// changes, or its logical id, in any template that comes after this one. The users
// keep the ARN of the former one, which AllowedBuckets binds no more. So it is with
// a stack that is deleted: they keep their limits.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-managedpolicy.html
func TestTheBoundaryIsNeverReplaced(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	boundary := template.Resources["UserBoundary"]
	pinned := maps.Clone(boundary.Properties)
	delete(pinned, "PolicyDocument")
	want := map[string]any{"Path": "/cloney-boundary/", "Description": "The most that users of cloney-s3-credentials can do."}
	if diff := cmp.Diff(want, pinned); diff != "" {
		t.Errorf("an update of the provider's stack would replace the boundary: %s", diff)
	}
	if boundary.UpdateReplacePolicy != "Retain" || boundary.DeletionPolicy != "RetainExceptOnCreate" {
		t.Errorf("one that is replaced all the same is %q, one that is deleted %q", boundary.UpdateReplacePolicy, boundary.DeletionPolicy)
	}
}

// What an organization may ask for is there when its parameter is given, and not
// otherwise.
func TestWhatOrganizationsAskFor(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{
		"RolePermissionsBoundary": ireland.ARN("policy/org/roles"), "UserPermissionsBoundary": ireland.ARN("policy/org/users"),
		"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "LogKmsKeyArn": ireland.KeyARN(),
	}
	is := func(parameters map[string]string, resource string, path string) any {
		t.Helper()
		var value any = template.Resources[resource].Properties
		if resource == "Outputs" {
			value = map[string]any{path: template.Outputs[path].Value}
		}
		for step := range strings.SplitSeq(path, ".") {
			value = value.(map[string]any)[step]
		}
		resolved, err := template.Value(map[string]any{"it": value}, ireland, parameters, nil)
		if err != nil {
			t.Fatal(err)
		}
		return resolved.(map[string]any)["it"]
	}
	for _, c := range []struct {
		resource, path string
		without, with  any
	}{
		{"ProviderRole", "PermissionsBoundary", nil, given["RolePermissionsBoundary"]},
		{"ProviderFunction", "Environment.Variables.PERMISSIONS_BOUNDARY_ARN", ireland.BoundaryARN(), given["UserPermissionsBoundary"]},
		{"ProviderFunction", "VpcConfig", nil, map[string]any{"SubnetIds": []any{"subnet-1", "subnet-2"}, "SecurityGroupIds": []any{"sg-1"}}},
		{"ProviderLogGroup", "KmsKeyId", nil, ireland.KeyARN()},
		{"Outputs", "UserBoundaryArn", ireland.BoundaryARN(), given["UserPermissionsBoundary"]},
	} {
		if diff := cmp.Diff(c.without, is(nil, c.resource, c.path)); diff != "" {
			t.Errorf("%s %s, by default: %s", c.resource, c.path, diff)
		}
		if diff := cmp.Diff(c.with, is(given, c.resource, c.path)); diff != "" {
			t.Errorf("%s %s: %s", c.resource, c.path, diff)
		}
	}
}

// IAM counts the characters of all inline policies of a role together.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length
func TestTheRolesPolicyFits(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	at := potsdam
	all := setup{Place: at, allowedBuckets: named, inVPC: true, userBoundary: at.ARN("policy/" + strings.Repeat("x", 128))}
	documents, err := template.At(at, all.parameters())
	if err != nil {
		t.Fatal(err)
	}
	if size := len(confinement.Text(documents.Role)); size > 10240 {
		t.Errorf("the role's policy has %d characters", size)
	} else {
		t.Logf("%d characters of 10240", size)
	}
}

// CloudFormation deletes what needs something before that. The guard goes first: when
// it refuses, all else still stands, and works.
func TestTheGuardGoesFirst(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	needed := map[string]bool{}
	var need func(string)
	need = func(name string) {
		resource, is := template.Resources[name]
		if !is || needed[name] {
			return
		}
		needed[name] = true
		text, err := json.Marshal([]any{resource.Properties, resource.DependsOn})
		if err != nil {
			t.Fatal(err)
		}
		for other := range template.Resources {
			if regexp.MustCompile(`"` + other + `"|\$\{` + other + `\b`).Match(text) {
				need(other)
			}
		}
	}
	need("ProviderGuard")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(template.Resources)), slices.Sorted(maps.Keys(needed))); diff != "" {
		t.Errorf("the guard does not need all else: %s", diff)
	}
	if guard := template.Resources["ProviderGuard"]; guard.Type != "Custom::CloneyS3Provider" || guard.DeletionPolicy != "" || guard.Properties["ServiceTimeout"] != 120.0 {
		t.Errorf("%+v", guard)
	}
}

// Nobody waits for an event that has waited for long, and a second delivery
// would come after CloudFormation has gone on.
func TestEventsAreDeliveredSoonAndOnce(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	var delivered []map[string]any
	for _, resource := range template.Resources {
		if resource.Type == "AWS::Lambda::EventInvokeConfig" {
			delivered = append(delivered, resource.Properties)
		}
	}
	if len(delivered) != 1 || delivered[0]["MaximumEventAgeInSeconds"] != float64(60) || delivered[0]["MaximumRetryAttempts"] != float64(0) {
		t.Errorf("%v", delivered)
	}
}

// README and the parameter say how many names AllowedBuckets holds. IAM counts
// a policy's characters without white space.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length
func TestTheBoundaryHoldsAsManyNamesAsIsSaid(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	for length, most := range map[int]int{20: 68, 63: 31} {
		for _, n := range []int{most, most + 1} {
			name := strings.Repeat("x", length)
			documents, err := template.At(ireland, map[string]string{"AllowedBuckets": strings.TrimSuffix(strings.Repeat(name+",", n), ",")})
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(documents.Boundary)
			if err != nil {
				t.Fatal(err)
			}
			if fits := len(text) <= 6144; fits != (n == most) {
				t.Errorf("%d names of %d characters make %d", n, length, len(text))
			}
		}
	}
}
