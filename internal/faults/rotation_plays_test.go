package faults_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/spec"
	"cloney-s3-credentials/internal/traces"
)

// surroundings draws rotations and sweeps at the same time as each event of a life.
type surroundings struct {
	lot
	*rotator
	wait sync.WaitGroup
	n    int
}

// secretOf returns the name of the secret by the properties.
func secretOf(props properties) string {
	if declared, ok := props["SecretName"].(string); ok {
		return declared
	}
	return name.Secret(userOf(props))
}

// around begins a rotation or a sweep, or both, shortly before or after an event. Some
// processes are killed, and some steps come twice.
func (r *surroundings) around(e *traces.Event) {
	props := e.Props
	if e.Old != nil && r.once(2) {
		props = e.Old
	}
	if !r.once(3) {
		r.n++
		token, within := name.Token("rotation", fmt.Sprint(r.n)), []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}
		after, rest := r.below(within[r.IntN(3)]), r.below(within[r.IntN(3)])
		faulty, f := 0, fault{}
		if r.once(3) {
			faulty, f = 1+r.IntN(4), fault{1 + r.IntN(20), kind(r.IntN(int(kinds)))}
		}
		r.wait.Go(func() {
			time.Sleep(after)
			_ = r.rotateSlowly(secretOf(props), token, rest, faulty, f)
		})
	}
	if r.once(2) {
		after := r.below(20 * time.Second)
		r.wait.Go(func() {
			time.Sleep(after)
			_ = r.sweep()
		})
	}
}

// rotateSlowly rotates with pauses between the steps, and tries twice. One of its runs has
// a fault.
func (r *surroundings) rotateSlowly(secret, token string, rest time.Duration, faulty int, f fault) error {
	token, err := r.BeginRotation(secret, token)
	if token == "" {
		return err
	}
	run := 0
	for range 2 {
		for _, step := range fourSteps {
			run++
			met := fault{}
			if run == faulty {
				met = f
			}
			if err = r.stepWith(met, step, secret, token); err != nil {
				break
			}
			time.Sleep(rest)
		}
		if err == nil {
			return nil
		}
		time.Sleep(20 * time.Second)
	}
	return err
}

// ends checks the promises when nothing is at work any more: the user has at most two keys,
// the current key works, and after another rotation the secret holds each of them. Then the
// stack is deleted, and nothing is left.
func (r *surroundings) ends(s *stage) {
	if s.Physical != "" && s.Retained == nil {
		secret := secretOf(s.Props)
		time.Sleep(time.Hour)
		r.n++
		// It may be refused, because the user has two keys in use.
		_ = r.rotateSlowly(secret, name.Token("rotation", fmt.Sprint(r.n)), time.Second, 0, fault{})
		keys, err := r.Account.Keys(r.Context(), s.Physical)
		info, failed := r.Account.Secret(r.Context(), secret)
		if err != nil || failed != nil || len(keys) > keyring.Most {
			r.Errorf("%s has %v (%v, %v)", s.Physical, keys, err, failed)
		}
		if current := r.Labelled(secret, access.Current); !slices.Contains(r.LiveKeys(s.Physical), current) {
			r.Errorf("AWSCURRENT of %s names %q, and %s has %v", secret, current, s.Physical, r.LiveKeys(s.Physical))
		}
		if info.Rotation.On {
			r.Check()
		}
	}
	s.Play(traces.Trace{{Remove: true}})
	time.Sleep(time.Nanosecond)
	if s.Retained == nil {
		s.holdsOnly("", spec.Spec{})
	}
}

// rotated draws a life with rotations, and with waits in which replaced keys are retired.
func (l lot) rotated() traces.Trace {
	trace := l.trace()
	for i := range trace {
		if trace[i].Declare != nil && !l.once(6) {
			trace[i].Declare = trace[i].Declare.With(properties{"RotationSchedule": monthly, "RotationGraceDays": "1"})
		}
		if l.once(3) {
			trace[i].Wait = []time.Duration{36 * time.Hour, 3 * day, 40 * day}[l.IntN(3)]
		}
	}
	return trace
}

func (p *plays) playRotations(seed uint64) {
	var s *stage
	var did map[notice.Kind][]string
	told := func(aloud bool) {
		synctest.Test(p.T, func(t *testing.T) {
			w := &world{recorder: &recorder{TB: t}, log: &buffer{}}
			if aloud {
				w.trace = []string{}
			}
			w.open(accesstest.Lag{Prove: 3 + int(seed%5)})
			s = w.set(seed)
			r := &surroundings{lot: draw(seed ^ 0xa5a5), rotator: w.rotates()}
			r.aloud = s.told
			s.aloud, s.rotating, s.sends = aloud, true, r.around
			s.Play(draw(seed).rotated())
			r.wait.Wait()
			time.Sleep(time.Nanosecond)
			if !s.Stuck {
				s.rests()
				s.sends = nil
				r.ends(s)
			}
			did = r.rotator.told
		})
	}
	told(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.played++
	p.broken += len(s.problems)
	p.rotated += len(did[notice.Rotated])
	p.retired += len(did[notice.Retired])
	if len(s.problems) == 0 {
		return
	}
	if p.failed++; p.failed <= toldAtMost {
		problems := strings.Join(s.problems, "\n\t")
		told(true)
		p.Errorf("seed %d:\n%s\n\t%s", seed, strings.Join(s.trace, "\n"), problems)
	}
}

// These are lives that nobody has chosen, with rotations and sweeps at the same time as
// their events.
func TestPlaysOfRotations(t *testing.T) {
	p := plays{T: t}
	if *alone >= 0 {
		p.playRotations(uint64(*alone))
		return
	}
	step := accesstest.OneIn(401)
	onEveryCore(*many/5/step, func(i int) { p.playRotations(uint64(i * step)) })
	fmt.Printf("plays of rotations: %d plays, %d rotations, %d keys retired, %d broken promises\n", p.played, p.rotated, p.retired, p.broken)
}
