package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"cloney-s3-credentials/internal/sandbox"
)

// place is where one life at a time is lived: a proxy, and a process for the
// events that nothing happens to. Lambda too keeps one that has come to no harm.
type place struct {
	s     *sandbox.Sandbox
	proxy *sandbox.Proxy
	warm  *sandbox.Bootstrap
}

func newPlace(s *sandbox.Sandbox) (*place, error) {
	p := &place{s: s, proxy: s.NewProxy()}
	var err error
	p.warm, err = s.StartBootstrap(p.proxy.Env()...)
	return p, err
}

func (p *place) close() {
	if p.warm != nil {
		_ = p.warm.Stop()
	}
	p.proxy.Close()
}

// life is one custom resource and the events that it gets.
type life struct {
	*place
	name  string // of its stack, and of its user at first
	other string // the user that replaces it
	log   strings.Builder
	first string // the key that the Create gave
}

func newLife(p *place, name string) *life { return &life{place: p, name: name, other: name + "-2"} }

func (l *life) stackID() string {
	return "arn:aws:cloudformation:" + sandbox.Region + ":" + sandbox.Account + ":stack/" + l.name + "/6f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0"
}

type properties map[string]any

// with returns the properties with some changed.
func (p properties) with(changed properties) properties {
	p = maps.Clone(p)
	maps.Copy(p, changed)
	return p
}

// wireEvent is a custom resource request.
type wireEvent struct {
	RequestType, RequestId, ResponseURL, ResourceType, StackId, LogicalResourceId string
	PhysicalResourceId                                                            string `json:",omitempty"`
	ResourceProperties                                                            properties
	OldResourceProperties                                                         properties `json:",omitempty"`
}

// event makes a request of the life. The same arguments give the same request.
func (l *life) event(kind, physicalID string, now, old properties) wireEvent {
	id := fmt.Sprintf("%s-%s-%v-%v", l.name, kind, physicalID, now["UserName"])
	return wireEvent{
		RequestType: kind, RequestId: id, ResponseURL: l.proxy.ResponseURL(id), ResourceType: "Custom::CloneyS3Credentials",
		StackId: l.stackID(), LogicalResourceId: "Credentials", PhysicalResourceId: physicalID, ResourceProperties: now, OldResourceProperties: old,
	}
}

// answer is what CloudFormation was told; a zero Status: nothing.
type wireAnswer struct {
	Status, Reason, PhysicalResourceId string
	Data                               map[string]string
}

// enough is the time of an event for which the time is no matter: the most that
// Lambda gives.
const enough = 15 * time.Minute

// deliver gives an event to a fresh process, with a fault on its way (nil:
// none), and returns what CloudFormation was told.
func (l *life) deliver(e wireEvent, fault func(*sandbox.Bootstrap) sandbox.Fault, limit time.Duration) (wireAnswer, error) {
	bootstrap, err := l.s.StartBootstrap(l.proxy.Env()...)
	if err != nil {
		return wireAnswer{}, err
	}
	var disturbs sandbox.Fault
	if fault != nil {
		disturbs = fault(bootstrap)
	}
	answer, err := l.invoke(bootstrap, e, disturbs, limit)
	return answer, errors.Join(err, bootstrap.Stop())
}

// invoke gives an event to a process. One that died has told nothing more than
// what was accepted by then.
func (l *life) invoke(to *sandbox.Bootstrap, e wireEvent, fault sandbox.Fault, limit time.Duration) (wireAnswer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	text, err := json.Marshal(e)
	if err != nil {
		return wireAnswer{}, err
	}
	l.proxy.Begin(fault)
	before := len(to.Log())
	_, err = to.Invoke(ctx, e.RequestId, string(text), limit)
	fmt.Fprintf(&l.log, "%s of %s:\n%s\n", e.RequestType, l.name, to.Log()[before:])
	if err != nil && !errors.Is(err, sandbox.ErrDied) {
		return wireAnswer{}, fmt.Errorf("%s: %w", e.RequestType, err)
	}
	return l.told(e, l.proxy.Answers())
}

// told is what CloudFormation was told. More than one answer is an error,
// unless the reply to it was lost: then it is repeated, the same to the letter.
func (l *life) told(e wireEvent, answers []sandbox.Accepted) (answer wireAnswer, err error) {
	for i, a := range answers {
		if a.Body != answers[0].Body || i > 0 && answers[i-1].Heard || len(a.Body) > 4096 {
			return answer, fmt.Errorf("%s was answered with %+v", e.RequestType, answers)
		}
	}
	if len(answers) == 0 {
		return answer, nil
	}
	l.log.WriteString(answers[0].Body + "\n")
	return answer, json.Unmarshal([]byte(answers[0].Body), &answer)
}

// succeed delivers events undisturbed, one after the other; each has to succeed.
func (l *life) succeed(events ...wireEvent) error {
	for _, e := range events {
		answer, err := l.invoke(l.warm, e, nil, enough)
		if err := l.succeeded(e, answer, err); err != nil {
			return err
		}
	}
	return nil
}

// again delivers an event once more, to a process that knows nothing of it.
func (l *life) again(e wireEvent) error {
	answer, err := l.deliver(e, nil, enough)
	return l.succeeded(e, answer, err)
}

func (l *life) succeeded(e wireEvent, answer wireAnswer, err error) error {
	if err != nil {
		return err
	}
	if answer.Status != "SUCCESS" {
		return fmt.Errorf("%s, undisturbed, was answered %q: %s", e.RequestType, answer.Status, answer.Reason)
	}
	if e.RequestType == "Create" {
		l.first = answer.Data["AccessKeyId"]
	}
	return nil
}
