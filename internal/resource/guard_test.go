package resource_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
)

// of is what an event of the guard has. Its properties are none of a credential's.
func of(more map[string]any) map[string]any {
	fields := map[string]any{
		"ResourceType": guard.Type, "PhysicalResourceId": guard.ID,
		"ResourceProperties": map[string]any{"ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:f", "ServiceTimeout": "120"},
	}
	for field, value := range more {
		fields[field] = value
	}
	return fields
}

// The provider is made and changed whatever is there, and goes when no user is left.
func TestTheGuard(t *testing.T) {
	home := resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012", "111122223333"}}
	inUse := plan.Refused("users of this provider exist")
	for label, c := range map[string]struct {
		requestType string
		left        error
		status      string
		did         []string
	}{
		"Create":            {"Create", inUse, "SUCCESS", nil},
		"Update":            {"Update", inUse, "SUCCESS", nil},
		"Delete, users":     {"Delete", inUse, "FAILED", []string{"MayGo Source"}},
		"Delete, no answer": {"Delete", errors.New("no answer"), "FAILED", []string{"MayGo Source"}},
		"Delete":            {"Delete", nil, "SUCCESS", []string{"MayGo Source"}},
	} {
		w := world{home: home, left: c.left}
		fields := of(nil)
		if c.requestType == "Create" {
			fields["PhysicalResourceId"] = nil
		}
		got := w.answered(t, t.Context(), event(t, c.requestType, fields))
		if c.status == "FAILED" {
			isFailed(t, got, guard.ID, c.left.Error())
		} else if diff := cmp.Diff(reply.Response{Status: "SUCCESS", PhysicalResourceID: guard.ID, StackID: stackID, RequestID: requestID, LogicalResourceID: "Source"}, got); diff != "" {
			t.Errorf("%s: %s", label, diff)
		}
		if !slices.Equal(w.did, c.did) {
			t.Errorf("%s: did %q", label, w.did)
		}
	}
}

// Another account holds no provider, also one whose stacks are served; and it learns
// nothing of the users. What such a stack has tried to make never keeps it from going.
func TestAGuardOfAnotherAccount(t *testing.T) {
	for requestType, status := range map[string]string{"Create": "FAILED", "Update": "FAILED", "Delete": "SUCCESS"} {
		w := world{home: resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012", "111122223333"}}, left: plan.Refused("users")}
		got := w.answered(t, t.Context(), event(t, requestType, of(map[string]any{"StackId": strings.Replace(stackID, "123456789012", "111122223333", 1)})))
		if got.Status != status || len(w.did) > 0 || strings.Contains(got.Reason, "users") {
			t.Errorf("%s: did %q: %+v", requestType, w.did, got)
		}
	}
}

// What a guard of another release may have answered, and a malformed event of it.
func TestAGuardsIDStays(t *testing.T) {
	w := world{}
	if got := w.answered(t, t.Context(), event(t, "Update", of(map[string]any{"PhysicalResourceId": "former"}))); got.Status != "SUCCESS" || got.PhysicalResourceID != "former" {
		t.Errorf("%+v", got)
	}
	w = world{}
	got := w.answered(t, t.Context(), event(t, "Create", of(map[string]any{"LogicalResourceId": "a b"})))
	if got.Status != "FAILED" || got.PhysicalResourceID != guard.ID {
		t.Errorf("%+v", got)
	}
}
