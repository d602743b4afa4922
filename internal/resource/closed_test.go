package resource_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/resource"
)

// If a limit of the owner may be missing, no credentials are given, and every stack fails at
// once. A Delete is carried out: refused, it would leave a live key.
func TestAProviderWithoutItsSettingsGivesNothing(t *testing.T) {
	closed := &resource.Closed{Problem: errors.New("ALLOWED_BUCKETS is not set, or is empty")}
	for _, kind := range []string{"Custom::CloneyS3Credentials", guard.Type} {
		for _, requestType := range []string{"Create", "Update", "Delete"} {
			var out bytes.Buffer
			w := world{closed: closed, metrics: &metric.Sink{Function: "f", Out: &out}}
			fields := map[string]any{"ResourceType": kind}
			if kind == guard.Type {
				fields["ResourceProperties"] = map[string]any{}
			}
			err := w.handle(t.Context(), event(t, requestType, fields))
			if len(w.sent) != 1 {
				t.Fatalf("%s of %s: %d answers", requestType, kind, len(w.sent))
			}
			got := w.sent[0]
			if requestType == "Delete" {
				if err != nil || got.Status != "SUCCESS" {
					t.Errorf("Delete of %s: %v, %+v", kind, err, got)
				}
				continue
			}
			if err == nil || got.Status != "FAILED" || !strings.Contains(got.Reason, "ALLOWED_BUCKETS is not set") || !strings.Contains(got.Reason, "deploy it with another MemorySize") || len(w.did) > 0 {
				t.Errorf("%s of %s: %v, did %v, %+v", requestType, kind, err, w.did, got)
			}
			if strings.HasPrefix(got.PhysicalResourceID, "not-created:") {
				t.Errorf("%s: the Delete that follows would not look for what another delivery has made", requestType)
			}
			if !strings.Contains(out.String(), `"Cause":"Settings"`) {
				t.Error(out.String())
			}
		}
	}
}
