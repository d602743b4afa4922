package resource_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/resource"
)

// delivered is an event as Lambda gets it from a topic.
// https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
func delivered(t testing.TB, raw []byte) []byte {
	t.Helper()
	message, err := json.Marshal(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(`{"Records": [{
		"EventVersion": "1.0", "EventSource": "aws:sns",
		"EventSubscriptionArn": "arn:aws:sns:eu-west-1:123456789012:providers:21be56ed-a058-49f5-8c98-aedd2564c486",
		"Sns": {
			"Type": "Notification", "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:providers",
			"Subject": "AWS CloudFormation custom resource request", "Message": ` + string(message) + `,
			"Timestamp": "2026-06-01T12:00:00.000Z", "SignatureVersion": "1", "Signature": "EXAMPLE", "MessageAttributes": {},
			"SigningCertUrl": "https://sns.eu-west-1.amazonaws.com/x.pem", "UnsubscribeUrl": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe"
		}}]}`)
}

func TestAnEventThatATopicDelivers(t *testing.T) {
	for _, requestType := range []string{"Create", "Update", "Delete"} {
		var w, alone world
		got := w.answered(t, t.Context(), delivered(t, event(t, requestType, nil)))
		if diff := cmp.Diff(alone.answered(t, t.Context(), event(t, requestType, nil)), got); diff != "" || got.Status != "SUCCESS" {
			t.Errorf("%s: %s", requestType, diff)
		}
		if diff := cmp.Diff([]string{requestType}, w.did); diff != "" {
			t.Error(diff)
		}
	}
	// The least that makes a record.
	var w world
	message, _ := json.Marshal(string(event(t, "Create", nil)))
	if got := w.answered(t, t.Context(), []byte(`{"Records":[{"Sns":{"Message":`+string(message)+`}}]}`)); got.Status != "SUCCESS" {
		t.Errorf("%+v", got)
	}
	// What is wrong with the event is answered as if it had come alone.
	w = world{}
	if got := w.answered(t, t.Context(), delivered(t, event(t, "Create", map[string]any{"ResourceProperties": properties(map[string]any{"Access": "Sink"})}))); !strings.Contains(got.Reason, "is neither Source nor Destination") {
		t.Errorf("%+v", got)
	}
	// An event with records of its own is an event.
	w = world{}
	if got := w.answered(t, t.Context(), event(t, "Create", map[string]any{"Records": []int{1, 2}})); got.Status != "SUCCESS" {
		t.Errorf("%+v", got)
	}
}

// Nothing is done for records that are not one event of CloudFormation's, and the
// log says which they are.
func TestRecordsThatAreNoEvent(t *testing.T) {
	usual := event(t, "Create", nil)
	one := string(delivered(t, usual))
	two := strings.Replace(one, `"Records": [`, `"Records": [`+strings.TrimSuffix(strings.TrimPrefix(one, `{"Records": [`), "]}")+",", 1)
	const notOne = "the event is not one record of SNS"
	for label, c := range map[string]struct{ raw, says string }{
		"none":            {`{"Records": []}`, notOne},
		"null":            {`{"Records": null}`, notOne},
		"a map":           {`{"Records": {"Sns": {}}}`, notOne},
		"two":             {two, notOne},
		"SQS":             {`{"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}`, "another service than SNS"},
		"S3 in SNS dress": {strings.Replace(one, `"aws:sns"`, `"aws:s3"`, 1), "another service than SNS"},
		"source: a list":  {strings.Replace(one, `"aws:sns"`, `["aws:sns"]`, 1), notOne},
		"an object":       {`{"Records": [{"Sns": {"Message": {"RequestType": "Create"}}}]}`, notOne},
		"no message":      {`{"Records": [{"EventSource": "aws:sns", "Sns": {}}]}`, "the message in the SNS record is not a JSON object"},
		"a text":          {string(delivered(t, []byte("hello"))), "the message in the SNS record is not a JSON object"},
		"twice":           {string(delivered(t, delivered(t, usual))), "the message in the SNS record is another record"},
		"another host":    {string(delivered(t, event(t, "Create", map[string]any{"ResponseURL": "https://evil.example/?X-Amz-Signature=5167a7"}))), "ResponseURL"},
		"another stack":   {string(delivered(t, event(t, "Create", map[string]any{"StackId": strings.Replace(stackID, "eu-west-1", "us-west-2", 1)}))), "StackId is in region us-west-2"},
	} {
		w := world{home: resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012"}}}
		err := w.handle(t.Context(), []byte(c.raw))
		if err == nil || len(w.did)+len(w.sent) > 0 || strings.Contains(w.log.String(), "5167a7") || !strings.Contains(w.log.String(), "event refused") {
			t.Errorf("%s: %v, did %v, sent %+v, log %s", label, err, w.did, w.sent, w.log.String())
		} else if !strings.Contains(w.log.String(), c.says) {
			t.Errorf("%s: the log says %s", label, w.log.String())
		}
	}
	// Whose stack it is counts for what a topic delivers too.
	w := world{home: resource.Home{Region: "eu-west-1", Accounts: []string{"123456789012"}}}
	if got := w.answered(t, t.Context(), delivered(t, event(t, "Create", map[string]any{"StackId": foreign}))); got.Status != "FAILED" || len(w.did) > 0 {
		t.Errorf("did %v: %+v", w.did, got)
	}
}

// FuzzDelivered: whatever a topic delivers comes to the same as if it had come
// alone; unless it was in a record already.
func FuzzDelivered(f *testing.F) {
	for _, requestType := range []string{"Create", "Update", "Delete", "Purge"} {
		f.Add(string(event(f, requestType, nil)))
		f.Add(string(delivered(f, event(f, requestType, nil))))
	}
	f.Add(string(event(f, "Create", map[string]any{"ResponseURL": "https://evil.example/x"})))
	f.Add(string(event(f, "Create", map[string]any{"ResponseURL": nil, "Records": []any{}})))
	f.Add(`{"Records": [{}], "ResponseURL": null}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		// An event that comes too late is answered late: in made-up time.
		synctest.Test(t, func(t *testing.T) { comesToTheSame(t, []byte(strings.ToValidUTF8(text, "?"))) })
	})
}

func comesToTheSame(t *testing.T, raw []byte) {
	handle := func(raw []byte) (*recorder, bool) {
		r := &recorder{t: t}
		handler := resource.Handler{Provisioner: r, Sender: r, Log: slog.New(slog.NewJSONHandler(&r.log, nil)), ResponseHosts: []string{"127.0.0.1:4599"}, LogStream: logStream}
		err := handler.Handle(t.Context(), raw)
		r.logged(raw)
		return r, err == nil
	}
	alone, done := handle(raw)
	inRecord, doneInRecord := handle(delivered(t, raw))
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields)
	if _, records := fields["Records"]; records && fields["ResponseURL"] == nil {
		if len(inRecord.sent)+len(inRecord.did) > 0 {
			t.Errorf("a record in a record: did %v, sent %+v", inRecord.did, inRecord.sent)
		}
		return
	}
	if done != doneInRecord || !cmp.Equal(alone.did, inRecord.did) || !cmp.Equal(alone.sent, inRecord.sent) {
		t.Errorf("alone: did %v, sent %+v\nin a record: did %v, sent %+v", alone.did, alone.sent, inRecord.did, inRecord.sent)
	}
}
