package confinement_test

import (
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
