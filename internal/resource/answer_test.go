package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/spec"
)

func TestASuccessHoldsTheListedAttributes(t *testing.T) {
	for _, requestType := range []string{"Create", "Update"} {
		got := new(world).answered(t, t.Context(), event(t, requestType, nil))
		want := reply.Response{
			Status: "SUCCESS", PhysicalResourceID: physicalID, StackID: stackID, RequestID: requestID, LogicalResourceID: "Source",
			Data: map[string]string{
				"UserName":    physicalID,
				"UserArn":     "arn:aws:iam::123456789012:user/cloney/eu-west-1/" + physicalID,
				"PolicyArns":  "arn:p-1,arn:p-2",
				"AccessKeyId": "AKIAEXAMPLE",
				"SecretArn":   "arn:secret",
				"SecretName":  "cloney/" + physicalID,
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", requestType, diff)
		}
	}
}

func TestADeleteEchoesItsID(t *testing.T) {
	for label, fields := range map[string]map[string]any{
		"usual":                   nil,
		"invented id":             {"PhysicalResourceId": "migration-Source-1ABCDEFGHIJKL"},
		"id of 1,024 bytes":       {"PhysicalResourceId": strings.Repeat("p", 1024)},
		"id of another stack":     {"PhysicalResourceId": "2026/11/24/[$LATEST]4459c970"},
		"invalid properties":      {"ResourceProperties": map[string]any{"Acess": 1, "UserName": []int{1}, "Buckets": "*", "Tags": 7}},
		"properties of a version": {"ResourceProperties": properties(map[string]any{"RotationSchedule": "rate(1 day)"})},
		"no properties":           {"ResourceProperties": nil},
		"properties of no kind":   {"ResourceProperties": "x"},
		"properties are a list":   {"ResourceProperties": []int{1}, "OldResourceProperties": 3},
	} {
		var w world
		got := w.answered(t, t.Context(), event(t, "Delete", fields))
		want := reply.Response{Status: "SUCCESS", PhysicalResourceID: "the-id-that-came-in", StackID: stackID, RequestID: requestID, LogicalResourceID: "Source"}
		if id, set := fields["PhysicalResourceId"].(string); set {
			want.PhysicalResourceID = id
		}
		if diff := cmp.Diff(want, got); diff != "" || len(w.did) != 1 {
			t.Errorf("%s: did %v\n%s", label, w.did, diff)
		}
	}
}

// CloudFormation sends no bucket list that an owner may have narrowed since
// into a Delete's way.
func TestADeleteOfABucketNoLongerAllowed(t *testing.T) {
	w := world{allow: []string{"other-*"}}
	if got := w.answered(t, t.Context(), event(t, "Delete", nil)); got.Status != "SUCCESS" {
		t.Error(got.Reason)
	}
	for _, requestType := range []string{"Create", "Update"} {
		w := world{allow: []string{"other-*"}}
		if got := w.answered(t, t.Context(), event(t, requestType, nil)); got.Status != "FAILED" || !strings.Contains(got.Reason, "AllowedBuckets: other-*") || len(w.did) > 0 {
			t.Errorf("%s: did %v: %s", requestType, w.did, got.Reason)
		}
	}
}

// Whom the owner lets no stack name does not get to read.
func TestAReaderThatIsNotAllowed(t *testing.T) {
	readers := map[string]any{"ResourceProperties": properties(map[string]any{"SecretReaders": "arn:aws:iam::123456789012:role/Reader"})}
	for _, requestType := range []string{"Create", "Update"} {
		w := world{readers: []string{"none"}}
		if got := w.answered(t, t.Context(), event(t, requestType, readers)); got.Status != "FAILED" || !strings.Contains(got.Reason, "AllowedReaders: none") || len(w.did) > 0 {
			t.Errorf("%s: did %v: %s", requestType, w.did, got.Reason)
		}
	}
	w := world{readers: []string{"none"}}
	if got := w.answered(t, t.Context(), event(t, "Delete", readers)); got.Status != "SUCCESS" {
		t.Error(got.Reason)
	}
}

// What the provisioner is asked for is what the event says.
func TestWhatTheProvisionerIsAskedFor(t *testing.T) {
	stack, err := name.ParseStackID(stackID)
	if err != nil {
		t.Fatal(err)
	}
	owner := name.Owner{Stack: stack, Logical: "Source"}
	old := properties(map[string]any{"UserName": "former", "SecretName": "cloney/old", "Tags": []any{map[string]string{"Key": "team", "Value": "x"}}, "Gone": "x"})
	fields := map[string]any{
		"PhysicalResourceId":    "former",
		"ResourceProperties":    properties(map[string]any{"Access": "Destination", "UserName": "new", "Serial": "2"}),
		"OldResourceProperties": old,
	}
	want := plan.Desired{
		Owner: owner, RequestID: requestID, FormerTags: []string{"team"},
		Spec: spec.Spec{Scope: access.Scope{Destination: true, Places: []access.Place{"data"}}, UserName: "new", SecretName: "cloney/new", Serial: 2, Verify: true},
	}
	former := provision.Target{Owner: owner, PhysicalID: "former", UserName: "former", SecretName: "cloney/old"}
	w := world{update: func(_ context.Context, gotWant plan.Desired, gotFormer provision.Target) (provision.Result, error) {
		if diff := cmp.Diff(want, gotWant, cmpopts.EquateEmpty()) + cmp.Diff(former, gotFormer); diff != "" {
			t.Error(diff)
		}
		return stands(gotWant), nil
	}}
	if got := w.answered(t, t.Context(), event(t, "Update", fields)); got.PhysicalResourceID != "new" {
		t.Errorf("%+v", got)
	}
	w = world{delete: func(_ context.Context, got provision.Target) error {
		if diff := cmp.Diff(provision.Target{Owner: owner, PhysicalID: "the-id-that-came-in", UserName: "former", SecretName: "cloney/old"}, got); diff != "" {
			t.Error(diff)
		}
		return nil
	}}
	w.answered(t, t.Context(), event(t, "Delete", map[string]any{"ResourceProperties": old}))
}

func TestBadInputDoesNothing(t *testing.T) {
	bad := map[string]any{"ResourceProperties": map[string]any{"Acess": "Source", "Buckets": "My"}}
	var w world
	isFailed(t, w.answered(t, t.Context(), event(t, "Create", bad)), physicalID, "3 problems", "Access: is missing", `Buckets: "My"`, "did you mean Access?")
	var u world
	isFailed(t, u.answered(t, t.Context(), event(t, "Update", bad)), "the-id-that-came-in", "3 problems")
	if len(w.did)+len(u.did) > 0 {
		t.Errorf("did %v, %v", w.did, u.did)
	}
}

// The Delete that follows a failed Create must find what is left; a failed
// Update must not look like a replacement.
func TestTheIDOfAFailure(t *testing.T) {
	refused := errors.New("creating the user: access denied")
	w := world{
		create: func(context.Context, plan.Desired) (provision.Result, error) {
			return provision.Result{UserName: "half"}, refused
		},
		update: func(context.Context, plan.Desired, provision.Target) (provision.Result, error) {
			return provision.Result{UserName: "half"}, refused
		},
		delete: func(context.Context, provision.Target) error { return refused },
	}
	for _, c := range []struct {
		requestType, id string
		fields          map[string]any
	}{
		{"Create", physicalID, nil},
		{"Create", physicalID, map[string]any{"PhysicalResourceId": "not-of-a-create"}},
		{"Create", "mine", map[string]any{"ResourceProperties": properties(map[string]any{"UserName": "mine"})}},
		{"Create", physicalID, map[string]any{"ResourceProperties": properties(map[string]any{"UserName": "no name"})}},
		{"Update", "the-id-that-came-in", map[string]any{"ResourceProperties": properties(map[string]any{"UserName": "other"})}},
		{"Delete", "the-id-that-came-in", nil},
	} {
		w.sent = nil
		got := w.answered(t, t.Context(), event(t, c.requestType, c.fields))
		if got.Status != "FAILED" || got.PhysicalResourceID != c.id || got.Data != nil {
			t.Errorf("%s: %+v", c.requestType, got)
		}
		if c.requestType == "Delete" {
			isFailed(t, got, c.id, "creating the user: access denied")
		}
	}
}

// A name that was written as a number stays as it was written.
func TestNumbersStayAsWritten(t *testing.T) {
	raw := event(t, "Create", map[string]any{"ResourceProperties": properties(map[string]any{"UserName": json.Number("12345678901234567891")})})
	if got := new(world).answered(t, t.Context(), raw); got.PhysicalResourceID != "12345678901234567891" {
		t.Errorf("%+v", got)
	}
}

// Lambda is told of a failure only if CloudFormation may know nothing.
func TestAnAnswerThatIsNotAccepted(t *testing.T) {
	lost := errors.New("the response bucket answered 403")
	w := world{send: func(context.Context, reply.Response) error { return lost }}
	if err := w.handle(t.Context(), event(t, "Create", nil)); !errors.Is(err, lost) || len(w.sent) != 1 {
		t.Errorf("%v after %d answers", err, len(w.sent))
	}
	if !strings.Contains(w.log.String(), "answer not accepted") || strings.Contains(w.log.String(), "5167a7") {
		t.Error(w.log.String())
	}
}

// However long the words of AWS, the cause and the log stream are told.
func TestALongReason(t *testing.T) {
	w := world{create: func(context.Context, plan.Desired) (provision.Result, error) {
		return provision.Result{}, fmt.Errorf("creating policy x: %s", strings.Repeat(`"é" `, 5000))
	}}
	isFailed(t, w.answered(t, t.Context(), event(t, "Create", nil)), physicalID, "creating policy x: ")
}
