package main

import (
	"context"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/bench/report"
)

// latencies are added to each call to AWS.
var latencies = []time.Duration{0, 20 * time.Millisecond, far}

// far is the latency for which there is a target.
const far = 80 * time.Millisecond

// waits are what events cost, by program, latency and kind, a value for each run.
type waits map[string]map[time.Duration]map[string][]measured

// waitsOf plays every kind of event at every latency, the programs in turn.
func (b *bench) waitsOf(ctx context.Context) (waits, error) {
	provider, rotates, err := b.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer provider.end()
	defer rotates.end()
	other, err := b.start(b.programs()[python])
	if err != nil {
		return nil, err
	}
	defer other.end()
	found := waits{ours: {}, python: {}}
	for _, latency := range latencies {
		found[ours][latency], found[python][latency] = map[string][]measured{}, map[string][]measured{}
		for run := range b.runs {
			b.say("every kind of event, %v a call: run %d of %d", latency, run+1, b.runs)
			for _, of := range []struct {
				program string
				*environment
			}{{ours, provider}, {python, other}} {
				costs, err := b.lives(ctx, of.program, of.environment, rotates, latency)
				if err != nil {
					return nil, err
				}
				for kind, m := range costs {
					found[of.program][latency][kind] = append(found[of.program][latency][kind], m)
				}
			}
		}
	}
	return found, nil
}

// wall is what the events of a kind took, in milliseconds.
func (w waits) wall(program string, latency time.Duration, kind string) (found report.Sample) {
	for _, m := range w[program][latency][kind] {
		found = append(found, milliseconds(m.wall))
	}
	return found
}

// count is the least that an event of the kind cost, where each call lasted long:
// see tries.
func (w waits) count(program, kind string) (least count, known bool) {
	for _, m := range w[program][far][kind] {
		got := count{len(m.spans), m.writes(), chain(m.spans)}
		if known {
			got = least.least(got)
		}
		least, known = got, true
	}
	return least, known
}

// looksAgain are the kinds that still write more than a second after they have looked at
// the user. A look counts for one second in a local AWS, and for four seconds on AWS.
var looksAgain = map[string]bool{testSecret: true, finishSecret: true}

// allowed is how many milliseconds an event may take: 1.1 times the time of its chain,
// and 50 ms. The chain is the one in our table, which does not grow with the code. The
// Python version has no table: its chain is the one that was counted. A kind that looks
// again has one call more.
func (w waits) allowed(program, kind string) float64 {
	length := counts[kind].chain
	if looksAgain[kind] {
		length++
	}
	if program == python {
		c, _ := w.count(program, kind)
		length = c.chain
	}
	return 1.1*float64(length)*milliseconds(far) + 50
}

// overTarget is the ratio of each run's time to the time that is allowed.
func (w waits) overTarget(program, kind string) (found report.Sample) {
	for _, took := range w.wall(program, far, kind) {
		found = append(found, took/w.allowed(program, kind))
	}
	return found
}

// worst is, for each run, the kind that is furthest over its target.
func (w waits) worst(program string) (found report.Sample) {
	for _, kind := range kinds {
		for i, ratio := range w.overTarget(program, kind) {
			if i == len(found) {
				found = append(found, ratio)
			}
			found[i] = max(found[i], ratio)
		}
	}
	return found
}

// counted is the least of all runs.
func counted(n int) report.Cell { return report.Cell{Text: fmt.Sprint(n)} }
