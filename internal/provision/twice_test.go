package provision_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
)

// How deliveries of one event, and events of one user, meet each other is played
// in package faults. Here is what is not played there: an IAM that is late, and
// what some of them fail at.

// An event that is delivered twice leaves what one delivery leaves, and both
// answer so, however long after the first one the second comes, and however
// late IAM is.
func TestAnEventTwiceWhereIAMIsLate(t *testing.T) {
	lags := map[string]accesstest.Lag{
		"prompt":    {},
		"late keys": {Keys: 2, Prove: 3},
		"late IAM":  {Users: 3, Policies: 2, Keys: 1, Prove: 2},
	}
	former := stack(tags(map[string]string{"a": "1"}))
	updates := map[string]plan.Desired{
		"a Create":    former,
		"tags":        stack(tags(map[string]string{"b": "1"}), kmsKey("alias/k")),
		"policies":    stack(buckets(many(0, 120)...)),
		"replacement": stack(userName(second), secretName(secret)),
	}
	for _, lag := range slices.Sorted(maps.Keys(lags)) {
		for _, title := range slices.Sorted(maps.Keys(updates)) {
			t.Run(lag+", "+title, func(t *testing.T) {
				for after := time.Duration(1); after < 5*time.Second && !t.Failed(); after += 150 * time.Millisecond * time.Duration(accesstest.OneIn(4)) {
					play(t, func(w *world) {
						w.Lag = lags[lag]
						w.deliverTwice(former, updates[title], title == "a Create", after)
					})
				}
			})
		}
	}
}

func (w *world) deliverTwice(former, next plan.Desired, create bool, after time.Duration) {
	w.Helper()
	for _, bucket := range many(0, 120) {
		w.SetBucket(string(bucket), true)
	}
	if !create {
		w.create(former)
	}
	next.Run = w.event(map[bool]order.Type{true: order.Create, false: order.Update}[create])
	w.Before = func(context.Context, string) error { time.Sleep(80 * time.Millisecond); return nil }
	var keys [2]string
	w.together(2, func(i int) error {
		time.Sleep(time.Duration(i) * after)
		try := func() (result, error) { return w.tryUpdate(former, next) }
		if create {
			try = func() (result, error) { return w.tryCreate(next) }
		}
		answer, err := try()
		keys[i] = answer.AccessKeyID
		return err
	})
	w.Before = nil
	w.Check()
	live := w.LiveKeys(next.Spec.UserName)
	if keys[0] != keys[1] || !slices.Equal(live, keys[:1]) || w.Labelled(next.Spec.SecretName, access.Current) != keys[0] {
		w.Errorf("the second %v after the first: answered %v; %v live", after, keys, live)
	}
	next.Run = order.Run{}
	w.still(next)
	if next.Spec.UserName != user {
		w.remove(former)
	}
	w.remove(next)
	w.empty()
}

// The second delivery takes over from one that is at work, however slow the key
// is to be proven: that one writes no more until the second has ended, and both
// give the same answer.
func TestTheSecondDeliveryTakesOver(t *testing.T) {
	type delivery struct{}
	play(t, func(w *world) {
		w.create(stack())
		w.Lag.Prove = 30
		want := updated(stack(), stack(by(w.event(order.Update)), serial(2)), user)
		var mu sync.Mutex
		var writers []int
		w.Before = func(ctx context.Context, verb string) error {
			time.Sleep(80 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if accesstest.IsWrite(verb) {
				writers = append(writers, ctx.Value(delivery{}).(int))
			}
			return nil
		}
		var keys [2]string
		w.together(2, func(i int) error {
			time.Sleep(time.Duration(i) * 3 * time.Second)
			want := want
			want.Run.Began = time.Now()
			answer, err := w.provisioner.Update(context.WithValue(w.Context(), delivery{}, i), want)
			keys[i] = answer.AccessKeyID
			return err
		})
		began, ended := slices.Index(writers, 1), len(writers)-1
		for ended > 0 && writers[ended] == 0 {
			ended--
		}
		if began < 0 || slices.Contains(writers[began:ended+1], 0) || keys[0] != keys[1] {
			t.Errorf("written by %v; answered %v", writers, keys)
		}
	})
}

// Of two deliveries one fails after the other has finished: its undoing takes
// away neither a user that CloudFormation has been told of, nor its key.
func TestADeliveryThatFailsLeavesTheOtherAlone(t *testing.T) {
	for title, c := range map[string]struct {
		former *plan.Desired
		next   plan.Desired
	}{
		"a Create":                        {nil, stack()},
		"a replacement":                   {new(stack()), stack(userName(second))},
		"a replacement, with one secret":  {new(stack()), stack(userName(second), secretName(secret))},
		"a new key":                       {new(stack()), stack(serial(2))},
		"a new key in another secret too": {new(stack()), stack(serial(2), secretName("cloney/moved"))},
	} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				if c.former != nil {
					w.create(*c.former)
				}
				next := c.next
				next.Run = w.event(order.Update)
				deliver := func() (result, error) { return w.tryUpdate(stack(), next) }
				if c.former == nil {
					next.Run.Type = order.Create
					deliver = func() (result, error) { return w.tryCreate(next) }
				}
				var key string
				w.atFirst("Prove", func() error {
					other, err := deliver()
					if key = other.AccessKeyID; err != nil {
						t.Errorf("the other one: %v", err)
					}
					return errors.New("connection reset")
				})
				_, err := deliver()
				w.refused(err, "connection reset")
				if live := w.LiveKeys(next.Spec.UserName); !slices.Contains(live, key) || w.Labelled(next.Spec.SecretName, access.Current) != key {
					t.Errorf("the other one answered %s; %v live", key, live)
				}
				next.Run = order.Run{}
				w.still(next)
			})
		})
	}
}

// The user that an Update has begun with is not the one that is there now: it
// was deleted, and is another event's. Only IAM's id of it tells.
func TestAnUpdateKeepsToItsUser(t *testing.T) {
	for _, at := range []string{"ListAttachedUserPolicies", "GetPolicy", "GetPolicyVersion", "CreatePolicyVersion"} {
		t.Run(at, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack())
				earlier := w.event(order.Update)
				deleted := w.event(order.Delete)
				w.Racing(true)
				w.atFirst(at, func() error {
					gone := target(stack(), user)
					gone.Run = deleted
					err := w.tryDelete(gone)
					_, made := w.tryCreate(stack())
					if err := errors.Join(err, made); err != nil {
						t.Error(err)
					}
					return nil
				})
				_, err := w.tryUpdate(stack(), stack(by(earlier), buckets("two")))
				w.Racing(false)
				w.refused(err, "deleted")
				w.one()
			})
		})
	}
}

// A look at the marks holds for order.Lease from when the call began that was answered.
// The calls before it that were throttled do not count: they would make each of a
// crowd's writes ask once more, and of a slow answer no more is known than when it began.
func TestForHowLongALookHolds(t *testing.T) {
	const unit = 80 * time.Millisecond
	for title, c := range map[string]struct {
		refused int           // how often the second look is
		takes   time.Duration // the answer to it
		answers int           // looks that are answered
	}{
		"at once":         {0, unit, 2},
		"throttled first": {3, unit, 2},
		"a slow answer":   {0, order.Lease - unit, 3},
	} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				w.create(stack(verify(false)))
				looks, answers := 0, 0
				w.Before = func(_ context.Context, verb string) error {
					if verb != "GetUser" {
						time.Sleep(unit)
						return nil
					}
					if looks++; looks > 1 && looks <= 1+c.refused {
						return access.ErrThrottled
					}
					if answers++; answers == 2 {
						time.Sleep(c.takes)
					}
					return nil
				}
				w.update(stack(verify(false)), stack(verify(false), serial(2)))
				if answers != c.answers {
					t.Errorf("%d looks were answered, not %d", answers, c.answers)
				}
			})
		})
	}
}
