package provision_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
)

// twenty regions of AWS's.
var twenty = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1",
	"ap-southeast-2", "ap-southeast-3", "ca-central-1", "eu-central-1", "eu-central-2",
	"eu-north-1", "eu-south-1", "eu-west-1", "eu-west-2", "eu-west-3",
	"sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

// instances is the StackIds of one stack set's instances in the twenty regions of
// an account: StackSets names each stack StackSet-SETNAME-UUID.
func instances() (ids []string) {
	for i, region := range twenty {
		uuid := fmt.Sprintf("51af3dc0-da77-11e4-872e-%012d", i)
		ids = append(ids, "arn:aws:cloudformation:"+region+":"+accesstest.ID+":stack/StackSet-cloney-source-"+uuid+"/"+uuid)
	}
	return ids
}

// A stack set's instances in twenty regions of one account, all at once
// (RegionConcurrencyType PARALLEL): IAM and its throttle are one for all of them,
// and the secret has the same name in each region. Each is done within its
// function's time, with a user of its own. AWS does not say how many calls of an
// API it lets through; these are slow guesses.
// https://repost.aws/knowledge-center/iam-sts-throttling-error
func TestTwentyRegionsOfOneAccountAtOnce(t *testing.T) {
	const fixed = "cloney/migration/source"
	for label, c := range map[string]struct{ perSecond, burst float64 }{
		"ten a second, ten at once":       {10, 10},
		"ten a second, one after another": {10, 1},
		"one a second, one after another": {1, 1},
	} {
		t.Run(label, func(t *testing.T) {
			play(t, func(w *world) {
				crowd := newCrowd(w, instances(), c.perSecond, c.burst)
				for i := range crowd.stacks {
					crowd.stacks[i].Spec.SecretName = fixed
				}
				created := crowd.create()
				users := map[string]string{}
				for i, d := range crowd.stacks {
					region, made := d.Owner.Stack.Region, crowd.made[i]
					// IAM takes names that differ in capitals only for the same.
					if other, met := users[strings.ToLower(made.UserName)]; met {
						t.Errorf("%s and %s have the user %s", other, region, made.UserName)
					}
					users[strings.ToLower(made.UserName)] = region
					for _, arn := range append(made.PolicyARNs, made.UserARN) {
						if !strings.Contains(arn, name.Path(region)) {
							t.Errorf("%s is not under the path of %s", arn, region)
						}
					}
					if !strings.HasPrefix(made.SecretARN, "arn:aws:secretsmanager:"+region+":"+accesstest.ID+":secret:"+fixed+"-") {
						t.Errorf("%s: the secret is %s", region, made.SecretARN)
					}
					current := w.In(region).Labelled(fixed, access.Current)
					if live := w.LiveKeys(made.UserName); current == "" || !slices.Equal(live, []string{current}) {
						t.Errorf("%s: the secret has the key %q, and the user %v", region, current, live)
					}
				}
				removed := crowd.remove()
				for event, toll := range map[string]toll{"Create": created, "Delete": removed} {
					n := float64(len(crowd.stacks))
					t.Logf("%s: %.1f calls of IAM an instance, %.1f of them refused; the slowest took %v", event, float64(toll.total())/n, float64(toll.refused)/n, toll.slowest)
					for _, verb := range slices.Sorted(maps.Keys(toll.calls)) {
						t.Logf("  %-26s %.2f an instance", verb, float64(toll.calls[verb])/n)
					}
					if toll.refused == 0 {
						t.Errorf("%s: nothing was throttled: the test tests nothing", event)
					}
				}
			})
		})
	}
}
