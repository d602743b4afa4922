package resource_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
)

// recorder counts answers, and checks each.
type recorder struct {
	world
	t testing.TB
}

// logged checks what went into the log. A panic is answered like any failure;
// the log alone tells.
func (r *recorder) logged(raw []byte) {
	if text := r.log.String(); strings.Contains(text, `"msg":"panic"`) {
		r.t.Errorf("panicked: %s", text)
	} else if strings.Count(string(raw), "5167a7") == 1 && strings.Contains(text, "5167a7") {
		r.t.Errorf("the URL's query is in the log: %s", text)
	}
}

func (r *recorder) Send(_ context.Context, _ reply.Address, response reply.Response) error {
	body := response.Encode()
	var read reply.Response
	if err := json.Unmarshal(body, &read); err != nil || len(body) > reply.MaxBytes {
		r.t.Errorf("%v: %d bytes: %s", err, len(body), body)
	}
	if read.PhysicalResourceID == "" || read.Status != reply.Success && (read.Status != reply.Failed || read.Reason == "") {
		r.t.Errorf("CloudFormation does not take %s", body)
	}
	r.sent = append(r.sent, read)
	return nil
}

// FuzzHandle: whatever comes in, it does not panic, and it is answered once or
// not at all; never when its ResponseURL is not CloudFormation's.
func FuzzHandle(f *testing.F) {
	for _, requestType := range []string{"Create", "Update", "Delete", "Purge"} {
		f.Add(event(f, requestType, nil))
	}
	f.Add(event(f, "Create", map[string]any{"ResponseURL": "https://evil.example/x"}))
	f.Add(event(f, "Update", map[string]any{"RequestId": 1, "LogicalResourceId": nil, "PhysicalResourceId": []int{1}, "OldResourceProperties": "x"}))
	f.Add(event(f, "Delete", map[string]any{"ResponseURL": "http://127.0.0.1:4599/x", "StackId": "x"}))
	f.Add([]byte(`{"RequestType": "Create", "RequestType": "Delete", "ResponseURL": null}`))
	f.Add([]byte("[" + strings.Repeat(`{"a":`, 50) + "\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := recorder{t: t}
		handler := resource.Handler{
			Provisioner: &r, Sender: &r, Log: slog.New(slog.NewJSONHandler(&r.log, nil)),
			ResponseHosts: []string{"127.0.0.1:4599"}, LogStream: logStream,
		}
		err := handler.Handle(t.Context(), raw)
		if len(r.sent) > 1 || len(r.did) > 1 || (err == nil) != (len(r.sent) == 1) {
			t.Errorf("%v, did %v, sent %+v", err, r.did, r.sent)
		}
		r.logged(raw)
		if (len(r.sent) > 0 || len(r.did) > 0) && !answerable(raw) {
			t.Errorf("answered: %q", raw)
		}
	})
}

// answerable judges an event's ResponseURL in its own way.
func answerable(raw []byte) bool {
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return false
	}
	text, _ := fields["ResponseURL"].(string)
	to, err := url.Parse(text)
	if err != nil {
		return false
	}
	if to.Host == "127.0.0.1:4599" {
		return to.Scheme == "http" || to.Scheme == "https"
	}
	stack, _ := fields["StackId"].(string)
	parts := strings.Split(stack, ":")
	return len(parts) > 3 && to.Scheme == "https" && to.User == nil &&
		strings.HasPrefix(to.Host, "cloudformation-custom-resource-response-"+strings.ReplaceAll(parts[3], "-", "")+".s3") &&
		awsDomain.MatchString(to.Host)
}

var awsDomain = regexp.MustCompile(`\.(amazonaws\.(com(\.cn)?|eu)|ic\.gov|sgov\.gov|adc-e\.uk)$`)
