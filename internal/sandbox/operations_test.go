package sandbox_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/sandbox"
)

// twoResources is a template whose second resource is created after the first one.
func twoResources(serial string) *string {
	return aws.String(`{"Resources": {
		"Credentials": {"Type": "Custom::CloneyS3Credentials", "Properties": {"ServiceToken": "` + token + `", "ServiceTimeout": "120", "Serial": "` + serial + `"}},
		"Topic": {"Type": "AWS::SNS::Topic", "DependsOn": "Credentials"}
	}}`)
}

// ongoing is an operation on a stack whose custom resource the test answers for.
type ongoing struct {
	t        *testing.T
	s        *sandbox.Sandbox
	client   *cloudformation.Client
	name, id string // of the stack
	answered int    // requests to its custom resource
}

// An operation goes on behind the answer to its request, where all can be seen
// meanwhile, and no second one begins.
func operationsGoOn(t *testing.T, s *sandbox.Sandbox) {
	must(t, s.AnswerAtOnce(ctxOf(t)))
	requests, err := s.Requests(ctxOf(t))
	must(t, err)
	o := &ongoing{t: t, s: s, client: cloudformation.NewFromConfig(s.Config()), answered: len(requests)}

	o.create("fails")
	o.is("CREATE_IN_PROGRESS")
	o.refusesAnother()
	o.answer("Create", "FAILED")
	o.answer("Delete", "SUCCESS")
	o.becomes("ROLLBACK_COMPLETE")
	o.happened("fails CREATE_IN_PROGRESS", "Credentials CREATE_IN_PROGRESS", "Credentials CREATE_FAILED", "fails ROLLBACK_IN_PROGRESS",
		"Credentials DELETE_IN_PROGRESS", "Credentials DELETE_COMPLETE", "fails ROLLBACK_COMPLETE")

	o.create("succeeds")
	o.answer("Create", "SUCCESS")
	o.becomes("CREATE_COMPLETE")
	_, err = o.client.UpdateStack(ctxOf(t), &cloudformation.UpdateStackInput{StackName: &o.id, TemplateBody: twoResources("2")})
	must(t, err)
	o.is("UPDATE_IN_PROGRESS")
	o.refusesAnother()
	o.answer("Update", "SUCCESS")
	o.becomes("UPDATE_COMPLETE")
	o.delete()
	o.is("DELETE_IN_PROGRESS")
	o.delete() // once more, which AWS takes and does nothing for
	o.answer("Delete", "SUCCESS")
	o.becomes("DELETE_COMPLETE")
	o.happened("succeeds CREATE_IN_PROGRESS", "Credentials CREATE_IN_PROGRESS", "Credentials CREATE_COMPLETE",
		"Topic CREATE_IN_PROGRESS", "Topic CREATE_COMPLETE", "succeeds CREATE_COMPLETE",
		"succeeds UPDATE_IN_PROGRESS", "Credentials UPDATE_IN_PROGRESS", "Credentials UPDATE_COMPLETE",
		"succeeds UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "succeeds UPDATE_COMPLETE",
		"succeeds DELETE_IN_PROGRESS", "Topic DELETE_IN_PROGRESS", "Topic DELETE_COMPLETE",
		"Credentials DELETE_IN_PROGRESS", "Credentials DELETE_COMPLETE", "succeeds DELETE_COMPLETE")
}

func (o *ongoing) create(name string) {
	o.t.Helper()
	created, err := o.client.CreateStack(ctxOf(o.t), &cloudformation.CreateStackInput{StackName: &name, TemplateBody: twoResources("1")})
	must(o.t, err)
	o.name, o.id = name, aws.ToString(created.StackId)
}

func (o *ongoing) delete() {
	o.t.Helper()
	_, err := o.client.DeleteStack(ctxOf(o.t), &cloudformation.DeleteStackInput{StackName: &o.id})
	must(o.t, err)
}

// refusesAnother: the stack is what it was, with the resources that it had.
func (o *ongoing) refusesAnother() {
	o.t.Helper()
	o.sent()
	status := o.status()
	before, err := o.client.DescribeStackResources(ctxOf(o.t), &cloudformation.DescribeStackResourcesInput{StackName: &o.id})
	must(o.t, err)
	_, updating := o.client.UpdateStack(ctxOf(o.t), &cloudformation.UpdateStackInput{StackName: &o.id, TemplateBody: twoResources("3")})
	_, changing := o.client.CreateChangeSet(ctxOf(o.t), &cloudformation.CreateChangeSetInput{
		StackName: &o.name, ChangeSetName: aws.String("another"), ChangeSetType: types.ChangeSetTypeUpdate, TemplateBody: twoResources("3")})
	for _, err := range []error{updating, changing} {
		if err == nil || !strings.Contains(err.Error(), "ValidationError: Stack:"+o.id+" is in "+status+" state and can not be updated.") {
			o.t.Errorf("while the stack is %s, another change is answered with %v", status, err)
		}
	}
	_, err = o.client.DeleteStack(ctxOf(o.t), &cloudformation.DeleteStackInput{StackName: &o.id})
	if err == nil || !strings.Contains(err.Error(), "ValidationError: Stack ["+o.id+"] cannot be deleted while in status "+status) {
		o.t.Errorf("while the stack is %s, a delete is answered with %v", status, err)
	}
	o.is(status)
	after, err := o.client.DescribeStackResources(ctxOf(o.t), &cloudformation.DescribeStackResourcesInput{StackName: &o.id})
	must(o.t, err)
	if status == "CREATE_IN_PROGRESS" && len(before.StackResources)+len(after.StackResources) != 2 {
		o.t.Errorf("before its second resource is created, the stack has %d and %d resources", len(before.StackResources), len(after.StackResources))
	}
}

// sent waits until the custom resource is sent an event that nobody has answered.
func (o *ongoing) sent() (event map[string]any) {
	o.t.Helper()
	for {
		requests, err := o.s.Requests(ctxOf(o.t))
		must(o.t, err)
		if len(requests) > o.answered {
			must(o.t, json.Unmarshal(requests[o.answered].Event, &event))
			return event
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// answer answers the next event, which is of this type.
func (o *ongoing) answer(request, status string) {
	o.t.Helper()
	event := o.sent()
	o.answered++
	if event["RequestType"] != request {
		o.t.Fatalf("the custom resource was sent a %s, not a %s", event["RequestType"], request)
	}
	body, err := json.Marshal(map[string]any{"Status": status, "Reason": "said the test", "PhysicalResourceId": "physical",
		"StackId": event["StackId"], "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"]})
	must(o.t, err)
	put, err := http.NewRequestWithContext(ctxOf(o.t), http.MethodPut, event["ResponseURL"].(string), bytes.NewReader(body))
	must(o.t, err)
	response, err := http.DefaultClient.Do(put)
	must(o.t, err)
	must(o.t, response.Body.Close())
}

func (o *ongoing) status() string {
	o.t.Helper()
	status, err := o.s.Status(ctxOf(o.t), o.id)
	must(o.t, err)
	return status
}

func (o *ongoing) is(status string) {
	o.t.Helper()
	if now := o.status(); now != status {
		o.t.Fatalf("the stack is %s, not %s", now, status)
	}
}

func (o *ongoing) becomes(status string) {
	o.t.Helper()
	for o.status() != status {
		if !strings.HasSuffix(o.status(), "_IN_PROGRESS") {
			o.is(status)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// happened: these are the stack's events, the first one first.
func (o *ongoing) happened(expected ...string) {
	o.t.Helper()
	events, err := o.s.Events(ctxOf(o.t), o.id)
	must(o.t, err)
	var seen []string
	for _, event := range slices.Backward(events) {
		seen = append(seen, aws.ToString(event.LogicalResourceId)+" "+string(event.ResourceStatus))
	}
	if diff := cmp.Diff(expected, seen); diff != "" {
		o.t.Errorf("the stack's events (-expected +seen):\n%s", diff)
	}
}
