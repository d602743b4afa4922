package sandbox_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/sandbox"
)

const (
	here, there = "us-east-1", "eu-west-1"
	current     = "CURRENT SUCCEEDED"
	tolerance   = "Cancelled since failure tolerance has exceeded"
)

// copying is a template whose second resource fails in accounts without the
// parameter /wanted.
const copying = `
Parameters: {Value: {Type: String, Default: one}}
Resources:
  First: {Type: AWS::SSM::Parameter, Properties: {Name: /set/first, Type: String, Value: !Ref Value}}
  Copy: {Type: AWS::SSM::Parameter, DependsOn: First, Properties: {Name: /set/copy, Type: String, Value: "{{resolve:ssm:/wanted}}"}}
`

const plain = `Resources: {Kept: {Type: AWS::SSM::Parameter, Properties: {Name: /set/kept, Type: String, Value: one}}}`

const exporting = plain + `
Outputs: {Kept: {Value: !Ref Kept, Export: {Name: the-export}}}
`

const importing = `Resources: {User: {Type: AWS::SSM::Parameter, Properties: {Name: /set/user, Type: String, Value: !ImportValue the-export}}}`

// Each part has its own units, accounts and sets.
func TestStackSets(t *testing.T) {
	turn(t, true)
	s, err := sandbox.Start(ctxOf(t), sandbox.Options{Root: "../..", OwnFunctions: true})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	o := found(t, s)
	for name, part := range map[string]func(*organization){
		"one failure cancels the others": oneFailureCancels, "a soft tolerance does them all": softToleranceGoesOn,
		"regions in order": regionsInOrder, "nested units": nestedUnits, "failed update": failedUpdate,
		"joiner and leaver": joinerAndLeaver, "retained": retained, "leaver of two sets": leaverOfTwoSets,
		"order of sets for a joiner": dependingSets, "export in use": exportInUse, "what is refused": refusals,
		"delegated administrator": delegatedAdministrator, "self-managed": selfManaged,
		"queue": queue, "declared": declared, "secret of another account": foreignSecret, "function": ownFunction, "guard": guarded,
		"two regions of one account": twoRegions,
	} {
		t.Run(name, func(t *testing.T) { part(o.in(t)) })
	}
}

func oneFailureCancels(o *organization) {
	unit := o.unit(o.root)
	members := o.members(unit, 3)
	o.set("cancelled", copying)
	for _, account := range members[1:] {
		o.put(account, here, "/wanted", "yes")
	}
	operation := o.create("cancelled", unit, &types.StackSetOperationPreferences{MaxConcurrentPercentage: aws.Int32(100)}, here)
	if status := o.status("cancelled", operation); status != "FAILED" {
		o.Errorf("the operation is %s", status)
	}
	o.expect("cancelled", map[string]string{members[0] + " " + here: "OUTDATED FAILED", members[1] + " " + here: "OUTDATED CANCELLED", members[2] + " " + here: "OUTDATED CANCELLED"})
	instances := o.instances("cancelled")
	if reason := *instances[members[0]+" "+here].StatusReason; reason != "ResourceLogicalId:Copy, ResourceType:AWS::SSM::Parameter, ResourceStatusReason:Parameters: [ssm:/wanted] cannot be found.." {
		o.Errorf("it failed because of %q", reason)
	}
	if reason := *instances[members[2]+" "+here].StatusReason; reason != tolerance {
		o.Errorf("it was cancelled because of %q", reason)
	}
	if left := o.parameters(members[0], here); left != "" || len(o.stacks(members[0], here)) > 0 {
		o.Errorf("the failed one has left %s", left)
	}
	failed := *instances[members[0]+" "+here].StackId

	// The same call again, once the cause is gone.
	o.put(members[0], here, "/wanted", "yes")
	o.create("cancelled", unit, nil, here)
	o.expect("cancelled", map[string]string{members[0] + " " + here: current, members[1] + " " + here: current, members[2] + " " + here: current})
	if again := *o.instances("cancelled")[members[0]+" "+here].StackId; again == failed {
		o.Error("the stack of the retry has the id of the failed one")
	}
}

func softToleranceGoesOn(o *organization) {
	unit := o.unit(o.root)
	members := o.members(unit, 3)
	o.set("soft", copying)
	for _, account := range members[1:] {
		o.put(account, here, "/wanted", "yes")
	}
	// One at a time: it stops too when more have failed than may.
	o.create("soft", unit, &types.StackSetOperationPreferences{ConcurrencyMode: types.ConcurrencyModeSoftFailureTolerance}, here)
	o.expect("soft", map[string]string{members[0] + " " + here: "OUTDATED FAILED", members[1] + " " + here: "OUTDATED CANCELLED", members[2] + " " + here: "OUTDATED CANCELLED"})
	soft := &types.StackSetOperationPreferences{
		MaxConcurrentPercentage: aws.Int32(100), FailureTolerancePercentage: aws.Int32(100), ConcurrencyMode: types.ConcurrencyModeSoftFailureTolerance,
	}
	if status := o.status("soft", o.create("soft", unit, soft, here)); status != "SUCCEEDED" {
		o.Errorf("the operation is %s", status)
	}
	o.expect("soft", map[string]string{members[0] + " " + here: "OUTDATED FAILED", members[1] + " " + here: current, members[2] + " " + here: current})
	o.put(members[0], here, "/wanted", "yes")
	if results := o.results("soft", o.create("soft", unit, nil, here)); !slices.Equal(results, []string{members[0] + " " + here + " SUCCEEDED"}) {
		o.Errorf("the retry touched %v", results)
	}
}

// A region that fails stops those after it.
func regionsInOrder(o *organization) {
	unit := o.unit(o.root)
	member := o.members(unit, 1)[0]
	o.set("regions", copying)
	o.put(member, here, "/wanted", "yes")
	ordered := &types.StackSetOperationPreferences{RegionOrder: []string{there, here}}
	o.create("regions", unit, ordered, here, there)
	o.expect("regions", map[string]string{member + " " + there: "OUTDATED FAILED", member + " " + here: "OUTDATED CANCELLED"})
	o.put(member, there, "/wanted", "yes")
	o.create("regions", unit, ordered, here, there)
	o.expect("regions", map[string]string{member + " " + there: current, member + " " + here: current})
}

func nestedUnits(o *organization) {
	upper := o.unit(o.root)
	lower := o.unit(upper)
	one, two := o.members(upper, 1)[0], o.members(lower, 1)[0]
	o.move(sandbox.Account, o.root, lower)
	defer o.move(sandbox.Account, lower, o.root)
	o.set("nested", plain, func(in *cloudformation.CreateStackSetInput) {
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("platform")}}
	})
	o.create("nested", upper, nil, here)
	o.expect("nested", map[string]string{one + " " + here: current, two + " " + here: current})
	instance := o.instances("nested")[two+" "+here]
	if *instance.OrganizationalUnitId != upper {
		o.Errorf("the unit is %s, and %s was targeted", *instance.OrganizationalUnitId, upper)
	}
	if !regexp.MustCompile(`^arn:aws:cloudformation:us-east-1:` + two + `:stack/StackSet-nested-[0-9a-f-]{36}/[0-9a-f-]{36}$`).MatchString(*instance.StackId) {
		o.Errorf("the stack is %s", *instance.StackId)
	}
	out, err := o.as(two, here).DescribeStacks(ctxOf(o.T), &cloudformation.DescribeStacksInput{StackName: instance.StackId})
	must(o.T, err)
	if tags := out.Stacks[0].Tags; len(tags) != 1 || *tags[0].Key != "team" || *tags[0].Value != "platform" {
		o.Errorf("the stack's tags are %v", tags)
	}
}

// The set has the new definition, the member rolls its stack back.
func failedUpdate(o *organization) {
	unit := o.unit(o.root)
	members := o.members(unit, 2)
	o.set("updated", copying)
	for _, account := range members {
		o.put(account, here, "/wanted", "yes")
	}
	o.create("updated", unit, nil, here)
	broken := strings.Replace(copying, "ssm:/wanted", "ssm:/absent", 1)
	update := func() {
		_, err := o.UpdateStackSet(ctxOf(o.T), &cloudformation.UpdateStackSetInput{
			StackSetName: aws.String("updated"), TemplateBody: &broken, Parameters: []types.Parameter{{ParameterKey: aws.String("Value"), ParameterValue: aws.String("two")}},
		})
		must(o.T, err)
	}
	update()
	o.expect("updated", map[string]string{members[0] + " " + here: "OUTDATED FAILED", members[1] + " " + here: "OUTDATED CANCELLED"})
	for _, account := range members {
		if is := o.parameters(account, here); is != "/set/copy=yes /set/first=one /wanted=yes" {
			o.Errorf("%s has %s", account, is)
		}
	}
	described, err := o.DescribeStackSet(ctxOf(o.T), &cloudformation.DescribeStackSetInput{StackSetName: aws.String("updated")})
	must(o.T, err)
	if *described.StackSet.TemplateBody != broken {
		o.Error("the set has its former template")
	}
	for _, account := range members {
		o.put(account, here, "/absent", "no more")
	}
	update()
	o.expect("updated", map[string]string{members[0] + " " + here: current, members[1] + " " + here: current})
	if is := o.parameters(members[1], here); !strings.Contains(is, "/set/copy=no more /set/first=two") {
		o.Errorf("the updated one has %s", is)
	}
}

func joinerAndLeaver(o *organization) {
	unit := o.unit(o.root)
	member := o.members(unit, 1)[0]
	o.set("automatic", plain)
	o.create("automatic", unit, nil, here, there)
	joiner := o.members(unit, 1)[0]
	all := map[string]string{member + " " + here: current, member + " " + there: current, joiner + " " + here: current, joiner + " " + there: current}
	o.expect("automatic", all)
	o.move(member, unit, o.root)
	maps.DeleteFunc(all, func(key, _ string) bool { return strings.HasPrefix(key, member) })
	o.expect("automatic", all)
	if left := o.parameters(member, there); left != "" {
		o.Errorf("the leaver has %s", left)
	}

	// Who has left the organization is out of reach.
	o.organizations("RemoveAccountFromOrganization", map[string]string{"AccountId": joiner})
	o.remove("automatic", unit, false, here)
	o.expect("automatic", map[string]string{joiner + " " + here: "INOPERABLE INOPERABLE", joiner + " " + there: current})
	if reason := *o.instances("automatic")[joiner+" "+here].StatusReason; !strings.HasPrefix(reason, "Account "+joiner+" should have 'stacksets-exec-") {
		o.Errorf("it is inoperable because of %q", reason)
	}
	o.remove("automatic", unit, true, here, there)
	o.expect("automatic", map[string]string{})
	if left := o.parameters(joiner, here); left == "" {
		o.Error("the stack of an account out of reach is gone")
	}
}

func retaining(in *cloudformation.CreateStackSetInput) {
	in.AutoDeployment.RetainStacksOnAccountRemoval = aws.Bool(true)
}

func retained(o *organization) {
	unit := o.unit(o.root)
	member := o.members(unit, 1)[0]
	o.set("retained", plain, retaining)
	o.create("retained", unit, nil, here)
	o.move(member, unit, o.root)
	o.expect("retained", map[string]string{})
	if left := o.stacks(member, here); len(left) != 1 || o.parameters(member, here) != "/set/kept=one" {
		o.Errorf("the leaver has the stacks %v", left)
	}
}

// One set needs what the other one makes. A leaver keeps the latter, so that the
// order in which they are taken away does not matter. If it keeps neither, one
// order is refused.
func leaverOfTwoSets(o *organization) {
	for name, c := range map[string]struct {
		sets []string // in the order in which they were made
		keep bool
		left map[string]string
	}{
		"user-first": {[]string{"user", "source"}, true, map[string]string{}},
		"user-last":  {[]string{"source", "user"}, true, map[string]string{}},
		"refused":    {[]string{"source", "user"}, false, map[string]string{"source": "INOPERABLE INOPERABLE"}},
	} {
		unit := o.unit(o.root)
		member := o.members(unit, 1)[0]
		for _, set := range c.sets {
			if set == "user" {
				o.set(name+set, importing)
			} else if c.keep {
				o.set(name+set, exporting, retaining)
			} else {
				o.set(name+set, exporting)
			}
		}
		o.create(name+"source", unit, nil, here)
		o.create(name+"user", unit, nil, here)
		o.move(member, unit, o.root)
		for _, set := range c.sets {
			want := map[string]string{}
			if status := c.left[set]; status != "" {
				want[member+" "+here] = status
			}
			o.expect(name+set, want)
		}
		if left := o.parameters(member, here); left != "/set/kept=one" {
			o.Errorf("%s: the leaver has %s", name, left)
		}
	}
}

// A joiner gets the set that others depend on first, whichever was made first.
func dependingSets(o *organization) {
	unit := o.unit(o.root)
	o.set("depending", importing)
	o.set("needed", exporting)
	out, err := o.DescribeStackSet(ctxOf(o.T), &cloudformation.DescribeStackSetInput{StackSetName: aws.String("needed")})
	must(o.T, err)
	_, err = o.UpdateStackSet(ctxOf(o.T), &cloudformation.UpdateStackSetInput{
		StackSetName: aws.String("depending"), UsePreviousTemplate: aws.Bool(true),
		AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(true), DependsOn: []string{*out.StackSet.StackSetARN}},
	})
	must(o.T, err)
	o.create("depending", unit, nil, here)
	o.create("needed", unit, nil, here)
	joiner := o.members(unit, 1)[0]
	o.expect("depending", map[string]string{joiner + " " + here: current})
}

func exportInUse(o *organization) {
	unit := o.unit(o.root)
	member := o.members(unit, 1)[0]
	o.set("exporting", exporting)
	o.create("exporting", unit, nil, here)
	_, err := o.as(member, here).CreateStack(ctxOf(o.T), &cloudformation.CreateStackInput{StackName: aws.String("user"), TemplateBody: aws.String(importing)})
	must(o.T, err)
	if status := o.status("exporting", o.remove("exporting", unit, false, here)); status != "FAILED" {
		o.Errorf("the operation is %s", status)
	}
	o.expect("exporting", map[string]string{member + " " + here: "INOPERABLE INOPERABLE"})
	const sentence = "Export the-export cannot be deleted as it is in use by user"
	instance := o.instances("exporting")[member+" "+here]
	if *instance.StatusReason != sentence {
		o.Errorf("it was refused because of %q", *instance.StatusReason)
	}
	out, err := o.as(member, here).DescribeStacks(ctxOf(o.T), &cloudformation.DescribeStacksInput{StackName: instance.StackId})
	must(o.T, err)
	if stack := out.Stacks[0]; stack.StackStatus != types.StackStatusCreateComplete || aws.ToString(stack.StackStatusReason) != sentence {
		o.Errorf("the stack is %s: %v", stack.StackStatus, aws.ToString(stack.StackStatusReason))
	}
}

func refusals(o *organization) {
	const transform = "Transform is not supported in SERVICE_MANAGED permission model"
	for template, want := range map[string]string{
		"Transform: AWS::Serverless-2016-10-31\n" + plain:                                         transform,
		"Resources: {A: {Type: 'AWS::SSM::Parameter', Properties: {'Fn::Transform': {Name: X}}}}": transform,
		"Resources: {A: {Type: 'AWS::CloudFormation::Stack'}}":                                    "Nested stack resource is not supported",
		"Resources: {A: {Type: 'AWS::CloudFormation::StackSet'}}":                                 "StackSet resource is not supported",
		"Resources: {A: {Type: 'AWS::IAM::Role'}}":                                                "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_IAM]",
		"Parameters: {P: {Type: String}}\n" + plain:                                               "Parameters: [P] must have values",
		plain + strings.Repeat("#", 51200):                                                        "less than or equal to 51200",
	} {
		_, err := o.CreateStackSet(ctxOf(o.T), &cloudformation.CreateStackSetInput{
			StackSetName: aws.String("refused"), TemplateBody: &template, PermissionModel: types.PermissionModelsServiceManaged, AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(true)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			o.Errorf("%.60s: %v", template, err)
		}
	}
	unit := o.unit(o.root)
	o.members(unit, 1)
	o.set("full", plain)
	_, err := o.CreateStackInstances(ctxOf(o.T), &cloudformation.CreateStackInstancesInput{StackSetName: aws.String("full"), Accounts: []string{sandbox.Account}, Regions: []string{here}})
	if err == nil || !strings.Contains(err.Error(), "can only have OrganizationalUnit as target") {
		o.Errorf("accounts as targets: %v", err)
	}
	o.create("full", unit, nil, here)
	_, err = o.DeleteStackSet(ctxOf(o.T), &cloudformation.DeleteStackSetInput{StackSetName: aws.String("full")})
	if err == nil || !strings.Contains(err.Error(), "StackSetNotEmptyException") {
		o.Errorf("a set with instances was deleted: %v", err)
	}
	o.remove("full", unit, false, here)
	_, err = o.DeleteStackSet(ctxOf(o.T), &cloudformation.DeleteStackSetInput{StackSetName: aws.String("full")})
	must(o.T, err)
	o.set("full", plain) // the name is free again
}

func delegatedAdministrator(o *organization) {
	hub := o.members(o.unit(o.root), 1)[0]
	o.set("delegated", plain)
	list := func(as types.CallAs) (string, error) {
		out, err := o.as(hub, here).ListStackSets(ctxOf(o.T), &cloudformation.ListStackSetsInput{CallAs: as, Status: types.StackSetStatusActive})
		var names []string
		if err == nil {
			for _, s := range out.Summaries {
				names = append(names, *s.StackSetName)
			}
		}
		return strings.Join(names, " "), err
	}
	if _, err := list(types.CallAsDelegatedAdmin); err == nil || !strings.Contains(err.Error(), "Account used is not a delegated administrator") {
		o.Errorf("an account that is not registered: %v", err)
	}
	o.organizations("RegisterDelegatedAdministrator", map[string]string{"AccountId": hub, "ServicePrincipal": "member.org.stacksets.cloudformation.amazonaws.com"})
	if seen, err := list(types.CallAsDelegatedAdmin); err != nil || !strings.Contains(seen, "delegated") {
		o.Errorf("the delegated administrator sees %q: %v", seen, err)
	}
	if seen, err := list(types.CallAsSelf); err != nil || seen != "" {
		o.Errorf("without CallAs it sees %q: %v", seen, err)
	}
	// What it makes is the management account's. Self-managed sets are no business of it.
	_, err := o.as(hub, here).CreateStackSet(ctxOf(o.T), &cloudformation.CreateStackSetInput{
		StackSetName: aws.String("made-by-delegate"), TemplateBody: aws.String(plain), CallAs: types.CallAsDelegatedAdmin,
		PermissionModel: types.PermissionModelsServiceManaged, AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(false)},
	})
	must(o.T, err)
	o.expect("made-by-delegate", map[string]string{})
	_, err = o.CreateStackSet(ctxOf(o.T), &cloudformation.CreateStackSetInput{StackSetName: aws.String("only-self"), TemplateBody: aws.String(plain)})
	must(o.T, err)
	_, err = o.as(hub, here).DescribeStackSet(ctxOf(o.T), &cloudformation.DescribeStackSetInput{StackSetName: aws.String("only-self"), CallAs: types.CallAsDelegatedAdmin})
	if err == nil || !strings.Contains(err.Error(), "StackSetNotFoundException") {
		o.Errorf("the delegated administrator sees a self-managed set: %v", err)
	}
}

func selfManaged(o *organization) {
	member := o.members(o.unit(o.root), 1)[0]
	_, err := o.CreateStackSet(ctxOf(o.T), &cloudformation.CreateStackSetInput{StackSetName: aws.String("self"), TemplateBody: aws.String(plain)})
	must(o.T, err)
	deploy := func() {
		_, err := o.CreateStackInstances(ctxOf(o.T), &cloudformation.CreateStackInstancesInput{StackSetName: aws.String("self"), Accounts: []string{member}, Regions: []string{here}})
		must(o.T, err)
	}
	deploy()
	if reason := *o.instances("self")[member+" "+here].StatusReason; !strings.Contains(reason, "should have 'AWSCloudFormationStackSetExecutionRole' role") {
		o.Errorf("without the role it failed because of %q", reason)
	}
	role := `Resources: {Role: {Type: AWS::IAM::Role, Properties: {RoleName: AWSCloudFormationStackSetExecutionRole, AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}}}}`
	_, err = o.as(member, here).CreateStack(ctxOf(o.T), &cloudformation.CreateStackInput{StackName: aws.String("role"), TemplateBody: &role})
	must(o.T, err)
	deploy()
	o.expect("self", map[string]string{member + " " + here: current})
}

// held is a template whose custom resource nobody answers but the test.
const held = `
Parameters: {Value: {Type: String, Default: one}}
Resources:
  Shown: {Type: AWS::SSM::Parameter, Properties: {Name: /set/value, Type: String, Value: !Ref Value}}
  Role: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}}}
  Function: {Type: AWS::Lambda::Function, Properties: {FunctionName: silent, Role: !GetAtt Role.Arn, Code: {S3Bucket: code-silent, S3Key: no.zip}}}
  Held: {Type: Custom::Held, Properties: {ServiceToken: !GetAtt Function.Arn}}
`

// While an operation runs, the next one on the same instances is refused; with
// managed execution it waits.
func queue(o *organization) {
	o.upload(here, "code-silent", "no.zip", []byte("no program"))
	for name, managed := range map[string]bool{"unmanaged": false, "managed": true} {
		unit := o.unit(o.root)
		member := o.members(unit, 1)[0]
		o.set(name, held, func(in *cloudformation.CreateStackSetInput) {
			in.Capabilities = []types.Capability{types.CapabilityCapabilityIam}
			in.ManagedExecution = &types.ManagedExecution{Active: &managed}
		})
		var calls sync.WaitGroup
		created := make(chan struct{})
		calls.Go(func() {
			defer close(created)
			o.create(name, unit, nil, here)
		})
		url, answer := o.held(name, created)
		update := func() {
			_, err := o.UpdateStackSet(ctxOf(o.T), &cloudformation.UpdateStackSetInput{
				StackSetName: &name, UsePreviousTemplate: aws.Bool(true), Capabilities: []types.Capability{types.CapabilityCapabilityIam},
				Parameters: []types.Parameter{{ParameterKey: aws.String("Value"), ParameterValue: aws.String("two")}},
			})
			if refused := err != nil && strings.Contains(err.Error(), "OperationInProgressException: Another Operation on StackSet"); refused == managed {
				o.Errorf("%s: %v", name, err)
			}
		}
		want := "/set/value=one"
		if managed {
			want = "/set/value=two"
			calls.Go(update)
			o.queued(name, created)
		} else {
			update()
		}
		request, err := http.NewRequestWithContext(ctxOf(o.T), http.MethodPut, url, strings.NewReader(answer))
		must(o.T, err)
		response, err := http.DefaultClient.Do(request)
		must(o.T, err)
		_ = response.Body.Close()
		calls.Wait()
		o.expect(name, map[string]string{member + " " + here: current})
		if is := o.parameters(member, here); is != want {
			o.Errorf("%s: the member has %s", name, is)
		}
	}
}

// while says once in a while that a call has not returned yet.
func (o *organization) while(ended chan struct{}) bool {
	o.Helper()
	select {
	case <-ended:
		o.Error("the operation ended too early")
		return false
	case <-time.After(10 * time.Millisecond):
		return true
	}
}

// held waits until the set's custom resource waits for its answer, and returns
// where that goes, and a good one.
func (o *organization) held(set string, ended chan struct{}) (url, answer string) {
	o.Helper()
	for o.while(ended) {
		requests, err := o.s.Requests(ctxOf(o.T))
		must(o.T, err)
		for _, r := range requests {
			var event struct{ StackId, RequestId, LogicalResourceId, ResponseURL string }
			must(o.T, json.Unmarshal(r.Event, &event))
			if strings.Contains(event.StackId, "/StackSet-"+set+"-") {
				return event.ResponseURL, fmt.Sprintf(`{"Status":"SUCCESS","PhysicalResourceId":"held","StackId":%q,"RequestId":%q,"LogicalResourceId":%q}`, event.StackId, event.RequestId, event.LogicalResourceId)
			}
		}
	}
	o.Fatalf("no custom resource was made: %v", *slices.Collect(maps.Values(o.instances(set)))[0].StatusReason)
	return "", ""
}

// queued waits until an operation on the set is.
func (o *organization) queued(set string, ended chan struct{}) {
	o.Helper()
	for o.while(ended) {
		out, err := o.ListStackSetOperations(ctxOf(o.T), &cloudformation.ListStackSetOperationsInput{StackSetName: &set})
		must(o.T, err)
		if out.Summaries[0].Status == types.StackSetOperationStatusQueued {
			return
		}
	}
}

// Sets that a stack declares are deleted with it, instances first.
func declared(o *organization) {
	unit := o.unit(o.root)
	member := o.members(unit, 1)[0]
	template := fmt.Sprintf(`
Resources:
  Set:
    Type: AWS::CloudFormation::StackSet
    Properties:
      StackSetName: declared
      PermissionModel: SERVICE_MANAGED
      AutoDeployment: {Enabled: true, RetainStacksOnAccountRemoval: false}
      TemplateBody: %q
      StackInstancesGroup: [{DeploymentTargets: {OrganizationalUnitIds: [%s]}, Regions: [REGIONS]}]
`, plain, unit)
	stacks := sandbox.StacksOf(o.s.Config())
	deploy := func(regions string) {
		file := filepath.Join(o.TempDir(), "template.yaml")
		must(o.T, os.WriteFile(file, []byte(strings.ReplaceAll(template, "REGIONS", regions)), 0o600))
		must(o.T, stacks.Deploy(ctxOf(o.T), "declaring", file))
	}
	deploy(here)
	o.expect("declared", map[string]string{member + " " + here: current})
	deploy(there)
	o.expect("declared", map[string]string{member + " " + there: current})
	must(o.T, stacks.DeleteStack(ctxOf(o.T), "declaring"))
	if left := o.parameters(member, there); left != "" {
		o.Errorf("left in the member: %s", left)
	}
}

// A secret of another account is read by those whom its policy names, by an ARN
// without its last six characters too, and only if its key is not AWS's own.
func foreignSecret(o *organization) {
	member := o.members(o.unit(o.root), 1)[0]
	own := secretsmanager.NewFromConfig(o.config(member, here))
	const key = "arn:aws:kms:us-east-1:" + sandbox.Account + ":key/mrk-0123456789abcdef0123456789abcdef"
	reader := func(role string) *secretsmanager.Client {
		out, err := sts.NewFromConfig(o.s.Config()).AssumeRole(ctxOf(o.T), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + sandbox.Account + ":role/" + role), RoleSessionName: aws.String("reading")})
		must(o.T, err)
		return secretsmanager.NewFromConfig(o.s.Config(), func(options *secretsmanager.Options) {
			options.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
		})
	}
	for _, c := range []struct {
		name, key, role, refusal string
	}{
		{"named", key, "Reader", ""},
		{"not-named", key, "Other", "AccessDeniedException"},
		{"own-key", "", "Reader", "default KMS service key"},
	} {
		input := &secretsmanager.CreateSecretInput{Name: &c.name, SecretString: aws.String("value of " + c.name)}
		if c.key != "" {
			input.KmsKeyId = &c.key
		}
		_, err := own.CreateSecret(ctxOf(o.T), input)
		must(o.T, err)
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::` + sandbox.Account + `:role/Reader"]},"Action":["secretsmanager:GetSecretValue","secretsmanager:DescribeSecret"],"Resource":"*"}]}`
		_, err = own.PutResourcePolicy(ctxOf(o.T), &secretsmanager.PutResourcePolicyInput{SecretId: &c.name, ResourcePolicy: &policy})
		must(o.T, err)
		out, err := reader(c.role).GetSecretValue(ctxOf(o.T), &secretsmanager.GetSecretValueInput{SecretId: aws.String("arn:aws:secretsmanager:" + here + ":" + member + ":secret:" + c.name)})
		switch {
		case c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)):
			o.Errorf("%s: %v", c.name, err)
		case c.refusal == "" && (err != nil || *out.SecretString != "value of "+c.name):
			o.Errorf("%s: %v", c.name, err)
		}
	}
}
