package sandbox_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"cloney-s3-credentials/internal/sandbox"
)

// before makes of the provider's template, as it is deployed, what it was before it
// rotated: without the second function and all that is there for it.
func before(t *testing.T) string {
	t.Helper()
	found, err := cloudformation.NewFromConfig(account(t).Config()).GetTemplate(ctxOf(t), &cloudformation.GetTemplateInput{StackName: aws.String(sandbox.ProviderStack)})
	must(t, err)
	var template map[string]any
	must(t, json.Unmarshal([]byte(aws.ToString(found.TemplateBody)), &template))
	of := func(tree any, path ...string) map[string]any {
		for _, name := range path {
			tree = tree.(map[string]any)[name]
		}
		return tree.(map[string]any)
	}
	resources := of(template, "Resources")
	rotates := func(logical string) bool {
		return strings.HasPrefix(logical, "Rotat") || strings.HasPrefix(logical, "Sweep")
	}
	for logical, resource := range resources {
		if rotates(logical) {
			delete(resources, logical)
		} else if needs, several := of(resource)["DependsOn"].([]any); several {
			of(resource)["DependsOn"] = slices.DeleteFunc(needs, func(on any) bool { return rotates(on.(string)) })
		}
	}
	maps.DeleteFunc(of(template, "Outputs"), func(name string, _ any) bool { return rotates(name) })
	of(resources, "ProviderDashboard", "Properties")["DashboardBody"] = "{}"
	delete(of(resources, "ProviderFunction", "Properties", "Environment", "Variables"), "ROTATION_FUNCTION_ARN")
	policy := of(of(resources, "ProviderRole", "Properties")["Policies"].([]any)[0], "PolicyDocument")
	policy["Statement"] = slices.DeleteFunc(policy["Statement"].([]any), func(statement any) bool {
		text, err := json.Marshal(statement)
		must(t, err)
		return strings.Contains(string(text), "RotatorFunction")
	})
	text, err := json.Marshal(template)
	must(t, err)
	if strings.Contains(string(text), "Rotator") {
		t.Fatalf("what rotates is still there: %s", text)
	}
	file := filepath.Join(t.TempDir(), "before.json")
	must(t, os.WriteFile(file, text, 0o600))
	return file
}

// A provider of the version before gains rotation by its own stack's update alone: the
// credentials' stacks hear nothing of it, nothing rotates, and each may declare it then.
func TestAnUpgradeRotatesNothing(t *testing.T) {
	own(t)
	ctx, s := ctxOf(t), account(t)
	must(t, s.Deploy(ctx, sandbox.ProviderStack, before(t), "AllowedBuckets=*"))
	const stack, properties = "upgraded", "Access: Source, Verify: false, Buckets: [" + sandbox.SourceBucket + "]"
	must(t, deploy(t, stack, properties))
	was, held := outputs(t, stack), inventory(t)
	requests, err := s.Requests(ctx)
	must(t, err)

	must(t, s.DeployProvider(ctx))
	must(t, s.Sweep(ctx))
	now, err := s.Requests(ctx)
	must(t, err)
	rotations, err := s.Rotations(ctx)
	must(t, err)
	for _, r := range now[len(requests):] {
		if strings.Contains(string(r.Event), ":stack/"+stack+"/") {
			t.Errorf("the credentials' stack was sent %s", r.Event)
		}
	}
	if after := inventory(t); !slices.Equal(held, after) || slices.ContainsFunc(rotations, func(r sandbox.Rotation) bool { return r.Secret == was["SecretName"] }) {
		t.Errorf("the account held\n%v\nand holds\n%v, after the rotations %+v", held, after, rotations)
	}
	must(t, deploy(t, stack, properties+", RotationSchedule: rate(30 days)"))
	if after := inventory(t); !slices.Equal(held, after) {
		t.Errorf("the account held\n%v\nand holds\n%v", held, after)
	}
	remove(t, stack)
	empty(t)
}
