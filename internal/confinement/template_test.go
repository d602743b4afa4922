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
	"cloney-s3-credentials/internal/iamtest"
)

// Everything that gives rights is judged: a new role, policy or right to invoke in the
// template must be added to the model first.
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
	if diff := cmp.Diff([]string{
		"ProviderInvocation AWS::Lambda::ResourcePolicy", "ProviderRole AWS::IAM::Role", "RotatorInvokedBySecretsManager AWS::Lambda::Permission", "RotatorInvokedBySweepSchedule AWS::Lambda::Permission",
		"RotatorRole AWS::IAM::Role", "UserBoundary AWS::IAM::ManagedPolicy",
	}, rights); diff != "" {
		t.Error(diff)
	}
	want := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]any{"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole",
	}}}
	for _, f := range confinement.Functions {
		role := template.Resources[f.Role()].Properties["AssumeRolePolicyDocument"]
		if diff := cmp.Diff(want, role); diff != "" {
			t.Errorf("not Lambda alone may assume %s: %s", f.Role(), diff)
		}
		runs := template.Resources[strings.TrimSuffix(f.Role(), "Role")+"Function"].Properties
		if diff := cmp.Diff(map[string]any{"Fn::GetAtt": []any{f.Role(), "Arn"}}, runs["Role"]); diff != "" {
			t.Errorf("%s has another role: %s", f, diff)
		}
		if runs["FunctionName"] != string(f) {
			t.Errorf("%s is called %v", f, runs["FunctionName"])
		}
	}
}

// Only Secrets Manager of this account, for secrets under cloney/, and this stack's
// schedule may invoke the rotator. An invoker names the secret to rotate.
func TestWhoMayInvokeTheRotator(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	schedule := ireland.RegionalARN("events", "rule/cloney-s3-credentials-SweepSchedule-1A2B3C4D5E6F")
	made := map[string]string{"RotatorFunction": string(confinement.Rotator), "SweepSchedule.Arn": schedule}
	secretsOfOurs := ireland.RegionalARN("secretsmanager", "secret:cloney/*")
	for resource, want := range map[string]map[string]any{
		"RotatorInvokedBySecretsManager": {"Principal": "secretsmanager.amazonaws.com", "SourceAccount": ireland.Account, "SourceArn": secretsOfOurs},
		"RotatorInvokedBySweepSchedule":  {"Principal": "events.amazonaws.com", "SourceArn": schedule},
	} {
		want["Action"], want["FunctionName"] = "lambda:InvokeFunction", string(confinement.Rotator)
		got, err := template.Resolved(resource, ireland, nil, made)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", resource, diff)
		}
	}
	// This is how Lambda writes the first one into the function's policy.
	invoked := iamtest.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"*","Condition":{
		"StringEquals":{"aws:SourceAccount":"` + ireland.Account + `"},"ArnLike":{"aws:SourceArn":"` + secretsOfOurs + `"}}}]}`)
	const other = "999999999999"
	far := ireland
	far.Account = other
	for what, c := range map[string]struct {
		account, secret string
		may             bool
	}{
		"a secret of ours":                     {ireland.Account, secretARN(ireland, secret), true},
		"another account's, of the same name":  {other, secretARN(far, secret), false},
		"another account's in our name":        {other, secretARN(ireland, secret), false},
		"a secret that is not under cloney/":   {ireland.Account, secretARN(ireland, "database"), false},
		"a secret of ours in another region":   {ireland.Account, secretARN(elsewhere(ireland), secret), false},
		"a secret whose name only looks alike": {ireland.Account, secretARN(ireland, "x/cloney/y"), false},
	} {
		r := request("lambda:InvokeFunction", ireland.Lambda(confinement.Rotator), key("aws:SourceAccount", c.account), key("aws:SourceArn", c.secret))
		d := iamtest.Evaluate(iamtest.Account{Resource: invoked, Principal: ireland.ARN("role/service")}, r)
		if (d.Outcome == iamtest.Allowed) != c.may {
			t.Errorf("%s: %v", what, d)
		}
	}
}

// The published template is judged. The template that SAM deploys gives the same rights.
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

// CloudFormation replaces the boundary when its name, its path or its description changes,
// or its logical id, in any template that comes after this one. The users keep the ARN of
// the earlier boundary, which AllowedBuckets does not change any more. The same is true
// after the stack is deleted: they keep their limits.
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

// What an organization may require is there when its parameter is set, and not otherwise.
func TestWhatOrganizationsAskFor(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{
		"RolePermissionsBoundary": ireland.ARN("policy/org/roles"), "UserPermissionsBoundary": ireland.ARN("policy/org/users"),
		"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "LogKmsKeyArn": ireland.KeyARN(),
		"AlarmTopicArn": ireland.Topic(), "KeyAgeDays": "30",
	}
	vpc := map[string]any{"SubnetIds": []any{"subnet-1", "subnet-2"}, "SecurityGroupIds": []any{"sg-1"}}
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
		{"ProviderFunction", "VpcConfig", nil, vpc},
		{"ProviderLogGroup", "KmsKeyId", nil, ireland.KeyARN()},
		{"RotatorRole", "PermissionsBoundary", nil, given["RolePermissionsBoundary"]},
		{"RotatorFunction", "Environment.Variables.PERMISSIONS_BOUNDARY_ARN", ireland.BoundaryARN(), given["UserPermissionsBoundary"]},
		{"RotatorFunction", "Environment.Variables.NOTICE_TOPIC_ARN", "none", ireland.Topic()},
		{"RotatorFunction", "Environment.Variables.KEY_AGE_DAYS", "90", "30"},
		{"RotatorFunction", "VpcConfig", nil, vpc},
		{"RotatorLogGroup", "KmsKeyId", nil, ireland.KeyARN()},
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
func TestTheRolesPoliciesFit(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	at := potsdam
	given := onePerOption(at)[1].parameters()
	given["UserPermissionsBoundary"] = at.ARN("policy/" + strings.Repeat("x", 128))
	documents, err := template.At(at, given)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range confinement.Functions {
		if size := len(confinement.Text(documents.Roles[f])); size > 10240 {
			t.Errorf("the policy of %s has %d characters", f.Role(), size)
		} else {
			t.Logf("%s: %d characters of 10240", f.Role(), size)
		}
	}
}

// CloudFormation deletes a resource before those that it needs. The guard is deleted first:
// when it refuses, everything else still exists and works.
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

// Nobody needs an event that has waited long, and a second delivery would come after
// CloudFormation has continued, or at the same time as Secrets Manager's own.
func TestEventsAreDeliveredSoonAndOnce(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	delivered := map[string][2]any{}
	for _, resource := range template.Resources {
		if resource.Type == "AWS::Lambda::EventInvokeConfig" {
			of := resource.Properties["FunctionName"].(map[string]any)["Ref"].(string)
			delivered[of] = [2]any{resource.Properties["MaximumRetryAttempts"], resource.Properties["MaximumEventAgeInSeconds"]}
		}
	}
	if diff := cmp.Diff(map[string][2]any{"ProviderFunction": {0.0, 60.0}, "RotatorFunction": {0.0, 3600.0}}, delivered); diff != "" {
		t.Error(diff)
	}
}

// The page and the parameter say how many names AllowedBuckets holds. IAM counts a policy's
// characters without white space.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length
func TestTheBoundaryHoldsAsManyNamesAsIsSaid(t *testing.T) {
	template, err := template()
	if err != nil {
		t.Fatal(err)
	}
	for length, most := range map[int]int{20: 62, 63: 27} {
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
