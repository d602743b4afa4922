package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Markdown writes docs/benchmark.md.
func (r Report) Markdown(w io.Writer) error {
	var out bytes.Buffer
	out.WriteString("# Benchmark\n\n")
	fmt.Fprintf(&out, "`%s` measures all of this in one run on one machine, and writes this page. Do not edit it by hand.\n\n", r.Command)
	out.WriteString(r.ReadmeBlock() + "\n")
	for _, p := range r.Pictures {
		fmt.Fprintf(&out, "\n![%s](%s)\n", p.Title, p.File)
	}
	out.WriteString("\n" + howToRead)
	for _, t := range r.Tables {
		t.markdown(&out)
	}
	_, err := w.Write(out.Bytes())
	return err
}

const howToRead = `## How to read it

- A figure is the median of all runs. In brackets are the quartiles: half of the runs lie between them. They are left out where they round to the median. A figure has three digits, because the further ones differ from run to run. A count that was the same in every run is told in full.
- × is a ratio. What is compared runs in turn, and each pair of runs that stand beside each other gives one ratio; the figure is the median of these ratios. So a machine that is busy for a while slows both sides of a ratio.
- Compare ratios and counts with those of another machine. Compare times only with times of the same table.
- A target is reached when its median keeps the limit.
`

func (t Table) markdown(out *bytes.Buffer) {
	fmt.Fprintf(out, "\n## %s\n\n", t.Title)
	if t.About != "" {
		fmt.Fprintf(out, "%s\n\n", strings.TrimSpace(t.About))
	}
	lines := t.lines()
	writeRow(out, lines[0])
	out.WriteString("|---|" + strings.Repeat("---:|", len(t.Columns)) + "\n")
	for _, line := range lines[1:] {
		writeRow(out, line)
	}
}

func writeRow(out *bytes.Buffer, cells []string) {
	for _, cell := range cells {
		out.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	out.WriteString("|\n")
}

// What stands between these lines is the same in README and docs/benchmark.md.
const (
	blockBegin = "<!-- bench: begin -->"
	blockEnd   = "<!-- bench: end -->"
)

// ReadmeBlock is what README shows of the report: what was to be reached and what
// was, on which machine, by which command.
func (r Report) ReadmeBlock() string {
	var out bytes.Buffer
	out.WriteString(blockBegin + "\n")
	out.WriteString("| To reach | Limit | Measured | |\n|---|---:|---:|---|\n")
	for _, t := range r.ratiosFirst() {
		writeRow(&out, []string{t.What, t.limit(), t.Got.in(t.Unit), t.verdict()})
	}
	for _, t := range r.missed() {
		fmt.Fprintf(&out, "\n%s\n", t.missedLine())
	}
	fmt.Fprintf(&out, "\nMeasured by `%s` on %s, at commit %s: medians of %d runs, and in brackets the range of the middle half of the runs. The machine: %s.\n",
		r.Command, r.day(), r.Commit, r.Runs, r.Machine)
	out.WriteString(blockEnd)
	return out.String()
}

// Block returns the block of a text that holds one, as ReadmeBlock writes it.
func Block(text string) (string, error) {
	begin, end, err := findBlock(text)
	if err != nil {
		return "", err
	}
	return text[begin:end], nil
}

// ReplaceBlock returns the text with another block in the place of its own.
func ReplaceBlock(text, block string) (string, error) {
	begin, end, err := findBlock(text)
	if err != nil {
		return "", err
	}
	return text[:begin] + block + text[end:], nil
}

// findBlock refuses a text with two blocks: the second would stay old.
func findBlock(text string) (begin, end int, err error) {
	if strings.Count(text, blockBegin) != 1 || strings.Count(text, blockEnd) != 1 {
		return 0, 0, fmt.Errorf("there is not exactly one %s and one %s", blockBegin, blockEnd)
	}
	begin, end = strings.Index(text, blockBegin), strings.Index(text, blockEnd)
	if begin > end {
		return 0, 0, fmt.Errorf("%s stands behind %s", blockBegin, blockEnd)
	}
	return begin, end + len(blockEnd), nil
}
