package provision_test

import (
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/spec"
)

// at says when access ends.
func at(end time.Time) change { return func(d *plan.Desired) { d.Spec.Scope.ExpiresAt = end.UTC() } }

// Times of a world that begins in the year 2000.
var nextYear, inTenYears = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)

func sourceIPs(addresses ...string) change {
	return func(d *plan.Desired) { d.Spec.Scope.SourceIPs = addresses }
}

// changed is an Update, and what may become of what it goes back to. narrowed says
// that the account's owner does not allow any more what was there before.
var updates = map[string]struct {
	before, next []change
	meanwhile    func(w *world)
	narrowed     spec.NotAllowed
}{
	"a bucket that is gone":             {nil, []change{buckets("two")}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"one of three buckets":              {[]change{buckets("one", "two", "three")}, []change{buckets("three")}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"a prefix of it":                    {[]change{buckets("one/in/")}, []change{buckets("one/out/")}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"the other role":                    {nil, []change{destination}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"both roles":                        {[]change{bothRoles}, nil, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"a new Serial":                      {nil, []change{serial(2)}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"a new Serial and other buckets":    {nil, []change{serial(2), buckets("two")}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"other tags":                        {[]change{tags(map[string]string{"a": "b"})}, []change{tags(map[string]string{"c": "d"})}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"another secret":                    {nil, []change{secretName("cloney/b"), buckets("two")}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"another user":                      {nil, []change{userName(second), buckets("two")}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"another user, the same secret":     {[]change{secretName("cloney/s")}, []change{userName(second), secretName("cloney/s"), buckets("two")}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{}},
	"a reader who is gone":              {[]change{readers(alice)}, []change{readers(carol)}, func(w *world) { w.SetReader(alice, false) }, spec.NotAllowed{}},
	"no reader":                         {[]change{readers(alice, carol)}, nil, func(w *world) { w.SetReader(alice, false) }, spec.NotAllowed{}},
	"reader and bucket are gone":        {[]change{readers(alice)}, []change{buckets("two")}, func(w *world) { w.SetReader(alice, false); w.SetBucket("one", false) }, spec.NotAllowed{}},
	"an end that has passed":            {[]change{at(time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC))}, []change{buckets("two")}, func(w *world) { time.Sleep(2 * time.Hour); w.SetBucket("one", false) }, spec.NotAllowed{}},
	"AllowedBuckets are narrowed":       {nil, []change{buckets("two")}, func(*world) {}, spec.NotAllowed{Property: "Buckets", Value: "one", Problem: "AllowedBuckets"}},
	"ClosedBuckets close it":            {nil, []change{buckets("two"), serial(2)}, func(*world) {}, spec.NotAllowed{Property: "Buckets", Value: "one", Problem: "ClosedBuckets"}},
	"MaxDays ask for an end":            {nil, []change{at(nextYear)}, func(*world) {}, spec.NotAllowed{Property: "ExpiresAt", Problem: "MaxDays"}},
	"MaxDays ask for an earlier end":    {[]change{at(inTenYears)}, []change{at(nextYear), serial(2)}, func(*world) {}, spec.NotAllowed{Property: "ExpiresAt", Value: "2010-01-01T00:00:00Z", Problem: "MaxDays"}},
	"SourceCidrs lie elsewhere":         {[]change{sourceIPs("203.0.113.7")}, []change{buckets("two")}, func(*world) {}, spec.NotAllowed{Property: "SourceIps", Value: "203.0.113.7", Problem: "SourceCidrs"}},
	"a KMS key is asked for":            {nil, []change{kmsKey(newKey)}, func(*world) {}, spec.NotAllowed{Property: "SecretKmsKeyId", Problem: "RequireSecretKmsKey"}},
	"the KMS key is not allowed":        {[]change{kmsKey(oldKey)}, []change{kmsKey(newKey), buckets("two")}, func(*world) {}, spec.NotAllowed{Property: "SecretKmsKeyId", Value: oldKey, Problem: "SecretKmsKeys"}},
	"nor is it of the secret that goes": {[]change{kmsKey(oldKey)}, []change{secretName("cloney/b"), kmsKey(newKey), serial(2)}, func(*world) {}, spec.NotAllowed{Property: "SecretKmsKeyId", Value: oldKey, Problem: "SecretKmsKeys"}},
	"AllowedReaders are narrowed":       {[]change{readers(alice)}, []change{readers(carol)}, func(*world) {}, spec.NotAllowed{Property: "SecretReaders", Value: alice, Problem: "AllowedReaders"}},
	"narrowed, and the bucket is gone":  {nil, []change{buckets("two"), serial(2)}, func(w *world) { w.SetBucket("one", false) }, spec.NotAllowed{Property: "Buckets", Value: "one", Problem: "AllowedBuckets"}},
	"an unverified one before":          {[]change{verify(false), buckets("never-was")}, []change{buckets("two")}, func(*world) {}, spec.NotAllowed{}},
}

// Whatever became of what an Update goes back to, it gets there, with the same key
// and without asking the world again: CloudFormation has no third way.
func TestARollbackGoesThrough(t *testing.T) {
	for what, u := range updates {
		before, next := stack(u.before...), stack(u.next...)
		for when, between := range map[string]func(w *world){
			"a sibling failed": func(w *world) { w.update(before, next) },
			"it failed itself": func(w *world) {
				broken := next
				broken.Spec.Scope.Places = append([]access.Place{"zz-denied"}, broken.Spec.Scope.Places...)
				broken.Spec.Verify = true
				if _, err := w.tryUpdate(before, broken); err == nil {
					w.Error("did not fail")
				}
			},
			"it was killed": func(w *world) {
				w.killAt("TagUser", func() { _, _ = w.tryUpdate(before, next) })
			},
		} {
			t.Run(what+", "+when, func(t *testing.T) {
				play(t, func(w *world) {
					given := w.create(before).AccessKeyID
					w.ExpectRemoval(second)
					between(w)
					u.meanwhile(w)
					w.Forget()
					back := before
					if u.narrowed.Problem != "" {
						back.Spec.NotAllowed = []spec.NotAllowed{u.narrowed}
					}
					result, err := w.tryRollback(next, back, before.Spec.UserName)
					if err != nil || result.AccessKeyID != given {
						t.Errorf("key %s became %s: %v", given, result.AccessKeyID, err)
					}
					w.Check()
					if len(w.Proofs()) > 0 {
						t.Errorf("proven: %v", w.Proofs())
					}
					if next.Spec.UserName == second {
						_ = w.tryDelete(target(next, second)) // as CloudFormation cleans up
					}
					w.remove(before)
					w.empty()
				})
			})
		}
	}
}

// After several Updates that succeeded, the stack goes back to each of them.
func TestARollbackAfterSeveralUpdates(t *testing.T) {
	play(t, func(w *world) {
		all := []plan.Desired{stack(), stack(buckets("two")), stack(buckets("three")), stack(bothRoles), stack(readers(alice))}
		w.create(all[0])
		for n := 1; n < len(all); n++ {
			w.update(all[n-1], all[n])
		}
		for _, bucket := range []string{"one", "two", "three"} {
			w.SetBucket(bucket, false)
		}
		for n := len(all) - 1; n > 0; n-- {
			w.rollback(all[n], all[n-1])
		}
		w.one()
	})
}

// A new key is proven before anybody gets it, whatever was proven for another.
func TestANewKeyIsProvenAlsoWhereABucketIsGone(t *testing.T) {
	play(t, func(w *world) {
		before := stack(buckets("one", "two"))
		first := w.create(before).AccessKeyID
		w.SetBucket("one", false)
		w.fails(before, stack(buckets("one", "two"), serial(2)), "bucket one does not exist")
		if live := w.LiveKeys(user); len(live) != 1 || live[0] != first {
			t.Errorf("keys %v", live)
		}
		w.update(before, stack(buckets("two"), serial(2)))
	})
}

// A stack that is not served any more gets an answer for what stands, so that its
// rollback goes through, and nothing is written for it.
func TestAFrozenResource(t *testing.T) {
	frozen := func(d *plan.Desired) { d.Frozen = true }
	for what, c := range map[string]struct {
		from, to plan.Desired
		ok       bool
	}{
		"the rollback of an update that was refused": {stack(buckets("two")), stack(frozen), true},
		"nothing changes":              {stack(), stack(frozen), true},
		"another bucket":               {stack(), stack(buckets("two"), frozen), false},
		"a new Serial":                 {stack(), stack(serial(2), frozen), false},
		"another user":                 {stack(), stack(userName(second), frozen), false},
		"the rollback of another user": {stack(userName(second)), stack(frozen), false},
		"another secret":               {stack(), stack(secretName("cloney/b"), frozen), false},
	} {
		play(t, func(w *world) {
			given := w.create(stack())
			w.Forget()
			result, err := w.tryRollback(c.from, c.to, user)
			if (err == nil) != c.ok || c.ok && (result.AccessKeyID != given.AccessKeyID || result.UserARN != given.UserARN) {
				t.Errorf("%s: %+v, %v", what, result, err)
			}
			w.quiet()
			w.one()
		})
	}
}
