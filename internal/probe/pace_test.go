package probe_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/parallel"
)

// What proving a key costs where all goes well: calls, the longest chain of calls
// that wait for each other, and the time of our own: what passes where calls take
// no time, and what passes beyond the chain where each takes 80 ms. Shown by -v.
func TestWhatProvingCosts(t *testing.T) {
	const unit = 80 * time.Millisecond
	t.Logf("%-12s %7s %5s %5s %8s %8s", "role", "buckets", "calls", "chain", "at 0 ms", "at 80 ms")
	for _, role := range []struct {
		name          string
		scope         access.Scope
		calls, bucket int // in all: of STS, and of each bucket
		chain         int // of one bucket
	}{
		{"Source", source, 3, 5, 1 + 5},
		{"Destination", destination, 3, 9, 1 + 9},
		{"both", both, 3, 11, 1 + 11},
	} {
		for _, buckets := range []int{1, 10, 300 / accesstest.OneIn(10)} {
			scope := role.scope
			scope.Places = named(buckets, "bucket-%03d")
			own := "-"
			if buckets <= 10 { // of two hundred see TestManyBuckets
				var swift cloud
				waited, err := prove(t, &swift, scope)
				if own = waited.String(); err != nil || waited > 300*time.Millisecond {
					t.Errorf("%s, %d: %v after %v of our own", role.name, buckets, err, waited)
				}
			}
			var slow cloud
			slow.takes = func(string) time.Duration { return unit }
			took, err := prove(t, &slow, scope)
			// Ten at once: the others stand in a queue, which is a chain too.
			turns := (buckets + 9) / 10
			chain := 1 + (role.chain-1)*turns
			calls := role.calls + role.bucket*buckets
			if most := time.Duration(chain)*unit + 50*time.Millisecond; err != nil || took > most || len(slow.calls) != calls {
				t.Errorf("%s, %d: %v after %v of %v, %d calls of %d", role.name, buckets, err, took, most, len(slow.calls), calls)
			}
			t.Logf("%-12s %7d %5d %5d %8s %8v", role.name, buckets, calls, chain, own, took)
		}
	}
}

// The time from the start of the first proof to the start of the last depends on how late
// AWS was. The look by which a bucket passes comes after all proofs that the key
// authenticates.
func TestProofsLieApart(t *testing.T) {
	for label, c := range map[string]struct {
		known, allowed time.Duration // from then on STS knows the key, the bucket's policy allows it
		takes          time.Duration // each call
		sts, looks     time.Duration // from the first that succeeds to the last
	}{
		"at once":                  {0, 0, 0, 200 * time.Millisecond, 200 * time.Millisecond},
		"at once, calls take long": {0, 0, time.Second, 2 * time.Second, 2 * time.Second}, // no pause besides: STS is through after 3, the bucket was first looked at after 1
		"a short delay":            {time.Second, 0, 0, time.Second, time.Second},
		"a long delay":             {10 * time.Second, 0, 0, 1875 * time.Millisecond, 1875 * time.Millisecond}, // the last failure was after 7.5 s
		"the longest":              {60 * time.Second, 0, 0, 2 * time.Second, 2 * time.Second},
		"the policy is late":       {0, 10 * time.Second, 0, time.Second, 1875 * time.Millisecond},
	} {
		var started time.Time
		var identities, lists []time.Duration
		fake := cloud{takes: func(string) time.Duration { return c.takes }}
		fake.say = func(kind, _ string, n int) *answer {
			since := time.Since(started)
			switch {
			case kind == "identity" && len(fake.calls) == 1:
				started, since = time.Now(), 0
				fallthrough
			case kind == "identity":
				if since < c.known {
					return unknownKey()
				}
				identities = append(identities, since)
			case kind == "list":
				if since < c.allowed {
					return failing(403, "AccessDenied")
				}
				lists = append(lists, since)
			}
			return nil
		}
		if _, err := prove(t, &fake, source); err != nil || len(identities) != 3 || len(lists) != 2 {
			t.Fatalf("%s: %v, asked STS at %v, looked at %v", label, err, identities, lists)
		}
		if sts, looks := identities[2]-identities[0], lists[1]-lists[0]; sts != c.sts || looks != c.looks {
			t.Errorf("%s: STS over %v, the bucket over %v", label, sts, looks)
		}
	}
}

// A key that STS does not know any more in between is late, even if the bucket has allowed
// everything: the bucket is looked at once more after the key has authenticated.
func TestNoBucketPassesBeforeTheKey(t *testing.T) {
	var known, last time.Time
	fake := cloud{say: func(kind, _ string, n int) *answer {
		switch {
		case kind == "list":
			last = time.Now()
		case kind == "identity" && (n == 2 || n == 5):
			return unknownKey()
		case kind == "identity":
			known = time.Now()
		}
		return nil
	}}
	if _, err := prove(t, &fake, source); err != nil || last.Before(known) || fake.counts["list data"] != 2 {
		t.Errorf("%v: the last list was %v before the last identity; %v", err, known.Sub(last), fake.counts)
	}
}

// The error of a key that stops authenticating while buckets are looked at, and how soon it
// comes: the buckets are not looked at any more.
func TestAKeyThatAuthenticatesOnce(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "identity" && n > 1 {
			return unknownKey()
		}
		return nil
	}}
	took, err := prove(t, &fake, both)
	if err == nil || isObstacles(err) || took != 90*time.Second || !strings.Contains(err.Error(), "did not authenticate within 90 seconds (AWS said InvalidClientTokenId)") {
		t.Errorf("%v after %v", err, took)
	}
	if fake.counts["list data"] != 1 || strings.Contains(fake.log.String(), "summary") {
		t.Errorf("%v\n%s", fake.counts, fake.log.String())
	}
}

// A panic while the key authenticates reaches the caller at once: no bucket keeps waiting.
func TestAPanicOverAuthenticationIsTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := cloud{t: t, say: func(kind, _ string, n int) *answer {
			if kind == "identity" && n == 2 {
				panic("a bug")
			}
			return nil
		}}
		began := time.Now()
		defer func() {
			if raised, ok := recover().(parallel.Panic); !ok || time.Since(began) > time.Second {
				t.Errorf("raised after %v: %v", time.Since(began), raised)
			}
		}()
		_ = prober(&fake).Prove(t.Context(), key(), source, access.Subject{})
	})
}

// A place that waits until the key has authenticated does not delay the other places of
// its bucket.
func TestAPlaceThatWaitsKeepsNoOtherWaiting(t *testing.T) {
	fake := cloud{say: func(kind, _ string, n int) *answer {
		if kind == "identity" && n > 1 && n < 6 {
			return unknownKey()
		}
		return nil
	}}
	scope := access.Scope{Source: true, Places: []access.Place{"data/a/", "data/b/"}}
	_, err := prove(t, &fake, scope)
	if looked := slices.Index(fake.calls, "list data/b/"); err != nil || looked < 0 || strings.Count(strings.Join(fake.calls[:looked], "\n"), "identity") > 2 {
		t.Errorf("%v: %v", err, fake.calls)
	}
}

// fleet is the hosts of a service, which learn of a key one by one.
type fleet struct {
	learns []time.Duration // when each knows the key
	sticky bool            // one host answers all calls of a connection, else any answers any
	now    int             // the host that the connection leads to
	chance *rand.Rand
}

// knows answers for a host.
func (f *fleet) knows(since time.Duration, connects bool) bool {
	if connects || !f.sticky {
		f.now = f.chance.IntN(len(f.learns))
	}
	return since >= f.learns[f.now]
}

// ignorant reports whether a third of the hosts do not know the key.
func (f *fleet) ignorant(since time.Duration) bool {
	n := 0
	for _, learns := range f.learns {
		if since < learns {
			n++
		}
	}
	return n*3 >= len(f.learns)
}

// fleets are those of STS and S3, whose hosts learn after about so many seconds: the
// slower all are, the wider apart.
func fleets(seed uint64, sticky bool, seconds float64) (sts, s3 *fleet) {
	chance := rand.New(rand.NewPCG(seed, 15))
	typical := seconds * math.Exp(chance.NormFloat64()/2)
	both := [2]*fleet{}
	for i := range both {
		// Each its own chance: calls of both go side by side.
		both[i] = &fleet{sticky: sticky, chance: rand.New(rand.NewPCG(seed, uint64(i)))}
		for range 12 {
			both[i].learns = append(both[i].learns, time.Duration(typical*math.Exp(chance.NormFloat64()*0.3)*float64(time.Second)))
		}
	}
	return both[0], both[1]
}

const call = 10 * time.Millisecond

// former is when a key counted as proven by the earlier rule: three authentications half a
// second apart, then two looks half a second apart, all over one connection to STS and one
// to S3.
func former(sts, s3 *fleet) (at time.Duration) {
	inARow := func(f *fleet, times, calls int, firstWait time.Duration) {
		const between = 500 * time.Millisecond
		for n, wait, connects := 0, firstWait, true; ; connects = false {
			good := true
			for i := 0; good && i < calls; i++ {
				good = f.knows(at, connects && i == 0)
				at += call
			}
			if !good {
				n = 0
				at += wait
				wait = min(max(wait, between)*2, 5*time.Second)
				continue
			}
			if n++; n == times {
				return
			}
			wait = between
			at += between
		}
	}
	inARow(sts, 3, 1, time.Second)
	inARow(s3, 2, 2, 500*time.Millisecond)
	return at
}

// left is how long it then takes until two thirds of the hosts know the key.
func (f *fleet) left(since time.Duration) (left time.Duration) {
	for f.ignorant(since + left) {
		left += 10 * time.Millisecond
	}
	return left
}

// played proves a key of some age that a fleet learns of.
func played(t *testing.T, sts, s3 *fleet, age time.Duration) (at time.Duration) {
	t.Helper()
	var started time.Time
	fake := cloud{takes: func(string) time.Duration {
		if started.IsZero() {
			started = time.Now()
		}
		return call
	}}
	fake.say = func(kind, _ string, _ int) *answer {
		since := time.Since(started) + age
		switch {
		case kind == "identity" && !sts.knows(since, true):
			return unknownKey()
		// A look has a connection of its own, and begins with a list.
		case kind != "identity" && !s3.knows(since, kind == "list"):
			return failing(403, "InvalidAccessKeyId")
		}
		return nil
	}
	at, err := prove(t, &fake, source)
	if err != nil {
		t.Fatal(err)
	}
	return at + age
}

// A key counts as proven too soon if a third of the hosts do not know it yet. That happens as
// seldom as by the earlier rule, whether a connection leads to one host or to all, and a
// proof takes about as long. If all hosts know the key after about a second, the first calls
// may all work. Then it happens seldom too, and by less than a second.
func TestProvenAsSafelyAsBefore(t *testing.T) {
	seeds := 200 / accesstest.OneIn(10)
	for _, sticky := range []bool{true, false} {
		var tooSoon, wasTooSoon int
		var took, tookBefore time.Duration
		for seed := range uint64(seeds) {
			sts, s3 := fleets(seed, sticky, 5)
			at := played(t, sts, s3, 0)
			took += at
			if sts.ignorant(at) || s3.ignorant(at) {
				tooSoon++
			}
			sts, s3 = fleets(seed, sticky, 5)
			at = former(sts, s3)
			tookBefore += at
			if sts.ignorant(at) || s3.ignorant(at) {
				wasTooSoon++
			}
		}
		t.Logf("one host to a connection %v: too soon %d of %d, formerly %d; after %v, formerly %v", sticky, tooSoon, seeds, wasTooSoon, took/time.Duration(seeds), tookBefore/time.Duration(seeds))
		if tooSoon > wasTooSoon || took > tookBefore*11/10 {
			t.Errorf("one host to a connection: %v: too soon %d times of %d, formerly %d; after %v, formerly %v", sticky, tooSoon, seeds, wasTooSoon, took/time.Duration(seeds), tookBefore/time.Duration(seeds))
		}
		var often int
		var longest time.Duration
		for seed := range uint64(seeds) {
			sts, s3 := fleets(seed, sticky, 1)
			at := played(t, sts, s3, 800*time.Millisecond)
			if left := max(sts.left(at), s3.left(at)); left > 0 {
				often, longest = often+1, max(longest, left)
			}
		}
		t.Logf("fast hosts: too soon %d of %d, by %v at the most", often, seeds, longest)
		if often > max(1, seeds/50) || longest > time.Second {
			t.Errorf("fast hosts, one to a connection: %v: too soon %d times of %d, by %v at the most", sticky, often, seeds, longest)
		}
	}
}
