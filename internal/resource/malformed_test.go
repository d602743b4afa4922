package resource_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/accesstest"
)

// An event that can be answered is answered, whatever else is wrong with it.
func TestMalformedButAnswerable(t *testing.T) {
	for label, c := range map[string]struct {
		requestType string
		fields      map[string]any
		word        string
	}{
		"no type":               {"Create", map[string]any{"RequestType": nil}, "RequestType is not one of Create, Update, Delete"},
		"unknown type":          {"Purge", nil, "RequestType is not one of"},
		"type in capitals":      {"CREATE", nil, "RequestType is not one of"},
		"type is a number":      {"Create", map[string]any{"RequestType": 1}, "RequestType has the wrong type"},
		"type is a list":        {"Create", map[string]any{"RequestType": []string{"Create"}}, "RequestType has the wrong type"},
		"no request id":         {"Create", map[string]any{"RequestId": nil}, "RequestId is missing"},
		"request id is a map":   {"Create", map[string]any{"RequestId": map[string]int{}}, "RequestId has the wrong type"},
		"long request id":       {"Create", map[string]any{"RequestId": strings.Repeat("r", 129)}, "RequestId is missing"},
		"request id, no tag":    {"Create", map[string]any{"RequestId": "0c8e\u00e9\n"}, "RequestId is missing"},
		"no logical id":         {"Create", map[string]any{"LogicalResourceId": nil}, "LogicalResourceId is not 1 to 255 letters and digits"},
		"odd logical id":        {"Create", map[string]any{"LogicalResourceId": "a/b"}, "LogicalResourceId is not"},
		"long logical id":       {"Create", map[string]any{"LogicalResourceId": strings.Repeat("L", 5000)}, "LogicalResourceId is not"},
		"no id to update":       {"Update", map[string]any{"PhysicalResourceId": nil}, "PhysicalResourceId is missing"},
		"no id to delete":       {"Delete", map[string]any{"PhysicalResourceId": nil}, "PhysicalResourceId is missing"},
		"empty id to delete":    {"Delete", map[string]any{"PhysicalResourceId": ""}, "PhysicalResourceId is missing"},
		"id is a number":        {"Delete", map[string]any{"PhysicalResourceId": 7}, "PhysicalResourceId has the wrong type"},
		"long id":               {"Delete", map[string]any{"PhysicalResourceId": strings.Repeat("p", 1025)}, "PhysicalResourceId is longer than 1024 bytes"},
		"id of a megabyte":      {"Update", map[string]any{"PhysicalResourceId": strings.Repeat("\x01", 1_000_000)}, "PhysicalResourceId is longer than 1024 bytes"},
		"properties: string":    {"Create", map[string]any{"ResourceProperties": "x"}, "ResourceProperties has the wrong type"},
		"properties: list":      {"Update", map[string]any{"ResourceProperties": []int{}}, "ResourceProperties has the wrong type"},
		"old properties: false": {"Update", map[string]any{"OldResourceProperties": false}, "OldResourceProperties has the wrong type"},
		"no properties":         {"Create", map[string]any{"ResourceProperties": nil}, "Access: is missing"},
		"all at once":           {"Create", map[string]any{"RequestType": 1, "RequestId": 1, "LogicalResourceId": 1, "ResourceProperties": 1}, "RequestId has the wrong type"},
	} {
		var w world
		got := w.answered(t, t.Context(), event(t, c.requestType, c.fields))
		if got.Status != "FAILED" || got.PhysicalResourceID == "" || got.StackID != stackID || !strings.Contains(got.Reason, c.word) || !strings.Contains(got.Reason, logStream) {
			t.Errorf("%s: %+v", label, got)
		}
		if len(w.did) > 0 {
			t.Errorf("%s: did %v", label, w.did)
		}
	}
}

// For an event that cannot be answered, nothing is changed and nothing is sent.
func TestNotAnswerable(t *testing.T) {
	without := func(fields map[string]any) []byte { return event(t, "Create", fields) }
	for label, raw := range map[string][]byte{
		"nothing":             nil,
		"not JSON":            []byte("{"),
		"two events":          append(event(t, "Create", nil), event(t, "Create", nil)...),
		"null":                []byte("null"),
		"list":                []byte("[]"),
		"string":              []byte(`"Create"`),
		"empty":               []byte("{}"),
		"scheduled":           []byte(`{"source": "aws.events", "detail-type": "Scheduled Event"}`),
		"too deep":            []byte(`{"ResponseURL": "` + responseURL + `", "StackId": "` + stackID + `", "x": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}"),
		"no URL":              without(map[string]any{"ResponseURL": nil}),
		"URL is a map":        without(map[string]any{"ResponseURL": map[string]any{"x": responseURL}}),
		"elsewhere":           without(map[string]any{"ResponseURL": "https://evil.example/?X-Amz-Signature=5167a7"}),
		"http":                without(map[string]any{"ResponseURL": strings.Replace(responseURL, "https", "http", 1)}),
		"no stack":            without(map[string]any{"StackId": nil}),
		"stack is a number":   without(map[string]any{"StackId": 7}),
		"not a stack":         without(map[string]any{"StackId": "x"}),
		"another region":      without(map[string]any{"StackId": strings.Replace(stackID, "eu-west-1", "us-west-2", 1)}),
		"another partition":   without(map[string]any{"StackId": strings.Replace(stackID, "arn:aws:", "arn:aws-cn:", 1)}),
		"the last URL counts": []byte(strings.TrimSuffix(string(without(nil)), "}") + `,"ResponseURL":"https://evil.example/"}`),
	} {
		var w world
		err := w.handle(t.Context(), raw)
		if err == nil || len(w.did) > 0 || len(w.sent) > 0 {
			t.Errorf("%s: %v, did %v, sent %+v", label, err, w.did, w.sent)
		} else if strings.Contains(err.Error()+w.log.String(), "5167a7") {
			t.Errorf("%s: %v\n%s", label, err, w.log.String())
		}
		if !strings.Contains(w.log.String(), "event refused") {
			t.Errorf("%s: the log says %q", label, w.log.String())
		}
	}
}

func TestOddButWellFormed(t *testing.T) {
	usual := string(event(t, "Create", nil))
	many := 200_000 / accesstest.OneIn(20)
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	for label, c := range map[string]struct{ raw, status, word string }{
		"duplicate type":  {strings.TrimSuffix(usual, "}") + `,"RequestType":"Create"}`, "SUCCESS", ""},
		"type twice":      {strings.TrimSuffix(usual, "}") + `,"RequestType":"Purge"}`, "FAILED", "RequestType is not one of"},
		"unknown fields":  {strings.TrimSuffix(usual, "}") + `,"Also":{"x":[1]}}`, "SUCCESS", ""},
		"a megabyte":      {strings.TrimSuffix(usual, "}") + `,"Also":"` + strings.Repeat("x", 1<<20) + `"}`, "SUCCESS", ""},
		"a large bucket":  {strings.Replace(usual, `["data"]`, `["`+strings.Repeat("x", 1<<20)+`"]`, 1), "FAILED", "Buckets[0]"},
		"many buckets":    {strings.Replace(usual, `["data"]`, `[`+strings.Repeat(`"NO",`, many)+`"NO"]`, 1), "FAILED", fmt.Sprint(many+1, " problems")},
		"deep properties": {strings.Replace(usual, `["data"]`, deep, 1), "FAILED", "Buckets[0]: is a list"},
		"deep elsewhere":  {strings.TrimSuffix(usual, "}") + `,"Also":` + deep + `}`, "SUCCESS", ""},
		"invalid UTF-8":   {strings.Replace(usual, `"data"`, "\"\xff\xfe\"", 1), "FAILED", "Buckets[0]"},
		"spaces":          {" \n" + usual + "\n ", "SUCCESS", ""},
	} {
		var w world
		got := w.answered(t, t.Context(), []byte(c.raw))
		if got.Status != c.status || !strings.Contains(got.Reason, c.word) {
			t.Errorf("%s: %s %.300q", label, got.Status, got.Reason)
		}
	}
	var w world
	raw := bytes.Replace(event(t, "Delete", nil), []byte("the-id-that-came-in"), []byte("id-\xff"), 1)
	if got := w.answered(t, t.Context(), raw); got.Status != "SUCCESS" || !strings.HasPrefix(got.PhysicalResourceID, "id-") {
		t.Errorf("%+v", got)
	}
	w = world{}
	if got := w.answered(t, t.Context(), event(t, "Delete", map[string]any{"ResourceType": 7})); got.Status != "SUCCESS" {
		t.Errorf("a Delete of a type that is a number: %+v", got)
	}
}

// A host of a local run gets a response even if the StackId cannot be read.
func TestALocalRunIsAnsweredWithoutAStack(t *testing.T) {
	w := world{hosts: []string{"127.0.0.1:4599"}}
	raw := event(t, "Create", map[string]any{"ResponseURL": "http://127.0.0.1:4599/x", "StackId": "x"})
	if err := w.handle(t.Context(), raw); err != nil || len(w.sent) != 1 || len(w.did) > 0 {
		t.Fatalf("%v, sent %+v, did %v", err, w.sent, w.did)
	}
	if got := w.sent[0]; got.Status != "FAILED" || got.StackID != "x" || !strings.Contains(got.Reason, "StackId is not the ARN of a CloudFormation stack") {
		t.Errorf("%+v", got)
	}
}
