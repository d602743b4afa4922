package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bootstrap is one process of the provider's function under a Runtime API of our own.
// Lambda's emulator starts a process when it likes and gives it the time that
// it likes; here the test decides both, and when the process dies.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type Bootstrap struct {
	process *process
	api     *http.Server
	events  chan invocation
	told    chan Outcome
}

type invocation struct {
	id, event string
	deadline  time.Time
}

// Outcome is what the process told the Runtime API about an event.
type Outcome struct {
	Failed bool   // "error" and not "response"
	Body   string // of either
}

// ErrDied is an event's end when the process ended before it told anything.
var ErrDied = errors.New("the bootstrap ended")

// StartBootstrap starts the bootstrap with the function's environment and more.
// Stop it.
func (s *Sandbox) StartBootstrap(env ...string) (*Bootstrap, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Bootstrap{events: make(chan invocation, 1), told: make(chan Outcome, 1)}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /2018-06-01/runtime/invocation/next", b.next)
	routes.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", b.tell(false))
	routes.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", b.tell(true))
	routes.HandleFunc("POST /2018-06-01/runtime/init/error", b.tell(true))
	b.api = &http.Server{Handler: routes}
	go func() { _ = b.api.Serve(listener) }()
	b.process, err = launchWith(append(append(s.functionEnv(ProviderStack), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String()), env...),
		s.bootstrap("ProviderFunction"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the bootstrap: %w", err), b.api.Close())
	}
	return b, nil
}

// next holds the process until there is an event for it.
func (b *Bootstrap) next(w http.ResponseWriter, r *http.Request) {
	select {
	case i := <-b.events:
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
