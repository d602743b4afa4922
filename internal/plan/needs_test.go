package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
)

// The needs are the safety: in whatever order the steps come that they allow,
// and wherever a run ends, nothing is ever out of place. That is tried with
// states and wishes by chance, each carried out in an order by chance.
func TestAnyOrderThatTheNeedsAllowIsSafe(t *testing.T) {
	planned, kinds := 0, map[string]int{}
	for seed := range uint64(1500) {
		chance := rand.New(rand.NewPCG(seed, 1))
		want, seen := anyState(chance)
		tasks, err := plan.Converge(want, seen, now)
		if err != nil {
			continue // refused
		}
		planned++
		w := worldOf(want, seen)
		for _, i := range anyOrder(chance, tasks) {
			kinds[fmt.Sprintf("%T", tasks[i].Step)]++
			w.apply(tasks[i].Step)
			w.check()
		}
		if len(tasks) > 0 {
			w.checkEnd()
		}
		if len(w.wrong) > 0 {
			t.Fatalf("seed %d: %q in\n%s", seed, w.wrong, lines(tasks))
		}
	}
	// Else it has shown nothing.
	for _, step := range []plan.Step{
		plan.CreateUser{}, plan.TagUser{}, plan.PutBoundary{}, plan.CreatePolicy{}, plan.UpdatePolicy{}, plan.DeletePolicy{}, plan.CreateSecret{}, plan.RestoreSecret{}, plan.RekeySecret{}, plan.TagSecret{},
		plan.CopyVersions{}, plan.PutResourcePolicy{}, plan.DeleteResourcePolicy{}, plan.DeleteSecret{}, plan.Mint{}, plan.Prove{}, plan.Promote{}, plan.Unlabel{}, plan.DeleteKey{}, plan.Schedule{}, plan.CancelRotation{},
	} {
		if kind := fmt.Sprintf("%T", step); kinds[kind] < 20 {
			t.Errorf("%d times %s in %d plans", kinds[kind], kind, planned)
		}
	}
}

// anyOrder begins each task once those are done that it needs.
func anyOrder(chance *rand.Rand, tasks []plan.Task) (sequence []int) {
	for len(sequence) < len(tasks) {
		var ready []int
		for i, task := range tasks {
			if !slices.Contains(sequence, i) && !slices.ContainsFunc(task.Needs, func(need int) bool { return !slices.Contains(sequence, need) }) {
				ready = append(ready, i)
			}
		}
		sequence = append(sequence, ready[chance.IntN(len(ready))])
	}
	return sequence
}

func pick[T any](chance *rand.Rand, of ...T) T { return of[chance.IntN(len(of))] }

// some are any of them, in their order.
func some[T any](chance *rand.Rand, of ...T) []T {
	return slices.DeleteFunc(slices.Clone(of), func(T) bool { return chance.IntN(2) == 0 })
}

func anyBuckets(chance *rand.Rand) change {
	places := append(some(chance, many()...), some[access.Place](chance, "two/in", "z")...)
	if chance.IntN(2) == 0 {
		places = some[access.Place](chance, "one", "one/in", "two", "two/in", "z")
	}
	places = access.Fold(append(places, "always"))
	both := chance.IntN(3) == 0
	return func(d *plan.Desired) { d.Spec.Scope.Places, d.Spec.Scope.Destination = places, both }
}

// rings are keys and versions that may be met.
var rings = [][2]string{
	{"", ""}, {"A-90", "1:A=current"}, {"A-90 B-30", "1:A=previous 2:B=current,latest"}, {"A-90 B-3", "1:A=previous 2:B=current,latest"},
	{"A-90 B-3-off", "1:A=previous 2:B=current"}, {"A-90-off", "1:A=current"}, {"", "1:A=current"}, {"B-30", "1:A=previous 2:B=current"}, {"A-90 X-1", "1:A=current"},
	{"A-90 B-0", "1:A=current 2:B=latest"}, {"A-90 B-0", "1:A=current 1:B=pending"}, {"A-90 B-30", "1:A 2:B=previous 1:N=current"}, {"X-1", ""},
	{"A-90", "1:A=current x=pending"}, {"A-90 B-1", "1:A=previous 1:B=current,pending"},
}

func anyState(chance *rand.Rand) (want plan.Desired, seen plan.Observed) {
	before := create(anyBuckets(chance))
	ring := pick(chance, rings...)
	seen = with(ring[0], ring[1], used("A", pick(chance, 1, 8, 80)), func(o *plan.Observed) {
		o.Policies = held(before)
		o.User.Tags[name.TagPolicies] = fmt.Sprint(len(o.Policies))
		o.ResourcePolicy = policy.Readers(append(some(chance, a, b), c))
	})
	want = update(anyBuckets(chance), serial(1+chance.IntN(3)), readers(some(chance, a, b, c)...), kms(pick(chance, "", "alias/x")))
	want.Spec.Verify = chance.IntN(5) > 0
	rotates(pick(chance, "", monthly))(&seen)
	want.Spec.Schedule = pick(chance, "", monthly, monthly, "rate(1 day)")
	pick(chance, happenings...)(&want, &seen)
	return want, seen
}

// happenings are what an Update may change in addition to the usual, and what somebody may
// have deleted before. Each is about a resource that exists.
var happenings = []func(*plan.Desired, *plan.Observed){
	func(*plan.Desired, *plan.Observed) {},
	func(_ *plan.Desired, seen *plan.Observed) { seen.ResourcePolicy = "" },
	func(_ *plan.Desired, seen *plan.Observed) { seen.User.Tags = tags(user) }, // incomplete
	func(_ *plan.Desired, seen *plan.Observed) { seen.User.Boundary.ARN = "" },
	func(_ *plan.Desired, seen *plan.Observed) { seen.User.Boundary.ARN = formerBoundary },
	func(_ *plan.Desired, seen *plan.Observed) { noUser(seen) },
	func(_ *plan.Desired, seen *plan.Observed) { seen.Secret, seen.ResourcePolicy = nil, "" },
	func(_ *plan.Desired, seen *plan.Observed) { seen.Secret.Deleted, seen.ResourcePolicy = now, "" },
	func(want *plan.Desired, seen *plan.Observed) { // a replacement
		renamed("new", secret)(want)
		seen.Other, seen.OtherKeys = seen.User, seen.Keys
		noUser(seen)
	},
	func(want *plan.Desired, seen *plan.Observed) { // its rollback
		rollback("new")(want)
		seen.Other, seen.OtherKeys = aUser("new"), keys("N-1")
	},
	func(want *plan.Desired, seen *plan.Observed) { // another secret
		moved("cloney/other")(want)
		seen.OldSecrets, seen.Secret, seen.ResourcePolicy = []access.SecretInfo{*seen.Secret}, nil, ""
	},
}
