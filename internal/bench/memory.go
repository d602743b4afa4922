package main

import (
	"context"
	"fmt"
	"sync"

	"cloney-s3-credentials/internal/bench/report"
	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/traces"
)

// lookAt is after how many events of one process its memory is looked at.
var lookAt = []int{1, 10, 200}

// atOnce is how many processes the memory is measured of at a time: time does
// not matter here.
const atOnce = 4

// memory is the most memory that a process had after so many events, in MiB, with a
// value for each process.
type memory map[int]report.Sample

// peaks has so many processes of a program live through events, one after the other.
func (b *bench) peaks(ctx context.Context, name string, program sandbox.Program, processes int) (memory, error) {
	found := memory{}
	var mu sync.Mutex
	var working sync.WaitGroup
	var failed error
	free := make(chan struct{}, atOnce)
	for n := range processes {
		free <- struct{}{}
		b.say("memory of %s over %d events: process %d of %d", name, lookAt[len(lookAt)-1], n+1, processes)
		working.Go(func() {
			defer func() { <-free }()
			peaks, err := b.peaksOf(ctx, program)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = fmt.Errorf("%s: %w", name, err)
				return
			}
			for i, after := range lookAt {
				found[after] = append(found[after], peaks[i])
			}
		})
	}
	working.Wait()
	return found, failed
}

// peaksOf is the memory of one process, at each of lookAt.
func (b *bench) peaksOf(ctx context.Context, program sandbox.Program) (peaks []float64, err error) {
	e, err := b.start(program)
	if err != nil {
		return nil, err
	}
	defer e.end()
	life := []step{creation, asIs, widened, renewed, removal}
	var r *resource
	for n := 0; len(peaks) < len(lookAt); n++ {
		if n%len(life) == 0 {
			verify := "false"
			if n/len(life)%2 == 0 {
				verify = "true"
			}
			r = b.newResource(traces.Properties{"Verify": verify})
		}
		if _, err := e.play(ctx, r, life[n%len(life)], 0); err != nil {
			return nil, err
		}
		if n+1 == lookAt[len(peaks)] {
			bytes, err := e.PeakMemory()
			if err != nil {
				return nil, err
			}
			peaks = append(peaks, float64(bytes)/(1<<20))
		}
	}
	return peaks, nil
}
