package faults_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/rotation"
	"cloney-s3-credentials/internal/sweep"
)

const day = 24 * time.Hour

// rotator is the function that rotates and sweeps, in a world, with its notices.
type rotator struct {
	*world
	*rotation.Rotator
	*sweep.Sweeper

	mu   sync.Mutex
	told map[notice.Kind][]string // ids, in the order they were told
	runs int
	// faulty is the number of the run with the fault, from 1.
	faulty int
	fault  fault
	lives  []life                           // of the runs, by number less one
	aloud  func(format string, args ...any) // is told of runs; nil: nobody is
}

func (w *world) rotates() *rotator {
	r := &rotator{world: w, told: map[notice.Kind][]string{}}
	r.Rotator = &rotation.Rotator{
		Users: w.Account, Keys: w.Account, Policies: w.Account, Secrets: w.Account, Prober: w.Account, Announcer: r, Log: w.logger,
		Versions: func(access.Secret) rotation.Versions { return w.Account },
		Function: accesstest.Rotator,
	}
	r.Sweeper = &sweep.Sweeper{
		Users: w.Account, Policies: w.Account, Keys: w.Account, Secrets: w.Account, Stacks: w.Account, Announcer: r, Log: w.logger, KeyAge: 365 * day,
	}
	return r
}

// Announce keeps the notices.
func (r *rotator) Announce(ctx context.Context, n notice.Notice) error {
	if p := of(ctx); p != nil && !p.alive() {
		return errUnclear
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[n.Kind] = append(r.told[n.Kind], n.ID)
	return nil
}

// run runs the function once, with its fault if it is the faulty run. An error says that it
// failed, or that its process was killed.
func (r *rotator) run(what string, met fault, f func(context.Context) error) (err error) {
	r.mu.Lock()
	r.runs++
	number := r.runs
	r.mu.Unlock()
	if number == r.faulty {
		met = r.fault
	}
	p := &process{name: fmt.Sprintf("%s %d", what, number), fault: met}
	ctx := p.begin(r.Context())
	returned := make(chan struct{})
	err = errUnclear
	go func() {
		defer close(returned)
		defer func() {
			if broken := recover(); broken != nil {
				err = errUnclear // Lambda's runtime ends the process
			}
		}()
		err = f(ctx)
	}()
	select {
	case <-returned:
	case <-ctx.Done(): // Lambda stops what still runs
	}
	p.end()
	<-returned
	if r.aloud != nil {
		r.aloud("%s (%v): %v: %s", p.name, met, err, strings.Join(slices.DeleteFunc(slices.Clone(p.calls), func(verb string) bool { return !accesstest.IsWrite(verb) }), " "))
	}
	if p.twice {
		r.Errorf("asked for a key again before it has looked what the call before made")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lives = append(r.lives, life{what, p.calls, ""})
	return err
}

// step makes the function carry out one step, as Secrets Manager does.
func (r *rotator) step(step rotation.Step, secret, token string) error {
	return r.stepWith(fault{}, step, secret, token)
}

func (r *rotator) stepWith(met fault, step rotation.Step, secret, token string) error {
	return r.run(string(step), met, func(ctx context.Context) error {
		return r.Step(ctx, rotation.Event{Step: step, SecretID: secret, Token: token})
	})
}

// rotate rotates as Secrets Manager does: it invokes the four steps, and repeats all of
// them some times after an error.
func (r *rotator) rotate(secret, token string) error {
	token, err := r.BeginRotation(secret, token)
	if err != nil && token == "" {
		return err
	}
	for range 3 {
		if err = r.steps(secret, token); err == nil {
			return nil
		}
		time.Sleep(time.Minute)
	}
	return err
}

func (r *rotator) steps(secret, token string) error {
	for _, step := range fourSteps {
		if err := r.step(step, secret, token); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return nil
}

// sweep is the daily sweep.
func (r *rotator) sweep() error { return r.run("sweep", fault{}, r.Sweep) }

// whole checks a user's keys while nothing is at work: the current key works, and the
// secret holds each key.
func (r *rotator) whole(user, secret string) (current string) {
	r.Helper()
	r.Check()
	live := r.LiveKeys(user)
	if current = r.Labelled(secret, access.Current); !slices.Contains(live, current) {
		r.Errorf("AWSCURRENT of %s names %q, and %s has %v", secret, current, user, live)
	}
	for _, key := range live {
		if !r.records(secret, key) {
			r.Errorf("key %s of %s lives, and no version of %s records it", key, user, secret)
		}
	}
	return current
}

func (r *rotator) records(secret, key string) bool {
	info, err := r.Secret(r.Context(), secret)
	return err == nil && keyring.Ring{Versions: info.Versions}.Stored(key)
}

// life is a resource with a rotation. The daily sweep retires the replaced key, and then
// the resource is deleted. One of the sweeps has a fault.
func (r *rotator) life() {
	c := r.stack()
	if !c.create(rotated) {
		r.Errorf("the Create failed")
		return
	}
	user, secret := c.physical, name.Secret(c.physical)
	time.Sleep(30 * day)
	if err := r.rotate(secret, name.Token("rotation")); err != nil {
		r.Errorf("the rotation: %v", err)
	}
	second := r.Labelled(secret, access.Current)
	r.runs, r.lives = 0, nil
	// If a sweep was killed before it deactivated the key, the next one assumes that
	// somebody has activated the key again: it waits for one more grace.
	for range 31 {
		time.Sleep(day)
		if err := r.sweep(); err != nil && r.runs != r.faulty {
			r.Errorf("sweep %d: %v", r.runs, err)
		}
		if r.whole(user, secret) != second {
			r.Errorf("AWSCURRENT moved")
		}
	}
	if keys, _ := r.Keys(r.Context(), user); len(keys) != 1 {
		r.Errorf("the former key was not retired: %v", keys)
	}
	for _, kind := range []notice.Kind{notice.Rotated, notice.Retired} {
		// If the process was killed between the notice and its record, the notice comes
		// twice with one ID.
		if ids := slices.Compact(slices.Sorted(slices.Values(r.told[kind]))); len(ids) != 1 || len(r.told[kind]) > 2 {
			r.Errorf("%s was told %d times, with %d ids", kind, len(r.told[kind]), len(ids))
		}
	}
	c.delete()
	r.empty()
}

// Keys is a method of all parts of the function.
func (r *rotator) Keys(ctx context.Context, user string) ([]access.Key, error) {
	return r.Account.Keys(ctx, user)
}

// Secret is the method of the account.
func (r *rotator) Secret(ctx context.Context, secret string) (access.SecretInfo, error) {
	return r.Account.Secret(ctx, secret)
}

// This plays every fault at every call of the sweeps that deactivate and delete a replaced
// key.
func TestEveryFaultOfTheSweep(t *testing.T) {
	sweeps := func(faulty int, f fault) (lives []life, problems []string, told map[notice.Kind][]string) {
		problems, _ = play(t, accesstest.Lag{}, func(w *world) {
			r := w.rotates()
			r.faulty, r.fault = faulty, f
			r.life()
			lives, told = r.lives, r.told
		})
		return lives, problems, told
	}
	lives, problems, told := sweeps(0, fault{})
	if len(problems) > 0 || len(told[notice.Rotated]) != 1 || len(told[notice.Retired]) != 1 {
		t.Fatalf("undisturbed, told %v:\n\t%s", told, strings.Join(problems, "\n\t"))
	}
	type one struct {
		run int
		fault
	}
	var all []one
	for i, life := range lives {
		if slices.Contains(life.calls, "UpdateAccessKey") || slices.Contains(life.calls, "DeleteAccessKey") {
			for _, f := range life.faults() {
				all = append(all, one{i + 1, f})
			}
		}
	}
	step := accesstest.OneIn(7)
	m := matrix{T: t}
	onEveryCore(len(all)/step, func(i int) {
		s := all[i*step]
		_, problems, _ := sweeps(s.run, s.fault)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.cases++
		if m.broken += len(problems); len(problems) > 0 && m.broken < 100 {
			m.Errorf("sweep %d, call %d (%s) %v:\n\t%s", s.run, s.call, lives[s.run-1].calls[s.call-1], s.kind, strings.Join(problems, "\n\t"))
		}
	})
	fmt.Printf("every fault of the sweep: %d cases, %d broken promises\n", m.cases, m.broken)
}
