package faults_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/traces"
)

// scenes are plays with one title.
type scenes []*scene

func (all *scenes) add(trace traces.Trace) *scene {
	sc := &scene{trace: trace}
	*all = append(*all, sc)
	return sc
}

const second = time.Second

func cancelled(d time.Duration) traces.Disturbance { return traces.Disturbance{Cancelled: d} }

// cast is the cast of the table of traces here.
var cast = traces.Cast{
	Usual: usual, User: "second", Secret: "cloney/moved", Kept: name.Secret(userOf(usual)), Reader: reader, Hurried: "60",
}

// fromTable returns the lives of the situation, each at each moment.
func fromTable(from traces.Situation) (all scenes) {
	for _, at := range from.Moments {
		for _, life := range from.Lives(cast, at) {
			all.add(life)
		}
	}
	return all
}

// more adds to a situation of the table what only this account can do.
var more = map[string]func(*scenes){
	"a Create that takes as long as its ServiceTimeout": func(all *scenes) {
		slow := (*all)[0].trace
		*all = nil
		for prove := 25; prove < 75; prove++ {
			all.add(slow).prove = prove
		}
	},
	"a Create that is refused": func(all *scenes) {
		for _, taken := range []properties{{"UserName": neighbour, "SecretName": "cloney/mine"}, {"SecretName": neighbourSecret}} {
			all.add(traces.Trace{{Declare: usual.With(taken)}})
		}
		for _, sc := range *all {
			sc.looks = func(s *stage) {
				if calls := s.calls[2]; !slices.Equal(calls, []string{"answer"}) {
					s.Errorf("the Delete makes the calls %v", calls)
				}
			}
		}
	},
}

// named are plays in addition to those of the table, of things that only this account can
// do, or that no time shows.
var named = map[string]func(*scenes){
	"a Create killed before its answer": func(all *scenes) {
		for _, d := range []time.Duration{0, 20 * second} {
			all.add(traces.Trace{{Declare: usual, Disturbance: cancelled(d)}}).faults = map[int]fault{1: {atAnswer, killBefore}}
		}
	},
	"a Create with a call that is refused": func(all *scenes) {
		for call := 1; call < 50; call++ {
			all.add(traces.Trace{{Declare: usual}}).faults = map[int]fault{1: {call, refused}}
		}
	},
	"a Serial at work when its rollback comes": func(all *scenes) {
		for _, d := range traces.Times(2*second, 10*second, second/20) {
			all.add(traces.Trace{{Declare: usual}, {Declare: usual.With(properties{"Serial": "2"}), Disturbance: cancelled(d)}})
		}
	},
	"an Update of an old key at work when its rollback comes": func(all *scenes) {
		for _, d := range traces.Times(second/10, 9*second, second/2) {
			for _, life := range cast.EachUpdate(traces.Move{Wait: time.Hour, Disturbance: cancelled(d)}) {
				all.add(life)
			}
		}
	},
	// The key that Serial replaced is still in its grace when the user changes.
	"a replacement in vain, and the keys of before": func(all *scenes) {
		shared := usual.With(properties{"SecretName": "cloney/shared"})
		rotated := shared.With(properties{"Serial": "2"})
		all.add(traces.Trace{{Declare: shared}, {Declare: rotated}, {Declare: rotated.With(properties{"UserName": "second"}), InVain: true}}).looks = func(s *stage) {
			if live := s.LiveKeys(userOf(usual)); len(live) != 2 {
				s.Errorf("of two keys %v live", live)
			}
		}
	},
	"a stranger's user": func(all *scenes) {
		all.add(traces.Trace{{Declare: usual}, {Hand: "a stranger takes the user's name"}, {Remove: true}})
	},
	"a user deleted by hand, and its policies": func(all *scenes) {
		for _, n := range []int{40, len(buckets)} {
			all.add(traces.Trace{
				{Declare: usual.With(properties{"Buckets": buckets[:n], "Verify": "false"})}, {Hand: "the user is deleted"}, {Declare: usual}, {Remove: true},
			})
		}
	},
	"a rollback to what is no more, or not allowed": func(all *scenes) {
		for _, what := range []string{"bucket one is deleted", "only bucket two is allowed", "the owner sets every limit", "the reader is deleted"} {
			read := usual.With(properties{"SecretReaders": reader})
			for _, next := range []properties{{"Buckets": "two"}, {"Buckets": "two", "ExpiresAt": "2000-01-01T20:00:00Z"}, {"Buckets": "two", "SecretReaders": nil}, {"Buckets": "two", "SecretName": "cloney/moved"}} {
				all.add(traces.Trace{{Declare: read}, {Hand: what}, {Declare: read.With(next), InVain: true}})
			}
		}
	},
}

// seeds is the number of seeds with which each is played.
const seeds = 5

func TestNamedPlays(t *testing.T) {
	lives := map[string]scenes{}
	for _, from := range traces.Table {
		all := fromTable(from)
		if add, ok := more[from.Title]; ok {
			add(&all)
		}
		lives[from.Title] = all
	}
	for title, of := range named {
		var all scenes
		of(&all)
		lives[title] = all
	}
	for _, title := range slices.Sorted(maps.Keys(lives)) {
		t.Run(title, func(t *testing.T) {
			all, m := lives[title], plays{T: t}
			// The race detector plays each life once.
			played := seeds / accesstest.OneIn(seeds)
			onEveryCore(len(all)*played, func(i int) { m.play(*all[i/played], uint64(i%played)) })
			if m.failed > 0 {
				t.Logf("%d of %d plays break a promise", m.failed, m.played)
			}
		})
	}
}
