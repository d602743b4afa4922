package sandbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/sandbox"
)

// Every file in events/ is sent to the function, in the order that README
// gives, and its answer is read back from where its ResponseURL points.
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
	if len(files) != len(sequence)+1 {
		t.Errorf("%d events are run, and env.json is no event; events/ has %d files", len(sequence), len(files))
	}
	client := s3.NewFromConfig(account(t).Config(), func(o *s3.Options) { o.UsePathStyle = true })
	for i, step := range sequence {
		text, err := os.ReadFile("../../events/" + step.event + ".json")
		must(t, err)
		if !json.Valid(text) || !strings.Contains(string(text), "http://host.docker.internal:4599/cloney-responses/"+step.event+".json?") {
			t.Fatalf("%s does not answer to the sandbox's own bucket", step.event)
		}
		if i == 0 {
			err = byREADME(t, string(text))
		} else {
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
}

// byREADME sends an event and reads its answer by README's two commands.
func byREADME(t *testing.T, event string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "event.json")
	must(t, os.WriteFile(file, []byte(event), 0o600))
	printed, err := account(t).AWS(ctxOf(t), "lambda", "invoke", "--function-name", sandbox.ProviderStack, "--payload", "file://"+file, os.DevNull)
	if err != nil || strings.Contains(printed, "FunctionError") {
		return fmt.Errorf("aws lambda invoke: %s: %w", printed, err)
	}
	answer, err := account(t).AWS(ctxOf(t), "s3", "cp", "s3://"+sandbox.ResponsesBucket+"/create-source.json", "-")
	if err != nil || !strings.Contains(answer, `"Status":"SUCCESS"`) {
		return fmt.Errorf("aws s3 cp: %s: %w", answer, err)
	}
	return nil
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

// Every file in examples/ is deployed as it stands, and leaves nothing.
func TestExamples(t *testing.T) {
	own(t)
	parameters := map[string][]string{
		"source.yaml":      {"BucketNames=" + sandbox.SourceBucket + "," + sandbox.SecondBucket},
		"destination.yaml": nil,
		"narrow.yaml":      {"BucketName=" + sandbox.DestinationBucket, "CloneyAddresses=203.0.113.7,198.51.100.0/24", "Until=2999-12-31T23:00:00+01:00"},
		"migration.yaml":   {"SourceBucketNames=" + sandbox.SourceBucket, "DestinationBucketNames=" + sandbox.DestinationBucket},
	}
	files, err := filepath.Glob("../../examples/*")
	must(t, err)
	if len(files) != len(parameters) {
		t.Errorf("%d of %d examples are run", len(parameters), len(files))
	}
	for file, overrides := range parameters {
		stack := "example-" + strings.TrimSuffix(file, ".yaml")
		must(t, account(t).Deploy(ctxOf(t), stack, "../../examples/"+file, overrides...))
		for name, value := range outputs(t, stack) {
			if value == "" || value == "None" {
				t.Errorf("%s: output %s is empty", file, name)
			}
		}
		remove(t, stack)
		empty(t)
	}
}
