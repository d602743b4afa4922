package probe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/edge/edgetest"
	"cloney-s3-credentials/internal/probe"
	"cloney-s3-credentials/internal/reply"
)

func named(n int, format string) (places []access.Place) {
	for i := range n {
		places = append(places, access.Place(fmt.Sprintf(format, i)))
	}
	return places
}

// Buckets that have to wait give their slot among the ten to the others.
func TestDeniedBucketsHoldNobodyUp(t *testing.T) {
	started := time.Time{}
	var last time.Duration
	fake := cloud{say: func(kind, bucket string, _ int) *answer {
		switch {
		case kind == "identity":
			started = time.Now()
		case bucket < "bucket-020":
			return failing(403, "AccessDenied")
		default:
			last = time.Since(started)
		}
		return nil
	}}
	took, err := prove(t, &fake, access.Scope{Source: true, Places: named(200, "bucket-%03d")})
	if err == nil || took != 90*time.Second || !strings.HasPrefix(err.Error(), "Buckets: 20 of 200 buckets cannot be used: ") || last > 5*time.Second {
		t.Errorf("after %v, the others after %v: %v", took, last, err)
	}
}

// S3 at its slowest: every call takes a second, and ten run at once.
func TestTwoHundredSlowBuckets(t *testing.T) {
	if accesstest.OneIn(2) > 1 {
		// Go's race detector itself ended one run in ten here ("ThreadSanitizer: CHECK
		// failed"). TestConnectionsAreFewAndClosed shows it the same, with fewer buckets.
		t.Skip("make units plays it, without the race detector")
	}
	for until, enough := range map[time.Duration]bool{270 * time.Second: true, 60 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			var crowd crowd
			cfg := crowd.watch(t, func(to http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Second)
				inTheRole(to, r)
			})
			ctx, cancel := context.WithTimeout(t.Context(), until)
			defer cancel()
			began := time.Now()
			err := probe.New(cfg, slog.New(slog.DiscardHandler), probe.Options{}).Prove(ctx, key(), access.Scope{Source: true, Places: named(200, "bucket-%03d")}, access.Subject{})
			var answered int
			_, _ = fmt.Sscanf(fmt.Sprint(err), "Buckets: the function's time was up when %d of 200 buckets had answered; try again", &answered)
			if took := time.Since(began); took > until || (err == nil) != enough || err != nil && answered < 40 {
				t.Errorf("%v: %v after %v", until, err, took)
			}
			if peak := crowd.peak(); peak != looksAtOnce {
				t.Errorf("%d looks at one time", peak)
			}
			time.Sleep(time.Minute) // the server has answered all requests
		})
	}
}

// Whatever fails, the response to CloudFormation has room for all of the error.
func TestTheLongestErrorFitsAnAnswer(t *testing.T) {
	long := strings.Repeat("n", 55)
	codes := []string{"NoSuchBucket", "AccessDenied", "KMS.DisabledException", "KMS.NotFoundException", "SlowDown", "InvalidAccessKeyId", "AllAccessDisabled", "Strange"}
	for i := range 40 {
		codes = append(codes, fmt.Sprintf("KMS.Strange%dException", i))
	}
	fake := cloud{subject: access.Subject{MadeUp: true}, say: func(kind, bucket string, _ int) *answer {
		if kind == "identity" {
			return nil
		}
		var i int
		_, _ = fmt.Sscanf(strings.TrimPrefix(bucket, long), "-%03d", &i)
		return failing(400, codes[i%len(codes)])
	}}
	// In 20 seconds each is looked at often enough; 90 cost four times the CPU.
	_, err := proveWithin(t, 20*time.Second, &fake, access.Scope{Source: true, Destination: true, Owner: "210987654321", Places: named(120, long+"-%03d")})
	for _, word := range []string{"Buckets: 120 of 120 buckets cannot be used: (1) ", "there is no such bucket", "AllAccessDisabled", "KMS.DisabledException", "for other reasons, see the log", "The user is "} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Fatalf("%q is not said: %v", word, err)
		}
	}
	response := reply.Response{
		Status: reply.Failed, PhysicalResourceID: strings.Repeat("u", 64), LogicalResourceID: strings.Repeat("L", 255),
		StackID:   "arn:aws-us-gov:cloudformation:us-gov-west-1:123456789012:stack/" + strings.Repeat("s", 128) + "/51af3dc0-da77-11e4-872e-1234567db123",
		RequestID: "0c8ec1a3-1d8b-4a8a-b5c1-51f8c3a40cf5",
		Reason:    err.Error(),
		Where:     " (log stream 2026/11/24/[$LATEST]4459c970fa6d4c77aca62c95850fce54)",
	}
	var got reply.Response
	if err := json.Unmarshal(response.Encode(), &got); err != nil || got.Reason != response.Reason+response.Where {
		t.Errorf("%d bytes are cut: %v %s", len(response.Reason), err, got.Reason)
	}
}

// Where a denial is expected, only authentication is asked for, and the log says why.
func TestExpectedDenials(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // synctest's
	for label, c := range map[string]struct {
		ips   []string
		until time.Time
		asked bool
		says  string
	}{
		"SourceIps":      {[]string{"192.0.2.1"}, time.Time{}, false, "SourceIps is set"},
		"past":           {nil, now.Add(-time.Hour), false, "ExpiresAt has passed"},
		"both":           {[]string{"192.0.2.1"}, now.Add(-time.Hour), false, "ExpiresAt has passed"},
		"at this moment": {nil, now, false, "ExpiresAt has passed"},
		"close by":       {nil, now.Add(23 * time.Hour), true, "access ends in 23h"},
		"far":            {nil, now.Add(25 * time.Hour), true, "outcome=summary"},
	} {
		scope := both
		scope.SourceIPs, scope.ExpiresAt = c.ips, c.until
		var fake cloud
		_, err := prove(t, &fake, scope)
		if asked := len(fake.calls) > 3; err != nil || asked != c.asked || !strings.Contains(fake.log.String(), c.says) {
			t.Errorf("%s: %v, %v\n%s", label, err, fake.calls, fake.log.String())
		}
		if label == "far" && strings.Contains(fake.log.String(), "access ends") {
			t.Errorf("told long before: %s", fake.log.String())
		}
	}
	// A parameter of the provider may cause denials for every user.
	var fake cloud
	fake.options.SourceCIDRs = true
	if _, err := prove(t, &fake, both); err != nil || len(fake.calls) > 3 || strings.Count(fake.log.String(), "level=WARN") != 1 || !strings.Contains(fake.log.String(), "SourceCidrs of the provider's stack is set") {
		t.Errorf("SourceCidrs: %v, %v\n%s", err, fake.calls, fake.log.String())
	}
	fake = cloud{say: func(string, string, int) *answer { return unknownKey() }}
	scope := both
	scope.SourceIPs = []string{"192.0.2.1"}
	if _, err := prove(t, &fake, scope); err == nil {
		t.Error("a key that does not authenticate is proven")
	}
}

// If one look passes, the next one may fail.
func TestTwiceInARow(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "read" && (n == 2 || n == 4) {
			return failing(403, "AccessDenied")
		}
		return nil
	}}
	if took, err := prove(t, &fake, source); err != nil || took > 10*time.Second || fake.counts["read data"] != 6 {
		t.Errorf("%v after %v and %d reads", err, took, fake.counts["read data"])
	}
}

// A policy that comes into force a little later leaves no note of a doubt about reading.
func TestALatePolicyLeavesNoDoubt(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "read" && n < 4 {
			return failing(403, "AccessDenied")
		}
		return nil
	}}
	scope := access.Scope{Source: true, Places: []access.Place{"data/in/"}}
	if took, err := prove(t, &fake, scope); err != nil || took > 10*time.Second || strings.Contains(fake.log.String(), "not proven") || fake.counts["read data/in/"] != 5 {
		t.Errorf("%v after %v, %v\n%s", err, took, fake.counts, fake.log.String())
	}
}

// The redirect of a bucket is followed once, not for each of its places.
func TestPlacesShareTheirBucket(t *testing.T) {
	fake := cloud{home: "ap-southeast-2"}
	places := named(20, "data/%03d/")
	if took, err := prove(t, &fake, access.Scope{Source: true, Places: places}); err != nil || took > 5*time.Second || fake.counts["list data/000/"] != 3 || fake.counts["list data/001/"] != 2 {
		t.Errorf("%v after %v: %v", err, took, fake.counts)
	}
	gone := cloud{say: func(kind, _ string, _ int) *answer {
		if kind == "identity" {
			return nil
		}
		return failing(404, "NoSuchBucket")
	}}
	_, err := prove(t, &gone, access.Scope{Source: true, Places: places[:2]})
	want := "Buckets: 2 of 2 buckets and prefixes cannot be used: data/000/, data/001/: there is no such bucket; create it first, correct the name, or take it out of Buckets"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" || len(gone.calls) != 3+4*2+1 {
		t.Errorf("%v %s", gone.calls, diff)
	}
}

// Every call has to name the owner of the bucket: without it, S3 does not check the owner.
func TestTheOwnerIsAskedFor(t *testing.T) {
	aws := &server{count: map[string]int{}, live: map[string]bool{}, say: func(q request) *s3Answer {
		if q.owner != "210987654321" {
			t.Errorf("%s asks for owner %q", q.kind, q.owner)
		}
		return nil
	}}
	scope := both
	scope.Owner = "210987654321"
	synctest.Test(t, func(t *testing.T) {
		cfg, _ := new(edgetest.AWS).OverWire(t, aws)
		if err := probe.New(cfg, slog.New(slog.DiscardHandler), probe.Options{}).Prove(t.Context(), key(), scope, access.Subject{}); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
	})
}
