package probe_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
)

var (
	source      = access.Scope{Source: true, Places: []access.Place{"data"}}
	destination = access.Scope{Destination: true, Places: []access.Place{"data"}}
	both        = access.Scope{Source: true, Destination: true, Places: []access.Place{"data"}}
)

// prove proves the key in made-up time, and returns how long that took.
func prove(t *testing.T, c *cloud, scope access.Scope) (took time.Duration, err error) {
	t.Helper()
	return proveWithin(t, time.Hour, c, scope)
}

// proveWithin is prove, where the function's time is up after a while.
func proveWithin(t *testing.T, most time.Duration, c *cloud, scope access.Scope) (took time.Duration, err error) {
	t.Helper()
	c.t = t
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		started := time.Now()
		err = prober(c).Prove(ctx, key(), scope, c.subject)
		took = time.Since(started)
	})
	if len(c.live) > 0 {
		t.Errorf("uploads are left: %v", c.live)
	}
	for _, untold := range []string{secret, "AWS's own words", "someones-object"} {
		if strings.Contains(fmt.Sprint(err, c.log.String()), untold) {
			t.Errorf("%q is told: %v\n%s", untold, err, c.log.String())
		}
	}
	return took, err
}

func TestWhatIsSentForEachRole(t *testing.T) {
	for label, c := range map[string]struct {
		scope access.Scope
		want  []string
	}{
		"Source":      {source, []string{"list data", "read data", "list data", "locate data", "read data"}},
		"Destination": {destination, []string{"list data", "begin data", "abort data", "list data", "locate data", "begin data", "abort data", "acl data", "abort data"}},
		"both": {both, []string{"list data", "read data", "begin data", "abort data", "list data", "locate data", "read data", "begin data", "abort data",
			"acl data", "abort data"}},
		"a prefix": {access.Scope{Source: true, Places: []access.Place{"data/in/$*? ü"}}, []string{"list data/in/$*? ü", "read data/in/$*? ü", "list data/in/$*? ü", "locate data", "read data/in/$*? ü"}},
		"prefixes of one bucket": {access.Scope{Destination: true, Places: []access.Place{"data/in/", "data/out"}}, []string{
			"list data/in/", "begin data/in/", "abort data/in/", "list data/out", "begin data/out", "abort data/out",
			"list data/in/", "locate data", "begin data/in/", "abort data/in/", "acl data/in/", "abort data/in/", "list data/out", "begin data/out", "abort data/out"}},
	} {
		var fake cloud
		took, err := prove(t, &fake, c.scope)
		if diff := cmp.Diff(c.want, ofBuckets(&fake)); err != nil || diff != "" || took > 300*time.Millisecond || fake.counts["identity "] != 3 {
			t.Errorf("%s: %v after %v\n%s", label, err, took, diff)
		}
	}
}

// ofBuckets are the calls on buckets, without those on STS.
func ofBuckets(c *cloud) []string {
	return slices.DeleteFunc(slices.Clone(c.calls), func(call string) bool { return call == "identity" })
}

// If one host knows the key, the next one may not.
func TestThreeTimesInARow(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "identity" && (n < 3 || n == 5) {
			return unknownKey()
		}
		return nil
	}}
	if took, err := prove(t, &fake, source); err != nil || took > 30*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if got := fake.counts["identity "]; got != 8 {
		t.Errorf("asked %d times, want 2 refusals, 2 successes, 1 refusal, 3 successes", got)
	}
}

func TestAKeyThatNeverAuthenticates(t *testing.T) {
	fake := cloud{say: func(kind, _ string, _ int) *answer { return unknownKey() }}
	took, err := prove(t, &fake, both)
	if err == nil || took != 90*time.Second {
		t.Fatalf("%v after %v", err, took)
	}
	if isObstacles(err) {
		t.Error("a rollback would take it for what a bucket lacks, and give the key out")
	}
	for _, word := range []string{keyID, "did not authenticate within 90 seconds", "InvalidClientTokenId", "try again"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
	if slices.ContainsFunc(fake.calls, func(call string) bool { return call != "identity" }) {
		t.Errorf("a bucket was asked with a key that does not work: %v", fake.calls)
	}
}

// isObstacles reports whether the key works and buckets are in the way.
func isObstacles(err error) bool {
	var obstacles access.Obstacles
	return errors.As(err, &obstacles)
}

// The answers to a new key, until S3 knows the key and its policy.
func TestWaitingForS3(t *testing.T) {
	// From the third look on, a denial does not keep the rest from being asked.
	begun := map[string]int{"list AccessDenied": 3, "read AccessDenied": 3}
	for _, code := range []string{"InvalidAccessKeyId", "AccessDenied", "SignatureDoesNotMatch", "SlowDown", "InternalError", "ServiceUnavailable"} {
		for _, slow := range []string{"list", "read", "begin", "abort"} {
			fake := cloud{say: func(kind, _ string, n int) *answer {
				if kind == slow && n < 4 {
					return failing(403, code)
				}
				return nil
			}}
			if took, err := prove(t, &fake, both); err != nil || took < 3*time.Second || took > 30*time.Second {
				t.Errorf("%s, %s: %v after %v", slow, code, err, took)
			}
			if want := begun[slow+" "+code]; fake.counts["begin data"] != max(2, want, map[string]int{"begin": 5, "abort": 3}[slow]) {
				t.Errorf("%s, %s: %d uploads were begun", slow, code, fake.counts["begin data"])
			}
		}
	}
}

// Not at the first look: some hosts of S3 may not know a bucket that the same stack has just
// created.
func TestNoSuchBucketIsSoonBelieved(t *testing.T) {
	fake := cloud{say: func(kind, bucket string, _ int) *answer {
		if bucket == "gone" {
			return failing(404, "NoSuchBucket")
		}
		return nil
	}}
	took, err := prove(t, &fake, access.Scope{Source: true, Destination: true, Places: []access.Place{"data", "gone", "logs"}})
	if err == nil || took > 10*time.Second || fake.counts["list gone"] != 5 {
		t.Fatalf("%v after %v, %v", err, took, fake.counts)
	}
	if !isObstacles(err) {
		t.Error("a rollback would fail for it")
	}
	if want := "Buckets: 1 of 3 buckets cannot be used: gone: there is no such bucket; create it first, correct the name, or take it out of Buckets"; err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Once a bucket has failed for good, so has the proof. The others are polled only until
// AWS has surely learned of their policies: a late policy is not reported as a denial.
func TestAProofThatIsLostEndsSoon(t *testing.T) {
	for label, c := range map[string]struct {
		code    string        // of the bucket that fails for good
		allowed time.Duration // from then on the other bucket allows everything
		took    [2]time.Duration
		says    string
	}{
		"nothing else is open":        {"NoSuchBucket", 0, [2]time.Duration{7 * time.Second, 10 * time.Second}, "Buckets: 1 of 2 buckets cannot be used: gone: "},
		"AWS has closed a bucket":     {"AllAccessDisabled", 0, [2]time.Duration{7 * time.Second, 10 * time.Second}, "Buckets: 1 of 2 buckets cannot be used: gone: "},
		"a policy is late":            {"NoSuchBucket", 20 * time.Second, [2]time.Duration{20 * time.Second, 30 * time.Second}, "Buckets: 1 of 2 buckets cannot be used: gone: "},
		"the other is denied":         {"NoSuchBucket", time.Hour, [2]time.Duration{30 * time.Second, 35 * time.Second}, "Buckets: 2 of 2 buckets cannot be used: (1) gone: there is no such bucket; "},
		"a denial alone is not final": {"AccessDenied", 0, [2]time.Duration{90 * time.Second, 90 * time.Second}, "Buckets: 1 of 2 buckets cannot be used: gone: the key may not "},
	} {
		var started time.Time
		fake := cloud{say: func(kind, bucket string, n int) *answer {
			if kind == "identity" && n == 1 {
				started = time.Now()
			}
			switch {
			case kind == "identity":
			case bucket == "gone":
				return failing(403, c.code)
			case time.Since(started) < c.allowed:
				return failing(403, "AccessDenied")
			}
			return nil
		}}
		took, err := prove(t, &fake, access.Scope{Source: true, Places: []access.Place{"data", "gone"}})
		if took < c.took[0] || took > c.took[1] || err == nil || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: after %v: %v", label, took, err)
		}
		if both := "; (2) data: the key may not list it"; err != nil && strings.Contains(err.Error(), both) != (c.allowed == time.Hour) {
			t.Errorf("%s: %v", label, err)
		}
	}
}

// A Deny is reported once waiting has not helped.
func TestDeniedForGood(t *testing.T) {
	for denied, purpose := range map[string]string{"list": "list it", "read": "read from it", "begin": "write to it"} {
		fake := cloud{say: func(kind, bucket string, _ int) *answer {
			if kind == denied && bucket == "shut" {
				return failing(403, "AccessDenied")
			}
			return nil
		}}
		took, err := prove(t, &fake, access.Scope{Source: true, Destination: true, Places: []access.Place{"data", "shut"}})
		if err == nil || took != 90*time.Second {
			t.Fatalf("%s: %v after %v", denied, err, took)
		}
		for word, want := range map[string]bool{
			"1 of 2 buckets": true, "shut: the key may not " + purpose: true, "the bucket's policy has a Deny": true,
			"another account owns the bucket": true, "The user is arn:aws:iam::123456789012:user/x": true, "KMS key": denied == "begin",
		} {
			if strings.Contains(err.Error(), word) != want {
				t.Errorf("%s: %v does not say %q", denied, err, word)
			}
		}
	}
}

// A place whose last look passed gets the second look that it needs, and no more.
func TestALookThatPassesAtTheVeryEnd(t *testing.T) {
	for label, c := range map[string]struct {
		until time.Duration // no longer denied from then on
		again time.Duration // denied again from then on
		works bool
	}{
		"works from then on": {90 * time.Second, time.Hour, true},
		"works once":         {90 * time.Second, 90*time.Second + 1, false},
		"never":              {91 * time.Second, time.Hour, false},
	} {
		var started time.Time
		fake := cloud{say: func(kind, _ string, n int) *answer {
			if kind == "identity" && n == 1 {
				started = time.Now()
			}
			if since := time.Since(started); kind == "list" && (since < c.until || since >= c.again) {
				return failing(403, "AccessDenied")
			}
			return nil
		}}
		took, err := prove(t, &fake, source)
		if (err == nil) != c.works || took < 90*time.Second || took > 92*time.Second {
			t.Errorf("%s: %v after %v", label, err, took)
		} else if err != nil && (!strings.Contains(err.Error(), `Buckets: "data" cannot be used: the key may not list it`) || strings.Contains(err.Error(), "time was up")) {
			t.Errorf("%s: %v", label, err)
		}
	}
}

func TestABucketElsewhere(t *testing.T) {
	for _, status := range []int{301, 400} {
		code := map[int]string{301: "PermanentRedirect", 400: "AuthorizationHeaderMalformed"}[status]
		fake := cloud{home: "ap-southeast-2"}
		fake.say = func(kind, _ string, n int) *answer {
			if kind == "list" && n == 1 {
				a := failing(status, code)
				a.region = fake.home
				return a
			}
			return nil
		}
		took, err := prove(t, &fake, both)
		want := []string{"list data", "list data", "read data", "begin data", "abort data",
			"list data", "locate data", "read data", "begin data", "abort data", "acl data", "abort data"}
		if diff := cmp.Diff(want, ofBuckets(&fake)); err != nil || diff != "" || took > 300*time.Millisecond {
			t.Errorf("%s: %v after %v\n%s", code, err, took, diff)
		}
	}
}

// Two regions that redirect to each other, and a region that S3 does not name.
func TestABucketNowhere(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "identity" {
			return nil
		}
		a := failing(301, "PermanentRedirect")
		a.region = fmt.Sprintf("us-west-%d", 1+n%2)
		return a
	}}
	took, err := prove(t, &fake, source)
	if err == nil || took != 90*time.Second || !strings.Contains(err.Error(), "does not answer there") || fake.counts["list data"] > 100 {
		t.Errorf("%v after %v and %d calls", err, took, fake.counts["list data"])
	}
	fake = cloud{say: func(kind, _ string, _ int) *answer {
		if kind == "identity" {
			return nil
		}
		return failing(301, "PermanentRedirect")
	}}
	if took, err := prove(t, &fake, source); err == nil || took > 10*time.Second || !strings.Contains(err.Error(), "another region") {
		t.Errorf("%v after %v", err, took)
	}
}

// The caller may have less time than the prober would take.
func TestProvingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for kind, a := range map[string]*answer{"identity": unknownKey(), "list": failing(503, "SlowDown"), "begin": failing(503, "SlowDown")} {
			fake := cloud{t: t, say: func(k, _ string, _ int) *answer {
				if k == kind {
					return a
				}
				return nil
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			started := time.Now()
			err := prober(&fake).Prove(ctx, key(), both, access.Subject{})
			if took := time.Since(started); err == nil || took != 20*time.Second {
				t.Errorf("%s: %v after %v", kind, err, took)
			}
			cancel()
		}
	})
}

// Hundreds of buckets: each is looked at, and the error fits a response.
func TestManyBuckets(t *testing.T) {
	scope := access.Scope{Source: true}
	for i := range 200 {
		scope.Places = append(scope.Places, access.Place(fmt.Sprintf("bucket-%03d", i)))
	}
	var fake cloud
	if took, err := prove(t, &fake, scope); err != nil || len(fake.calls) != 3+(2*2+1)*200 || took > 300*time.Millisecond {
		t.Errorf("%v after %v and %d calls", err, took, len(fake.calls))
	}
	fake = cloud{say: func(kind, bucket string, _ int) *answer {
		if kind == "identity" || bucket == "bucket-007" {
			return nil
		}
		return failing(404, "NoSuchBucket")
	}}
	_, err := prove(t, &fake, scope)
	if err == nil || !strings.HasPrefix(err.Error(), "Buckets: 199 of 200 buckets cannot be used: there is no such bucket; create it first, correct the name, or take it out of Buckets: bucket-000, ") {
		t.Fatal(err)
	}
	for i, place := range scope.Places {
		if strings.Contains(err.Error(), string(place)) != (i != 7) {
			t.Errorf("%s is not told right: %v", place, err)
		}
	}
}

// A bucket that S3 learns of during the looks is not a failure.
func TestABucketThatWasJustMade(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "list" && n < 3 {
			return failing(404, "NoSuchBucket")
		}
		return nil
	}}
	if took, err := prove(t, &fake, source); err != nil || took > 15*time.Second {
		t.Errorf("%v after %v, %v", err, took, fake.counts)
	}
}
