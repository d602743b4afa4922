package provision_test

import (
	"slices"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
)

const (
	keyEurope   = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	keyVirginia = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

// scoped is a stack whose credentials are for exactly that.
func scoped(scope access.Scope) change {
	return func(d *plan.Desired) { d.Spec.Scope = scope }
}

// Whatever narrows may change, the key stays, and at no moment, between no two
// calls, does the user lack what it has before and after.
func TestNarrowingAndWideningInPlace(t *testing.T) {
	end := time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC) // of the past: access ends at once
	both := func(s access.Scope) access.Scope {
		s.Source, s.Destination = true, true
		return s
	}
	whole := both(access.Scope{Places: []access.Place{"one", "two"}})
	for name, c := range map[string]struct{ wide, narrow, kept access.Scope }{
		"prefix": {whole, both(access.Scope{Places: []access.Place{"one/in/", "two"}}), both(access.Scope{Places: []access.Place{"one/in/", "two"}})},
		"deeper": {
			both(access.Scope{Places: []access.Place{"one/in", "two/a/"}}),
			both(access.Scope{Places: []access.Place{"one/in/x/", "one/in/y/", "two/a/"}}),
			both(access.Scope{Places: []access.Place{"one/in/x/", "one/in/y/", "two/a/"}}),
		},
		"other prefix": {
			both(access.Scope{Places: []access.Place{"one/a/", "one/b/"}}),
			both(access.Scope{Places: []access.Place{"one/b/", "one/c/"}}),
			both(access.Scope{Places: []access.Place{"one/b/"}}),
		},
		"owner": {whole, func() access.Scope { s := whole; s.Owner = "210987654321"; return s }(), func() access.Scope { s := whole; s.Owner = "210987654321"; return s }()},
		"keys": {
			both(access.Scope{Places: []access.Place{"one"}, KMSKeys: []string{keyEurope, keyVirginia}}),
			both(access.Scope{Places: []access.Place{"one"}, KMSKeys: []string{keyVirginia}}),
			both(access.Scope{Places: []access.Place{"one"}, KMSKeys: []string{keyVirginia}}),
		},
		"end": {whole, func() access.Scope { s := whole; s.ExpiresAt = end; return s }(), func() access.Scope { s := whole; s.ExpiresAt = end; return s }()},
		"addresses": {
			func() access.Scope { s := whole; s.SourceIPs = []string{"198.51.100.0/24", "203.0.113.0/24"}; return s }(),
			func() access.Scope { s := whole; s.SourceIPs = []string{"203.0.113.0/28"}; return s }(),
			func() access.Scope { s := whole; s.SourceIPs = []string{"203.0.113.0/28"}; return s }(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				wide, narrow := stack(scoped(c.wide)), stack(scoped(c.narrow))
				first := w.create(wide).AccessKeyID
				w.Keep(user, c.kept)
				if key := w.update(wide, narrow).AccessKeyID; key != first {
					t.Errorf("narrowed, key %s became %s", first, key)
				}
				if w.MayUse(user, c.wide) {
					t.Error("narrowed, the user may do what it might before")
				}
				if key := w.update(narrow, wide).AccessKeyID; key != first {
					t.Errorf("widened, key %s became %s", first, key)
				}
				w.Release()
				w.one()
				w.remove(wide)
				w.empty()
			})
		})
	}
}

// Over several policies, places move from one to another when they grow.
func TestNarrowingManyBuckets(t *testing.T) {
	play(t, func(w *world) {
		var prefixed []access.Place
		for _, bucket := range many(0, 150) {
			w.SetBucket(string(bucket), true)
			prefixed = append(prefixed, bucket+"/a/", bucket+"/b/")
		}
		wide := stack(buckets(many(0, 150)...))
		narrow := stack(buckets(prefixed...))
		first := w.create(wide)
		w.Keep(user, narrow.Spec.Scope)
		narrowed := w.update(wide, narrow)
		if len(narrowed.PolicyARNs) <= len(first.PolicyARNs) {
			t.Errorf("from %d to %d policies: the test tests nothing", len(first.PolicyARNs), len(narrowed.PolicyARNs))
		}
		w.update(narrow, wide)
		// What stays is held all the way, also where others come and go.
		fewer := stack(buckets(slices.Concat(prefixed[:20], many(50, 150))...))
		w.Release()
		w.Keep(user, access.Scope{Source: true, Places: slices.Concat(prefixed[:20], prefixed[100:])})
		w.update(wide, fewer)
		w.update(fewer, narrow)
		w.Release()
		w.remove(narrow)
		w.empty()
	})
}
