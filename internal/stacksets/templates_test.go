// Package stacksets_test checks the files in stacksets/: the templates against each other
// and against docs/stacksets.md, and the command. Package internal/confinement judges their
// policies.
package stacksets_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/confinement"
)

const root = "../.."

var read = sync.OnceValues(func() (map[string]*confinement.Template, error) { return confinement.ReadStackSets(root) })

func template(t *testing.T, name string) *confinement.Template {
	t.Helper()
	templates, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if templates[name] == nil {
		t.Fatalf("there is no stacksets/%s.yaml", name)
	}
	return templates[name]
}

func ref(name string) map[string]any { return map[string]any{"Ref": name} }

// Service-managed sets refuse transforms and nested stacks. An IAM resource without a fixed
// name does not collide with that of another region of the account, and needs only
// CAPABILITY_IAM.
func TestTemplatesSuitServiceManagedSets(t *testing.T) {
	for _, name := range []string{"code-bucket", "credentials", "hub"} {
		made := template(t, name)
		if made.Transform != nil {
			t.Errorf("%s has the transform %v", name, made.Transform)
		}
		for id, r := range made.Resources {
			if strings.HasPrefix(r.Type, "AWS::CloudFormation::") || r.Type == "AWS::Serverless::Function" {
				t.Errorf("%s: %s is a %s", name, id, r.Type)
			}
			for _, named := range []string{"RoleName", "ManagedPolicyName", "UserName", "GroupName", "InstanceProfileName"} {
				if strings.HasPrefix(r.Type, "AWS::IAM::") && r.Properties[named] != nil {
					t.Errorf("%s: %s has the %s %v", name, id, named, r.Properties[named])
				}
			}
		}
		for _, function := range functions(made) {
			if function == "Fn::Transform" || strings.HasPrefix(function, "Fn::ForEach") {
				t.Errorf("%s uses %s", name, function)
			}
		}
	}
}

// functions returns the names of all keys in a template's resources and outputs.
func functions(of *confinement.Template) (found []string) {
	var look func(tree any)
	look = func(tree any) {
		switch tree := tree.(type) {
		case map[string]any:
			for key, value := range tree {
				found = append(found, key)
				look(value)
			}
		case []any:
			for _, value := range tree {
				look(value)
			}
		}
	}
	for id, r := range of.Resources {
		found = append(found, id)
		look(r.Properties)
	}
	for id, output := range of.Outputs {
		found = append(found, id)
		look(output.Value)
	}
	return found
}

// The template explains each line of the resource.
func TestCredentialsOfAllMembers(t *testing.T) {
	credentials := template(t, "credentials")
	properties := credentials.Resources["Credentials"].Properties
	want := map[string]any{
		"ServiceToken":   map[string]any{"Fn::ImportValue": "cloney-s3-credentials-ServiceToken"},
		"ServiceTimeout": 330.0,
		"Access":         ref("Access"),
		"BucketOwner":    ref("AWS::AccountId"),
		"ExpiresAt":      map[string]any{"Fn::If": []any{"Expires", ref("ExpiresAt"), ref("AWS::NoValue")}},
		"SecretName":     ref("SecretName"),
		"SecretKmsKeyId": map[string]any{"Fn::Sub": "arn:${AWS::Partition}:kms:${AWS::Region}:${HubAccountId}:key/${HubKeyId}"},
		"SecretReaders":  []any{ref("HubReaderArn")},
		// The tag makes CloudFormation update the resource when Revision is raised.
		"Tags": []any{map[string]any{"Key": "owner", "Value": ref("Owner")}, map[string]any{"Key": "revision", "Value": ref("Revision")}},
	}
	got := maps.Clone(properties)
	delete(got, "Buckets") // TestBucketsOfEachMember
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the credentials: %s", diff)
	}
	if got := credentials.Parameters["SecretName"].Default; got != "cloney/migration/source" {
		t.Errorf("the secret is %v", got)
	}
	if got := credentials.Parameters["Access"].Default; got != "Source" {
		t.Errorf("an account that joins later gets the access %v", got)
	}
	for _, given := range []string{"HubAccountId", "HubKeyId", "HubReaderArn"} {
		if got := credentials.Parameters[given].Default; got != nil {
			t.Errorf("%s is %v where nobody has said it", given, got)
		}
	}
}

// This checks the source of the buckets' names, for each value of BucketsFrom.
func TestBucketsOfEachMember(t *testing.T) {
	place := confinement.Place{Partition: "aws", Region: "eu-west-1", Account: "111122223333"}
	made := map[string]string{"DataBucket": "stack-databucket-1x2y"}
	for from, want := range map[string]string{
		"SameStack":  "stack-databucket-1x2y",
		"Convention": "landing-111122223333-eu-west-1",
		"Parameter":  "{{resolve:ssm:/cloney/source-buckets}}",
	} {
		credentials := template(t, "credentials")
		got, err := credentials.Value(credentials.Resources["Credentials"].Properties["Buckets"], place, map[string]string{"BucketsFrom": from, "BucketPrefix": "landing"}, made)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: %v", from, got)
		}
	}
}

// Data outlives the stack, and so do the KMS keys without which no secret can be read.
func TestWhatOutlivesItsStack(t *testing.T) {
	var retained []string
	for _, name := range []string{"credentials", "hub"} {
		for id, r := range template(t, name).Resources {
			if r.DeletionPolicy == "RetainExceptOnCreate" && r.UpdateReplacePolicy == "Retain" {
				retained = append(retained, name+" "+id)
			}
		}
	}
	slices.Sort(retained)
	if diff := cmp.Diff([]string{"credentials DataBucket", "hub Key", "hub ReplicaKey"}, retained); diff != "" {
		t.Error(diff)
	}
}

// The credentials are deleted before the provider that deletes them, whether the sets are
// deleted or an account leaves them.
func TestTheSetsGoInOrder(t *testing.T) {
	sets := template(t, "organisation").Resources
	provider, credentials := sets["ProviderSet"], sets["CredentialsSet"]
	if credentials.DependsOn != "ProviderSet" || provider.DependsOn != nil {
		t.Errorf("the credentials' set depends on %v, the provider's on %v", credentials.DependsOn, provider.DependsOn)
	}
	want := map[string]any{"Enabled": true, "RetainStacksOnAccountRemoval": true}
	if diff := cmp.Diff(want, provider.Properties["AutoDeployment"]); diff != "" {
		t.Errorf("the provider's set: %s", diff)
	}
	want = map[string]any{"Enabled": true, "RetainStacksOnAccountRemoval": false, "DependsOn": []any{
		map[string]any{"Fn::Sub": "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${ManagementAccountId}:stackset/${ProviderSet}"},
	}}
	if diff := cmp.Diff(want, credentials.Properties["AutoDeployment"]); diff != "" {
		t.Errorf("the credentials' set: %s", diff)
	}
	for id, name := range map[string]string{"ProviderSet": "cloney-provider", "CredentialsSet": "cloney-source"} {
		p := sets[id].Properties
		got := []any{p["StackSetName"], p["PermissionModel"], p["CallAs"], p["ManagedExecution"]}
		if diff := cmp.Diff([]any{name, "SERVICE_MANAGED", ref("CallAs"), map[string]any{"Active": true}}, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}

// In all accounts only the hub's role may be named as a reader.
func TestTheSetOfProvidersAllowsOneReader(t *testing.T) {
	given := template(t, "organisation").Resources["ProviderSet"].Properties["Parameters"].([]any)
	want := map[string]any{"ParameterKey": "AllowedReaders", "ParameterValue": ref("HubReaderArn")}
	if !slices.ContainsFunc(given, func(p any) bool { return cmp.Equal(p, any(want)) }) {
		t.Errorf("the providers are given %v", given)
	}
}

// A set gets only parameters that its template has, and all those without a default. A
// default that a set passes on is the template's own, so that a limit is not looser through
// a set.
func TestTheSetsAreGivenTheirParameters(t *testing.T) {
	provider, err := confinement.ReadTemplate(root)
	if err != nil {
		t.Fatal(err)
	}
	sets := template(t, "organisation")
	for set, of := range map[string]*confinement.Template{"ProviderSet": provider, "CredentialsSet": template(t, "credentials")} {
		given := map[string]any{}
		for _, p := range sets.Resources[set].Properties["Parameters"].([]any) {
			p := p.(map[string]any)
			given[p["ParameterKey"].(string)] = p["ParameterValue"]
		}
		for name, value := range given {
			wanted, known := of.Parameters[name]
			if !known {
				t.Errorf("%s: %s is given, and the template has none", set, name)
			}
			if asked := sets.Parameters[name]; cmp.Equal(value, any(ref(name))) && asked.Default != nil && asked.Default != wanted.Default {
				t.Errorf("%s: the default of %s is %v, and of the template %v", set, name, asked.Default, wanted.Default)
			}
		}
		for name, p := range of.Parameters {
			if _, is := given[name]; p.Default == nil && !is {
				t.Errorf("%s: %s is not given, and has no default", set, name)
			}
		}
	}
}
