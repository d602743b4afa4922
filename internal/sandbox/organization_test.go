package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"cloney-s3-credentials/internal/sandbox"
)

// organization is a sandbox with an organization, of which a test has its own
// organizational units, accounts and sets.
type organization struct {
	*testing.T
	s    *sandbox.Sandbox
	root string
	*cloudformation.Client
}

// found makes the organization, with trusted access for StackSets.
func found(t *testing.T, s *sandbox.Sandbox) *organization {
	o := &organization{T: t, s: s, Client: cloudformation.NewFromConfig(s.Config())}
	o.organizations("CreateOrganization", map[string]string{"FeatureSet": "ALL"})
	o.root = o.organizations("ListRoots", nil)["Roots"].([]any)[0].(map[string]any)["Id"].(string)
	_, err := o.ActivateOrganizationsAccess(ctxOf(t), &cloudformation.ActivateOrganizationsAccessInput{})
	must(t, err)
	return o
}

// in is the organization as a part of the test uses it.
func (o *organization) in(t *testing.T) *organization {
	return &organization{t, o.s, o.root, o.Client}
}

// organizations calls AWS Organizations, of whose client the project has no need otherwise.
func (o *organization) organizations(action string, request any) map[string]any {
	o.Helper()
	return o.call(o.s.Config(), "organizations", "AWSOrganizationsV20161128."+action, request)
}

// call speaks AWS's JSON protocol. The sandbox looks at the key and at no signature.
func (o *organization) call(config aws.Config, service, target string, request any) map[string]any {
	o.Helper()
	key, err := config.Credentials.Retrieve(ctxOf(o.T))
	must(o.T, err)
	body, err := json.Marshal(request)
	must(o.T, err)
	r, err := http.NewRequestWithContext(ctxOf(o.T), http.MethodPost, o.s.Endpoint, bytes.NewReader(body))
	must(o.T, err)
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key.AccessKeyID+"/20260101/"+config.Region+"/"+service+"/aws4_request")
	response, err := http.DefaultClient.Do(r)
	must(o.T, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(o.T, err)
	if response.StatusCode != http.StatusOK {
		o.Fatalf("%s: %s: %s", target, response.Status, text)
	}
	answer := map[string]any{}
	_ = json.Unmarshal(text, &answer) // some answer nothing
	return answer
}

// unit makes an organizational unit below another one.
func (o *organization) unit(parent string) string {
	o.Helper()
	name := fmt.Sprintf("%s-%d", strings.ReplaceAll(o.Name(), "/", "-"), len(parent))
	return o.organizations("CreateOrganizationalUnit", map[string]string{"ParentId": parent, "Name": name})["OrganizationalUnit"].(map[string]any)["Id"].(string)
}

// members makes accounts in a unit, in the order in which StackSets takes them.
func (o *organization) members(unit string, n int) []string {
	o.Helper()
	var accounts []string
	for i := range n {
		status := o.organizations("CreateAccount", map[string]string{"Email": "a@example.org", "AccountName": fmt.Sprint(i)})["CreateAccountStatus"]
		accounts = append(accounts, status.(map[string]any)["AccountId"].(string))
	}
	slices.Sort(accounts)
	for _, account := range accounts {
		o.move(account, o.root, unit)
	}
	return accounts
}

func (o *organization) move(account, from, to string) {
	o.Helper()
	o.organizations("MoveAccount", map[string]string{"AccountId": account, "SourceParentId": from, "DestinationParentId": to})
}

// as is CloudFormation in an account.
func (o *organization) as(account, region string) *cloudformation.Client {
	o.Helper()
	return cloudformation.NewFromConfig(o.config(account, region))
}

func (o *organization) config(account, region string) aws.Config {
	o.Helper()
	config, err := o.s.ConfigIn(ctxOf(o.T), account, region)
	must(o.T, err)
	return config
}

// put writes an SSM parameter in an account.
func (o *organization) put(account, region, name, value string) {
	o.Helper()
	o.call(o.config(account, region), "ssm", "AmazonSSM.PutParameter", map[string]any{"Name": name, "Value": value, "Type": "String", "Overwrite": true})
}

// parameters are the SSM parameters of an account, as NAME=VALUE.
func (o *organization) parameters(account, region string) string {
	o.Helper()
	found := o.call(o.config(account, region), "ssm", "AmazonSSM.GetParametersByPath", map[string]any{"Path": "/", "Recursive": true})
	var list []string
	for _, p := range found["Parameters"].([]any) {
		list = append(list, p.(map[string]any)["Name"].(string)+"="+p.(map[string]any)["Value"].(string))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// set makes a service-managed set.
func (o *organization) set(name, template string, change ...func(*cloudformation.CreateStackSetInput)) {
	o.Helper()
	input := &cloudformation.CreateStackSetInput{
		StackSetName: &name, TemplateBody: &template, PermissionModel: types.PermissionModelsServiceManaged,
		AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(true), RetainStacksOnAccountRemoval: aws.Bool(false)},
	}
	for _, f := range change {
		f(input)
	}
	_, err := o.CreateStackSet(ctxOf(o.T), input)
	must(o.T, err)
}

// create deploys a set to a unit, and returns the operation.
func (o *organization) create(set, unit string, preferences *types.StackSetOperationPreferences, regions ...string) string {
	o.Helper()
	out, err := o.CreateStackInstances(ctxOf(o.T), &cloudformation.CreateStackInstancesInput{
		StackSetName: &set, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{unit}}, Regions: regions, OperationPreferences: preferences,
	})
	must(o.T, err)
	return *out.OperationId
}

// remove takes a set from a unit, and returns the operation.
func (o *organization) remove(set, unit string, retain bool, regions ...string) string {
	o.Helper()
	out, err := o.DeleteStackInstances(ctxOf(o.T), &cloudformation.DeleteStackInstancesInput{
		StackSetName: &set, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{unit}}, Regions: regions, RetainStacks: &retain,
	})
	must(o.T, err)
	return *out.OperationId
}

// status is an operation's.
func (o *organization) status(set, operation string) string {
	o.Helper()
	out, err := o.DescribeStackSetOperation(ctxOf(o.T), &cloudformation.DescribeStackSetOperationInput{StackSetName: &set, OperationId: &operation})
	must(o.T, err)
	return string(out.StackSetOperation.Status)
}

// results are an operation's, in its order: ACCOUNT REGION STATUS.
func (o *organization) results(set, operation string) []string {
	o.Helper()
	out, err := o.ListStackSetOperationResults(ctxOf(o.T), &cloudformation.ListStackSetOperationResultsInput{StackSetName: &set, OperationId: &operation})
	must(o.T, err)
	var list []string
	for _, r := range out.Summaries {
		list = append(list, fmt.Sprintf("%s %s %s", *r.Account, *r.Region, r.Status))
	}
	return list
}

// instances are a set's: "ACCOUNT REGION" -> the instance.
func (o *organization) instances(set string) map[string]types.StackInstanceSummary {
	o.Helper()
	out, err := o.ListStackInstances(ctxOf(o.T), &cloudformation.ListStackInstancesInput{StackSetName: &set})
	must(o.T, err)
	found := map[string]types.StackInstanceSummary{}
	for _, i := range out.Summaries {
		found[*i.Account+" "+*i.Region] = i
	}
	return found
}

// expect fails unless the set has these instances: "ACCOUNT REGION" -> "STATUS DETAILED".
func (o *organization) expect(set string, want map[string]string) {
	o.Helper()
	got := map[string]string{}
	for key, i := range o.instances(set) {
		got[key] = fmt.Sprintf("%s %s", i.Status, i.StackInstanceStatus.DetailedStatus)
	}
	if !maps.Equal(got, want) {
		o.Errorf("%s has the instances\n%v\nand not\n%v", set, got, want)
	}
}

// stacks are the names of an account's stacks.
func (o *organization) stacks(account, region string) []string {
	o.Helper()
	out, err := o.as(account, region).DescribeStacks(ctxOf(o.T), &cloudformation.DescribeStacksInput{})
	must(o.T, err)
	var names []string
	for _, s := range out.Stacks {
		names = append(names, *s.StackName)
	}
	return names
}
