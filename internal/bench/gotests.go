package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cloney-s3-credentials/internal/bench/report"
)

// Packages whose tests print figures, in simulated time, and whose benchmarks measure
// our own time.
var (
	figurePackages    = []string{"./internal/provision", "./internal/sweep"}
	benchmarkPackages = []string{"./internal/resource", "./internal/plan", "./internal/policy", "./internal/reply"}
)

// figure is what a test prints in a line that begins with figureMark.
type figure struct {
	Table, Name, Column, Unit string
	Values                    report.Sample
	Limit                     float64 // 0: it is not a target
	Note                      string  // why the limit cannot be reached
}

const figureMark = "figure: "

// figures runs the tests that print figures.
func (b *bench) figures(ctx context.Context) ([]figure, error) {
	b.say("figures of %v", figurePackages)
	arguments := append([]string{"test", "-count=1", "-run", "Figures", "-v"}, figurePackages...)
	printed, err := b.goTool(ctx, append(arguments, "-args", "-figures", strconv.Itoa(b.runs))...)
	if err != nil {
		return nil, fmt.Errorf("figures: %w", err)
	}
	found, err := readFigures(printed)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("the tests of %v print no figures", figurePackages)
	}
	return found, err
}

func readFigures(printed []byte) (found []figure, err error) {
	for line := range strings.Lines(string(printed)) {
		// The log of a test begins each line with "file.go:12: ".
		_, text, marked := strings.Cut(line, figureMark)
		if !marked {
			continue
		}
		var f figure
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			return nil, fmt.Errorf("a figure of the tests: %w: %s", err, text)
		}
		if f.Table == "" || f.Name == "" || f.Column == "" || len(f.Values) == 0 {
			return nil, fmt.Errorf("a figure of the tests lacks its table, name, column or values: %s", text)
		}
		found = append(found, f)
	}
	return found, nil
}

// abouts say what the tests' tables measure.
var abouts = map[string]string{
	"Stacks at once":      "Stacks that are deployed at the same time, in simulated time. Each API of IAM takes the named number of calls a second, and the named burst at once. The ideal is the time that the most used API needs for all calls, and that of one event.",
	"Growth of a Create":  "How the calls, the chain, the policies and the time of a Create grow with its buckets, and with the stacks of the account. Calls and chain are counted in simulated time. The time is 20 ms for each link of the chain. Our own time is not included: the table “Our own time” has it.",
	"Growth of the sweep": "How the daily sweep grows with the users of the account, in simulated time.",
	ownTime:               "Go benchmarks of the parts of a Create, by the number of its buckets. Decode reads the event, Converge plans the calls, Documents writes the policies, and Encode writes the response. Handle is decode, log and response together. Create is all of it, with an account in memory in place of the SDK and the network. The time of that account is included.",
}

// tables are the figures as tables, in the order in which they were printed.
func tables(figures []figure) (found []report.Table) {
	for _, f := range figures {
		t := slices.IndexFunc(found, func(t report.Table) bool { return t.Title == f.Table })
		if t < 0 {
			t, found = len(found), append(found, report.Table{Title: f.Table, About: abouts[f.Table]})
		}
		set(&found[t], f)
	}
	return found
}

// set puts a figure into its row and column.
func set(t *report.Table, f figure) {
	column := slices.Index(t.Columns, f.Column)
	if column < 0 {
		column, t.Columns = len(t.Columns), append(t.Columns, f.Column)
	}
	row := slices.IndexFunc(t.Rows, func(r report.Row) bool { return r.Name == f.Name })
	if row < 0 {
		row, t.Rows = len(t.Rows), append(t.Rows, report.Row{Name: f.Name})
	}
	for i := range t.Rows {
		for len(t.Rows[i].Cells) < len(t.Columns) {
			t.Rows[i].Cells = append(t.Rows[i].Cells, report.Cell{})
		}
	}
	t.Rows[row].Cells[column] = report.Cell{Values: f.Values, Unit: f.Unit}
}

// targetsOf are the figures that have a limit.
func targetsOf(figures []figure) (found []report.Target) {
	for _, f := range figures {
		if f.Limit != 0 {
			found = append(found, report.Target{What: f.Name + ", " + f.Column, Got: f.Values, Unit: f.Unit, Limit: f.Limit, Note: f.Note})
		}
	}
	return found
}

// ownTimes runs the Go benchmarks, each once for every run.
func (b *bench) ownTimes(ctx context.Context) ([]figure, error) {
	b.say("Go benchmarks of %v", benchmarkPackages)
	arguments := []string{"test", "-vet=off", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", "20ms", "-count", strconv.Itoa(b.runs)}
	printed, err := b.goTool(ctx, append(arguments, benchmarkPackages...)...)
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	found := readBenchmarks(printed)
	if len(found) == 0 {
		return nil, fmt.Errorf("%v have no benchmarks", benchmarkPackages)
	}
	return found, nil
}

const ownTime = "Our own time"

// benchmarkLine is "BenchmarkDecode/buckets=1-2  1000  1234 ns/op  56 B/op  7 allocs/op".
// https://go.dev/design/14313-benchmark-format
var benchmarkLine = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(?:.*\s([\d.]+) B/op\s+([\d.]+) allocs/op)?`)

// readBenchmarks are time, memory and allocations of each benchmark.
func readBenchmarks(printed []byte) (found []figure) {
	lines := bufio.NewScanner(bytes.NewReader(printed))
	for lines.Scan() {
		m := benchmarkLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		name := strings.ReplaceAll(m[1], "/", ", ")
		found = add(found, figure{Table: ownTime, Name: name, Column: "time", Unit: "ms"}, m[2], 1e6)
		if m[3] != "" {
			found = add(found, figure{Table: ownTime, Name: name, Column: "memory", Unit: "kB"}, m[3], 1e3)
			found = add(found, figure{Table: ownTime, Name: name, Column: "allocations"}, m[4], 1)
		}
	}
	return found
}

// add appends a number to the figure that is there, or to a new one.
func add(figures []figure, f figure, number string, divisor float64) []figure {
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return figures // the expression matches nothing but numbers
	}
	at := slices.IndexFunc(figures, func(g figure) bool { return g.Table == f.Table && g.Name == f.Name && g.Column == f.Column })
	if at < 0 {
		at, figures = len(figures), append(figures, f)
	}
	figures[at].Values = append(figures[at].Values, value/divisor)
	return figures
}

// goTool runs the go command in the checkout, and returns what it prints.
func (b *bench) goTool(ctx context.Context, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = b.root
	command.Stderr = os.Stderr
	printed, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, printed)
	}
	return printed, nil
}
