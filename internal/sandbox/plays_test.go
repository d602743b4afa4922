package sandbox_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/traces"
)

// atOnce is how many plays of a test go on side by side: most of them wait.
var atOnce = 16 * runtime.GOMAXPROCS(0)

// sideBySide plays, so many at a time, and looks at the whole afterwards.
func sideBySide(t *testing.T, atOnce int, cases []play) {
	t.Helper()
	l, started := &lambda{s: account(t)}, time.Now()
	defer l.close()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var log strings.Builder
	broken, overlaps, next := 0, 0, make(chan play, len(cases))
	for _, c := range cases {
		next <- c
	}
	close(next)
	for range min(atOnce, len(cases)) {
		wait.Go(func() {
			for c := range next {
				s := l.set(c)
				err := s.perform()
				mu.Lock()
				log.WriteString(s.log.String())
				overlaps += s.overlaps
				if err != nil {
					broken++
					t.Errorf("%s: %v\n%s", c.title, err, s.log.String())
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	empty(t)
	leaksNothing(t, log.String())
	t.Logf("%d cases, %d broke an invariant, %d deliveries overlapped, %.1f s", len(cases), broken, overlaps, time.Since(started).Seconds())
}

// leaksNothing looks in what was logged and answered for the secret half of
// any key that was ever issued, and for ResponseURLs.
func leaksNothing(t *testing.T, log string) {
	t.Helper()
	issued, err := account(t).IssuedSecrets(ctxOf(t))
	must(t, err)
	const length = 40 // of a secret access key
	secret := map[string]bool{}
	for _, s := range issued {
		if len(s) != length {
			t.Fatalf("a secret access key of %d characters", len(s))
		}
		secret[s] = true
	}
	for i := range max(0, len(log)-length) {
		if secret[log[i:i+length]] {
			t.Fatal("a secret access key was logged or answered")
		}
	}
	if strings.Contains(log, traces.Signature) || strings.Contains(log, "X-Amz-") {
		t.Error("a ResponseURL was logged or answered")
	}
}
