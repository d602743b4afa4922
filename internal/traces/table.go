package traces

import (
	"slices"
	"time"
)

// Situation is something that CloudFormation, Lambda or an owner was seen to do to a
// resource.
type Situation struct {
	Title string
	// Moments are the times at which it may happen.
	Moments []time.Duration
	// Lives returns the lives in which it happens at that time.
	Lives func(c Cast, at time.Duration) []Trace
}

// Cast holds what differs between the places where the table is played.
type Cast struct {
	Usual   Properties // of a resource on bucket "one", which leaves its names to the provider
	User    string     // another name for the user
	Secret  string     // another name for the secret
	Kept    string     // the name that the secret has of Usual, for a resource with another user
	Reader  string     // of the secret
	Hurried string     // a ServiceTimeout that a Create can be too slow for
	Changes []string   // the titles of those that are played; empty: all
}

// Change is a change of the usual resource.
type Change struct {
	Title string
	Properties
}

// Updates returns changes of every kind: in place, and with a replacement.
func (c Cast) Updates() []Change {
	return slices.DeleteFunc([]Change{
		{"buckets", c.Usual.With(Properties{"Buckets": "two"})},
		{"roles, readers", c.Usual.With(Properties{"Access": "Destination", "SecretReaders": c.Reader})},
		{"Serial", c.Usual.With(Properties{"Serial": "2"})},
		{"secret", c.Usual.With(Properties{"SecretName": c.Secret})},
		{"secret and Serial", c.Usual.With(Properties{"SecretName": c.Secret, "Serial": "2"})},
		{"user", c.Usual.With(Properties{"UserName": c.User})},
		{"user, same secret", c.Usual.With(Properties{"UserName": c.User, "SecretName": c.Kept})},
		{"everything", c.Usual.With(Properties{"UserName": c.User, "SecretName": c.Secret, "Serial": "2", "Buckets": "two"})},
	}, func(u Change) bool { return len(c.Changes) > 0 && !slices.Contains(c.Changes, u.Title) })
}

// EachUpdate returns a Create and one of the updates, made as the move says, for each
// update.
func (c Cast) EachUpdate(m Move) (lives []Trace) {
	for _, u := range c.Updates() {
		m.Declare = u.Properties
		lives = append(lives, Trace{{Declare: c.Usual}, m})
	}
	return lives
}

const second = time.Second

// Times returns the times from first to last, one step apart.
func Times(first, last, step time.Duration) (all []time.Duration) {
	for d := first; d <= last; d += step {
		all = append(all, d)
	}
	return all
}

var atOnce = []time.Duration{0}

// Table is played in memory at every moment, and in the sandbox at a few moments.
var Table = []Situation{
	{"a Create cancelled, and its Delete under an invented id", Times(second/4, 8*second, second/2),
		func(c Cast, at time.Duration) (lives []Trace) {
			for _, later := range []time.Duration{0, 3 * second, 18 * second} {
				lives = append(lives, Trace{{Declare: c.Usual, Disturbance: Disturbance{Cancelled: at}, Then: Disturbance{Queued: later}}})
			}
			return lives
		}},
	{"a Create that takes as long as its ServiceTimeout", atOnce,
		func(c Cast, _ time.Duration) []Trace {
			return []Trace{{{Declare: c.Usual.With(Properties{"ServiceTimeout": c.Hurried})}}}
		}},
	{"an answer after the ServiceTimeout", atOnce,
		func(c Cast, _ time.Duration) []Trace {
			late := Move{Disturbance: Disturbance{Late: true}}
			lives := c.EachUpdate(late)
			for _, life := range lives {
				life[1].Declare = life[1].Declare.With(Properties{"ServiceTimeout": c.Hurried})
			}
			late.Declare = c.Usual.With(Properties{"ServiceTimeout": c.Hurried})
			return append(lives, Trace{late})
		}},
	{"a Create delivered after its Delete", []time.Duration{10 * second, 40 * second, 58 * second},
		func(c Cast, at time.Duration) []Trace {
			return []Trace{{{Declare: c.Usual, Disturbance: Disturbance{Queued: at, Cancelled: 5 * second}}}}
		}},
	{"a Create that is refused", atOnce,
		func(c Cast, _ time.Duration) []Trace {
			return []Trace{{{Declare: c.Usual.With(Properties{"Access": nil, "Acess": "Source"})}}, {{Declare: c.Usual.With(Properties{"Buckets": nil})}}}
		}},
	{"a retained resource declared again", []time.Duration{time.Minute, time.Hour},
		func(c Cast, at time.Duration) (lives []Trace) {
			for _, again := range []Properties{{"Access": nil, "Acess": "Source"}, {"Buckets": "gone"}, {"Buckets": "two"}, nil} {
				lives = append(lives, Trace{{Declare: c.Usual}, {Retain: true}, {Hand: "nobody may touch what is retained"}, {Declare: c.Usual.With(again), Wait: at}})
			}
			return lives
		}},
	{"an Update delivered after its rollback", []time.Duration{40 * second},
		func(c Cast, at time.Duration) []Trace {
			return c.EachUpdate(Move{Disturbance: Disturbance{Queued: at, Cancelled: 5 * second}})
		}},
	{"an Update at work when its rollback comes", Times(second/10, 9*second, second/2),
		func(c Cast, at time.Duration) []Trace {
			return c.EachUpdate(Move{Disturbance: Disturbance{Cancelled: at}})
		}},
	{"an Update delivered after the Delete", []time.Duration{40 * second, 50 * second},
		func(c Cast, at time.Duration) []Trace {
			again := Disturbance{Doubled: []time.Duration{at}}
			late := Disturbance{Queued: at, Cancelled: 2 * second}
			lives := append(c.EachUpdate(Move{Disturbance: late}), c.EachUpdate(Move{Disturbance: again})...)
			for i := range lives {
				lives[i] = append(lives[i], Move{Remove: true})
			}
			return lives
		}},
	{"an Update just after the Create", atOnce,
		func(c Cast, _ time.Duration) []Trace {
			return append(c.EachUpdate(Move{}), c.EachUpdate(Move{InVain: true})...)
		}},
	{"every event twice", atOnce,
		func(c Cast, at time.Duration) []Trace {
			twice := Disturbance{Doubled: []time.Duration{at}}
			lives := append(c.EachUpdate(Move{Disturbance: twice, Then: twice}), c.EachUpdate(Move{Disturbance: twice, Then: twice, InVain: true})...)
			for i := range lives {
				lives[i][0].Disturbance = twice
				lives[i] = append(lives[i], Move{Remove: true, Disturbance: twice})
			}
			return lives
		}},
}
