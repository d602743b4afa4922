package main

import (
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	now := time.Unix(0, 0)
	iam := newThrottle(func() time.Time { return now })
	taken := func(api string, tries int) (n int) {
		for range tries {
			if iam.take(api) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		api     string
		passes  time.Duration
		want    int
		because string
	}{
		{"iam GetUser", 0, burst, "the burst at first"},
		{"iam GetUser", 0, 0, "none behind it"},
		{"iam TagUser", 0, burst, "each API has its own"},
		{"iam GetUser", 300 * time.Millisecond, 3, "ten a second"},
		{"iam GetUser", time.Hour, burst, "never more than the burst"},
	} {
		now = now.Add(c.passes)
		if got := taken(c.api, 2*burst); got != c.want {
			t.Errorf("%s after %v: %d calls, not %d: %s", c.api, c.passes, got, c.want, c.because)
		}
	}
}

// Two hundred that ask an API twice each need (400-10)/10 seconds, and one by itself.
func TestIdeal(t *testing.T) {
	one := measured{wall: 100 * time.Millisecond, spans: []span{{name: "iam GetUser"}, {name: "iam TagUser"}, {name: "iam GetUser"}, {name: "s3 GET /"}, {name: "s3 GET /"}, {name: "s3 GET /"}}}
	if got, want := ideal(200, one), 39*time.Second+100*time.Millisecond; got != want {
		t.Errorf("%v, not %v", got, want)
	}
	if got := ideal(1, one); got != one.wall {
		t.Errorf("one by itself: %v, not %v", got, one.wall)
	}
}
