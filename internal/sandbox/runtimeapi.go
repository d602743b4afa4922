package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bootstrap is one process of a function under a Runtime API of our own.
// Lambda's emulator starts a process when it likes and gives it the time that
// it likes; here the test decides both, and when the process dies.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type Bootstrap struct {
	process *process
	api     *http.Server
	events  chan invocation
	told    chan Outcome
	started time.Time
	polled  chan time.Time // has the first time that it asked for an event
}

type invocation struct {
	id, event string
	deadline  time.Time
}

// Outcome is what the process sent to the Runtime API for an event.
type Outcome struct {
	Failed bool   // "error" and not "response"
	Body   string // of either
}

// ErrDied is an event's end when the process ended before it sent anything.
var ErrDied = errors.New("the bootstrap ended")

// Program is what a function runs: a command, its arguments and what its
// environment has in addition to the function's.
type Program struct {
	Function string // ProviderStack or Rotator: whose environment it has
	Command  []string
	Env      []string
}

// Bootstrap is the program of one of the provider's functions.
func (s *Sandbox) Bootstrap(function string) Program {
	for logical, name := range functionNames {
		if name == function {
			return Program{Function: function, Command: []string{s.bootstrap(logical)}}
		}
	}
	panic("the sandbox has no function " + function)
}

// StartBootstrap starts the provider's bootstrap with the function's environment
// and more. Stop it.
func (s *Sandbox) StartBootstrap(env ...string) (*Bootstrap, error) {
	return s.StartProgram(s.Bootstrap(ProviderStack), env...)
}

// StartProgram starts any program as a function, with its environment and more.
// Stop it.
func (s *Sandbox) StartProgram(program Program, env ...string) (*Bootstrap, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Bootstrap{events: make(chan invocation, 1), told: make(chan Outcome, 1), polled: make(chan time.Time, 1)}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /2018-06-01/runtime/invocation/next", b.next)
	routes.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", b.tell(false))
	routes.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", b.tell(true))
	routes.HandleFunc("POST /2018-06-01/runtime/init/error", b.tell(true))
	b.api = &http.Server{Handler: routes}
	go func() { _ = b.api.Serve(listener) }()
	all := append(s.functionEnv(program.Function), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String())
	all = append(append(all, program.Env...), env...)
	b.started = time.Now()
	b.process, err = launchWith(all, program.Command[0], program.Command[1:]...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the bootstrap: %w", err), b.api.Close())
	}
	return b, nil
}

// next holds the process until there is an event for it.
func (b *Bootstrap) next(w http.ResponseWriter, r *http.Request) {
	select {
	case b.polled <- time.Now():
	default: // it is not the first time
	}
	select {
	case i := <-b.events:
		// As Lambda says it: its runtime for Python gives a handler bytes otherwise.
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", i.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+Region+":"+Account+":function:"+ProviderStack)
		_, _ = io.WriteString(w, i.event)
	case <-r.Context().Done():
	}
}

func (b *Bootstrap) tell(failed bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // it died while it spoke
		}
		w.WriteHeader(http.StatusAccepted)
		select {
		case b.told <- Outcome{failed, string(body)}:
		default: // nobody asked
		}
	}
}

// Invoke delivers an event with so much time, and returns what the process
// tells about it, or ErrDied.
func (b *Bootstrap) Invoke(ctx context.Context, id, event string, limit time.Duration) (Outcome, error) {
	b.events <- invocation{id, event, time.Now().Add(limit)}
	select {
	case outcome := <-b.told:
		return outcome, nil
	case <-b.process.ended:
		return Outcome{}, ErrDied
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	}
}

// Started is when the process was about to be started.
func (b *Bootstrap) Started() time.Time { return b.started }

// FirstPoll is how long after its start the process asked for its first event. It
// waits for that, and is asked once.
func (b *Bootstrap) FirstPoll(ctx context.Context) (time.Duration, error) {
	select {
	case at := <-b.polled:
		return at.Sub(b.started), nil
	case <-b.process.ended:
		return 0, fmt.Errorf("%w before it asked for an event; it printed:\n%s", ErrDied, b.Log())
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

var peak = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// PeakMemory is the most bytes of memory that the process has had so far.
// https://docs.kernel.org/filesystems/proc.html
func (b *Bootstrap) PeakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(b.process.command.Process.Pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("reading the peak of the memory: %w", err)
	}
	found := peak.FindSubmatch(status)
	if found == nil {
		return 0, errors.New("reading the peak of the memory: the process's status has no VmHWM")
	}
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	return kib * 1024, err
}

// Kill ends the process at once, as Lambda does when the time is over, and
// returns when it is dead.
func (b *Bootstrap) Kill() {
	b.signal(syscall.SIGKILL)
	<-b.process.ended
}

// Terminate sends the signal that Lambda sends before it shuts an environment
// down. What the process makes of it is its own affair.
func (b *Bootstrap) Terminate() { b.signal(syscall.SIGTERM) }

func (b *Bootstrap) signal(s syscall.Signal) { _ = syscall.Kill(-b.process.command.Process.Pid, s) }

// Log is what the process has printed so far.
func (b *Bootstrap) Log() string { return strings.TrimSpace(b.process.printed()) }

// Stop ends the process and its Runtime API.
func (b *Bootstrap) Stop() error { return errors.Join(b.process.stop(), b.api.Close()) }
