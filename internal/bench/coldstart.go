package main

import (
	"context"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/bench/report"
	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/traces"
)

const rotator = "our rotator"

// cold is the time from the start of a process, in milliseconds, with a value for each run.
type cold struct{ poll, answer, verified map[string]report.Sample }

// coldStarts starts a new process of each program, in turn.
func (b *bench) coldStarts(ctx context.Context) (cold, error) {
	found := cold{map[string]report.Sample{}, map[string]report.Sample{}, map[string]report.Sample{}}
	programs := b.programs()
	for run := range b.runs {
		b.say("cold starts: run %d of %d", run+1, b.runs)
		// Each run has another order of the programs.
		order := []string{empty, ours, idle, rotator, python}
		first := run % len(order)
		for _, name := range append(order[first:], order[:first]...) {
			took, err := b.firstPoll(ctx, programs[name])
			if err != nil {
				return cold{}, fmt.Errorf("%s: %w", name, err)
			}
			found.poll[name] = append(found.poll[name], took)
		}
		for _, name := range []string{ours, python} {
			answer, err := b.firstAnswer(ctx, programs[name], "false")
			if err != nil {
				return cold{}, fmt.Errorf("%s: %w", name, err)
			}
			verified, err := b.firstAnswer(ctx, programs[name], "true")
			if err != nil {
				return cold{}, fmt.Errorf("%s: %w", name, err)
			}
			found.answer[name] = append(found.answer[name], answer)
			found.verified[name] = append(found.verified[name], verified)
		}
	}
	return found, nil
}

func (b *bench) firstPoll(ctx context.Context, program sandbox.Program) (float64, error) {
	e, err := b.start(program)
	if err != nil {
		return 0, err
	}
	defer e.end()
	took, err := e.FirstPoll(ctx)
	return milliseconds(took), err
}

// firstAnswer starts a program for which a Create waits already, and returns when it
// had answered.
func (b *bench) firstAnswer(ctx context.Context, program sandbox.Program, verify string) (float64, error) {
	e, err := b.start(program)
	if err != nil {
		return 0, err
	}
	defer e.end()
	r := b.newResource(traces.Properties{"Verify": verify})
	got, err := e.play(ctx, r, creation, 0)
	if err != nil {
		return 0, err
	}
	_, err = e.play(ctx, r, removal, 0)
	return milliseconds(got.answered.Sub(e.Started())), err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ratios are those of each pair of values that were measured one after the other.
func ratios(of, by report.Sample) (found report.Sample) {
	for i := range min(len(of), len(by)) {
		found = append(found, of[i]/by[i])
	}
	return found
}
