package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func run(ctx context.Context, dir string, env []string, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = dir
	command.Env = env
	var out, complaints strings.Builder
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(arguments[:min(2, len(arguments))], " "), err, strings.TrimSpace(complaints.String()))
	}
	return out.String(), nil
}

// process is a program that runs until it is stopped. Its standard input stays
// open as long as we live: with --stdin-guard it ends when we do.
type process struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	lines   chan string
	ended   chan struct{}

	log *os.File // has what it prints, as it prints it; nil: no file has

	mu  sync.Mutex
	out strings.Builder
}

// errEnded is the end of a process that should go on.
var errEnded = errors.New("it ended")

func launch(name string, arguments ...string) (*process, error) {
	return launchWith(inherited(), name, arguments...)
}

func launchWith(env []string, name string, arguments ...string) (*process, error) {
	return launchLogged(nil, env, name, arguments...)
}

func launchLogged(log *os.File, env []string, name string, arguments ...string) (*process, error) {
	p := &process{command: exec.Command(name, arguments...), lines: make(chan string, 64), ended: make(chan struct{}), log: log}
	p.command.Env = env
	// A group of its own, so that what it starts (the bootstrap under the
	// emulator) ends with it.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	p.command.Stdout, p.command.Stderr = writer, writer
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go p.read(reader)
	go func() {
		_ = p.command.Wait()
		_ = writer.Close()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) read(from io.Reader) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.mu.Lock()
		p.out.WriteString(scanner.Text() + "\n")
		p.mu.Unlock()
		if p.log != nil {
			_, _ = p.log.WriteString(scanner.Text() + "\n")
		}
		select {
		case p.lines <- scanner.Text():
		default: // nobody waits for lines any more
		}
	}
	_, _ = io.Copy(io.Discard, from)
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// hung is how long a process may take to be ready before it is given up: a
// guard against one that never is, far from what the slowest machine needs.
const hung = 20 * time.Minute

// waitFor waits until the process prints the line.
func (p *process) waitFor(ctx context.Context, line string) error {
	ctx, cancel := context.WithTimeout(ctx, hung)
	defer cancel()
	for {
		select {
		case printed := <-p.lines:
			if printed == line {
				return nil
			}
		case <-p.ended:
			return fmt.Errorf("%w; it printed:\n%s", errEnded, p.printed())
		case <-ctx.Done():
			return fmt.Errorf("%w; it printed:\n%s", ctx.Err(), p.printed())
		}
	}
}

// listening waits until the process answers there.
func (p *process) listening(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, hung)
	defer cancel()
	host := strings.SplitN(strings.TrimPrefix(url, "http://"), "/", 2)[0]
	for {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", host)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("nothing listens on %s: %w; it printed:\n%s", host, errEnded, p.printed())
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s: %w", host, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) stop() error {
	if p == nil {
		return nil
	}
	_ = p.stdin.Close()
	_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL)
	<-p.ended
	return nil
}
