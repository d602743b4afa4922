package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"cloney-s3-credentials/internal/screen"
)

// pageWidth is how wide a line of the page is at the most. A row of a table may be wider.
const pageWidth = 120

// Markdown writes docs/benchmark.md.
func (r Report) Markdown(w io.Writer) error {
	var out bytes.Buffer
	out.WriteString("# Benchmark\n\n")
	paragraph(&out, "For anyone who wants to know how fast the provider is, and how much memory and how many calls it needs: "+
		"what was measured, compared with an empty Go function and the same job in Python.")
	paragraph(&out, fmt.Sprintf("`%s` measures all of this in one run on one machine, and writes this page. Do not edit it by hand.", r.Command))
	r.writeTargets(&out)
	for _, p := range r.Pictures {
		fmt.Fprintf(&out, "![%s](%s)\n\n", p.Title, p.File)
	}
	out.WriteString("## How to read it\n\n")
	for _, item := range howToRead {
		writeLines(&out, screen.Wrap(item, "- ", "  ", pageWidth))
	}
	for _, t := range r.Tables {
		t.markdown(&out)
	}
	_, err := w.Write(out.Bytes())
	return err
}

var howToRead = []string{
	"A figure is the median of all runs. The quartiles are in brackets: half of the runs lie between them. They are left out where they round to the median.",
	"A figure has three digits, because further digits differ from run to run. A count that was the same in every run has all its digits.",
	"× is a ratio. The programs that are compared run in turn. Each pair of neighboring runs gives one ratio, and the figure is the median of these ratios. So a machine that is busy for a while slows both sides of a ratio.",
	"Compare ratios and counts with those of another machine. Compare times only with times of the same table.",
	"A target is reached when its median keeps the limit.",
}

// writeTargets writes the limits and what was measured against them, on which machine and
// by which command.
func (r Report) writeTargets(out *bytes.Buffer) {
	out.WriteString("| To reach | Limit | Measured | |\n|---|---:|---:|---|\n")
	for _, t := range r.ratiosFirst() {
		writeRow(out, []string{t.What, t.limit(), t.Got.in(t.Unit), t.verdict()})
	}
	out.WriteString("\n")
	for _, t := range r.missed() {
		paragraph(out, t.missedLine())
	}
	paragraph(out, fmt.Sprintf("Measured by `%s` on %s, at commit %s: medians of %d runs, and in brackets the range of the middle half of the runs. The machine: %s.",
		r.Command, r.day(), r.Commit, r.Runs, r.Machine))
}

func (t Table) markdown(out *bytes.Buffer) {
	fmt.Fprintf(out, "\n## %s\n\n", t.Title)
	if t.About != "" {
		paragraph(out, t.About)
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

// paragraph writes a text, and an empty line after it.
func paragraph(out *bytes.Buffer, text string) {
	writeLines(out, screen.Wrap(text, "", "", pageWidth))
	out.WriteString("\n")
}

func writeLines(out *bytes.Buffer, lines []string) {
	for _, line := range lines {
		out.WriteString(line + "\n")
	}
}
