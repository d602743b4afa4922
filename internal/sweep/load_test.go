package sweep_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
)

// traffic records when IAM was called, and which users were read.
type traffic struct {
	mu    sync.Mutex
	iam   []time.Time
	looks map[string]int
}

// ofIAM are the sweep's calls to IAM.
var ofIAM = []string{
	"ListUsers", "ListPolicies", "GetUser", "ListAccessKeys", "ListAttachedUserPolicies", "ListUserPolicies", "GetPolicyVersion",
	"GetAccessKeyLastUsed", "UpdateAccessKey", "DeleteAccessKey", "TagUser", "UntagUser",
}

// note returns a hook that records each call, and makes it take that long.
func (c *traffic) note(latency time.Duration) hook {
	return func(ctx context.Context, verb string) error {
		c.mu.Lock()
		if slices.Contains(ofIAM, verb) {
			c.iam = append(c.iam, time.Now())
		}
		if verb == "GetUser" {
			c.looks[accesstest.Entity(ctx)]++
		}
		c.mu.Unlock()
		time.Sleep(latency)
		return nil
	}
}

// perSecond is the most calls to IAM in any second.
func (c *traffic) perSecond() (most int) {
	first := 0
	for i, at := range c.iam {
		for at.Sub(c.iam[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// peopled is a world with that many users, each of a resource, created two hours ago.
func peopled(t *testing.T, users int) world {
	t.Helper()
	w := newWorld(t)
	for i := range users {
		user := fmt.Sprintf("u%04d", i)
		w.user(user)
		w.SetResource(owner(user), user)
	}
	time.Sleep(2 * time.Hour) // synctest's
	return w
}

// Five thousand users take two sweeps: the second sweep continues where the first one ran out
// of time. The calls to IAM are even, and no sweep exceeds the time of its function.
func TestFiveThousandUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		part := accesstest.OneIn(10)
		users, limit := 5000/part, 45*time.Second+855*time.Second/time.Duration(part)
		w := peopled(t, users)
		seen := traffic{looks: map[string]int{}}
		w.Before = seen.note(100 * time.Millisecond)
		var looked []int
		for range 2 {
			started := time.Now()
			w.sweepFor(limit)
			if took := time.Since(started); took > limit-30*time.Second {
				t.Errorf("the sweep took %v", took)
			}
			looked = append(looked, len(seen.looks))
			time.Sleep(day)
		}
		if looked[0] < users*3/5 || looked[0] >= users || looked[1] != users {
			t.Errorf("after each sweep so many users were looked at: %v", looked)
		}
		if most := seen.perSecond(); most > 26 {
			t.Errorf("%d calls of IAM in one second", most)
		}
		t.Logf("looked at %v users after each sweep, %d calls of IAM in all, at most %d in a second", looked, len(seen.iam), seen.perSecond())
	})
}

// The benchmark's figures of the sweep, with 20 ms a call: how long it takes, and how many
// sweeps of 15 minutes, the function's time, it takes to read every user.
func TestGrowthFigures(t *testing.T) {
	accesstest.Measured(t)
	for _, users := range []int{1, 10, 100, 1000, 5000} {
		synctest.Test(t, func(t *testing.T) {
			w := peopled(t, users)
			seen := traffic{looks: map[string]int{}}
			w.Before = seen.note(20 * time.Millisecond)
			var took time.Duration
			sweeps := 0
			for ; len(seen.looks) < users; sweeps++ {
				started := time.Now()
				w.sweep()
				took = max(took, time.Since(started))
				time.Sleep(day)
			}
			for _, cell := range []struct {
				column, unit string
				value        float64
			}{
				{"calls of IAM", "", float64(len(seen.iam))},
				{"most in a second", "", float64(seen.perSecond())},
				{"sweeps until all are seen", "", float64(sweeps)},
				{"longest sweep", "s", took.Seconds()},
			} {
				accesstest.Figure{Table: "Growth of the sweep", Name: fmt.Sprintf("users: %d", users), Column: cell.column, Unit: cell.unit, Values: []float64{cell.value}}.Print()
			}
		})
	}
}

// A sweep that reached every user leaves no tag of where it stopped. Any other sweep leaves
// exactly one.
func TestWhereTheSweepLeavesOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 60 {
			w.user(fmt.Sprintf("u%02d", i))
		}
		w.DropSecret(name.Secret("u20"))
		time.Sleep(2 * time.Hour)
		rounds := map[string]int{}
		for range 6 {
			seen := traffic{looks: map[string]int{}}
			w.Before = seen.note(0)
			ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second+6*time.Second)
			must(t, w.Sweep(ctx))
			cancel()
			w.Before = nil
			for user, looks := range seen.looks {
				rounds[user]++
				if looks > 1 {
					t.Errorf("%s had %d turns in one sweep", user, looks)
				}
			}
			if notes := w.swept(); len(notes) != 1 {
				t.Errorf("where it left off is noted on %v", notes)
			}
			time.Sleep(day)
		}
		for user, n := range rounds {
			if n < 2 || n > 4 {
				t.Errorf("%s had its turn in %d of 6 sweeps", user, n)
			}
		}
		if len(rounds) != 60 {
			t.Errorf("%d users had their turn", len(rounds))
		}
		w.sweep()
		if notes := w.swept(); len(notes) > 0 {
			t.Errorf("the sweep was through, and its notes are %v", notes)
		}
	})
}

// swept returns the secrets with the tag of where a sweep stopped.
func (w world) swept() (notes []string) {
	for _, secret := range w.Inventory().Secrets {
		if after := w.Tags(secret)[name.TagSwept]; after != "" {
			notes = append(notes, secret+" "+after)
		}
	}
	return notes
}

// A user that cannot be read does not stop the others. The log and the metrics show it.
func TestOneUserFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 20 {
			w.user(fmt.Sprintf("u%02d", i))
			w.rotate(fmt.Sprintf("u%02d", i))
		}
		time.Sleep(8 * day)
		w.Before = func(ctx context.Context, verb string) error {
			if verb == "ListUserPolicies" && accesstest.Entity(ctx) == "u07" {
				return access.ErrDenied
			}
			return nil
		}
		w.sweep()
		inactive := 0
		for _, key := range w.Inventory().Keys {
			if strings.HasSuffix(key, "(inactive)") {
				inactive++
			}
		}
		if inactive != 19 || !strings.Contains(w.log.String(), "user=u07") {
			t.Errorf("%d keys were deactivated; the log:\n%s", inactive, w.log.String())
		}
		for _, words := range []string{`"Users":20`, `"SweepFailures":1`, `"Deactivated":19`, `"Findings":19`, `"KeysUnder30Days":19`} {
			if !strings.Contains(w.metrics.String(), words) {
				t.Errorf("%s is not in the metrics: %s", words, w.metrics.String())
			}
		}
	})
}

// If a list fails, the sweep ends with an error, because it has seen nothing.
func TestNothingCanBeListed(t *testing.T) {
	for _, verb := range []string{"ListUsers", "ListSecrets", "ListPolicies"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.user("u")
			w.Before = func(_ context.Context, called string) error {
				if called == verb {
					return access.ErrDenied
				}
				return nil
			}
			if err := w.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), verb) {
				t.Errorf("%s: %v", verb, err)
			}
			w.tells(verb)
		})
	}
}
