package sandbox_test

import (
	"testing"

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

func TestWireCreate(t *testing.T) {
	disturb(t, operation{
		name: "create", before: nothing, event: (*life).create,
		then: (*life).asMade, end: only((*life).gone),
		undo: only((*life).gone), back: nobody, last: nothing,
	}, "")
}

// An update in place that does everything at once.
func TestWireUpdate(t *testing.T) {
	disturb(t, operation{
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
	}, "")
}

// Another user, with a secret of its own.
func TestWireReplacement(t *testing.T) {
	disturb(t, operation{
		name: "replace", before: only((*life).create),
		event: func(l *life) wireEvent { return l.update(l.replaced(), l.made()) },
		then: func(l *life) []whole {
			return append(l.asMade(), whole{user: l.other, secret: l.moved(), keys: 1, buckets: first})
		},
		end:  func(l *life) []wireEvent { return []wireEvent{l.gone(), l.delete(l.other, l.replaced())} },
		undo: only(func(l *life) wireEvent { return l.update(l.made(), l.replaced()) }),
		back: (*life).asMade, last: only((*life).gone),
	}, "")
}

// Another user, who takes the secret over.
func TestWireReplacementKeepsTheSecret(t *testing.T) {
	disturb(t, operation{
		name: "hand", before: only((*life).create),
		event: func(l *life) wireEvent { return l.update(l.handed(), l.made()) },
		then: func(l *life) []whole {
			return []whole{{user: l.name, keys: 1, buckets: first}, {user: l.other, secret: l.secret(), keys: 1, buckets: first}}
		},
		end:  func(l *life) []wireEvent { return []wireEvent{l.gone(), l.delete(l.other, l.handed())} },
		undo: only(func(l *life) wireEvent { return l.update(l.made(), l.handed()) }),
		back: (*life).asMade, last: only((*life).gone),
	}, "")
}

func TestWireDelete(t *testing.T) {
	disturb(t, operation{
		name: "delete", before: only((*life).create), event: (*life).gone,
		then: nobody, end: nothing,
		undo: only((*life).gone), back: nobody, last: nothing,
	}, "")
}
