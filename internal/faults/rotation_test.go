package faults_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
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
)

// rotationToken must not be in any log.
const rotationToken = "RotationTokenLetNobodySeeThis"

// secretsManager rotates secrets like the real one: it creates an empty version, invokes
// one step after the other, and repeats all steps after a failure.
type secretsManager struct {
	*world
	rotator *rotation.Rotator
	begun   int // rotations

	faults map[int]fault // of a step's invocation, by its number from 1
	repeat bool          // each faulted step is invoked once more at once

	mu    sync.Mutex
	steps []invocation // that were invoked
	told  []notice.Notice
}

// invocation is one step, and the calls that it made.
type invocation struct {
	step  rotation.Step
	calls []string
	err   error
}

// rotations is the Secrets Manager of the world.
func (w *world) rotations() *secretsManager {
	m := &secretsManager{world: w}
	m.rotator = &rotation.Rotator{
		Users: w.Account, Keys: w.Account, Policies: w.Account, Secrets: w.Account, Prober: w.Account, Announcer: m, Log: w.logger,
		Versions: func(access.Secret) rotation.Versions { return w.Account }, Function: accesstest.Rotator,
	}
	return m
}

// Announce is a call to AWS like any other.
func (m *secretsManager) Announce(ctx context.Context, n notice.Notice) error {
	if err := before(ctx, "PutEvents"); err != nil {
		return err
	}
	m.mu.Lock()
	m.told = append(m.told, n)
	m.mu.Unlock()
	return after(ctx, "PutEvents")
}

// begin begins a rotation, or continues the one that has not ended.
func (m *secretsManager) begin(secret string) (token string, err error) {
	m.begun++
	token, err = m.BeginRotation(secret, name.Token("rotation", fmt.Sprint(m.begun)))
	if token != "" {
		return token, nil
	}
	return "", err
}

var fourSteps = []rotation.Step{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret}

// once invokes the four steps, up to the first failure.
func (m *secretsManager) once(secret, token string) error {
	for _, step := range fourSteps {
		if err := m.invoke(step, secret, token); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return nil
}

// again is the time between two attempts, and tries is the number of attempts.
const (
	tryAgain = 5 * time.Minute
	tries    = 6
)

// rotate rotates, and tries again with the same token.
func (m *secretsManager) rotate(secret string) (token string, err error) {
	token, err = m.begin(secret)
	if err != nil {
		return "", err
	}
	for range tries {
		if err = m.once(secret, token); err == nil {
			return token, nil
		}
		time.Sleep(tryAgain)
	}
	return token, err
}

// invoke invokes the function once, in a process of its own. After a fault it may invoke it
// once more.
func (m *secretsManager) invoke(step rotation.Step, secret, token string) error {
	m.mu.Lock()
	number := len(m.steps) + 1
	f := m.faults[number]
	m.mu.Unlock()
	err := m.run(step, secret, token, &process{fault: f, name: fmt.Sprintf("step %d", number)})
	if f.call > 0 && m.repeat {
		return m.run(step, secret, token, &process{name: fmt.Sprintf("step %d again", number)})
	}
	return err
}

func (m *secretsManager) run(step rotation.Step, secret, token string, p *process) (err error) {
	ctx := p.begin(m.Context())
	returned := make(chan struct{})
	err = fmt.Errorf("the function was stopped")
	go func() {
		defer close(returned)
		defer func() {
			if said := recover(); said != nil {
				err = fmt.Errorf("panic: %v", said) // Lambda's runtime ends the process
			}
		}()
		err = m.rotator.Step(ctx, rotation.Event{Step: step, SecretID: secret, Token: token, RotationToken: access.NewSecret(rotationToken)})
	}()
	select {
	case <-returned:
	case <-ctx.Done(): // Lambda stops what still runs
	}
	p.end()
	<-returned
	if p.twice {
		m.Errorf("%s asked for a key again before it has looked what the call before made", step)
	}
	m.heard("    %s %s: %v", p.name, step, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps = append(m.steps, invocation{step, p.calls, err})
	return err
}

// rotations are the lives of a secret that are played with every fault. Each returns when
// its rotation has ended.
var rotations = map[string]func(m *secretsManager, c *cloudFormation){
	"a place is free": func(m *secretsManager, c *cloudFormation) { m.must(c) },
	"an unused key makes room": func(m *secretsManager, c *cloudFormation) {
		c.update(rotated.With(properties{"Serial": "2"}))
		time.Sleep(8 * 24 * time.Hour)
		m.must(c)
	},
	"the current key was switched off": func(m *secretsManager, c *cloudFormation) {
		former := c.key
		c.update(rotated.With(properties{"Serial": "2"}))
		m.Use(former, access.LastUse{Time: time.Now(), Service: "s3", Region: "eu-west-1"})
		m.Deactivate(c.key)
		c.key = former // lives on
		m.must(c)
	},
	"the test fails": func(m *secretsManager, c *cloudFormation) {
		m.SetBucket("one", false)
		if _, err := m.rotate(name.Secret(userOf(c.props))); err == nil {
			m.Errorf("a key became current whose bucket is gone")
		}
		m.SetBucket("one", true)
		m.must(c)
	},
}

// must rotates until a rotation has succeeded: after a final failure it begins another one.
func (m *secretsManager) must(c *cloudFormation) {
	secret := name.Secret(userOf(c.props))
	before, user := m.Labelled(secret, access.Current), userOf(c.props)
	works := slices.Contains(m.LiveKeys(user), before) // it was not switched off
	for range 2 {
		_, err := m.rotate(secret)
		m.Check()
		if live := m.LiveKeys(user); works && !slices.Contains(live, before) {
			m.Errorf("key %s, which was current when the rotation began, lives no more: %v", before, live)
		}
		if err == nil {
			break
		}
	}
	if now := m.Labelled(secret, access.Current); now == before {
		m.Errorf("no rotation succeeded; the last step: %v", m.steps[len(m.steps)-1].err)
	}
	m.toldOnce(secret)
}

// toldOnce checks that the rotation to the current key was announced, once or again with
// the same ID, and that no failure of it was.
func (m *secretsManager) toldOnce(secret string) {
	ids := map[notice.Kind]map[string]bool{notice.Rotated: {}, notice.Failed: {}}
	current := m.Labelled(secret, access.Current)
	for _, n := range m.told {
		if n.Kind == notice.Rotated && n.AccessKeyID != current {
			m.Errorf("told that key %s is current, which is %s", n.AccessKeyID, current)
		}
		ids[n.Kind][n.ID] = true
	}
	if len(ids[notice.Rotated]) != 1 || len(ids[notice.Failed]) >= m.begun {
		m.Errorf("told: %v", ids)
	}
}

// rotationCase is one of these lives with its faults.
type rotationCase struct {
	plot   string
	faults map[int]fault
	repeat bool
	lag    accesstest.Lag
}

func (s rotationCase) String() string {
	text := s.plot
	for _, n := range slices.Sorted(maps.Keys(s.faults)) {
		text += fmt.Sprintf("; step %d, call %d %v", n, s.faults[n].call, s.faults[n].kind)
	}
	return fmt.Sprintf("%s, again: %t, lag %+v", text, s.repeat, s.lag)
}

func (s rotationCase) run(t *testing.T) (steps []invocation, problems []string) {
	problems, _ = play(t, s.lag, func(w *world) {
		c, m := w.stack(), w.rotations()
		if !c.create(rotated) {
			return
		}
		time.Sleep(24 * time.Hour)
		m.faults, m.repeat = s.faults, s.repeat
		rotations[s.plot](m, c)
		m.faults = nil
		steps = m.steps
		if strings.Contains(w.log.String(), rotationToken) {
			w.Errorf("the RotationToken is in the log")
		}
		m.after(c)
		c.delete()
		w.empty()
	})
	return steps, problems
}

// after checks the stack after a rotation: an Update that changes nothing finds everything
// as declared and proven, and writes only marks; and no mark of the rotator is left.
func (m *secretsManager) after(c *cloudFormation) {
	user := userOf(c.props)
	secret := name.Secret(user)
	current := m.Labelled(secret, access.Current)
	m.Forget()
	c.update(c.props)
	if writes := m.Writes(); writes["CreateAccessKey"]+writes["UpdateSecretVersionStage"]+writes["PutSecretValue"] > 0 || len(m.Proofs()) > 0 {
		m.Errorf("an Update that changes nothing after a rotation writes %v, proves %v", writes, m.Proofs())
	}
	if now := m.Labelled(secret, access.Current); now != current {
		m.Errorf("an Update that changes nothing goes from key %s to %s", current, now)
	}
	info, err := m.Secret(m.Context(), secret)
	if err != nil {
		m.Errorf("%v", err)
	}
	for _, v := range info.Versions {
		if v.Has(access.Pending) {
			m.Errorf("version %s is still AWSPENDING, with key %s", v.ID, keyring.KeyID(v))
		}
	}
	for key, value := range m.Tags(user) {
		if strings.Contains(value, "Rotate") {
			m.Errorf("the mark %s of the rotator is left", key)
		}
	}
}

// This plays every fault at every call of every step. Then the step comes again or not, and
// then Secrets Manager retries with the same token, and after that with a new one.
func TestEveryFaultOfARotation(t *testing.T) {
	var cases []rotationCase
	for _, plot := range slices.Sorted(maps.Keys(rotations)) {
		steps, problems := rotationCase{plot: plot}.run(t)
		if len(problems) > 0 {
			t.Fatalf("%s, undisturbed:\n\t%s", plot, strings.Join(problems, "\n\t"))
		}
		for i, s := range steps {
			for _, f := range (life{calls: s.calls}).faults() {
				for _, repeat := range []bool{false, true} {
					cases = append(cases, rotationCase{plot: plot, faults: map[int]fault{i + 1: f}, repeat: repeat})
				}
			}
		}
	}
	playRotations(t, "every fault of a rotation", cases)
}

// This plays two faults in any two steps, in an account that is as slow to show changes as
// IAM.
func TestPairsOfFaultsOfARotation(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	plots := slices.Sorted(maps.Keys(rotations))
	var cases []rotationCase
	for range min(20_000, *many/4) {
		any := func() fault { return fault{1 + random.IntN(24), kind(random.IntN(int(kinds)))} }
		s := rotationCase{plot: plots[random.IntN(len(plots))], repeat: random.IntN(2) == 0, faults: map[int]fault{}}
		s.faults[1+random.IntN(4)], s.faults[1+random.IntN(9)] = any(), any()
		if random.IntN(2) == 0 {
			late := func() int { return random.IntN(4) }
			s.lag = accesstest.Lag{Keys: late(), Prove: late(), Users: late(), Policies: late()}
		}
		cases = append(cases, s)
	}
	playRotations(t, "pairs of faults of a rotation", cases)
}

// playRotations plays cases on every core and sums up.
func playRotations(t *testing.T, what string, cases []rotationCase) {
	t.Helper()
	step := accesstest.OneIn(401)
	var mu sync.Mutex
	played, broken := 0, 0
	onEveryCore((len(cases)+step-1)/step, func(i int) {
		s := cases[i*step]
		_, problems := s.run(t)
		mu.Lock()
		defer mu.Unlock()
		played++
		if broken += len(problems); len(problems) > 0 && broken < 60 {
			t.Errorf("%v:\n\t%s", s, strings.Join(problems, "\n\t"))
		}
	})
	fmt.Printf("%s: %d cases, %d broken promises\n", what, played, broken)
}
