package metric_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/metric"
)

func TestWhatCloudWatchMakesOfASweep(t *testing.T) {
	swept := metric.Swept{Users: 7, Failed: 1, Findings: 4, Deactivated: 2, Deleted: 3}
	const day = 24 * time.Hour
	for _, age := range []time.Duration{0, 30*day - 1, 30 * day, 90*day - 1, 90 * day, 400 * day} {
		swept.Key(age)
	}
	var out bytes.Buffer
	(&metric.Sink{Function: "f", Out: &out}).Sweep(swept)
	want := map[string]float64{
		"Users of f": 7, "SweepFailures of f": 1, "Findings of f": 4, "Deactivated of f": 2, "Deleted of f": 3,
		"KeysUnder30Days of f": 2, "KeysUnder90Days of f": 2, "KeysOver90Days of f": 2,
	}
	if diff := cmp.Diff(want, published(t, out.String())); diff != "" {
		t.Error(diff)
	}
	var none *metric.Sink
	none.Sweep(swept)
}

func TestWhatCloudWatchMakesOfARotation(t *testing.T) {
	for failed, want := range map[bool]map[string]float64{
		false: {"Rotations of f": 1, "RotationFailures of f": 0},
		true:  {"Rotations of f": 0, "RotationFailures of f": 1},
	} {
		var out bytes.Buffer
		(&metric.Sink{Function: "f", Out: &out}).Rotation(failed)
		if diff := cmp.Diff(want, published(t, out.String())); diff != "" {
			t.Errorf("failed %t: %s", failed, diff)
		}
	}
}
