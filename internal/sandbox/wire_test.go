package sandbox_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/traces"
)

// operation is a life, and the event of it whose every call is disturbed.
type operation struct {
	name  string
	life  func(*stage) traces.Trace
	event int
}

// made is what a stack declares at first.
func (s *stage) made() traces.Properties {
	return traces.Properties{
		"ServiceToken": token, "ServiceTimeout": "330", "Access": "Source", "Buckets": []string{sandbox.SourceBucket},
		"UserName": s.title, "SecretName": "cloney/" + s.title + ".key", "Verify": "false",
	}
}

// changed is a life in which that is changed once.
func changed(change func(title string) traces.Properties) func(*stage) traces.Trace {
	return func(s *stage) traces.Trace {
		return traces.Trace{{Declare: s.made()}, {Declare: s.made().With(change(s.title))}, {Remove: true}}
	}
}

var (
	creating = operation{"create", func(s *stage) traces.Trace { return traces.Trace{{Declare: s.made()}, {Remove: true}} }, 1}
	deleting = operation{"delete", creating.life, 2}
	// The calls that verify the key are AWS's too.
	verifying = operation{"verify", func(s *stage) traces.Trace {
		return traces.Trace{{Declare: s.made().With(traces.Properties{"Access": []string{"Source", "Destination"}, "Verify": "true"})}, {Remove: true}}
	}, 1}
	// Everything at once, in place.
	updating = operation{"update", changed(func(title string) traces.Properties {
		return traces.Properties{"Buckets": []string{sandbox.SourceBucket, sandbox.SecondBucket}, "SecretName": "cloney/" + title + ".moved", "Serial": "2"}
	}), 2}
	// Another user, with a secret of its own.
	replacing = operation{"replace", changed(func(title string) traces.Properties {
		return traces.Properties{"UserName": title + "-2", "SecretName": "cloney/" + title + ".moved"}
	}), 2}
	// Another user, who takes the secret over.
	handing = operation{"hand", changed(func(title string) traces.Properties { return traces.Properties{"UserName": title + "-2"} }), 2}
)

// kind is one kind of fault at a call.
type kind struct {
	name string
	at   func(sandbox.Call, *sandbox.Bootstrap) sandbox.Fault
	then after
	// writes: only at calls that change something. At a question it would be
	// what another fault is already.
	writes bool
}

// after is what comes after a fault.
type after int

const (
	goesOn      after = iota // the process lives; Lambda delivers the event again if it was not answered
	redelivered              // it is dead, and Lambda delivers the event again
	givenUp                  // it is dead, and CloudFormation sends what it sends then
)

func always(f sandbox.Fault) func(sandbox.Call, *sandbox.Bootstrap) sandbox.Fault {
	return func(c sandbox.Call, _ *sandbox.Bootstrap) sandbox.Fault { return sandbox.At(c, f) }
}

func killedAfter(c sandbox.Call, b *sandbox.Bootstrap) sandbox.Fault {
	return sandbox.At(c, sandbox.After(b.Kill))
}

// kills end the process, and failures do not. A process that is killed before a
// call is one that was killed after the call before it, so there is no such kind.
var kills = []kind{
	{"killed after", killedAfter, redelivered, false},
	{"given up", killedAfter, givenUp, true},
}

// failures differ by what AWS answers to a call, not by the event that makes it:
// each is played once for each call of AWS's. What an event makes of a failure at
// every one of its calls is played in memory, by internal/faults.
var failures = []kind{
	{"reply lost", always(sandbox.Lose), goesOn, true},
	{"broken", always(sandbox.Break), goesOn, true},
	{"throttled", always(sandbox.Throttle), goesOn, true},
	{"denied", always(sandbox.Deny), goesOn, true},
}

// calls plays an operation undisturbed, and returns the calls of its event.
func (o operation) calls(t *testing.T) []sandbox.Call {
	t.Helper()
	l := &lambda{s: account(t)}
	defer l.close()
	s := l.set(o.with("", fault{}))
	must(t, s.perform())
	t.Logf("%s: %d calls: %v", o.name, len(s.calls), s.calls)
	return s.calls
}

// asks are calls that change nothing.
var asks = regexp.MustCompile(`^\w+ (Get|List|Describe|GET )`)

// disturb plays an operation with its process killed at each call, from the
// first of that kind on, and with each failure at each call that changes
// something and that none of the others makes.
func disturb(t *testing.T, o operation, from string, others ...operation) {
	t.Helper()
	own(t)
	elsewhere := map[string]bool{}
	for _, other := range others {
		for _, call := range other.calls(t) {
			elsewhere[call.Kind()] = true
		}
	}
	calls := o.calls(t)
	calls = calls[max(0, slices.IndexFunc(calls, func(c sandbox.Call) bool { return c.Kind() == from })):]
	cases := o.at(calls, kills)
	calls = slices.DeleteFunc(calls, func(c sandbox.Call) bool {
		there := elsewhere[c.Kind()]
		elsewhere[c.Kind()] = true
		return there
	})
	sideBySide(t, atOnce, sample(append(cases, o.at(calls, failures)...)))
}

// sample takes one case in WIRE_ONE_IN, which make test sets; all without it. The cases of
// one kind of fault follow each other, and so do the calls of one event: every kind is in
// the sample.
func sample(cases []play) (taken []play) {
	oneIn, err := strconv.Atoi(cmp.Or(os.Getenv("WIRE_ONE_IN"), "1"))
	if err != nil || oneIn < 1 {
		oneIn = 1
	}
	for i := 0; i < len(cases); i += oneIn {
		taken = append(taken, cases[i])
	}
	return taken
}

// at plays an operation once for each kind of fault at each of the calls.
func (o operation) at(calls []sandbox.Call, kinds []kind) (cases []play) {
	for _, k := range kinds {
		for _, call := range calls {
			if !k.writes || !asks.MatchString(call.Name) {
				cases = append(cases, o.with(fmt.Sprintf("%s-%d", k.name, call.N), fault{kind: k, call: call}))
			}
		}
	}
	return cases
}

// with is the operation whose event meets a fault.
func (o operation) with(name string, met fault) play {
	return play{title: strings.ReplaceAll("wire-"+o.name+"-"+name, " ", "-") + "x", trace: o.life, event: o.event, fault: met}
}

func TestWireCreate(t *testing.T) { disturb(t, creating, "") }
func TestWireUpdate(t *testing.T) { disturb(t, updating, "", creating) }
func TestWireDelete(t *testing.T) { disturb(t, deleting, "", updating) }

// A replacement makes the calls of a Create.
func TestWireReplacement(t *testing.T) { disturb(t, replacing, "", creating) }

func TestWireReplacementKeepsTheSecret(t *testing.T) { disturb(t, handing, "", creating, updating) }

func TestWireVerify(t *testing.T) { disturb(t, verifying, "secretsmanager PutSecretValue", creating) }

// Lambda sends SIGTERM before it takes an environment away. Whatever the
// function makes of it, it leaves no more than when it is killed.
func TestWireTerminated(t *testing.T) {
	own(t)
	terminated := kind{"terminated", func(c sandbox.Call, b *sandbox.Bootstrap) sandbox.Fault {
		return sandbox.At(c, sandbox.Meanwhile(b.Terminate))
	}, goesOn, false}
	sideBySide(t, atOnce, creating.at(creating.calls(t), []kind{terminated}))
}

// AWS answers no more, from one call on: FAILED is answered by the function
// itself, which Lambda never stops here, and what is left is put right by what
// CloudFormation sends then. How long before its deadline the function answers
// is asked where time is made up, in internal/faults and internal/resource.
func TestWireHangs(t *testing.T) {
	own(t)
	hangs := kind{name: "hangs", at: func(c sandbox.Call, _ *sandbox.Bootstrap) sandbox.Fault { return sandbox.From(c, sandbox.Hang) }}
	var cases []play
	for _, at := range []struct {
		o    operation
		call string // the first one that hangs
	}{
		{creating, "secretsmanager DescribeSecret"},
		{creating, "iam CreateAccessKey"},
		{updating, "secretsmanager GetSecretValue"},
		{updating, "secretsmanager UpdateSecretVersionStage"},
		{deleting, "iam GetUser"},
		{deleting, "iam DeleteUser"},
	} {
		// So long that the slowest machine gets to the call.
		met := fault{kind: hangs, call: sandbox.Call{Name: at.call, Nth: 1}, limit: 30 * time.Second, fails: true}
		cases = append(cases, at.o.with("hangs-"+at.call, met))
	}
	sideBySide(t, atOnce, cases)
}

// What the other tests here go by are moto's own books. They say what AWS's
// clients are told.
func TestWireBooksAreTrue(t *testing.T) {
	own(t)
	l := &lambda{s: account(t)}
	defer l.close()
	s := l.set(play{title: "wire-books", trace: func(s *stage) traces.Trace { return traces.Trace{{Declare: s.made()}} }})
	must(t, s.perform())
	told, secret := inventory(t), "cloney/"+s.title+".key"
	want := []string{"key " + s.Given.Last + " of " + s.title, "policy " + policyOf(s.title), "secret " + secret, "user " + s.title}
	if !slices.Equal(told, want) {
		t.Errorf("the account has %q, not %q", told, want)
	}
	value, err := secretsmanager.NewFromConfig(l.s.Config()).GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: &secret})
	must(t, err)
	if !strings.Contains(aws.ToString(value.SecretString), `"`+s.Given.Last+`"`) {
		t.Error("the secret holds another key")
	}
	s.part(traces.Trace{{Remove: true}})
	must(t, s.wrongs())
	empty(t)
}
