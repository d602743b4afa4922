package faults_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/traces"
)

var (
	alone = flag.Int64("seed", -1, "tell this one of the plays, and no other")
	oneIn = flag.Int("one-in", 1, "of a fault at every call of every event, one case in so many; no divisor of how many kinds of faults there are")
	many  = flag.Int("plays", 100_000, "how many plays, and at most how many pairs of faults")
)

// toldAtMost is how many plays that break a promise are printed.
const toldAtMost = 60

// lot draws a play by its seed.
type lot struct{ *rand.Rand }

func draw(seed uint64) lot { return lot{rand.New(rand.NewPCG(seed, 1))} }

// once in n draws.
func (l lot) once(n int) bool { return l.IntN(n) == 0 }

// below returns a time that is not round, so that no two things happen at the same moment
// by chance.
func (l lot) below(d time.Duration) time.Duration { return 1 + time.Duration(l.Int64N(int64(d))) }

// choices are the values from which each property is drawn; nil: the property is left out.
var choices = []struct {
	property string
	values   []any
}{
	{"ServiceTimeout", []any{nil, "330", "330", "330", "60"}},
	{"Buckets", []any{"one", "one", "two", "two", "one,two", "one,two", "gone"}},
	{"Access", []any{"Source", "Source", "Destination", "Source,Destination"}},
	{"Serial", []any{nil, "2"}},
	{"UserName", []any{nil, nil, "second"}},
	{"SecretName", []any{nil, nil, "cloney/shared", "cloney/moved"}},
	{"SecretReaders", []any{nil, nil, nil, reader, accesstest.ID + "," + reader}},
}

// properties draws some of the properties again, one in n.
func (l lot) properties(former traces.Properties, n int) traces.Properties {
	change := traces.Properties{}
	for _, choice := range choices {
		if value := choice.values[l.IntN(len(choice.values))]; l.once(n) {
			change[choice.property] = value
		}
	}
	return former.With(change)
}

// hurried reports whether CloudFormation waits only a short time for the resource. Its
// events are not queued.
func hurried(props traces.Properties) bool { return props["ServiceTimeout"] == "60" }

// disturbance draws a disturbance that the next event puts right.
func (l lot) disturbance(props traces.Properties) (d traces.Disturbance) {
	if l.once(2) {
		return d
	}
	d = l.further(false)
	if l.once(3) {
		d.Cancelled = l.below(20 * time.Second)
	}
	if l.once(3) {
		d.Queued = l.below(traces.MaximumEventAge - 2*time.Second)
	}
	if l.once(20) {
		d.Queued = traces.MaximumEventAge + time.Second
	}
	d.Unheard = l.once(12)
	return d
}

// further draws a disturbance of the last event.
func (l lot) further(hurried bool) (d traces.Disturbance) {
	if l.once(4) && !hurried {
		d.Queued = l.below(traces.MaximumEventAge - 2*time.Second)
	}
	if l.once(4) {
		within := []time.Duration{1, 10 * time.Second, time.Minute, 10 * time.Minute}
		d.Doubled = []time.Duration{l.below(within[l.IntN(len(within))])}
	}
	return d
}

// trace draws a life of two or three events, without those that follow from them.
func (l lot) trace() (trace traces.Trace) {
	waits := []time.Duration{0, 0, 10 * time.Second, 5 * time.Minute, time.Hour}
	props, ever := usual, false // ever: what is gone back to may be hurried
	for n := range 2 + l.IntN(2) {
		m := traces.Move{Wait: waits[l.IntN(len(waits))]}
		if n > 0 && l.once(5) {
			m.Remove = true
			m.Disturbance = l.further(hurried(props))
			m.Unheard = l.once(12)
		} else {
			former := props
			props = l.properties(former, 1+n*2)
			m.Declare, m.InVain = props, l.once(4)
			m.Disturbance = l.disturbance(props)
			ever = ever || hurried(props)
			m.Then = l.further(ever)
		}
		trace = append(trace, m)
	}
	return trace
}

// onEveryCore calls f with each number below n, several at the same time.
func onEveryCore(n int, f func(i int)) {
	// A world is small and short-lived: rare garbage collections halve the cost.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wait.Wait()
}

// plays sums up the results.
type plays struct {
	*testing.T
	mu             sync.Mutex
	played, failed int
	broken         int
	leftOut        int64
	// These are for plays of rotations.
	rotated, retired int
}

// play plays a scene, and prints the first scenes that break a promise.
func (p *plays) play(sc scene, seed uint64) {
	s := sc.play(p.T, seed, false)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.played++
	p.broken += len(s.problems)
	p.leftOut += s.LeftOut.Load()
	if len(s.problems) == 0 {
		return
	}
	if p.failed++; p.failed <= toldAtMost {
		p.Errorf("seed %d:\n%s\n\t%s", seed, strings.Join(sc.play(p.T, seed, true).trace, "\n"), strings.Join(s.problems, "\n\t"))
	}
}

// These are lives that nobody has chosen. Each is the same for its seed.
func TestPlays(t *testing.T) {
	p := plays{T: t}
	if *alone >= 0 {
		p.play(scene{trace: draw(uint64(*alone)).trace()}, uint64(*alone))
		return
	}
	step := accesstest.OneIn(401)
	onEveryCore(*many/step, func(i int) {
		seed := uint64(i * step)
		p.play(scene{trace: draw(seed).trace()}, seed)
	})
	fmt.Printf("plays: %d plays of two and three events, %d broken promises, %d second deliveries after a Delete left out\n", p.played, p.broken, p.leftOut)
}
