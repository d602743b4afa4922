package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/sandbox"
	"cloney-s3-credentials/internal/traces"
)

// lambda runs the function in as many environments at once as there are
// deliveries. Like Lambda it keeps those that have come to no harm.
type lambda struct {
	s    *sandbox.Sandbox
	mu   sync.Mutex
	idle []*environment
}

// environment is a process of the function, which runs one event at a time, and
// a proxy through which alone it reaches AWS and CloudFormation.
type environment struct {
	*sandbox.Bootstrap
	proxy *sandbox.Proxy
}

// take returns an environment that is idle, or a new one.
func (l *lambda) take(fresh bool) (*environment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := len(l.idle) - 1; last >= 0 && !fresh {
		e := l.idle[last]
		l.idle = l.idle[:last]
		return e, nil
	}
	proxy := l.s.NewProxy(sandbox.ProviderStack)
	started, err := l.s.StartBootstrap(proxy.Env()...)
	if err != nil {
		proxy.Close()
		return nil, err
	}
	return &environment{started, proxy}, nil
}

func (l *lambda) giveBack(e *environment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, e)
}

func (l *lambda) close() {
	for _, e := range l.idle {
		e.end()
	}
}

// end ends the process, and waits for what it has asked of AWS.
func (e *environment) end() {
	_ = e.Stop()
	e.proxy.Begin(nil)
	e.proxy.Close()
}

// enough is the time of an event for which the time is no matter: the most that
// Lambda gives.
const enough = 15 * time.Minute

// disturbed is what happens to a delivery.
type disturbed struct {
	by    func(*sandbox.Bootstrap) sandbox.Fault // nil: nothing
	fresh bool                                   // the process is a new one, and ends with the event
	limit time.Duration                          // of the function; 0: enough
	// heard is told each answer that CloudFormation takes, when it takes it.
	heard func(reply.Response)
	// asked is told each call, when AWS has done it; nil: nobody is.
	asked func(sandbox.Call)
}

// delivered is what came of a delivery.
type delivered struct {
	calls   []sandbox.Call
	answers []sandbox.Accepted
	died    bool
	log     string
}

// deliver has the function handle an event.
func (l *lambda) deliver(event *traces.Event, d disturbed) (delivered, error) {
	e, err := l.take(d.fresh)
	if err != nil {
		return delivered{}, err
	}
	var fault sandbox.Fault
	if d.by != nil {
		fault = d.by(e.Bootstrap)
	}
	if d.limit == 0 {
		d.limit = enough
	}
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	before := len(e.Log())
	e.proxy.Begin(d.telling(e.proxy, fault))
	_, err = e.Invoke(ctx, event.RequestID(), string(event.Encode(e.proxy.Responses())), d.limit)
	got := delivered{calls: e.proxy.Calls(), answers: e.proxy.Answers(), died: errors.Is(err, sandbox.ErrDied), log: e.Log()[before:]}
	if d.fresh || err != nil {
		e.end()
	} else {
		l.giveBack(e)
	}
	if err != nil && !got.died {
		return got, fmt.Errorf("%s: %w", event.Kind, err)
	}
	return got, got.once()
}

// telling is a fault, nil for none, that tells of each call and each answer.
func (d disturbed) telling(proxy *sandbox.Proxy, fault sandbox.Fault) sandbox.Fault {
	return func(call sandbox.Call, r *http.Request, do func() *sandbox.Reply) *sandbox.Reply {
		done := func() *sandbox.Reply {
			got := do()
			if d.asked != nil {
				d.asked(call)
			}
			if call.Name == sandbox.ToCloudFormation && got.Status == http.StatusOK && d.heard != nil {
				answers := proxy.Answers()
				if response, err := decode(answers[len(answers)-1]); err == nil {
					d.heard(response)
				}
			}
			return got
		}
		if fault == nil {
			return done()
		}
		return fault(call, r, done)
	}
}

func decode(a sandbox.Accepted) (response reply.Response, err error) {
	return response, json.Unmarshal([]byte(a.Body), &response)
}

// once asks for one answer at the most. Where the reply to it was lost it is
// repeated, the same to the letter.
func (d delivered) once() error {
	for i, a := range d.answers {
		if a.Body != d.answers[0].Body || i > 0 && d.answers[i-1].Heard || len(a.Body) > reply.MaxBytes {
			return fmt.Errorf("it was answered with %+v", d.answers)
		}
		if _, err := decode(a); err != nil {
			return fmt.Errorf("it was answered with %q: %w", a.Body, err)
		}
	}
	return nil
}

// answer is what CloudFormation was told; nil: nothing.
func (d delivered) answer() *reply.Response {
	if len(d.answers) == 0 {
		return nil
	}
	response, _ := decode(d.answers[0])
	return &response
}
