package metric_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/metric"
)

// document is the embedded metric format, strictly: what CloudWatch does not
// know in there it may refuse.
type document struct {
	Timestamp         int64
	CloudWatchMetrics []struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []struct{ Name, Unit string }
	}
}

// units are those of CloudWatch that we use.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
var units = []string{"Count", "Milliseconds", "Seconds"}

// published reads a line as CloudWatch does: the values by metric and dimensions.
func published(t *testing.T, line string) map[string]float64 {
	t.Helper()
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		t.Fatalf("not one line: %q", line)
	}
	var root map[string]json.RawMessage
	if err := json.Unmarshal([]byte(line), &root); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(root["_aws"]))
	decoder.DisallowUnknownFields()
	var d document
	if err := decoder.Decode(&d); err != nil || len(d.CloudWatchMetrics) == 0 {
		t.Fatalf("%v: %s", err, line)
	}
	values := map[string]float64{}
	for _, directive := range d.CloudWatchMetrics {
		if directive.Namespace != "CloneyS3Credentials" || len(directive.Dimensions) == 0 || len(directive.Metrics) == 0 {
			t.Errorf("%+v", directive)
		}
		for _, dimensions := range directive.Dimensions {
			var of []string
			for _, dimension := range dimensions {
				var value string
				if err := json.Unmarshal(root[dimension], &value); err != nil || value == "" {
					t.Errorf("dimension %s: %v", dimension, err)
				}
				of = append(of, value)
			}
			for _, m := range directive.Metrics {
				var value float64
				if err := json.Unmarshal(root[m.Name], &value); err != nil || !slices.Contains(units, m.Unit) {
					t.Errorf("metric %+v: %v", m, err)
				}
				name := m.Name + " of " + strings.Join(of, ", ")
				if _, twice := values[name]; twice {
					t.Errorf("%s twice", name)
				}
				values[name] = value
			}
		}
	}
	return values
}

func TestWhatCloudWatchMakesOfALine(t *testing.T) {
	counts := metric.Counts{Requests: 20, Retries: 3, Issued: 1, Retired: 2, Warnings: 4, Unbound: 5}
	usual := map[string]float64{
		"Duration of f": 1500, "AwsRequests of f": 20, "AwsRetries of f": 3, "KeysIssued of f": 1, "KeysRetired of f": 2, "Warnings of f": 4, "Unbound of f": 5, "Failures of f": 0,
	}
	for label, c := range map[string]struct {
		told metric.Told
		more map[string]float64
	}{
		"create":       {metric.Told{Type: "Create"}, map[string]float64{"Creates of f": 1}},
		"update":       {metric.Told{Type: "Update"}, map[string]float64{"Updates of f": 1}},
		"delete":       {metric.Told{Type: "Delete"}, map[string]float64{"Deletes of f": 1}},
		"unknown type": {metric.Told{Type: "_aws", Cause: metric.Event}, map[string]float64{"Failures of f": 1, "Failures of f, Event": 1}},
		"failure":      {metric.Told{Type: "Create", Cause: metric.Denied}, map[string]float64{"Creates of f": 1, "Failures of f": 1, "Failures of f, Denied": 1}},
		"verified": {metric.Told{Type: "Create", Counts: metric.Counts{Verified: true, Verifying: 2500 * time.Millisecond}},
			map[string]float64{"Creates of f": 1, "VerificationSeconds of f": 2.5}},
	} {
		var out bytes.Buffer
		c.told.Took = 1500 * time.Millisecond
		c.told.Requests, c.told.Retries, c.told.Issued, c.told.Retired, c.told.Warnings, c.told.Unbound = counts.Requests, counts.Retries, counts.Issued, counts.Retired, counts.Warnings, counts.Unbound
		(&metric.Sink{Function: "f", Out: &out}).Tell(c.told)
		want := map[string]float64{}
		for _, values := range []map[string]float64{usual, c.more} {
			for name, value := range values {
				want[name] = value
			}
		}
		if diff := cmp.Diff(want, published(t, out.String())); diff != "" {
			t.Errorf("%s: %s", label, diff)
		}
	}
}

func TestTheTimestampIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		(&metric.Sink{Function: "f", Out: &out}).Tell(metric.Told{})
		var line struct {
			AWS document `json:"_aws"`
		}
		// In milliseconds: CloudWatch drops what is two weeks off.
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.AWS.Timestamp != time.Now().UnixMilli() {
			t.Errorf("%v: %s", err, out.String())
		}
	})
}

func TestNobodyCounts(t *testing.T) {
	metric.Request(t.Context())
	metric.Done(t.Context(), "CreateAccessKey")
	var none *metric.Sink
	none.Tell(metric.Told{})
}

func TestCountingFromManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, tally := metric.Start(t.Context())
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				started := time.Now()
				metric.Request(ctx)
				metric.Retry(ctx)
				metric.Done(ctx, "CreateAccessKey")
				metric.Done(ctx, "DeleteAccessKey")
				metric.Done(ctx, "DeleteUser")
				time.Sleep(time.Second)
				metric.Verified(ctx, started)
				_ = tally.Counts()
			})
		}
		all.Wait()
		want := metric.Counts{Requests: 100, Retries: 100, Issued: 100, Retired: 100, Verified: true, Verifying: 100 * time.Second}
		if diff := cmp.Diff(want, tally.Counts()); diff != "" {
			t.Error(diff)
		}
	})
}
