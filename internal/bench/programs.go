package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/sandbox"
)

// What is compared.
const (
	ours   = "ours"
	empty  = "empty Go"
	idle   = "Go, idle clients"
	python = "Python"
)

// programs are what is started as the provider's function, by their names.
func (b *bench) programs() map[string]sandbox.Program {
	compared := func(command ...string) sandbox.Program {
		return sandbox.Program{Function: sandbox.ProviderStack, Command: command}
	}
	return map[string]sandbox.Program{
		ours:    b.sandbox.Bootstrap(sandbox.ProviderStack),
		empty:   compared(filepath.Join(b.root, ".tools/bench/empty")),
		idle:    compared(filepath.Join(b.root, ".tools/bench/idle")),
		python:  pythonProgram(b.root),
		rotator: b.sandbox.Bootstrap(sandbox.Rotator),
	}
}

// pythonProgram is the same job in Python, under AWS's own runtime client.
func pythonProgram(root string) sandbox.Program {
	return sandbox.Program{
		Function: sandbox.ProviderStack,
		Command:  []string{filepath.Join(root, pythonPath), "-m", "awslambdaric", "provider.handler"},
		Env:      []string{"PYTHONPATH=" + filepath.Join(root, "internal/bench/python")},
	}
}

// pythonPath is the Python that runs it.
const pythonPath = ".tools/bench-venv/bin/python"

// environment is a process of a function, and its proxy: the process reaches AWS and
// CloudFormation only through it.
type environment struct {
	*sandbox.Bootstrap
	proxy *sandbox.Proxy
}

// start starts a program.
func (b *bench) start(program sandbox.Program) (*environment, error) {
	proxy := b.sandbox.NewProxy(program.Function)
	started, err := b.sandbox.StartProgram(program, proxy.Env()...)
	if err != nil {
		proxy.Close()
		return nil, err
	}
	return &environment{started, proxy}, nil
}

// end ends the process, and waits for its calls to AWS.
func (e *environment) end() {
	_ = e.Stop()
	e.proxy.Begin(nil)
	e.proxy.Close()
}

// measured is what one event cost.
type measured struct {
	spans           []span
	began, answered time.Time
	wall            time.Duration // from when it was handed over until the answer came
}

// reads are calls that change nothing.
var reads = regexp.MustCompile(`^\w+ (Get|List|Describe|GET |HEAD )`)

func (m measured) writes() (n int) {
	for _, s := range m.spans {
		if !reads.MatchString(s.name) {
			n++
		}
	}
	return n
}

// watch notes an event's calls, each of which lasts longer by the latency. The
// answer to CloudFormation does not.
type watch struct {
	latency time.Duration
	every   sandbox.Fault // what also happens to each call to AWS; nil: nothing

	mu       sync.Mutex
	spans    []span
	answered time.Time
}

func (w *watch) fault(call sandbox.Call, r *http.Request, do func() *sandbox.Reply) *sandbox.Reply {
	began := time.Now()
	if call.Name == sandbox.ToCloudFormation {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answered = began
		return do()
	}
	time.Sleep(w.latency)
	var got *sandbox.Reply
	if w.every == nil {
		got = do()
	} else {
		got = w.every(call, r, do)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans = append(w.spans, span{call.Name, began, time.Now()})
	return got
}

// enough is the time of an event: the most that Lambda gives.
const enough = 15 * time.Minute

// hung is how long a process may be silent before the run fails: far more than any event
// needs, in a crowd too.
const hung = 3 * time.Minute

// ask has the process carry out an event of CloudFormation's, which has to succeed.
func (e *environment) ask(ctx context.Context, r *resource, event string, w *watch) (measured, error) {
	got, err := e.invoke(ctx, r.requestID(), event, w)
	if err != nil {
		return measured{}, err
	}
	answers := e.proxy.Answers()
	if len(answers) == 0 {
		return measured{}, fmt.Errorf("it was not answered; the function printed:\n%s", e.Log())
	}
	var answer reply.Response
	if err := json.Unmarshal([]byte(answers[len(answers)-1].Body), &answer); err != nil {
		return measured{}, fmt.Errorf("its answer: %w", err)
	}
	if answer.Status != reply.Success {
		return measured{}, fmt.Errorf("it was answered %s: %s; the function printed:\n%s", answer.Status, answer.Reason, e.Log())
	}
	r.physical = answer.PhysicalResourceID
	// Nothing waits for what the process does after its answer.
	got.wall = got.answered.Sub(got.began)
	return got, nil
}

// invoke has the process carry out an event, and returns when the process reports its end.
func (e *environment) invoke(ctx context.Context, id, event string, w *watch) (measured, error) {
	e.proxy.Begin(w.fault)
	ctx, cancel := context.WithTimeout(ctx, hung)
	defer cancel()
	began := time.Now()
	outcome, err := e.Invoke(ctx, id, event, enough)
	if err == nil && outcome.Failed {
		err = fmt.Errorf("the function failed: %s", outcome.Body)
	}
	if err != nil {
		return measured{}, fmt.Errorf("%w; the function printed:\n%s", err, e.Log())
	}
	wall := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	return measured{spans: w.spans, began: began, answered: w.answered, wall: wall}, nil
}
