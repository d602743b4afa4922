package faults_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/traces"
)

var update = flag.Bool("update", false, "write the golden traces anew")

// ugly are things that CloudFormation was seen to do to custom resources, and that people
// did to stacks. Each has a trace of the events, of the provider's changes and responses,
// and of the account at the end.
var ugly = map[string]func(*cloudFormation){
	// The Create has sent no response for so long that CloudFormation gives it up. It then
	// sends a Delete with an id of its own.
	"delete-overtakes-create": func(c *cloudFormation) {
		slow := make(chan struct{})
		c.Account.Before = func(ctx context.Context, verb string) error {
			if verb == "Prove" {
				<-slow
			}
			return before(ctx, verb)
		}
		overtaking := *c
		overtaking.requests = 1
		overtaking.going = maps.Clone(c.going) // it goes its own way
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			time.Sleep(time.Minute)
			overtaking.mayGo(userOf(usual))
			overtaking.props, overtaking.physical = usual, traces.Invented
			overtaking.delete()
			close(slow)
		}()
		if answer := c.send("Create", "", usual, nil); answer == nil || answer.Status != reply.Failed {
			c.Errorf("the Create that was overtaken answered %+v", answer)
		}
		<-gone
	},
	// Lambda delivers an event at least once: the same RequestId comes again.
	"delivered-twice": func(c *cloudFormation) {
		c.repeat = true
		c.faults = map[int]fault{1: {999, refused}, 2: {999, refused}, 3: {999, refused}}
		c.create(usual)
		c.update(usual.With(properties{"Serial": "2"}))
		c.delete()
	},
	// The Create failed, and its response never arrived.
	"failed-create-unheard": func(c *cloudFormation) {
		c.SetBucket("one", false)
		c.faults = map[int]fault{1: {atAnswer, notDone}}
		c.create(usual)
	},
	// The Create succeeded, and its response never arrived.
	"create-unheard": func(c *cloudFormation) {
		c.faults = map[int]fault{1: {atAnswer, notDone}}
		c.create(usual)
	},
	"update-fails-half-way": func(c *cloudFormation) {
		c.create(usual)
		c.SetBucket("two", false)
		c.update(everything)
	},
	"replacement-rolled-back": func(c *cloudFormation) {
		shared := usual.With(properties{"SecretName": "cloney/shared"})
		c.create(shared)
		c.updateInVain(shared.With(properties{"UserName": "second"}))
	},
	// The template that created it was of a version with other properties.
	"delete-with-invalid-properties": func(c *cloudFormation) {
		c.create(usual)
		c.props = properties{"Acess": 1, "Buckets": map[string]any{"no": "list"}, "RotationSchedule": []int{3}}
		c.delete()
	},
	// A policy has five versions. The sixth one requires that the oldest is deleted.
	"twelve-updates": func(c *cloudFormation) {
		c.create(usual)
		for n := range 12 {
			c.update(usual.With(properties{"Buckets": []string{"one", buckets[3+n]}}))
		}
	},
	"two-want-one-user": func(c *cloudFormation) {
		named := usual.With(properties{"UserName": "reader"})
		c.create(named)
		other := c.other()
		if other.create(named.With(properties{"SecretName": "cloney/another"})) {
			c.Errorf("the second resource took the first one's user over")
		}
		c.stands()
	},
	"two-want-one-secret": func(c *cloudFormation) {
		named := usual.With(properties{"SecretName": "cloney/reader"})
		c.create(named)
		other := c.other()
		if other.create(named) {
			c.Errorf("the second resource took the first one's secret over")
		}
		c.stands()
	},
	// Secrets Manager has not completed a forced deletion when it answers, and IAM is busy
	// with the user of that name.
	"deleted-and-made-again": func(c *cloudFormation) {
		busy := 0
		c.Account.Before = func(ctx context.Context, verb string) error {
			if verb == "CreateUser" && busy > 0 {
				busy--
				return access.ErrBusy
			}
			return before(ctx, verb)
		}
		named := usual.With(properties{"UserName": "reader", "SecretName": "cloney/reader"})
		c.create(named)
		c.delete()
		busy = 2
		c.create(named)
	},
}

// other is another resource of the same stack.
func (c *cloudFormation) other() *cloudFormation {
	other := c.world.stack()
	other.logical, other.requests = "Another", 100
	return other
}

// stands checks that the resource is as its last response said.
func (c *cloudFormation) stands() {
	user := userOf(c.props)
	if live := c.LiveKeys(user); len(live) != 1 || live[0] != c.key {
		c.Errorf("%s has the keys %v, and its owner was given %s", user, live, c.key)
	}
	c.Check()
}

// These are the golden traces: a change of one is a change of what users see.
func TestUglySequences(t *testing.T) {
	for title, sequence := range ugly {
		t.Run(title, func(t *testing.T) {
			var trace []string
			synctest.Test(t, func(t *testing.T) {
				w := &world{recorder: &recorder{TB: t}, log: &buffer{}, trace: []string{}}
				w.open(accesstest.Lag{Users: 1, Policies: 1, Detach: 1, Secrets: 2})
				c := w.stack()
				sequence(c)
				left := w.Inventory()
				w.heard("left: %d users, %d keys, %d policies, %d secrets", len(left.Users)-1, len(left.Keys)-1, len(left.Policies)-1, len(left.Secrets)-1)
				if c.physical != "" {
					c.delete()
				}
				w.empty()
				for _, problem := range w.problems {
					t.Error(problem)
				}
				trace = w.trace
			})
			golden := filepath.Join("testdata", title+".txt")
			got := strings.Join(trace, "\n") + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(fmt.Errorf("%w; make it with -update", err))
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
