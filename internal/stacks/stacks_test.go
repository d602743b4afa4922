package stacks_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/stacks"
)

const stackID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/51af3dc0-da77-11e4-872e-1234567db123"

func resource(status string) edgetest.Answer {
	return edgetest.Query("DescribeStackResource", fmt.Sprintf(`<StackResourceDetail><StackId>%s</StackId><LogicalResourceId>Credentials</LogicalResourceId>
		<PhysicalResourceId>x</PhysicalResourceId><ResourceStatus>%s</ResourceStatus></StackResourceDetail>`, stackID, status))
}

// A resource that does not exist is the sign of an orphan; an unclear answer must not count as that.
func TestWhetherAStackHasAResource(t *testing.T) {
	stack, err := name.ParseStackID(stackID)
	if err != nil {
		t.Fatal(err)
	}
	unclear := errors.New("neither gone nor denied")
	for label, c := range map[string]struct {
		answer edgetest.Answer
		id     string
		err    error
	}{
		"there":               {resource("CREATE_COMPLETE"), "x", nil},
		"failed to change":    {resource("UPDATE_FAILED"), "x", nil},
		"failed to go":        {resource("DELETE_FAILED"), "x", nil},
		"changing":            {resource("UPDATE_IN_PROGRESS"), "", nil},
		"going":               {resource("DELETE_IN_PROGRESS"), "", nil},
		"deleted":             {resource("DELETE_COMPLETE"), "", access.ErrNotFound},
		"retained":            {resource("DELETE_SKIPPED"), "", access.ErrNotFound},
		"deleted long ago":    {edgetest.QueryError(400, "ValidationError", "Stack 's' does not exist"), "", access.ErrNotFound},
		"denied":              {edgetest.QueryError(403, "AccessDenied", "x"), "", access.ErrDenied},
		"throttled":           {edgetest.QueryError(400, "Throttling", "x"), "", access.ErrThrottled},
		"an empty success":    {edgetest.Query("DescribeStackResource", ""), "", unclear},
		"a broken connection": {edgetest.Answer{}, "", unclear},
		"an error of AWS's":   {edgetest.QueryError(500, "InternalFailure", "x"), "", unclear},
	} {
		synctest.Test(t, func(t *testing.T) {
			aws := &edgetest.AWS{Answer: func(edgetest.Call, int) edgetest.Answer { return c.answer }}
			id, err := stacks.New(aws.Config(t)).Resource(t.Context(), name.Owner{Stack: stack, Logical: "Credentials"})
			asExpected := errors.Is(err, c.err) || errors.Is(c.err, unclear) && err != nil && !access.Definite(err)
			if id != c.id || !asExpected {
				t.Errorf("%s: %q, %v", label, id, err)
			}
			// By the whole id: another stack may have the name today.
			form := aws.Calls()[0].Form
			if form.Get("StackName") != stackID || form.Get("LogicalResourceId") != "Credentials" {
				t.Errorf("asked for %v", form)
			}
		})
	}
}
