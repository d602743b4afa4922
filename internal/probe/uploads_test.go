package probe_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/parallel"
)

// An abort that worked although its answer was lost.
func TestAnAbortWhoseAnswerIsLost(t *testing.T) {
	var fake cloud
	fake.say = func(kind, _ string, n int) *answer {
		if kind == "abort" && n == 1 {
			clear(fake.live)
			return failing(500, "InternalError")
		}
		return nil
	}
	if took, err := prove(t, &fake, destination); err != nil || took > 10*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// If there was only one look, the error still says that the abort is denied.
func TestAnAbortThatIsDeniedAtTheOnlyLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := cloud{t: t, say: func(kind, _ string, _ int) *answer {
			if kind == "abort" {
				return failing(403, "AccessDenied")
			}
			return nil
		}, takes: func(kind string) time.Duration {
			if kind == "list" {
				return time.Second // STS is done meanwhile
			}
			return 0
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
		defer cancel()
		err := prober(&fake).Prove(ctx, key(), destination, access.Subject{})
		if err == nil || !strings.Contains(err.Error(), "may not abort an upload in it") || fake.counts["begin data"] != 1 {
			t.Errorf("%v, %v", err, fake.counts)
		}
	})
}

// Time is up between the two calls.
func TestAnUploadIsAbortedWhenTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		fake := cloud{t: t, say: func(kind, _ string, _ int) *answer {
			if kind == "begin" {
				cancel()
			}
			return nil
		}}
		_ = prober(&fake).Prove(ctx, key(), destination, access.Subject{})
		if fake.counts["begin data"] != 1 || len(fake.live) > 0 {
			t.Errorf("%v, left: %v", fake.calls, fake.live)
		}
	})
}

// Time is up before the abort is retried.
func TestAnUploadIsAbortedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		fake := cloud{t: t, say: func(kind, _ string, n int) *answer {
			if kind == "abort" && n == 1 {
				cancel()
				return failing(503, "SlowDown")
			}
			return nil
		}}
		_ = prober(&fake).Prove(ctx, key(), destination, access.Subject{})
		if fake.counts["abort data"] != 2 || len(fake.live) > 0 {
			t.Errorf("%v, left: %v", fake.calls, fake.live)
		}
	})
}

// A policy that comes into force while headers are tried does not count as requiring one.
func TestALatePolicyDemandsNoHeader(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "begin" && n <= 5 {
			return failing(403, "AccessDenied")
		}
		return nil
	}}
	if _, err := prove(t, &fake, destination); err != nil || strings.Contains(fake.log.String(), "outcome=note") || fake.counts["begin data"] != 5+2+1 {
		t.Errorf("%v, %d begun\n%s", err, fake.counts["begin data"], fake.log.String())
	}
}

// If S3 says that the KMS key is in the way, the bucket's policy does not count as requiring
// a header; neither if S3 says so at once, nor if it does while a header is tried.
func TestAKeyThatIsClosedDemandsNoHeader(t *testing.T) {
	for _, untold := range []int{0, 5} {
		fake := cloud{say: func(kind, _ string, n int) *answer {
			switch {
			case kind == "begin" && n <= untold:
				return failing(403, "AccessDenied")
			case kind == "begin":
				return &answer{status: 403, body: "<Error><Code>AccessDenied</Code><Message>User: x is not authorized to perform: kms:GenerateDataKey on resource: y because no identity-based policy allows the kms:GenerateDataKey action</Message></Error>"}
			}
			return nil
		}}
		if _, err := prove(t, &fake, destination); err == nil || !strings.Contains(err.Error(), "KmsKeyArns does not name") || strings.Contains(fake.log.String(), "outcome=note") {
			t.Errorf("%d untold: %v\n%s", untold, err, fake.log.String())
		}
		if tries := fake.counts["begin data"] - fake.counts["list data"]; untold == 0 && tries > 0 {
			t.Errorf("%d headers are tried", tries)
		}
	}
}

// A panic over a bucket reaches the caller, with its origin, and leaves no upload in another
// bucket.
func TestAPanicOverABucketIsTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := cloud{t: t}
		fake.say = func(kind, bucket string, n int) *answer {
			if kind == "abort" && bucket == "other" && n == 1 {
				return failing(503, "SlowDown")
			}
			if kind == "read" && bucket == "data" {
				panic("a bug")
			}
			return nil
		}
		defer func() {
			raised, ok := recover().(parallel.Panic)
			if value, stack := raised.Origin(); !ok || value != "a bug" || !strings.Contains(string(stack), "uploads_test.go") {
				t.Errorf("raised: %v\n%s", value, stack)
			}
			if fake.counts["begin other"] == 0 || len(fake.live) > 0 {
				t.Errorf("%v, left: %v", fake.calls, fake.live)
			}
		}()
		_ = prober(&fake).Prove(t.Context(), key(), access.Scope{Source: true, Destination: true, Places: []access.Place{"data", "other"}}, access.Subject{})
	})
}

// An upload that is left is noted even if the place works.
func TestAnUploadThatIsLeftIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := false
		fake := cloud{t: t, say: func(kind, _ string, _ int) *answer {
			asked = asked || kind == "acl"
			if kind == "abort" && asked {
				return failing(503, "SlowDown")
			}
			return nil
		}}
		if err := prober(&fake).Prove(t.Context(), key(), destination, access.Subject{}); err != nil || !regexp.MustCompile("level=WARN.*one multipart upload without data is left there").MatchString(fake.log.String()) {
			t.Errorf("%v\n%s", err, fake.log.String())
		}
	})
}
