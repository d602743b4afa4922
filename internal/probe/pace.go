package probe

import (
	"sync"
	"time"
)

// What a new key, or a new policy, is answered with while AWS learns of it is
// known from those who watched:
//
//   - Seconds go by, about five of them, up to ten or more, and nothing tells when
//     it is over. S3 knows the key first and the policy later: a log that has a line
//     every four seconds has "unknown key" twice and then "access denied" twice.
//     https://github.com/hashicorp/vault/issues/687
//     https://github.com/open-craft/opencraft/issues/389
//   - Hosts learn of it one by one: one that knows does not mean that the next does.
//     https://github.com/hashicorp/vault/issues/8413
//
// So one proof is not enough, and two at the same moment are little more than one:
// the first may have met the earliest host. But how far apart hosts are is a share of
// how long the first of them takes. Where every call works, the key or the policy is
// most likely an old one, or AWS is fast today, and little is left to wait for.
// TestProvenAsSafelyAsBefore plays hosts that learn one by one, and measures.
const (
	// leastSpan is what proofs are spread over if each of them works at once.
	leastSpan = 200 * time.Millisecond
	// lateSpan is the least once something was not known: what was seen of the lag is
	// a part of it, for a rotation makes the key in an event before this one.
	lateSpan = time.Second
	mostSpan = 2 * time.Second
	// share of the lag: after four seconds hosts are given one to differ, after eight
	// seconds two.
	share = 4
	// After a failure: half a second, and twice as long each time. To begin with
	// 200 ms finds the earliest host, not the last: a key was proven a quarter of a
	// second sooner, and half as often again too soon.
	firstWait = 500 * time.Millisecond
	mostWait  = 5 * time.Second
)

// lag is how long it takes until AWS knows one new key and its policies.
type lag struct {
	started time.Time

	mu   sync.Mutex
	seen time.Duration // when a call last failed; 0: none has
}

// failed takes down that something is not known yet. A bucket that fails for good
// has the others be proven more slowly, which costs less than telling which is
// which: one that just was made, and a policy that is new, fail in the same way.
func (l *lag) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = max(time.Since(l.started), time.Nanosecond)
}

// span is how long proofs of one thing have to lie apart, the first from the last.
func (l *lag) span() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == 0 {
		return leastSpan
	}
	return min(max(l.seen/share, lateSpan), mostSpan)
}

// row is proofs of one thing, which have to succeed in a row.
type row struct {
	inARow int       // that succeeded, up to now
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

// failed starts again, a while from now.
func (r *row) failed() {
	r.inARow = 0
	r.wait = min(max(r.wait*2, firstWait), mostWait)
	r.again = time.Now().Add(r.wait)
}

// due is when to ask next, of proofs that are to be so many. They are spread evenly
// over the span from start to start, so that a call that takes long is not waited
// for and then waited after.
func (r *row) due(many int, span time.Duration) time.Time {
	if r.inARow == 0 {
		return r.again
	}
	return r.first.Add(span * time.Duration(r.inARow) / time.Duration(many-1))
}
