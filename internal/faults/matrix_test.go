package faults_test

import (
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
	"cloney-s3-credentials/internal/name"
)

// usual are the properties of a stack that leaves everything to the provider.
var usual = properties{
	"ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:cloney-s3-credentials", "ServiceTimeout": "330",
	"Access": "Source", "Buckets": []string{"one"},
}

var everything = usual.With(properties{
	"Access": []string{"Source", "Destination"}, "Buckets": []string{"two"}, "Serial": "2", "SecretName": "cloney/moved",
	"SecretKmsKeyId": "alias/k", "SecretReaders": []string{accesstest.ID}, "Tags": []any{map[string]string{"Key": "team", "Value": "x"}},
})

// These are readers of the secret: another one of the stack's account, and one of another
// account, with the KMS key that it needs.
const (
	reader  = "arn:aws:iam::" + accesstest.ID + ":role/Reader"
	another = "210987654321"
	ownKey  = "arn:aws:kms:eu-west-1:" + accesstest.ID + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

// plots are the lives of a stack: each change that an owner can make, once with success,
// and once rolled back because another resource of the stack failed.
var plots = map[string]func(*cloudFormation){
	"create":             func(c *cloudFormation) { c.create(usual) },
	"create, many":       func(c *cloudFormation) { c.create(usual.With(properties{"Buckets": buckets, "Verify": "false"})) },
	"create, in window":  recovered,
	"update, nothing":    changing(nil),
	"update, bucket":     changing(properties{"Buckets": []string{"one", "two"}}),
	"update, other":      changing(properties{"Access": "Destination", "Buckets": []string{"three"}}),
	"update, many":       changing(properties{"Buckets": buckets}),
	"update, serial":     changing(properties{"Serial": "2"}),
	"update, secret":     changing(properties{"SecretName": "cloney/moved"}),
	"update, key, tags":  changing(properties{"SecretKmsKeyId": "alias/k", "Tags": []any{map[string]string{"Key": "team", "Value": "x"}}}),
	"update, readers":    reading(properties{"SecretReaders": []string{reader, another}, "SecretKmsKeyId": ownKey, "Serial": "2"}, changed),
	"update, no readers": reading(properties{"SecretReaders": nil}, changed),
	"update, everything": changing(everything),
	"in vain, boundary taken off": func(c *cloudFormation) {
		if c.create(usual) {
			c.Bind(userOf(usual), "")
			c.updateInVain(usual.With(properties{"Serial": "2"}))
		}
	},
	"replacement": changing(properties{"UserName": "second"}),
	"replacement, same secret": func(c *cloudFormation) {
		shared := usual.With(properties{"SecretName": "cloney/shared"})
		if c.create(shared) {
			c.update(shared.With(properties{"UserName": "second"}))
		}
	},
	"replacement, everything":   changing(everything.With(properties{"UserName": "second"})),
	"create, schedule":          func(c *cloudFormation) { c.create(rotated) },
	"update, schedule":          changing(properties{"RotationSchedule": monthly, "RotationGraceDays": "30"}),
	"in vain, schedule":         inVain(properties{"RotationSchedule": monthly}),
	"schedule, another":         rotating(properties{"RotationSchedule": "rate(1 day)"}, changed),
	"schedule, in vain":         rotating(properties{"RotationSchedule": "rate(1 day)"}, (*cloudFormation).updateInVain),
	"half done, bucket":         halfDone(properties{"Buckets": []string{"two"}}, changed),
	"half done, off":            halfDone(properties{"RotationSchedule": nil}, changed),
	"half done, serial":         halfDone(properties{"Serial": "2"}, changed),
	"half done, secret":         halfDone(properties{"SecretName": "cloney/moved"}, changed),
	"half done, user":           halfDone(properties{"UserName": "second", "SecretName": name.Secret(userOf(usual))}, changed),
	"half done, in vain":        halfDone(properties{"RotationSchedule": nil, "Buckets": []string{"two"}}, (*cloudFormation).updateInVain),
	"half done, secret in vain": halfDone(properties{"SecretName": "cloney/moved"}, (*cloudFormation).updateInVain),
	"half done, user in vain":   halfDone(properties{"UserName": "second", "SecretName": name.Secret(userOf(usual))}, (*cloudFormation).updateInVain),
	// These belong to another resource of the same stack.
	"create, taken user":        taken(properties{"UserName": neighbour, "SecretName": "cloney/mine"}),
	"create, taken secret":      taken(properties{"SecretName": neighbourSecret}),
	"update, taken secret":      changing(properties{"SecretName": neighbourSecret}),
	"replacement, taken user":   changing(properties{"UserName": neighbour, "SecretName": "cloney/mine"}),
	"replacement, taken secret": changing(properties{"UserName": "second", "SecretName": neighbourSecret}),
	"in vain, bucket":           inVain(properties{"Buckets": []string{"one", "two"}}),
	"in vain, serial":           inVain(properties{"Serial": "2"}),
	"in vain, secret":           inVain(properties{"SecretName": "cloney/moved"}),
	"in vain, readers":          reading(properties{"SecretReaders": another, "SecretKmsKeyId": ownKey}, (*cloudFormation).updateInVain),
	"in vain, everything":       inVain(everything),
	"in vain, replacement":      inVain(properties{"UserName": "second"}),
	"in vain, replacement, same secret": func(c *cloudFormation) {
		shared := usual.With(properties{"SecretName": "cloney/shared"})
		if c.create(shared) {
			c.updateInVain(shared.With(properties{"UserName": "second"}))
		}
	},
}

func changing(change properties) func(*cloudFormation) {
	return func(c *cloudFormation) {
		if c.create(usual) {
			c.update(usual.With(change))
		}
	}
}

func inVain(change properties) func(*cloudFormation) {
	return func(c *cloudFormation) {
		if c.create(usual) {
			c.updateInVain(usual.With(change))
		}
	}
}

func changed(c *cloudFormation, props properties) { c.update(props) }

// reading changes the readers of a secret that has some.
func reading(change properties, update func(*cloudFormation, properties)) func(*cloudFormation) {
	return func(c *cloudFormation) {
		read := usual.With(properties{"SecretReaders": []string{accesstest.ID, reader}})
		if c.create(read) {
			update(c, read.With(change))
		}
	}
}

// monthly is a schedule, and rotated are the properties of a stack with that schedule.
const monthly = "rate(30 days)"

var rotated = usual.With(properties{"RotationSchedule": monthly})

// rotating changes a resource with a schedule.
func rotating(change properties, update func(*cloudFormation, properties)) func(*cloudFormation) {
	return func(c *cloudFormation) {
		if c.create(rotated) {
			update(c, rotated.With(change))
		}
	}
}

// halfDone changes such a resource in the middle of a rotation.
func halfDone(change properties, update func(*cloudFormation, properties)) func(*cloudFormation) {
	return func(c *cloudFormation) {
		if c.create(rotated) {
			c.beginRotation()
			update(c, rotated.With(change))
		}
	}
}

// beginRotation makes the first step of a rotation: it stores a new key, with AWSPENDING.
func (c *cloudFormation) beginRotation() {
	c.Helper()
	user := userOf(c.props)
	made, err := c.CreateKey(c.Context(), user)
	if err == nil {
		token := name.Token("rotation", made.KeyID)
		err = c.PutVersion(c.Context(), name.Secret(user), token, made.Encode(), []string{name.KeyLabel(1, made.KeyID), name.LabelLatest, access.Pending})
	}
	if err != nil {
		c.Errorf("the rotation: %v", err)
	}
}

func taken(change properties) func(*cloudFormation) {
	return func(c *cloudFormation) {
		if c.create(usual.With(change)) {
			c.Errorf("took over what belongs to another resource")
		}
	}
}

// recovered creates a resource while the secret of its earlier life is in the recovery
// window.
func recovered(c *cloudFormation) {
	user := userOf(usual)
	c.MakeSecret(name.Secret(user), "{}", ownerOf(logical).Tags(user))
	c.ScheduleDeletion(name.Secret(user))
	c.create(usual)
}

// told is a plot with its faults.
type told struct {
	plot   string
	faults map[int]fault
	repeat bool
	again  fault
	lag    accesstest.Lag
	// lives are the lives of the plot without a fault.
	lives []life
}

func (s told) String() string {
	text := s.plot
	for _, event := range slices.Sorted(maps.Keys(s.faults)) {
		text += fmt.Sprintf("; event %d, call %d %v", event, s.faults[event].call, s.faults[event].kind)
	}
	if s.repeat {
		text += ", delivered again"
	}
	if s.again.call > 0 {
		text += fmt.Sprintf(" with call %d %v", s.again.call, s.again.kind)
	}
	if s.lag != (accesstest.Lag{}) {
		text += fmt.Sprintf("; lag %+v", s.lag)
	}
	return text
}

// run plays the plot to its end: the stack is deleted, and nothing is left.
func (s told) run(t *testing.T) (lives []life, problems []string, slowest time.Duration) {
	problems, slowest = play(t, s.lag, func(w *world) {
		c := w.stack()
		c.faults, c.repeat, c.again, c.undisturbed = s.faults, s.repeat, s.again, s.lives
		plots[s.plot](c)
		if c.physical != "" {
			c.delete()
		}
		w.empty()
		lives = c.lives
	})
	return lives, problems, slowest
}

// matrix runs cases on every core and sums up.
type matrix struct {
	*testing.T
	mu      sync.Mutex
	cases   int
	broken  int
	slowest time.Duration
}

func (m *matrix) run(cases []told) {
	m.Helper()
	onEveryCore(len(cases), func(i int) { m.one(cases[i]) })
}

func (m *matrix) one(s told) {
	_, problems, slowest := s.run(m.T)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cases++
	m.broken += len(problems)
	m.slowest = max(m.slowest, slowest)
	if len(problems) > 0 && m.broken < 100 {
		m.Errorf("%v:\n\t%s", s, strings.Join(problems, "\n\t"))
	}
}

// thinned keeps only a sample of the cases for the race detector and for make test, which
// have little time. The step and the number of kinds of faults have no common divisor, so
// that the sample has each kind.
func thinned(cases []told) (kept []told) {
	for i := 0; i < len(cases); i += max(accesstest.OneIn(401), *oneIn) {
		kept = append(kept, cases[i])
	}
	return kept
}

// undisturbed returns the lives of each plot without a fault: the places where faults are
// possible.
func undisturbed(t *testing.T) map[string][]life {
	all := map[string][]life{}
	for plot := range plots {
		lives, problems, _ := told{plot: plot}.run(t)
		if len(problems) > 0 {
			t.Fatalf("%s, undisturbed:\n\t%s", plot, strings.Join(problems, "\n\t"))
		}
		all[plot] = lives
	}
	return all
}

// faults returns the different faults that one delivery of the event can have.
func (l life) faults() (all []fault) {
	for i, verb := range l.calls {
		if l.looksOn(i) {
			continue
		}
		for k := range kinds {
			if k.done() && !accesstest.IsWrite(verb) {
				continue // a question that was asked leaves what one leaves that was not
			}
			all = append(all, fault{i + 1, k})
		}
	}
	return all
}

// looksOn reports whether the call is in the middle of a wait, in which the provider looks
// for the same thing again and again: at least two rounds come before the call, and two
// after it. Such rounds differ only in their number. Pairs of faults also use these rounds.
func (l life) looksOn(i int) bool {
	for round := 1; round <= i/2 && i+2*round <= len(l.calls); round++ {
		before, after := l.calls[i-2*round:i+round], l.calls[i-round:i+2*round]
		if slices.Equal(before, after) && !slices.ContainsFunc(before, accesstest.IsWrite) {
			return true
		}
	}
	return false
}

// This plays every fault at every call of every event of every plot. Then the event comes
// again or not, and then CloudFormation continues.
func TestEveryFault(t *testing.T) {
	var cases []told
	lives := undisturbed(t)
	for _, plot := range slices.Sorted(maps.Keys(lives)) {
		for event, l := range lives[plot] {
			for _, f := range l.faults() {
				for _, repeat := range []bool{false, true} {
					cases = append(cases, told{plot: plot, faults: map[int]fault{event + 1: f}, repeat: repeat, lives: lives[plot]})
				}
			}
		}
	}
	m := matrix{T: t}
	m.run(thinned(cases))
	fmt.Printf("every fault: %d cases, %d broken promises, slowest answer after %v of %v\n", m.cases, m.broken, m.slowest, lambda)
}

// This plays two faults, in any two deliveries, in an account that is as slow to show
// changes as IAM. The number of plays limits them.
func TestPairsOfFaults(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	lives := undisturbed(t)
	names := slices.Sorted(maps.Keys(lives))
	var cases []told
	for range min(20_000, *many) {
		s := told{plot: names[random.IntN(len(names))], faults: map[int]fault{}}
		any := func(event int) fault {
			return fault{1 + random.IntN(len(lives[s.plot][event].calls)), kind(random.IntN(int(kinds)))}
		}
		if random.IntN(2) == 0 {
			late := func() int { return random.IntN(4) }
			s.lag = accesstest.Lag{Users: late(), Policies: late(), Keys: late(), Detach: late(), Prove: late(), Secrets: late(), Readers: late()}
		}
		event := random.IntN(len(lives[s.plot]))
		s.faults[event+1] = any(event)
		if random.IntN(2) == 0 {
			s.repeat, s.again = true, any(event)
		} else {
			// The next event may differ from that of an undisturbed run.
			s.faults[event+2] = fault{1 + random.IntN(20), kind(random.IntN(int(kinds)))}
		}
		cases = append(cases, s)
	}
	m := matrix{T: t}
	m.run(thinned(cases))
	fmt.Printf("pairs of faults: %d cases, %d broken promises, slowest answer after %v of %v\n", m.cases, m.broken, m.slowest, lambda)
}
