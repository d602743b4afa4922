// Package parallel runs functions at the same time.
//
// If a function panics, Do panics in the caller, which recovers and responds to the event: a
// panic in a goroutine of its own would end the process.
package parallel

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// Panic is the value with which a goroutine panicked, and its stack.
type Panic struct {
	Value any
	Stack []byte
}

// Origin returns both.
func (p Panic) Origin() (value any, stack []byte) { return p.Value, p.Stack }

// Do runs all at the same time, waits for all, and returns the first error.
func Do(all ...func() error) error {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	var panicked *Panic
	through := 0
	for _, f := range all {
		wait.Go(func() {
			defer func() {
				if value := recover(); value != nil {
					origin, nested := value.(Panic)
					if !nested {
						origin = Panic{value, debug.Stack()}
					}
					mu.Lock()
					defer mu.Unlock()
					panicked = &origin
				}
			}()
			err := f()
			mu.Lock()
			defer mu.Unlock()
			through++
			if failed == nil {
				failed = err
			}
		})
	}
	wait.Wait()
	if panicked != nil {
		panic(*panicked)
	}
	if through < len(all) {
		runtime.Goexit() // as the function has: nobody waits for it any more
	}
	return failed
}
