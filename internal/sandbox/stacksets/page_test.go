//go:build stacksets

package stacksets_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// section is a part of docs/stacksets.md that has commands.
type section struct {
	title    string
	commands []command
}

// command is one of the page's, with what the page says that it prints.
type command struct{ text, prints string }

// readPage reads the page's commands: each begins with "$ ", and goes on in the
// lines that are indented. What is neither is output.
func readPage(t *testing.T, file string) (sections []section) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	console := false
	var last *command
	for line := range strings.Lines(string(text)) {
		current := len(sections) - 1
		switch {
		case strings.HasPrefix(line, "```"):
			console, last = strings.TrimSpace(line) == "```console", nil
		case !console && strings.HasPrefix(line, "#"):
			sections = append(sections, section{title: strings.TrimSpace(strings.TrimLeft(line, "#"))})
		case !console:
		case strings.HasPrefix(line, "$ "):
			sections[current].commands = append(sections[current].commands, command{text: line[2:]})
			last = &sections[current].commands[len(sections[current].commands)-1]
		case last != nil && last.prints == "" && strings.HasPrefix(line, "  "):
			last.text += line
		case last != nil:
			last.prints += line
		default:
			t.Fatalf("%s shows an output without a command: %s", file, line)
		}
	}
	return sections
}

var exported = regexp.MustCompile(`\b([A-Z]+)=("[^"]*"|\S+)`)

// with puts our values in place of those of a command that sets the page's.
func (c command) with(values map[string]string) string {
	if !strings.HasPrefix(c.text, "export ") {
		return c.text
	}
	return exported.ReplaceAllStringFunc(c.text, func(set string) string {
		name, _, _ := strings.Cut(set, "=")
		if value, ours := values[name]; ours {
			return fmt.Sprintf("%s=%q", name, value)
		}
		return set
	})
}

var account = regexp.MustCompile(`\d{12}`)

// printed compares an output with what the page shows: "…" is any text, a line
// "..." any lines, an account's id any account's.
func (c command) printed(output string) bool {
	var pattern strings.Builder
	for line := range strings.Lines(c.prints) {
		if strings.TrimSpace(line) == "..." {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		parts := strings.Split(strings.Join(strings.Fields(line), " "), "…")
		for i, part := range parts {
			parts[i] = strings.ReplaceAll(account.ReplaceAllString(regexp.QuoteMeta(part), `\d{12}`), " ", `\s+`)
		}
		pattern.WriteString(strings.Join(parts, `.*`) + `\s*?\n`)
	}
	return regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(output)
}

// shell is one bash, in which commands run one after the other as a reader's do.
type shell struct {
	bash *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// ended is the line behind each command's output.
const ended = "-- the command has ended: "

func newShell(t *testing.T, ctx context.Context, dir string, env []string) *shell {
	t.Helper()
	bash := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", "-s")
	bash.Dir, bash.Env = dir, env
	// So that what it has started ends with it.
	bash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := bash.StdinPipe()
	must(t, err)
	out, err := bash.StdoutPipe()
	must(t, err)
	must(t, bash.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = syscall.Kill(-bash.Process.Pid, syscall.SIGKILL)
		_ = bash.Wait()
	})
	s := &shell{bash: bash, in: in, out: bufio.NewReader(out)}
	// A failure in a loop or a function counts too. Commands read nothing of the
	// script that they stand in.
	if _, err := io.WriteString(in, "exec 2>&1\nset -E -o pipefail\ntrap 'failed=$?' ERR\n"); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a command and returns what it prints, and whether a part of it failed.
func (s *shell) run(text string) (output string, err error) {
	if _, err := fmt.Fprintf(s.in, "failed=0\n{\n%s\n} < /dev/null\necho; echo \"%s$failed\"\n", text, ended); err != nil {
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
