package resource_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reasons"
	"cloney-s3-credentials/internal/resource"
)

var update = flag.Bool("update", false, "write the golden file again")

const golden = "testdata/reasons.golden"

// The golden file has what this package itself says to a stack owner; and for events that
// cannot be answered, what the log says to the provider's owner.
func TestReasons(t *testing.T) {
	var text strings.Builder
	for _, s := range situations(t) {
		synctest.Test(t, func(t *testing.T) {
			s.world.home = resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012"}}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			said := "is answered: "
			if err := s.world.handle(ctx, s.event()); len(s.world.sent) == 0 {
				said = "is not answered; the log says: " + err.Error()
			} else {
				said += s.world.sent[0].Reason
			}
			time.Sleep(time.Minute) // what was left behind comes to its end
			fmt.Fprintf(&text, "%s\n\t%s\n", s.label, said)
		})
	}
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if diff := cmp.Diff(string(want), text.String()); err != nil || diff != "" {
		t.Errorf("%v; go test ./internal/resource -run Reasons -update writes it again\n%s", err, diff)
	}
}

type situation struct {
	label string
	world *world
	event func() []byte // made in the test's time
}

func situations(t *testing.T) []situation {
	of := func(requestType string, fields map[string]any) func() []byte {
		return func() []byte { return event(t, requestType, fields) }
	}
	text := func(raw string) func() []byte { return func() []byte { return []byte(raw) } }
	failing := func(err error) *world {
		return &world{create: func(context.Context, plan.Desired) (provision.Result, error) {
			if err == nil {
				panic(secret)
			}
			return provision.Result{}, err
		}}
	}
	late := func(timeout string) func() []byte {
		return func() []byte {
			return event(t, "Create", map[string]any{"ResponseURL": signed(time.Now().Add(-time.Hour)), "ResourceProperties": properties(map[string]any{"ServiceTimeout": timeout})})
		}
	}
	hangs := func() *world {
		return &world{create: func(ctx context.Context, _ plan.Desired) (provision.Result, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			return provision.Result{}, nil
		}}
	}
	return []situation{
		{"An event of a type that is unknown", &world{}, of("Purge", nil)},
		{"A field of the wrong type", &world{}, of("Create", map[string]any{"LogicalResourceId": 7, "ResourceProperties": "x"})},
		{"A Create without RequestId", &world{}, of("Create", map[string]any{"RequestId": nil})},
		{"An Update without PhysicalResourceId", &world{}, of("Update", map[string]any{"PhysicalResourceId": nil})},
		{"An Update of a PhysicalResourceId that cannot be ours", &world{}, of("Update", map[string]any{"PhysicalResourceId": "a/b"})},
		{"An Update of a PhysicalResourceId of a megabyte", &world{}, of("Update", map[string]any{"PhysicalResourceId": strings.Repeat("x", 1<<20)})},
		{"A Create of another account's stack", &world{}, of("Create", map[string]any{"StackId": foreign})},
		{"A guard of the provider in another account's stack", &world{}, of("Create", map[string]any{"StackId": foreign, "ResourceType": "Custom::CloneyS3Provider", "ResourceProperties": map[string]any{}})},
		{"A guard of the provider with Buckets", &world{}, of("Create", map[string]any{"ResourceType": "Custom::CloneyS3Provider", "ResourceProperties": map[string]any{"Buckets": "b"}})},
		{"A Create where the function's environment is not the template's", &world{closed: &resource.Closed{Problem: errors.New("the function's environment is not as the provider's template sets it: ALLOWED_BUCKETS is not set, or is empty")}}, of("Create", nil)},
		{"A Create that comes when CloudFormation waits no longer", &world{}, late("330")},
		{"The same, with a short ServiceTimeout", &world{}, late("60")},
		{"A Create in which the provider panics", failing(nil), of("Create", nil)},
		{"A Create whose time is over at a call of AWS", failing(fmt.Errorf("creating the user: %w", context.DeadlineExceeded)), of("Create", nil)},
		{"A Create that hangs", hangs(), of("Create", nil)},
		{"A Create that hangs, with a short ServiceTimeout", hangs(), of("Create", map[string]any{"ResourceProperties": properties(map[string]any{"ServiceTimeout": 60})})},
		{"Text that is not an event", &world{}, text("[]")},
		{"An event with another ResponseURL", &world{}, of("Create", map[string]any{"ResponseURL": "https://evil.example/x"})},
		{"An event of a stack in another region", &world{}, of("Create", map[string]any{"StackId": strings.Replace(stackID, "eu-west-1", "us-west-2", 1)})},
		{"Two records of SNS", &world{}, text(`{"Records": [{}, {}]}`)},
		{"A record of SQS", &world{}, text(`{"Records": [{"eventSource": "aws:sqs"}]}`)},
		{"A record of SNS with another message", &world{}, func() []byte { return delivered(t, []byte("hello")) }},
		{"A record of SNS in another one", &world{}, func() []byte { return delivered(t, delivered(t, nil)) }},
	}
}

// For a new sentence, add the situation in which it is said. Lines of the log need none.
func TestTheGoldenFileHasEverySentence(t *testing.T) {
	reasons.Read(t, golden, reasons.Words, ".")
}
