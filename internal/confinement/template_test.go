package confinement_test

import (
	"encoding/json"
	"maps"
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
		want, err := translated.At(s.Place, s.allowedBuckets)
		if err != nil {
			t.Fatal(err)
		}
		got, err := template.At(s.Place, s.allowedBuckets)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", s, diff)
		}
	}
}

// CloudFormation replaces the boundary when its name, its path or its description
// changes, in any template that comes after this one. The users keep the ARN of
// the former one, and the role reaches only those that carry the new one.
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
	if boundary.UpdateReplacePolicy != "Retain" {
		t.Errorf("one that is replaced all the same is %q", boundary.UpdateReplacePolicy)
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
			documents, err := template.At(ireland, strings.TrimSuffix(strings.Repeat(name+",", n), ","))
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
