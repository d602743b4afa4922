package provision_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
)

// throttle is an IAM that carries out so many calls of each API in a second and
// refuses those beyond.
type throttle struct {
	perSecond float64 // 0: any
	burst     float64 // so many of them at once

	mu      sync.Mutex
	tokens  map[string]float64
	since   map[string]time.Time
	refused int
}

// before lets a call through, which takes a while, or refuses it.
func (i *throttle) before(_ context.Context, verb string) error {
	time.Sleep(50 * time.Millisecond) // synctest's time
	if i.perSecond == 0 || !ofIAM(verb) {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	since, known := i.since[verb]
	if i.since[verb] = now; !known {
		i.tokens[verb] = i.burst
	} else {
		i.tokens[verb] = min(i.burst, i.tokens[verb]+now.Sub(since).Seconds()*i.perSecond)
	}
	if i.tokens[verb] < 1 {
		i.refused++
		return access.ErrThrottled
	}
	i.tokens[verb]--
	return nil
}

// ofIAM: Secrets Manager and the buckets have quotas of their own, far above.
func ofIAM(verb string) bool {
	return !strings.Contains(verb, "Secret") && !strings.HasSuffix(verb, "Resource") && verb != "Prove"
}

// crowd is many stacks of one account. Each has a function of its own, as
// Lambda runs them: they share nothing but the account.
type crowd struct {
	*world
	iam    *throttle
	stacks []plan.Desired
	made   []provision.Result // by create
}

// newCrowd is the stacks of these ids, each in its region.
func newCrowd(w *world, ids []string, perSecond, burst float64) *crowd {
	c := &crowd{world: w, iam: &throttle{perSecond: perSecond, burst: burst, tokens: map[string]float64{}, since: map[string]time.Time{}}}
	w.Before = c.iam.before
	for _, id := range ids {
		stack, err := name.ParseStackID(id)
		if err != nil {
			w.Fatal(err)
		}
		owner := name.Owner{Stack: stack, Logical: "Source"}
		d := plan.Desired{Owner: owner}
		d.Spec.UserName, d.Spec.SecretName = owner.User(), name.Secret(owner.User())
		d.Spec.Scope = access.Scope{Source: true, Places: []access.Place{"one"}}
		d.Spec.Serial, d.Spec.Verify = 1, true
		c.stacks = append(c.stacks, d)
	}
	c.made = make([]provision.Result, len(ids))
	return c
}

// toll is what an event cost all stacks together.
type toll struct {
	calls   map[string]int // of IAM, the refused ones too
	refused int
	slowest time.Duration // from its delivery on
}

// ideal is the least time in which what this toll counts could be done under a
// throttle, where this toll is of a crowd that nothing throttles: the quota of the API
// that is called most is used up from the first moment on, and no call is refused.
func (t toll) ideal(perSecond, burst float64) time.Duration {
	most := float64(slices.Max(slices.Collect(maps.Values(t.calls))))
	return t.slowest + time.Duration(max(0, most-burst)/perSecond*float64(time.Second))
}

func (t toll) total() (n int) {
	for _, calls := range t.calls {
		n += calls
	}
	return n
}

// together runs f n times at the same moment, and wants each to succeed.
func (w *world) together(n int, f func(i int) error) {
	w.Helper()
	var wait sync.WaitGroup
	failures := make([]error, n)
	for i := range n {
		wait.Go(func() {
			time.Sleep(time.Duration(i)) // so that they begin in one order
			failures[i] = f(i)
		})
	}
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		w.Errorf("at the same moment: %v", err)
	}
}

// all runs an event of every stack at the same moment, and wants each done
// within the time that the function has, less what it keeps for its answer.
func (c *crowd) all(event func(ctx context.Context, p *provision.Provisioner, d plan.Desired, i int) error) toll {
	c.Helper()
	c.Forget()
	c.iam.refused = 0
	took := make([]time.Duration, len(c.stacks))
	started := time.Now()
	c.together(len(c.stacks), func(i int) error {
		ctx, cancel := context.WithTimeout(c.Context(), lambda-10*time.Second)
		defer cancel()
		err := event(ctx, c.provisionerIn(c.stacks[i].Owner.Stack.Region), c.stacks[i], i)
		took[i] = time.Since(started) - apart - delivery // see world.delivered
		return err
	})
	c.Check()
	calls := c.Calls()
	maps.DeleteFunc(calls, func(verb string, _ int) bool { return !ofIAM(verb) })
	return toll{calls, c.iam.refused, slices.Max(took)}
}

// tolls has every stack created, updated and deleted. Of the Updates, half
// change the policy and half ask for a new key.
func (c *crowd) tolls() map[string]toll {
	c.Helper()
	next := func(d plan.Desired, i int) plan.Desired {
		if i%2 == 0 {
			d.Spec.Scope.Places = []access.Place{"two"}
		} else {
			d.Spec.Serial = 2
		}
		return d
	}
	tolls := map[string]toll{}
	tolls["Create"] = c.create()
	tolls["Update"] = c.all(func(ctx context.Context, p *provision.Provisioner, d plan.Desired, i int) error {
		want := updated(d, next(d, i), d.Spec.UserName)
		want.Run = c.delivered(d.Run, order.Update)
		_, err := p.Update(ctx, want)
		return err
	})
	for i := range c.stacks {
		c.stacks[i] = next(c.stacks[i], i)
		d := c.stacks[i]
		if live := c.LiveKeys(d.Spec.UserName); len(live) != d.Spec.Serial || !c.MayUse(d.Spec.UserName, d.Spec.Scope) {
			c.Errorf("updated %s: keys %v", d.Spec.UserName, live)
		}
	}
	tolls["Delete"] = c.remove()
	return tolls
}

// create creates every stack, and wants each to have what is its own.
func (c *crowd) create() toll {
	c.Helper()
	t := c.all(func(ctx context.Context, p *provision.Provisioner, d plan.Desired, i int) (err error) {
		d.Run = c.delivered(d.Run, order.Create)
		c.made[i], err = p.Create(ctx, d)
		return err
	})
	if made := c.Inventory(); len(made.Users) != len(c.stacks) || len(made.Policies) != len(c.stacks) || len(made.Keys) != len(c.stacks) || len(made.Secrets) != len(c.stacks) {
		c.Errorf("made: %+v", made)
	}
	return t
}

// remove deletes every stack, and wants nothing to be left.
func (c *crowd) remove() toll {
	c.Helper()
	for _, d := range c.stacks {
		c.ExpectRemoval(d.Spec.UserName)
	}
	t := c.all(func(ctx context.Context, p *provision.Provisioner, d plan.Desired, _ int) error {
		gone := target(d, d.Spec.UserName)
		gone.Run = c.delivered(d.Run, order.Delete)
		return p.Delete(ctx, gone)
	})
	c.empty()
	return t
}

// seeded sets how long waits are by chance: each depends on the seed and on its moment
// alone, so that a seed plays the same way again, whichever goroutine is first.
func seeded(t *testing.T, seed int) {
	usual := patience.Chance
	t.Cleanup(func() { patience.Chance = usual })
	patience.Chance = func(d time.Duration) time.Duration {
		chance := rand.New(rand.NewPCG(uint64(seed), uint64(time.Now().UnixNano())))
		return time.Duration(chance.Int64N(int64(d)))
	}
}

// ids are the StackIds of so many stacks.
func ids(stacks int) (ids []string) {
	for i := range stacks {
		ids = append(ids, fmt.Sprintf("arn:aws:cloudformation:eu-west-1:123456789012:stack/many/51af3dc0-da77-11e4-872e-%012d", i))
	}
	return ids
}

// tollsOf is what the events of so many stacks cost at once, under a throttle.
func tollsOf(t *testing.T, stacks int, perSecond, burst float64) (tolls map[string]toll) {
	play(t, func(w *world) { tolls = newCrowd(w, ids(stacks), perSecond, burst).tolls() })
	return tolls
}

// Two hundred stacks at once, in an account that lets ten calls of each API through in
// a second. Each is done within its function's time, which all shares (see all). The
// last one is done soon after the throttle allows it, and all together make not many
// times the calls that they make where nothing is throttled: what one asks at the same
// time is refused at the same time. What they leave running fails the test too, by
// synctest's own rules.
//
// Where the throttle lets nothing accumulate (a burst of one), a stack that comes a tenth of a
// second late has lost a call for all. With a calls a second that ask and r that are
// let through, r*a/(a+r) are: to be within a fifth of the ideal, five calls would have
// to be refused for each that is not. That would be a flood, so there it takes twice as
// long.
func TestTwoHundredStacksAtOnce(t *testing.T) {
	const stacks, perSecond = 200, 10
	usual := tollsOf(t, stacks, 0, 0)
	for label, c := range map[string]struct{ burst, time, calls float64 }{
		"ten at once":         {10, 1.2, 3.5},
		"one after the other": {1, 2.5, 5},
	} {
		if c.burst == 1 && accesstest.OneIn(4) > 1 {
			continue // under the race detector one crowd is enough
		}
		t.Run(label, func(t *testing.T) {
			for seed := range 4 / accesstest.OneIn(4) {
				seeded(t, seed)
				for event, got := range tollsOf(t, stacks, perSecond, c.burst) {
					usual := usual[event]
					ideal := usual.ideal(perSecond, c.burst)
					late, more := got.slowest.Seconds()/ideal.Seconds(), float64(got.total())/float64(usual.total())
					t.Logf("%s: %v, %.2f times the ideal; %d calls, %.2f times the usual", event, got.slowest, late, got.total(), more)
					for _, verb := range slices.Sorted(maps.Keys(got.calls)) {
						t.Logf("  %-26s %4.2f a stack, throttled %.2f", verb, float64(usual.calls[verb])/stacks, float64(got.calls[verb])/stacks)
					}
					if got.refused == 0 {
						t.Errorf("%s: nothing was throttled: the test tests nothing", event)
					}
					if late > c.time {
						t.Errorf("seed %d: %s took %v, and the throttle allows it in %v", seed, event, got.slowest, ideal)
					}
					if more > c.calls {
						t.Errorf("seed %d: %s made %d calls, and %d where nothing is throttled", seed, event, got.total(), usual.total())
					}
				}
			}
		})
	}
}

// What the benchmark says of many stacks at once. The time is synctest's, 50 ms a call.
func TestAtOnceFigures(t *testing.T) {
	runs := accesstest.Measured(t)
	const perSecond = 10
	for _, stacks := range []int{1, 10, 200} {
		usual := tollsOf(t, stacks, 0, 0)
		for _, event := range []string{"Create", "Update", "Delete"} {
			name := fmt.Sprintf("%s, %d at once, no throttle", event, stacks)
			figure(name, "time", "s", usual[event].slowest.Seconds())
			figure(name, "calls of IAM", "", float64(usual[event].total()))
		}
		for _, burst := range []float64{10, 1} {
			seconds, ratios, calls := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
			for seed := range runs {
				seeded(t, seed)
				for event, got := range tollsOf(t, stacks, perSecond, burst) {
					seconds[event] = append(seconds[event], got.slowest.Seconds())
					ratios[event] = append(ratios[event], got.slowest.Seconds()/usual[event].ideal(perSecond, burst).Seconds())
					calls[event] = append(calls[event], float64(got.total()))
				}
			}
			limit := 0.0
			if stacks == 200 {
				limit = 1.2
			}
			for _, event := range []string{"Create", "Update", "Delete"} {
				note := ""
				if burst == 1 && event == "Create" { // once for all three
					note = noReserve
				}
				name := fmt.Sprintf("%s, %d at once, %d calls a second, burst %v", event, stacks, perSecond, burst)
				figure(name, "time", "s", seconds[event]...)
				if stacks > 1 { // a stack alone is not a crowd
					accesstest.Figure{Table: atOnce, Name: name, Column: "ratio to the ideal", Unit: "x", Values: ratios[event], Limit: limit, Note: note}.Print()
				}
				figure(name, "calls of IAM", "", calls[event]...)
			}
		}
	}
}

// figure prints one of the table of what happens at once.
func figure(name, column, unit string, values ...float64) {
	accesstest.Figure{Table: atOnce, Name: name, Column: column, Unit: unit, Values: values}.Print()
}

const atOnce = "Stacks at once"

// noReserve is why a throttle without a reserve cannot be used up.
const noReserve = "With a burst of one, IAM does not make up for a tenth of a second without a call. Where a calls a second come at random times and IAM allows r, r·a/(a+r) succeed. To come within a fifth of the ideal, IAM would have to refuse five calls for each that succeeds. That would be a flood of calls in an account that others use too."
