package sandbox_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/sandbox"
)

// Every file in events/ is sent to the function, in the order of docs/local.md, and
// its response is read back from where its ResponseURL points. The first one is sent
// as the page says.
func TestEvents(t *testing.T) {
	own(t)
	sequence := []struct{ event, status string }{
		{"create-source", "SUCCESS"},
		{"create-destination", "SUCCESS"},
		{"update-add-bucket", "SUCCESS"},
		{"update-change-user", "SUCCESS"},
		{"delete-former-user", "SUCCESS"},
		{"delete", "SUCCESS"},
		{"delete-destination", "SUCCESS"},
		{"create-bad-input", "FAILED"},
	}
	files, err := filepath.Glob("../../events/*.json")
	must(t, err)
	if len(files) != len(sequence)+2 {
		t.Errorf("%d events of CloudFormation's are run, one of the rotator's, and env.json is not an event; events/ has %d files", len(sequence), len(files))
	}
	client := s3.NewFromConfig(account(t).Config(), func(o *s3.Options) { o.UsePathStyle = true })
	for i, step := range sequence {
		text, err := os.ReadFile("../../events/" + step.event + ".json")
		must(t, err)
		if !json.Valid(text) || !strings.Contains(string(text), "http://host.docker.internal:4599/cloney-responses/"+step.event+".json?") {
			t.Fatalf("%s does not answer to the sandbox's own bucket", step.event)
		}
		switch i {
		case 0:
			followLocalPage(t)
		case 1:
			err = account(t).Invoke(ctxOf(t), byTopic(t, string(text)))
		default:
			err = account(t).Invoke(ctxOf(t), string(text))
		}
		if err != nil {
			t.Errorf("%s: %v", step.event, err)
		}
		answer, err := client.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: aws.String(sandbox.ResponsesBucket), Key: aws.String(step.event + ".json")})
		must(t, err)
		var response struct{ Status, Reason, PhysicalResourceId string }
		must(t, json.NewDecoder(answer.Body).Decode(&response))
		if response.Status != step.status || response.PhysicalResourceId == "" {
			t.Errorf("%s was answered %+v", step.event, response)
		}
	}
	empty(t)
	sweep, err := os.ReadFile("../../events/sweep.json")
	must(t, err)
	if err := account(t).Invoke(ctxOf(t), string(sweep)); err == nil {
		t.Error("the function that answers CloudFormation took the rotator's event")
	}
	must(t, account(t).Sweep(ctxOf(t)))
}

// byTopic returns an event as an SNS topic delivers it.
func byTopic(t *testing.T, event string) string {
	t.Helper()
	type message struct{ Type, TopicArn, Message string }
	type record struct {
		EventSource, EventVersion string
		Sns                       message
	}
	delivered, err := json.Marshal(map[string][]record{"Records": {{"aws:sns", "1.0", message{"Notification", "arn:aws:sns:us-east-1:" + sandbox.Account + ":providers", event}}}})
	must(t, err)
	return string(delivered)
}

// sam local invoke sets only variables that the template declares.
func TestEnvFileNamesTheTemplatesVariables(t *testing.T) {
	text, err := os.ReadFile("../../events/env.json")
	must(t, err)
	var env map[string]map[string]string
	must(t, json.Unmarshal(text, &env))
	template, err := os.ReadFile("../../template.yaml")
	must(t, err)
	for function, variables := range env {
		if !strings.Contains(string(template), "\n  "+function+":\n") {
			t.Errorf("the template has no %s", function)
		}
		for variable := range variables {
			if !strings.Contains(string(template), "\n          "+variable+": ") {
				t.Errorf("the template does not declare %s", variable)
			}
		}
	}
}
