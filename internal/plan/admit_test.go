package plan_test

import (
	"errors"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
)

// Events around "me", which was sent a minute ago and delivered now.
var (
	me      = func(kind string) order.Run { return event(kind+" me", 60, 60) }
	again   = func(kind string) order.Run { return event(kind+" me", 60, 61) } // a later delivery of it
	earlier = func(kind string) order.Run { return event(kind+" earlier", 90, 1) }
	later   = func(kind string) order.Run { return event(kind+" later", 30, 1) }
)

// delivered is the event as it is delivered.
func delivered(run order.Run) change { return func(d *plan.Desired) { d.Run = run } }

var (
	lateCreate   = create(delivered(me("Create")))
	lateUpdate   = update(delivered(me("Update")))
	promptUpdate = update(delivered(event("Update me", 2, 2)))
	lateReplaces = update(renamed("new", secret), delivered(me("Update")))
)

const refused plan.Verdict = -1 // stands for an error

// Whether a run may work.
func TestAdmit(t *testing.T) {
	formerUser := other(aUser(user), "")
	for what, c := range map[string]struct {
		want   plan.Desired
		seen   plan.Observed
		waited bool
		then   plan.Verdict
	}{
		"Create: nothing is there":                       {lateCreate, plan.Observed{}, false, plan.Work},
		"Create: half-made, may be at work":              {lateCreate, one(halfMade, marked(earlier("Create").Begun())), false, plan.Wait},
		"Create: half-made, waited for":                  {lateCreate, one(halfMade, marked(earlier("Create").Begun())), true, plan.Work},
		"Create: delivered again before":                 {lateCreate, one(halfMade, marked(again("Create").Begun())), false, plan.Yield},
		"Create: that has ended":                         {lateCreate, one(marked(again("Create").Ended())), false, plan.Work},
		"Create: this very one has finished it":          {lateCreate, one(marked(event("Create me", 60, 1).Ended())), false, plan.Work},
		"Create: retained, from before marks":            {lateCreate, one(), false, refused},
		"Create: retained":                               {lateCreate, one(marked(earlier("Update").Ended())), false, refused},
		"Create: retained, may be at work":               {lateCreate, one(marked(earlier("Update").Begun())), false, refused},
		"Create: retained, waited for":                   {lateCreate, one(marked(earlier("Update").Begun())), true, refused},
		"Create: a later event has changed it":           {lateCreate, one(marked(later("Update").Ended())), false, plan.AlreadyDone},
		"Create: a later Create has failed":              {lateCreate, one(halfMade, marked(later("Create").Ended())), false, plan.Overtaken},
		"Create: a later Delete is at work":              {lateCreate, one(halfMade, marked(later("Delete").Begun())), true, plan.Overtaken},
		"Create: someone else's user, the plan says so":  {lateCreate, one(func(o *plan.Observed) { o.User.Tags = nil }), false, plan.Work},
		"Update: it is there":                            {lateUpdate, one(marked(earlier("Create").Ended())), false, plan.Work},
		"Update: an earlier event may be at work":        {lateUpdate, one(marked(earlier("Update").Begun())), false, plan.Wait},
		"Update: waited for":                             {lateUpdate, one(marked(earlier("Update").Begun())), true, plan.Work},
		"Update: a later event decides":                  {lateUpdate, one(marked(later("Update").Ended())), true, plan.Overtaken},
		"Update: delivered again before":                 {lateUpdate, one(marked(again("Update").Begun())), false, plan.Yield},
		"Update: the user is gone, just sent":            {promptUpdate, plan.Observed{}, false, plan.Work},
		"Update: all is gone, sent a while ago":          {lateUpdate, plan.Observed{}, false, refused},
		"Update: deleted by hand, or a Delete at work":   {lateUpdate, one(noUser), false, plan.Wait},
		"Update: by hand, for the secret stays":          {lateUpdate, one(noUser), true, plan.Work},
		"Update: by hand, and the secret is to move":     {lateUpdate, one(noUser, aside), true, plan.Work},
		"Update: the secret is another user's by now":    {lateUpdate, one(noUser, passed("x")), true, refused},
		"Replacement: the former user is there":          {lateReplaces, one(noUser, noSecret, formerUser), false, plan.Work},
		"Replacement: a later event has marked that one": {lateReplaces, one(noUser, noSecret, other(aUser(user), ""), func(o *plan.Observed) { o.Other.Tags = tags(user, flat(later("Delete").Begun())...) }), false, plan.Overtaken},
	} {
		verdict, _, err := plan.Admit(c.want, c.seen, c.waited)
		if err != nil {
			verdict = refused
			if is := plan.Refused(""); !errors.As(err, &is) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if verdict != c.then {
			t.Errorf("%s: %v, want %v (%v)", what, verdict, c.then, err)
		}
	}
	_, _, err := plan.Admit(lateCreate, one(), false)
	for _, words := range []string{"UserName", "DeletionPolicy", "not changed"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v does not say %q", err, words)
		}
	}
}

func flat(tags map[string]string) (words []string) {
	for key, value := range tags {
		words = append(words, key, value)
	}
	return words
}

// An event that changes nothing writes nothing, and one that has ended is over.
func TestWhetherARunLeavesItsMark(t *testing.T) {
	unchanged := update(func(d *plan.Desired) { d.Unchanged = true })
	mark := func(user map[string]string) order.Mark { return order.MarksOf(user)[0] }
	for what, c := range map[string]struct {
		want plan.Desired
		last order.Mark
		then bool
	}{
		"something may change":   {update(), order.Mark{}, true},
		"nothing is to change":   {unchanged, order.Mark{}, false},
		"after another event":    {lateUpdate, mark(earlier("Update").Ended()), true},
		"its own has ended":      {lateUpdate, mark(again("Update").Ended()), false},
		"its own has only begun": {lateUpdate, mark(again("Update").Begun()), true},
	} {
		if plan.Marks(c.want, c.last) != c.then {
			t.Errorf("%s: %t", what, !c.then)
		}
	}
}
