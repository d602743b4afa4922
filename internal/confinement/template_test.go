package confinement_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
