package resource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
	"cloney-s3-credentials/internal/spec"
)

const (
	stackID     = "arn:aws:cloudformation:eu-west-1:123456789012:stack/migration/51af3dc0-da77-11e4-872e-1234567db123"
	requestID   = "0c8ec1a3-1d8b-4a8a-b5c1-51f8c3a40cf5"
	responseURL = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack/migration/51af3dc0-da77-11e4-872e-1234567db123%7CSource%7C" + requestID + "?X-Amz-Signature=5167a7"
	physicalID  = "migration-Source-4kqgyhwxv6wn"         // what a Create of this resource answers with
	notCreated  = "not-created:" + physicalID             // where it has failed and made nothing
	notFinished = "not-finished:1c19bb0b72:" + physicalID // where nobody knows what it has made
	logStream   = "2026/11/24/[$LATEST]4459c970"
)

// world is a provisioner and a sender that write down what they are asked.
type world struct {
	create func(context.Context, plan.Desired) (provision.Result, error)
	update func(context.Context, plan.Desired) (provision.Result, error)
	delete func(context.Context, plan.Target) error
	send   func(context.Context, reply.Response) error
	left   error // why the provider's stack may not go; nil: it may

	mu      sync.Mutex
	did     []string
	sent    []reply.Response // as CloudFormation reads them
	log     bytes.Buffer
	hosts   []string
	refuse  bool // what is unbound
	closed  *resource.Closed
	allow   []string
	readers []string
	home    resource.Home

	metrics *metric.Sink
}

func (w *world) do(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did = append(w.did, what)
}

func (w *world) Create(ctx context.Context, want plan.Desired) (provision.Result, error) {
	w.do("Create")
	if w.create != nil {
		return w.create(ctx, want)
	}
	return stands(want), nil
}

func (w *world) Update(ctx context.Context, want plan.Desired) (provision.Result, error) {
	w.do("Update")
	if w.update != nil {
		return w.update(ctx, want)
	}
	return stands(want), nil
}

func (w *world) Delete(ctx context.Context, target plan.Target) error {
	w.do("Delete")
	if w.delete != nil {
		return w.delete(ctx, target)
	}
	return nil
}

func (w *world) MayGo(_ context.Context, of name.Owner) error {
	w.do("MayGo " + of.Logical)
	return w.left
}

func (w *world) Send(ctx context.Context, _ reply.Address, response reply.Response) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var read reply.Response
	if err := json.Unmarshal(response.Encode(), &read); err != nil {
		return err
	}
	w.sent = append(w.sent, read)
	if w.send != nil {
		return w.send(ctx, response)
	}
	return nil
}

func stands(want plan.Desired) provision.Result {
	return provision.Result{
		UserName:        want.Spec.UserName,
		UserARN:         "arn:aws:iam::123456789012:user/cloney/eu-west-1/" + want.Spec.UserName,
		PolicyARNs:      []string{"arn:p-1", "arn:p-2"},
		AccessKeyID:     "AKIAEXAMPLE",
		SecretARN:       "arn:secret",
		SecretName:      want.Spec.SecretName,
		SecretVersionID: "5f1c3d2e-0000-4000-8000-000000000001",
	}
}

func (w *world) handle(ctx context.Context, raw []byte) error {
	handler := resource.Handler{
		Provisioner:   w,
		Guard:         w,
		Sender:        w,
		Log:           slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Limits:        spec.Limits{AllowedBuckets: w.allow, AllowedReaders: w.readers},
		ResponseHosts: w.hosts,
		RefuseUnbound: w.refuse,
		Closed:        w.closed,
		Home:          w.home,
		Metrics:       w.metrics,
		LogStream:     logStream,
		Rotates:       true,
	}
	return handler.Handle(ctx, raw)
}

// answered handles an event and returns its only answer.
func (w *world) answered(t *testing.T, ctx context.Context, raw []byte) reply.Response {
	t.Helper()
	if err := w.handle(ctx, raw); err != nil {
		t.Errorf("an answered event ends in an error: %v", err)
	}
	if len(w.sent) != 1 {
		t.Fatalf("%d answers: %+v", len(w.sent), w.sent)
	}
	if strings.Contains(w.log.String(), "5167a7") {
		t.Errorf("the log holds the URL's query:\n%s", w.log.String())
	}
	return w.sent[0]
}

// event is a usable event, changed by the fields given; nil removes one.
func event(t testing.TB, requestType string, fields map[string]any) []byte {
	t.Helper()
	e := map[string]any{
		"RequestType": requestType, "RequestId": requestID, "ResponseURL": responseURL, "StackId": stackID,
		"ResourceType": "Custom::CloneyS3Credentials", "LogicalResourceId": "Source", "ServiceTimeout": "330",
		"ResourceProperties": properties(nil),
	}
	if requestType != "Create" {
		e["PhysicalResourceId"] = "the-id-that-came-in"
	}
	if requestType == "Update" {
		e["OldResourceProperties"] = properties(nil)
	}
	maps.Copy(e, fields)
	maps.DeleteFunc(e, func(_ string, value any) bool { return value == nil })
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func properties(more map[string]any) map[string]any {
	p := map[string]any{"ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:f", "ServiceTimeout": "330", "Access": "Source", "Buckets": []string{"data"}}
	maps.Copy(p, more)
	return p
}

// failed is the answer FAILED, its Reason aside.
func failed(id string) reply.Response {
	return reply.Response{Status: "FAILED", PhysicalResourceID: id, StackID: stackID, RequestID: requestID, LogicalResourceID: "Source"}
}

// isFailed fails unless the answer is FAILED under the id, says every one of
// the words, and names the log stream.
func isFailed(t *testing.T, got reply.Response, id string, words ...string) {
	t.Helper()
	reason := got.Reason
	got.Reason = ""
	if diff := cmp.Diff(failed(id), got); diff != "" {
		t.Error(diff)
	}
	for _, word := range append(words, logStream) {
		if !strings.Contains(reason, word) {
			t.Errorf("the reason %.500q does not say %q", reason, word)
		}
	}
	if strings.Contains(reason, "5167a7") {
		t.Errorf("the reason holds the URL's query: %s", reason)
	}
}
