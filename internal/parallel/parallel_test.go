package parallel_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/parallel"
)

func after(d time.Duration, err error) func() error {
	return func() error { time.Sleep(d); return err } // synctest's time
}

// All run at the same time and to their ends, and the first error is the one.
func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := parallel.Do(); err != nil {
			t.Error(err)
		}
		first, second := errors.New("first"), errors.New("second")
		started := time.Now()
		if err := parallel.Do(after(2*time.Second, second), after(time.Second, first), after(3*time.Second, nil)); !errors.Is(err, first) {
			t.Errorf("returned %v", err)
		}
		if took := time.Since(started); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func broken() error { panic("a bug") }

// A panic reaches the caller, once all others have ended, and says what it was
// and where, however deep.
func TestAPanicReachesTheCaller(t *testing.T) {
	deep := func() error { return parallel.Do(after(0, nil), broken) }
	for _, f := range []func() error{broken, deep} {
		synctest.Test(t, func(t *testing.T) {
			started := time.Now()
			defer func() {
				panicked, ok := recover().(parallel.Panic)
				if !ok {
					t.Fatal("no panic")
				}
				value, stack := panicked.Origin()
				if value != "a bug" || !strings.Contains(string(stack), "parallel_test.broken") {
					t.Errorf("panicked with %v at\n%s", value, stack)
				}
				if took := time.Since(started); took != time.Second {
					t.Errorf("after %v", took)
				}
			}()
			_ = parallel.Do(after(time.Second, nil), f)
		})
	}
}

// A goroutine that ends has its caller end too: what it was to find out is
// missing.
func TestAGoroutineThatEnds(t *testing.T) {
	var caller sync.WaitGroup
	caller.Go(func() {
		_ = parallel.Do(after(0, nil), func() error { runtime.Goexit(); return nil })
		t.Error("the caller goes on")
	})
	caller.Wait()
}
