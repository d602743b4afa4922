package confinement

import (
	"encoding/json"
	"net/http"
	"strings"
)

// cloudFormation records a call that reads a stack. The role decides by the stack's ARN.
func (w *wire) cloudFormation() {
	if w.operation != "DescribeStackResource" {
		w.refuse("cloudformation %s", w.operation)
		return
	}
	w.needs("cloudformation:DescribeStackResource", w.form.Get("StackName"))
}

// sns records a message to a topic. If the topic has a KMS key of its own, SNS uses it in
// the caller's name. The request does not show whether it has one.
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func (w *wire) sns() {
	if w.operation != "Publish" {
		w.refuse("sns %s", w.operation)
		return
	}
	w.needs("sns:Publish", w.form.Get("TopicArn"))
	for _, use := range []string{"kms:GenerateDataKey", "kms:Decrypt"} {
		w.needs(use, w.Place.KeyARN(), ViaService("sns", w.Place))
	}
}

// events records events to EventBridge, which decides on each of them.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
func (w *wire) events(r *http.Request, body []byte) {
	_, w.operation, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var asked struct {
		Entries []struct{ Source, DetailType, EventBusName string }
	}
	if err := json.Unmarshal(body, &asked); err != nil || w.operation != "PutEvents" {
		w.refuse("events %s: %v", w.operation, err)
		return
	}
	for _, entry := range asked.Entries {
		if entry.EventBusName != "" {
			w.refuse("events to %s", entry.EventBusName)
		}
		w.needs("events:PutEvents", w.Place.RegionalARN("events", "event-bus/default"), Event(entry.Source, entry.DetailType))
	}
}

// Event returns the condition keys of an event.
func Event(source, detailType string) map[string][]string {
	return map[string][]string{"events:source": {source}, "events:detail-type": {detailType}}
}
