package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
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
				"UserName":        physicalID,
				"UserArn":         "arn:aws:iam::123456789012:user/cloney/eu-west-1/" + physicalID,
				"PolicyArns":      "arn:p-1,arn:p-2",
				"AccessKeyId":     "AKIAEXAMPLE",
				"SecretArn":       "arn:secret",
				"SecretName":      "cloney/" + physicalID,
				"SecretVersionId": "5f1c3d2e-0000-4000-8000-000000000001",
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

// A Create is refused what the provider's owner does not allow. The plan decides about an
// Update, which may return to what was allowed before. A Delete needs no limits.
func TestWhatTheOwnerDoesNotAllow(t *testing.T) {
	reader := map[string]any{"ResourceProperties": properties(map[string]any{"SecretReaders": "arn:aws:iam::123456789012:role/Reader"})}
	for word, c := range map[string]struct {
		allow, readers []string
		fields         map[string]any
	}{
		"AllowedBuckets of the provider's stack (other-*)": {[]string{"other-*"}, nil, nil},
		"AllowedReaders of the provider's stack (none)":    {nil, []string{"none"}, reader},
	} {
		w := world{allow: c.allow, readers: c.readers}
		isFailed(t, w.answered(t, t.Context(), event(t, "Create", c.fields)), notCreated, word)
		w.sent = nil
		w.update = func(_ context.Context, want plan.Desired) (provision.Result, error) {
			if said := want.Spec.NotAllowed; len(said) != 1 || !strings.Contains(said[0].Problem, word) {
				t.Errorf("the plan is told %+v", said)
			}
			return stands(want), nil
		}
		w.answered(t, t.Context(), event(t, "Update", c.fields))
		w.sent = nil
		w.answered(t, t.Context(), event(t, "Delete", c.fields))
		if diff := cmp.Diff([]string{"Update", "Delete"}, w.did); diff != "" {
			t.Errorf("%s: %s", word, diff)
		}
	}
}

// The provisioner gets what the event says.
func TestWhatTheProvisionerIsAskedFor(t *testing.T) {
	stack, err := name.ParseStackID(stackID)
	if err != nil {
		t.Fatal(err)
	}
	owner := name.Owner{Stack: stack, Logical: "Source"}
	const reader = "arn:aws:iam::123456789012:role/Reader"
	old := properties(map[string]any{"UserName": "former", "SecretName": "cloney/old", "Tags": []any{map[string]string{"Key": "team", "Value": "x"}}, "SecretReaders": reader, "Gone": "x"})
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		fields := map[string]any{
			"ResponseURL":           signed(now.Add(-4 * time.Second)),
			"PhysicalResourceId":    "former",
			"ResourceProperties":    properties(map[string]any{"Access": "Destination", "UserName": "new", "Serial": "2", "RotationSchedule": "rate(30 days)", "RotationGraceDays": "30"}),
			"OldResourceProperties": old,
		}
		run := order.Run{Type: order.Update, Request: requestID, Sent: now.Add(-4 * time.Second), Began: now}
		want := plan.Desired{
			Owner: owner, Run: run, PhysicalID: "former",
			Old:  plan.Old{UserName: "former", SecretName: "cloney/old", TagKeys: []string{"team"}, Readers: []string{reader}},
			Spec: spec.Spec{Scope: access.Scope{Destination: true, Places: []access.Place{"data"}}, UserName: "new", SecretName: "cloney/new", Serial: 2, Schedule: "rate(30 days)", GraceDays: 30, Verify: true},
		}
		w := world{update: func(_ context.Context, got plan.Desired) (provision.Result, error) {
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			return stands(got), nil
		}}
		if got := w.answered(t, t.Context(), event(t, "Update", fields)); got.PhysicalResourceID != "new" {
			t.Errorf("%+v", got)
		}
		run.Type = order.Delete
		for id, want := range map[string]plan.Target{
			"the-id-that-came-in":     {PhysicalID: "the-id-that-came-in", UserName: "former"},
			"not-created:former":      {PhysicalID: "not-created:former", UserName: "former"},
			"not-finished:0d0c:other": {PhysicalID: "other", UserName: "other", Of: "0d0c"},
		} {
			want.Owner, want.Run, want.SecretName = owner, run, "cloney/old"
			w := world{delete: func(_ context.Context, got plan.Target) error {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s", id, diff)
				}
				return nil
			}}
			w.answered(t, t.Context(), event(t, "Delete", map[string]any{"ResponseURL": fields["ResponseURL"], "ResourceProperties": old, "PhysicalResourceId": id}))
		}
	})
}

// An Update whose old and new properties mean the same changes nothing.
func TestUnchanged(t *testing.T) {
	for label, c := range map[string]struct {
		old, now  map[string]any
		unchanged bool
	}{
		"the same":           {nil, nil, true},
		"written otherwise":  {map[string]any{"Serial": 1, "Verify": "TRUE", "Buckets": "data"}, map[string]any{"Serial": "1"}, true},
		"in another order":   {map[string]any{"Buckets": "data,logs"}, map[string]any{"Buckets": "logs,data"}, true},
		"to wait longer":     {map[string]any{"ServiceTimeout": "60"}, nil, true},
		"another Serial":     {nil, map[string]any{"Serial": 2}, false},
		"another schedule":   {nil, map[string]any{"RotationSchedule": "rate(30 days)"}, false},
		"another grace":      {nil, map[string]any{"RotationGraceDays": 30}, false},
		"the usual grace":    {nil, map[string]any{"RotationGraceDays": "7"}, true},
		"another bucket":     {nil, map[string]any{"Buckets": "logs"}, false},
		"another tag":        {nil, map[string]any{"Tags": []any{map[string]string{"Key": "a", "Value": "b"}}}, false},
		"to be proven":       {map[string]any{"Verify": false}, nil, false},
		"it was never valid": {map[string]any{"Acess": "Source"}, nil, false},
	} {
		w := world{update: func(_ context.Context, want plan.Desired) (provision.Result, error) {
			if want.Unchanged != c.unchanged {
				t.Errorf("%s: unchanged: %t", label, want.Unchanged)
			}
			return stands(want), nil
		}}
		w.answered(t, t.Context(), event(t, "Update", map[string]any{"OldResourceProperties": properties(c.old), "ResourceProperties": properties(c.now)}))
	}
}

func TestBadInputDoesNothing(t *testing.T) {
	bad := map[string]any{"ResourceProperties": map[string]any{"Acess": "Source", "Buckets": "My"}}
	var w world
	isFailed(t, w.answered(t, t.Context(), event(t, "Create", bad)), notCreated, "2 problems", `(1) Buckets: "My"`, "did you mean Access?")
	var u world
	isFailed(t, u.answered(t, t.Context(), event(t, "Update", bad)), "the-id-that-came-in", "2 problems")
	if len(w.did)+len(u.did) > 0 {
		t.Errorf("did %v, %v", w.did, u.did)
	}
}

// The Delete that follows a failed Create deletes what the Create has created, and nothing
// else: the id says what that may be.
func TestTheIDOfACreateThatFailed(t *testing.T) {
	refused, denied := plan.Refused("the name is taken"), errors.New("creating the user: access denied")
	for _, c := range []struct {
		left provision.Left
		err  error
		id   string
	}{
		{provision.Nothing, refused, notCreated},
		{provision.Nothing, fmt.Errorf("planning: %w", policy.TooManyError{Places: 900, Fit: 780}), notCreated},
		{provision.Nothing, denied, physicalID}, // the same again may make something
		{provision.Something, denied, physicalID},
		{provision.Something, refused, physicalID},
		{provision.Unknown, denied, notFinished},
		{provision.Unknown, refused, notFinished},
	} {
		w := world{create: func(context.Context, plan.Desired) (provision.Result, error) {
			return provision.Result{Left: c.left}, c.err
		}}
		isFailed(t, w.answered(t, t.Context(), event(t, "Create", nil)), c.id, c.err.Error())
	}
}

// A failed Update must not look like a replacement.
func TestTheIDOfAFailure(t *testing.T) {
	refused := errors.New("creating the user: access denied")
	w := world{
		create: func(context.Context, plan.Desired) (provision.Result, error) {
			return provision.Result{Left: provision.Something}, refused
		},
		update: func(context.Context, plan.Desired) (provision.Result, error) {
			return provision.Result{UserName: "half"}, refused
		},
		delete: func(context.Context, plan.Target) error { return refused },
	}
	for _, c := range []struct {
		requestType, id string
		fields          map[string]any
	}{
		{"Create", physicalID, map[string]any{"PhysicalResourceId": "not-of-a-create"}},
		{"Create", "mine", map[string]any{"ResourceProperties": properties(map[string]any{"UserName": "mine"})}},
		{"Create", notCreated, map[string]any{"ResourceProperties": properties(map[string]any{"UserName": "no name"})}},
		{"Update", "the-id-that-came-in", map[string]any{"ResourceProperties": properties(map[string]any{"UserName": "other"})}},
		{"Delete", "the-id-that-came-in", nil},
	} {
		w.sent = nil
		isFailed(t, w.answered(t, t.Context(), event(t, c.requestType, c.fields)), c.id)
	}
}

// A name that looks like a number stays as it was written.
func TestNumbersStayAsWritten(t *testing.T) {
	raw := event(t, "Create", map[string]any{"ResourceProperties": properties(map[string]any{"UserName": json.Number("12345678901234567891")})})
	if got := new(world).answered(t, t.Context(), raw); got.PhysicalResourceID != "12345678901234567891" {
		t.Errorf("%+v", got)
	}
}

// The invocation fails only if CloudFormation may have no response.
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

// The Reason has the cause and the log stream, even if a message of AWS is very long.
func TestALongReason(t *testing.T) {
	w := world{create: func(context.Context, plan.Desired) (provision.Result, error) {
		return provision.Result{}, fmt.Errorf("creating policy x: %s", strings.Repeat(`"é" `, 5000))
	}}
	isFailed(t, w.answered(t, t.Context(), event(t, "Create", nil)), notFinished, "creating policy x: ")
}
