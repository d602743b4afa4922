package pages

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Shell is one bash, in which commands run one after the other, as a reader's do.
type Shell struct {
	bash *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// ended is the line behind each command's output.
const ended = "-- the command has ended: "

// NewShell starts a bash in a directory. It ends with the test, and so does all that
// it has started.
func NewShell(t *testing.T, ctx context.Context, dir string, env []string) *Shell {
	t.Helper()
	bash := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", "-s")
	bash.Dir, bash.Env = dir, env
	bash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := bash.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := bash.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = syscall.Kill(-bash.Process.Pid, syscall.SIGKILL)
		_ = bash.Wait()
	})
	// A failure in a loop or a function counts too, but the trap does not see one in front of
	// "&&": Run also looks at the last status. Commands read nothing of the script that they
	// stand in.
	if _, err := io.WriteString(in, "exec 2>&1\nset -E -o pipefail\ntrap 'failed=$?' ERR\n"); err != nil {
		t.Fatal(err)
	}
	return &Shell{bash: bash, in: in, out: bufio.NewReader(out)}
}

// Run runs a command and returns its output, and an error if a part of it failed.
func (s *Shell) Run(text string) (output string, err error) {
	if _, err := fmt.Fprintf(s.in, "failed=0\n{\n%s\n} < /dev/null\nlast=$?; echo; echo \"%s$((failed ? failed : last))\"\n", text, ended); err != nil {
		return "", err
	}
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return output, fmt.Errorf("bash ended: %w", err)
		}
		if status, is := strings.CutPrefix(line, ended); is {
			output = strings.TrimSuffix(output, "\n")
			if strings.TrimSpace(status) != "0" {
				return output, fmt.Errorf("status %s:\n%s", strings.TrimSpace(status), output)
			}
			return output, nil
		}
		output += line
	}
}

// Follow runs a command of a page in the form of text, which has our values in the place of
// the page's, and returns its output. It returns an error if the output is another one than
// the page shows, or if the command fails where the page shows no error of AWS.
func (s *Shell) Follow(c Command, text string) (output string, err error) {
	output, err = s.Run(text)
	failure := strings.Contains(c.Prints, "An error occurred")
	switch {
	case err != nil && !failure:
		return output, fmt.Errorf("%s:%d: $ %s%w", c.Page, c.Line, c.Text, err)
	case err == nil && failure:
		return output, fmt.Errorf("%s:%d: $ %sdoes not fail, and prints\n%s", c.Page, c.Line, c.Text, output)
	case c.Prints != "" && !c.Printed(output):
		return output, fmt.Errorf("%s:%d: $ %sprints\n%s\nThe page shows\n%s", c.Page, c.Line, c.Text, output, c.Prints)
	}
	return output, nil
}
