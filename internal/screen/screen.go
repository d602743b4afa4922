package screen

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Usual is the width of a screen that does not report one. most is the largest width that
// is used.
const (
	Usual = 80
	most  = 120
)

// Screen prints lines that are at most Width characters wide.
type Screen struct {
	Out   io.Writer
	Width int
	// Color shows in color what also a word says.
	Color bool
	// Live has the last line of the screen show what goes on. It needs a terminal.
	Live bool

	mu      sync.Mutex
	doing   string
	started time.Time
	pending bool // the line that shows what goes on is on the screen
}

// New returns the screen of a file. It is as wide as the terminal, or as COLUMNS
// says. It has no color where there is no terminal, or where NO_COLOR or CI is set.
// https://no-color.org
func New(out *os.File) *Screen {
	terminal := term.IsTerminal(int(out.Fd()))
	s := &Screen{Out: out, Width: Usual}
	if columns, _, err := term.GetSize(int(out.Fd())); err == nil && columns > 0 {
		s.Width = columns
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		s.Width = columns
	}
	s.Width = min(s.Width, most)
	s.Live = terminal && os.Getenv("CI") == ""
	s.Color = s.Live && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
}

// Style is how a text looks where the screen has color.
type Style string

// The styles, as the terminal's own codes.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Faint  Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Line prints a text, wrapped. Its first line begins with first, and all others with
// as many spaces.
func (s *Screen) Line(style Style, first, text string) {
	s.print(style, Wrap(text, first, strings.Repeat(" ", length(first)), s.Width))
}

// JSON prints a JSON text, laid out. What is not JSON is printed as a text.
func (s *Screen) JSON(style Style, indent, text string) {
	lines, err := JSON(text, indent, s.Width)
	if err != nil {
		lines = Wrap(text, indent, indent, s.Width)
	}
	var fit []string
	for _, line := range lines {
		if length(line) <= s.Width {
			fit = append(fit, line)
			continue
		}
		margin := line[:len(line)-len(strings.TrimLeft(line, " "))]
		fit = append(fit, Wrap(line, margin, margin+"  ", s.Width)...)
	}
	s.print(style, fit)
}

// Columns prints a row whose last columns are right-aligned. The first column has
// what the others leave of the line, and is wrapped.
func (s *Screen) Columns(style Style, text string, cells ...string) {
	right := ""
	for _, cell := range cells {
		right += fmt.Sprintf(" %8s", cell)
	}
	lines := Wrap(text, "", "  ", s.Width-length(right))
	lines[0] += strings.Repeat(" ", max(0, s.Width-length(right)-length(lines[0]))) + strings.TrimRight(right, " ")
	s.print(style, lines)
}

// Blank prints an empty line.
func (s *Screen) Blank() { s.print(Plain, []string{""}) }

// Rule prints a line across the screen.
func (s *Screen) Rule() { s.print(Faint, []string{strings.Repeat("─", s.Width)}) }

func (s *Screen) print(style Style, lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	for _, line := range lines {
		if s.Color && style != Plain {
			line = "\033[" + string(style) + "m" + line + "\033[0m"
		}
		fmt.Fprintln(s.Out, line)
	}
}

// clear takes away the line that shows what goes on.
func (s *Screen) clear() {
	if s.pending {
		fmt.Fprint(s.Out, "\r\033[K")
		s.pending = false
	}
}

// Doing says what goes on until the next Doing.
func (s *Screen) Doing(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doing, s.started = what, time.Now()
	s.show()
}

// Watch keeps saying what goes on, and for how long, until it is done: every second
// on a terminal, else every five seconds.
func (s *Screen) Watch(done <-chan struct{}) {
	every := time.Second
	if !s.Live {
		every = 5 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.tell()
		case <-done:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.clear()
			return
		}
	}
}

// tell says what goes on once more.
func (s *Screen) tell() {
	if s.Live {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.show()
		return
	}
	s.mu.Lock()
	doing, seconds := s.doing, time.Since(s.started).Seconds()
	s.mu.Unlock()
	s.Line(Plain, "  ... ", fmt.Sprintf("%s %.0f s", cmp.Or(doing, "working"), seconds))
}

// show draws the line that shows what goes on; s.mu is held.
func (s *Screen) show() {
	if !s.Live || s.doing == "" {
		return
	}
	s.clear()
	text := s.doing
	if seconds := int(time.Since(s.started).Seconds()); seconds > 0 {
		text += fmt.Sprintf(" %d s", seconds)
	}
	// One column fewer: some terminals wrap a line that fills them. And one line alone:
	// a terminal clears no more.
	fmt.Fprint(s.Out, Wrap(text, "  ... ", "", s.Width-1)[0])
	s.pending = true
}
