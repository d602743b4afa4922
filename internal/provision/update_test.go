package provision_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/spec"
)

// many returns bucket names long enough to need more than one policy soon.
func many(from, to int) []access.Place {
	var names []access.Place
	for i := from; i < to; i++ {
		names = append(names, access.Place(fmt.Sprintf("bucket-%06d-%s", i, strings.Repeat("x", i%45))))
	}
	return names
}

// Nor is anything written once more after any change.
func TestAnUpdateThatChangesNothingWritesNothing(t *testing.T) {
	for name, want := range map[string][]change{
		"plain":       nil,
		"tags":        {tags(map[string]string{"a": "b"})},
		"KMS key":     {kmsKey("alias/mine")},
		"unverified":  {verify(false)},
		"readers":     {readers(alice, carol)},
		"destination": {destination},
		"two roles":   {bothRoles, buckets("one", "two")},
		"serial":      {serial(7)},
		"secret":      {secretName("cloney/other")},
		"both":        {serial(2), secretName("cloney/other")},
		"schedule":    {scheduled(monthly), graced(30)},
		"all of that": {scheduled(monthly), graced(30), serial(2), secretName("cloney/other")},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack(want...))
				w.still(stack(want...))
			})
			play(t, func(w *world) {
				w.create(stack())
				w.update(stack(), stack(want...))
				w.still(stack(want...))
			})
		})
	}
}

// still asks that an Update which changes nothing writes nothing.
func (w *world) still(d plan.Desired) {
	w.Helper()
	w.Forget()
	w.update(d, d)
	w.quiet()
}

// The same event again, once it has ended, writes nothing either. A new one, of
// which nothing is left to do, leaves its mark: a later look goes by it.
func TestAnUpdateDeliveredAgainWritesNothing(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		next := stack(by(w.event(order.Update)), buckets("two"), serial(2))
		first := w.update(stack(), next)
		w.Forget()
		if again := w.update(stack(), next); again.AccessKeyID != first.AccessKeyID {
			t.Errorf("key %s became %s", first.AccessKeyID, again.AccessKeyID)
		}
		w.quiet()
		w.update(stack(), stack(buckets("two"), serial(2)))
		w.marks(2)
	})
}

// Who ends the access in an Update, or lets other addresses in alone, gets no
// failure for the denial that was asked for.
func TestAccessThatDeniesTheFunctionIsNoFailure(t *testing.T) {
	for name, narrowed := range map[string]change{
		"ended":         func(d *plan.Desired) { d.Spec.Scope.ExpiresAt = time.Now().Add(-time.Hour).UTC().Truncate(time.Second) },
		"other address": func(d *plan.Desired) { d.Spec.Scope.SourceIPs = []string{"192.0.2.1/32"} },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				first := w.create(stack())
				w.Forget()
				// A bucket that was deleted is not looked for either.
				next := stack(buckets("one", "gone"), narrowed)
				if result, err := w.tryUpdate(stack(), next); err != nil || result.AccessKeyID != first.AccessKeyID || len(w.Proofs()) != 1 {
					t.Errorf("%v, key %s became %s, proven %v", err, first.AccessKeyID, result.AccessKeyID, w.Proofs())
				}
				w.one()
			})
		})
	}
}

// A change may be of capitals alone, which IAM does not tell apart, and of so
// many tags that AWS would not hold the old and the new ones at once.
func TestAnyTagsBecomeAnyOthers(t *testing.T) {
	many := func(name string, n int) map[string]string {
		all := map[string]string{}
		for i := range n {
			all[fmt.Sprintf("%s-%d", name, i)] = "x"
		}
		return all
	}
	for label, c := range map[string]struct{ former, next map[string]string }{
		"capitals":   {map[string]string{"Team": "a"}, map[string]string{"team": "a"}},
		"all others": {many("former", spec.MaxTags), many("next", spec.MaxTags)},
		"more":       {many("former", 1), many("next", spec.MaxTags)},
		"fewer":      {many("former", spec.MaxTags), nil},
	} {
		t.Run(label, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack(tags(c.former)))
				w.update(stack(tags(c.former)), stack(tags(c.next)))
				for _, entity := range []string{user, user + "-1", secret} {
					got := w.Tags(entity)
					maps.DeleteFunc(got, func(key, _ string) bool { return strings.HasPrefix(key, "cloney:") })
					if !maps.Equal(got, c.next) {
						t.Errorf("%s carries %v", entity, got)
					}
				}
				w.one()
			})
		})
	}
}

func TestTagsChange(t *testing.T) {
	play(t, func(w *world) {
		former := stack(tags(map[string]string{"keep": "1", "change": "1", "drop": "1"}))
		next := stack(tags(map[string]string{"keep": "1", "change": "2", "new": "1"}))
		w.create(former)
		// Someone else's tag stays.
		for _, tag := range []func() error{
			func() error { return w.TagUser(t.Context(), user, map[string]string{"theirs": "x"}, nil) },
			func() error { return w.TagPolicy(t.Context(), user+"-1", map[string]string{"theirs": "x"}, nil) },
			func() error { return w.TagSecret(t.Context(), secret, map[string]string{"theirs": "x"}, nil) },
		} {
			if err := tag(); err != nil {
				t.Fatal(err)
			}
		}
		w.update(former, next)
		for _, entity := range []string{user, user + "-1", secret} {
			got := w.Tags(entity)
			_, dropped := got["drop"]
			if got["keep"] != "1" || got["change"] != "2" || got["new"] != "1" || got["theirs"] != "x" || dropped {
				t.Errorf("%s carries %v", entity, got)
			}
		}
		w.one()
		w.remove(next)
		w.empty()
	})
}

func TestManyBuckets(t *testing.T) {
	play(t, func(w *world) {
		for _, bucket := range many(0, 400) {
			w.SetBucket(string(bucket), true)
		}
		all := stack(buckets(many(0, 250)...))
		first := w.create(all)
		policies := len(first.PolicyARNs)
		if policies < 3 {
			t.Fatalf("only %d policies: the test tests nothing", policies)
		}
		former := all
		for i, bounds := range [][2]int{{0, 400}, {100, 400}, {100, 150}, {0, 250}, {240, 260}, {0, 400}} {
			next := stack(buckets(many(bounds[0], bounds[1])...))
			both := many(max(bounds[0], lowest(former.Spec.Scope.Places)), min(bounds[1], highest(former.Spec.Scope.Places)))
			w.Keep(user, access.Scope{Source: true, Places: both})
			result := w.update(former, next)
			w.Release()
			if result.AccessKeyID != first.AccessKeyID {
				t.Errorf("update %d: key %s became %s", i, first.AccessKeyID, result.AccessKeyID)
			}
			former = next
		}
		w.remove(former)
		w.empty()
	})
}

func lowest(names []access.Place) (n int) {
	fmt.Sscanf(string(names[0]), "bucket-%d", &n)
	return n
}

func highest(names []access.Place) (n int) {
	fmt.Sscanf(string(names[len(names)-1]), "bucket-%d", &n)
	return n + 1
}

func TestWhatWasDeletedByHandIsMadeAgain(t *testing.T) {
	for what, drop := range map[string]func(w *world){
		"the user":        func(w *world) { w.DropUser(user) },
		"user and policy": func(w *world) { w.DropUser(user); w.DropPolicy(user + "-1") },
		"the policy":      func(w *world) { w.DropPolicy(user + "-1") },
		"the attachment":  func(w *world) { w.Detach(user, user+"-1") },
		"the secret":      func(w *world) { w.DropSecret(secret) },
		"the key":         func(w *world) { w.DropKey(w.LiveKeys(user)[0]) },
		"the key, halves": func(w *world) { w.Deactivate(w.LiveKeys(user)[0]) },
		"the secret, recoverably": func(w *world) {
			w.ScheduleDeletion(secret)
		},
		"everything but the user": func(w *world) { w.DropPolicy(user + "-1"); w.DropSecret(secret); w.DropKey(w.LiveKeys(user)[0]) },
	} {
		t.Run(what, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack())
				drop(w)
				w.update(stack(), stack(tags(map[string]string{"a": "b"})))
				if keys := w.LiveKeys(user); len(keys) != 1 {
					t.Errorf("live keys: %v", keys)
				}
				w.still(stack(tags(map[string]string{"a": "b"})))
				w.remove(stack())
				w.empty()
			})
		})
	}
}

func TestAPolicyChangedByHandIsPutRight(t *testing.T) {
	play(t, func(w *world) {
		w.create(stack())
		if err := w.UpdatePolicy(t.Context(), user+"-1", `{"Version":"2012-10-17","Statement":[]}`); err != nil {
			t.Fatal(err)
		}
		w.update(stack(), stack())
		w.one()
	})
}

// A list does not know the user yet that is there: no key and no policy is missing.
func TestAListThatDoesNotKnowTheUserYetIsAskedAgain(t *testing.T) {
	for _, list := range []string{"ListAccessKeys", "ListAttachedUserPolicies"} {
		play(t, func(w *world) {
			w.create(stack())
			asked := 0
			w.Before = func(_ context.Context, verb string) error {
				if verb == list && asked < 3 {
					asked++
					return access.ErrNotFound
				}
				return nil
			}
			w.still(stack())
			w.one()
		})
	}
}

func TestAnUpdateWaitsOutWhatIAMIsLateWith(t *testing.T) {
	play(t, func(w *world) {
		w.Lag = accesstest.Lag{Users: 4, Policies: 4, Detach: 4, Prove: 20, Keys: 3, Secrets: 3}
		first := w.create(stack())
		if result := w.update(stack(), stack(buckets("two"))); result.AccessKeyID != first.AccessKeyID {
			t.Errorf("key %s became %s, because the list of keys was late", first.AccessKeyID, result.AccessKeyID)
		}
		w.update(stack(buckets("two")), stack(serial(2), secretName("cloney/other")))
		w.remove(stack(secretName("cloney/other")))
		w.empty()
		w.create(stack(secretName("cloney/other")))
	})
}
