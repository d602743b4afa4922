package provision_test

import (
	"errors"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/plan"
)

const warning = "level=WARN"

// A user without its boundary, or under that of a provider that was deployed
// before, comes under the present one before it is given anything, however late
// IAM knows of it; and the log says so.
func TestALostBoundaryIsPutBack(t *testing.T) {
	for what, boundary := range map[string]string{"taken off": "", "of a former provider": accesstest.Former} {
		t.Run(what, func(t *testing.T) {
			play(t, func(w *world) {
				was := stack()
				w.create(was)
				w.Bind(user, boundary)
				w.Lag.Boundary = 3
				w.update(was, stack(buckets(manyBuckets(w)...), serial(2)))
				if got := w.BoundaryOf(user); got != accesstest.Boundary {
					t.Errorf("the user is under %q", got)
				}
				if log := w.log.String(); !strings.Contains(log, warning) || !strings.Contains(log, "before="+orQuotes(boundary)) {
					t.Error("nothing is said of it")
				}
				w.Forget()
				w.update(stack(buckets(manyBuckets(w)...), serial(2)), stack(serial(2)))
				if n := w.Calls()["PutUserPermissionsBoundary"]; n != 0 {
					t.Errorf("put on %d times more", n)
				}
			})
		})
	}
}

func orQuotes(text string) string {
	if text == "" {
		return `""`
	}
	return text
}

// manyBuckets makes more of them than one policy holds.
func manyBuckets(w *world) (places []access.Place) {
	for _, place := range append(many(0, 80), "one") {
		w.SetBucket(place.Bucket(), true)
		places = append(places, place)
	}
	return places
}

// A boundary that somebody else has put there is never taken off. What needs no
// new key or policy goes on under it, and the log says that it is there.
func TestAnothersBoundaryStays(t *testing.T) {
	const theirs = "arn:aws:iam::" + accesstest.ID + ":policy/org/tight"
	play(t, func(w *world) {
		was := stack()
		made := w.create(was)
		w.Bind(user, theirs)
		for _, refused := range []plan.Desired{stack(serial(2)), stack(buckets(manyBuckets(w)...))} {
			var reason plan.Refused
			if _, err := w.tryUpdate(was, refused); !errors.As(err, &reason) || !strings.Contains(err.Error(), theirs) {
				t.Errorf("%v", err)
			}
		}
		now := w.update(was, stack(buckets("two")))
		if now.AccessKeyID != made.AccessKeyID || w.BoundaryOf(user) != theirs {
			t.Errorf("key %s, boundary %s", now.AccessKeyID, w.BoundaryOf(user))
		}
		if log := w.log.String(); !strings.Contains(log, warning) || !strings.Contains(log, "boundary="+theirs) {
			t.Error("nothing is said of it")
		}
		w.remove(stack(buckets("two")))
	})
}
