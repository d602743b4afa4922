package sandbox_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/sandbox"
)

// What the real bootstrap prints while it creates and deletes is, for CloudWatch,
// one line of metrics for each event, by itself on its line.
func TestMetricsOfTheBootstrap(t *testing.T) {
	own(t)
	before := len(account(t).Log())
	for _, name := range []string{"create-source", "delete", "create-bad-input"} {
		text, err := os.ReadFile("../../events/" + name + ".json")
		must(t, err)
		event := string(text)
		if name == "delete" {
			// The user that the Create has made, whose name no Update has changed.
			event = strings.ReplaceAll(event, "local-try-renamed", "local-try-SourceCredentials-b7swqkv4cn5t")
		}
		must(t, account(t).Invoke(ctxOf(t), event))
	}
	type values struct {
		FunctionName, Cause        string
		Creates, Deletes, Failures int
		AwsRequests, AwsRetries    int
		KeysIssued, KeysRetired    int
		Warnings                   *int
		Duration                   int64
		VerificationSeconds        float64
		AWS                        struct{ CloudWatchMetrics []any } `json:"_aws"`
	}
	var told []values
	log, err := account(t).LogSince(ctxOf(t), before, `"message":"answered"`, 3) // the last line of each
	must(t, err)
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "_aws") {
			continue
		}
		var v values
		must(t, json.Unmarshal([]byte(line), &v))
		if v.Warnings == nil || *v.Warnings != 0 || v.FunctionName != sandbox.ProviderStack || v.Duration <= 0 && v.Cause == "" || len(v.AWS.CloudWatchMetrics) == 0 {
			t.Errorf("the line says %s", line)
		}
		told = append(told, v)
	}
	joined(t, log)
	if len(told) != 3 {
		t.Fatalf("%d lines of metrics", len(told))
	}
	if v := told[0]; v.Creates != 1 || v.Failures != 0 || v.KeysIssued != 1 || v.KeysRetired != 0 || v.AwsRequests < 10 || v.VerificationSeconds <= 0 {
		t.Errorf("the Create: %+v", v)
	}
	if v := told[1]; v.Deletes != 1 || v.Failures != 0 || v.KeysIssued != 0 || v.KeysRetired != 1 || v.AwsRequests < 5 || v.VerificationSeconds != 0 {
		t.Errorf("the Delete: %+v", v)
	}
	if v := told[2]; v.Creates != 1 || v.Failures != 1 || v.Cause != "Properties" || v.AwsRequests != 0 {
		t.Errorf("the bad input: %+v", v)
	}
	empty(t)
}

// joined asks that every line of the function's log says of which invocation it
// is, and that each invocation has one line that says what it was about.
func joined(t *testing.T, log string) {
	t.Helper()
	about, effects := map[string]int{}, map[string]int{}
	for line := range strings.Lines(log) {
		var l struct {
			Message   string `json:"message"`
			RequestID string `json:"requestId"`
			Verb      string `json:"verb"`
			Entity    string `json:"entity"`
		}
		if json.Unmarshal([]byte(line), &l) != nil || l.Message == "" {
			continue // metrics, and what is not the function's
		}
		switch l.Message {
		case "answered":
			about[l.RequestID]++
		case "effect":
			effects[l.RequestID]++
			if l.Verb == "" || l.Entity == "" {
				t.Errorf("what was done to what: %s", line)
			}
		}
		if l.RequestID == "" {
			t.Errorf("of which invocation: %s", line)
		}
	}
	for request := range effects {
		if about[request] != 1 {
			t.Errorf("%d lines say what %s was about", about[request], request)
		}
	}
	if len(about) != 3 || len(effects) != 2 {
		t.Errorf("%d invocations, %d of them with effects", len(about), len(effects))
	}
}
