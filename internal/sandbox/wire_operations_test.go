package sandbox_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/sandbox"
)

// properties of a life, as its stack declares them at first.
func (l *life) made() properties {
	return properties{
		"ServiceToken": "arn:aws:lambda:us-east-1:" + sandbox.Account + ":function:" + sandbox.ProviderStack, "ServiceTimeout": "330",
		"Access": "Source", "Buckets": []string{sandbox.SourceBucket}, "UserName": l.name, "SecretName": l.secret(), "Verify": "false",
	}
}

func (l *life) secret() string { return "cloney/" + l.name + ".key" }
func (l *life) moved() string  { return "cloney/" + l.name + ".moved" }

// changed is another bucket, another secret and another key.
func (l *life) changed() properties {
	return l.made().with(properties{"Buckets": []string{sandbox.SourceBucket, sandbox.SecondBucket}, "SecretName": l.moved(), "Serial": "2"})
}

// replaced is another user with another secret, handed is one with the same.
func (l *life) replaced() properties {
	return l.made().with(properties{"UserName": l.other, "SecretName": l.moved()})
}

func (l *life) handed() properties { return l.made().with(properties{"UserName": l.other}) }

func (l *life) create() wireEvent { return l.event("Create", "", l.made(), nil) }

func (l *life) delete(user string, now properties) wireEvent {
	return l.event("Delete", user, now, nil)
}

func (l *life) update(now, old properties) wireEvent { return l.event("Update", l.name, now, old) }

var first = []string{sandbox.SourceBucket}

func (l *life) asMade() []whole {
	return []whole{{user: l.name, secret: l.secret(), keys: 1, current: l.first, buckets: first}}
}

func nothing(*life) []wireEvent { return nil }
func nobody(*life) []whole      { return nil }
func only(e func(*life) wireEvent) func(*life) []wireEvent {
	return func(l *life) []wireEvent { return []wireEvent{e(l)} }
}

// gone takes away what the Create made.
func (l *life) gone() wireEvent { return l.delete(l.name, l.made()) }

var creating = operation{
	name: "create", before: nothing, event: (*life).create,
	then: (*life).asMade, end: only((*life).gone),
	undo: only((*life).gone), back: nobody, last: nothing,
	// CloudFormation makes an id up.
	lost: only(func(l *life) wireEvent { return l.delete(l.name+"-Credentials-1A2B3C4D5E6F", l.made()) }),
}

// Everything at once, in place.
var updating = operation{
	name: "update", before: only((*life).create),
	event: func(l *life) wireEvent { return l.update(l.changed(), l.made()) },
	then: func(l *life) []whole {
		return []whole{{user: l.name, secret: l.moved(), keys: 2, buckets: []string{sandbox.SourceBucket, sandbox.SecondBucket}}}
	},
	end:  only(func(l *life) wireEvent { return l.delete(l.name, l.changed()) }),
	undo: only(func(l *life) wireEvent { return l.update(l.made(), l.changed()) }),
	back: func(l *life) []whole {
		return []whole{{user: l.name, secret: l.secret(), keys: 2, current: l.first, buckets: first}}
	},
	last: only((*life).gone),
}

// Another user, with a secret of its own.
var replacing = operation{
	name: "replace", before: only((*life).create),
	event: func(l *life) wireEvent { return l.update(l.replaced(), l.made()) },
	then: func(l *life) []whole {
		return append(l.asMade(), whole{user: l.other, secret: l.moved(), keys: 1, buckets: first})
	},
	end:  func(l *life) []wireEvent { return []wireEvent{l.gone(), l.delete(l.other, l.replaced())} },
	undo: only(func(l *life) wireEvent { return l.update(l.made(), l.replaced()) }),
	back: (*life).asMade, last: only((*life).gone),
}

// Another user, who takes the secret over.
var handing = operation{
	name: "hand", before: only((*life).create),
	event: func(l *life) wireEvent { return l.update(l.handed(), l.made()) },
	then: func(l *life) []whole {
		return []whole{{user: l.name, keys: 1, buckets: first}, {user: l.other, secret: l.secret(), keys: 1, buckets: first}}
	},
	end:  func(l *life) []wireEvent { return []wireEvent{l.gone(), l.delete(l.other, l.handed())} },
	undo: only(func(l *life) wireEvent { return l.update(l.made(), l.handed()) }),
	back: (*life).asMade, last: only((*life).gone),
}

var deleting = operation{
	name: "delete", before: only((*life).create), event: (*life).gone,
	then: nobody, end: nothing,
	undo: only((*life).gone), back: nobody, last: nothing,
}

func TestWireCreate(t *testing.T) { disturb(t, creating, "") }
func TestWireUpdate(t *testing.T) { disturb(t, updating, "", creating) }
func TestWireDelete(t *testing.T) { disturb(t, deleting, "", updating) }

// A replacement makes the calls of a Create.
func TestWireReplacement(t *testing.T) { disturb(t, replacing, "", creating) }

func TestWireReplacementKeepsTheSecret(t *testing.T) { disturb(t, handing, "", creating, updating) }

// The calls that verify the key are AWS's too.
func TestWireVerify(t *testing.T) {
	verified := func(l *life) properties {
		return l.made().with(properties{"Access": []string{"Source", "Destination"}, "Verify": "true"})
	}
	verifying := creating
	verifying.name = "verify"
	verifying.event = func(l *life) wireEvent { return l.event("Create", "", verified(l), nil) }
	disturb(t, verifying, "secretsmanager PutSecretValue", creating)
}

// Lambda sends SIGTERM before it takes an environment away. Whatever the
// function makes of it, it leaves no more than when it is killed.
func TestWireTerminated(t *testing.T) {
	own(t)
	terminated := fault{"terminated", func(n int, b *sandbox.Bootstrap) sandbox.Fault {
		return sandbox.At(n, sandbox.Meanwhile(b.Terminate))
	}, goesOn, false}
	sideBySide(t, creating.at(creating.calls(t), []fault{terminated}))
}

// AWS answers no more, from one call on: FAILED is answered by the function
// itself, which Lambda never stops here, and what is left is put right by what
// CloudFormation sends then. How long before its deadline the function answers
// is asked where time is made up, in internal/faults and internal/resource.
func TestWireHangs(t *testing.T) {
	own(t)
	// So long that the slowest machine gets to the call.
	const limit = 30 * time.Second
	var cases []wireCase
	for _, at := range []struct {
		o    operation
		name string // of the first call that hangs
	}{
		{creating, "secretsmanager DescribeSecret"},
		{creating, "iam CreateAccessKey"},
		{updating, "secretsmanager GetSecretValue"},
		{updating, "secretsmanager UpdateSecretVersionStage"},
		{deleting, "iam GetUser"},
		{deleting, "iam DeleteUser"},
	} {
		calls := at.o.calls(t)
		i := slices.IndexFunc(calls, func(c sandbox.Call) bool { return c.Name == at.name })
		if i < 0 {
			t.Fatalf("%s makes no call %s", at.o.name, at.name)
		}
		cases = append(cases, wireCase{fmt.Sprintf("wire-%s-hangs-%d", at.o.name, calls[i].N), func(l *life) error {
			if err := l.succeed(at.o.before(l)...); err != nil {
				return fmt.Errorf("before: %w", err)
			}
			answer, err := l.deliver(at.o.event(l), func(*sandbox.Bootstrap) sandbox.Fault { return sandbox.From(calls[i].N, sandbox.Hang) }, limit)
			if err != nil {
				return err
			}
			if len(l.proxy.Calls()) < calls[i].N {
				t.Logf("%s: so slow that call %d was not made", at.o.name, calls[i].N)
			}
			if answer.Status != "FAILED" {
				return fmt.Errorf("answered %q", answer.Status)
			}
			return at.o.settle(l, answer)
		}})
	}
	sideBySide(t, cases)
}

// What the other tests here go by are moto's own books. They say what AWS's
// clients are told.
func TestWireBooksAreTrue(t *testing.T) {
	own(t)
	sideBySide(t, []wireCase{{"wire-books", func(l *life) error {
		if err := l.succeed(l.create()); err != nil {
			return err
		}
		told := inventory(t)
		want := []string{"key " + l.first + " of " + l.name, "policy arn:aws:iam::" + sandbox.Account + ":policy/cloney/" + sandbox.Region + "/" + l.name + "-1", "secret " + l.secret(), "user " + l.name}
		if !slices.Equal(told, want) {
			t.Errorf("the account has %q, not %q", told, want)
		}
		value, err := secretsmanager.NewFromConfig(l.s.Config()).GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: aws.String(l.secret())})
		if err != nil {
			return err
		}
		if !strings.Contains(aws.ToString(value.SecretString), `"`+l.first+`"`) {
			t.Error("the secret holds another key")
		}
		return errors.Join(l.holds(l.asMade()...), l.succeed(l.gone()), l.holds())
	}}})
}
