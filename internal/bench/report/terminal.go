package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"cloney-s3-credentials/internal/screen"
)

// width is what a paragraph on the terminal is broken at.
const width = 100

// Terminal writes the report for a terminal: what was to be reached first, then
// the tables.
func (r Report) Terminal(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s, of %s, commit %s\n%d runs of each; the middle half of them in brackets\n%s\n", r.Command, r.day(), r.Commit, r.Runs, r.Machine)
	if len(r.Targets) > 0 {
		out.WriteString("\nTo reach\n")
		writeColumns(&out, r.targetLines())
		for _, t := range r.missed() {
			out.WriteString("\n")
			writeLines(&out, screen.Wrap(t.missedLine(), "  ", "  ", width))
		}
	}
	for _, t := range r.Tables {
		fmt.Fprintf(&out, "\n%s\n", t.Title)
		writeColumns(&out, t.lines())
	}
	_, err := w.Write(out.Bytes())
	return err
}

func (r Report) day() string { return r.Day.UTC().Format("2006-01-02") }

func (r Report) targetLines() [][]string {
	var lines [][]string
	for _, t := range r.ratiosFirst() {
		lines = append(lines, []string{t.verdict(), t.What, t.Got.in(t.Unit), t.limit()})
	}
	return lines
}

// missed are the targets that were not reached, in the order in which they are told.
func (r Report) missed() []Target {
	var missed []Target
	for _, t := range r.ratiosFirst() {
		if !t.Reached() {
			missed = append(missed, t)
		}
	}
	return missed
}

func (t Target) missedLine() string {
	if t.Note == "" {
		return t.What + ": " + t.verdict() + "."
	}
	return t.What + ": " + t.verdict() + ". " + t.Note
}

// lines are the table's header and rows, as texts.
func (t Table) lines() [][]string {
	lines := [][]string{append([]string{""}, t.Columns...)}
	for _, row := range t.Rows {
		line := []string{row.Name}
		for _, cell := range row.Cells {
			line = append(line, cell.String())
		}
		lines = append(lines, line)
	}
	return lines
}

// writeColumns writes lines with every column as wide as its widest text.
func writeColumns(out *bytes.Buffer, lines [][]string) {
	var widths []int
	for _, line := range lines {
		for i, text := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for _, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			text.WriteString("  " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		out.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
}
