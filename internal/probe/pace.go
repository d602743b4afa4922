package probe

import (
	"sync"
	"time"
)

// It takes AWS some time to learn of a new key and of a new policy. Others have
// observed:
//
//   - It takes about five seconds, sometimes ten or more, and no answer says when it is
//     over. S3 learns of the key first and of the policy later: a log with one line
//     every four seconds has "unknown key" twice, and then "access denied" twice.
//     https://github.com/hashicorp/vault/issues/687
//     https://github.com/open-craft/opencraft/issues/389
//   - Hosts learn one by one: a call that works on one host may fail on the next.
//     https://github.com/hashicorp/vault/issues/8413
//
// So one proof is not enough, and two at the same moment are little better: the first
// may have reached the earliest host. The hosts differ by a part of the time that the
// first of them takes. If every call works, the key and the policy are most likely old,
// or AWS is fast, and there is little to wait for. TestProvenAsSafelyAsBefore simulates
// hosts that learn one by one, and measures.
const (
	// leastSpan is the time from the first proof to the last if no call has failed.
	leastSpan = 200 * time.Millisecond
	// lateSpan is the least time once a call has failed. The failures show only a part
	// of the delay: a rotation creates the key in an event before this one.
	lateSpan = time.Second
	mostSpan = 2 * time.Second
	// share of the delay: if AWS took four seconds, hosts get one second to differ; if
	// it took eight, two.
	share = 4
	// After a failure: half a second, and twice as long each time. A first wait of
	// 200 ms finds the earliest host, not the last: keys were proven a quarter of a
	// second sooner, and half as often again too soon.
	firstWait = 500 * time.Millisecond
	mostWait  = 5 * time.Second
)

// clock is what the proofs of one key share: when they began, when a call last failed,
// and when they end.
type clock struct {
	started time.Time

	mu         sync.Mutex
	lastFailed time.Duration // since the start; 0: no call has failed
	lost       bool          // a place has failed for good, and so has the whole proof
}

// failed notes that AWS does not know something yet. A bucket that fails for good makes
// the proofs of the others slower. That costs less than to distinguish: a bucket that
// was just created, and a policy that is new, fail in the same way.
func (c *clock) failed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastFailed = max(time.Since(c.started), time.Nanosecond)
}

// span is the time from the first to the last proof of one thing.
func (c *clock) span() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastFailed == 0 {
		return leastSpan
	}
	return min(max(c.lastFailed/share, lateSpan), mostSpan)
}

// lose notes that a place has failed for good.
func (c *clock) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = true
}

// end is until when places are polled. Once the proof is lost, the others need to be
// polled only for long enough that AWS has learned of the key and its policies: then
// what the error says of them is right too.
func (c *clock) end() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost {
		return c.started.Add(mostDelay)
	}
	return c.started.Add(mostPolling)
}

// row is proofs of one thing, of which several have to succeed in a row.
type row struct {
	inARow int       // how many have succeeded since the last failure
	first  time.Time // when the first of them began
	wait   time.Duration
	again  time.Time // after a failure: when to try again
}

func (r *row) succeeded(began time.Time) {
	if r.inARow++; r.inARow == 1 {
		r.first = began
	}
	r.wait = 0
}

// failed starts the row again, after a wait.
func (r *row) failed() {
	r.inARow = 0
	r.wait = min(max(r.wait*2, firstWait), mostWait)
	r.again = time.Now().Add(r.wait)
}

// due is when to ask next, if so many proofs have to succeed. The starts of the proofs
// are spread evenly over the span, so that a call that takes long adds no wait.
func (r *row) due(many int, span time.Duration) time.Time {
	if r.inARow == 0 {
		return r.again
	}
	return r.first.Add(span * time.Duration(r.inARow) / time.Duration(many-1))
}
