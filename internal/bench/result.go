package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"cloney-s3-credentials/internal/bench/report"
)

// results are all that one run measures.
type results struct {
	cold            cold
	waits           waits
	memory, memory2 memory // ours, and Python's
	sizes           []size
	idle            size // Go with idle clients
	own, figures    []figure
	crowd           crowded
}

// measure measures everything. What depends least on the machine comes last. The waits
// come first: they warm the local AWS up.
func (b *bench) measure(ctx context.Context) (r results, err error) {
	programs := b.programs()
	for _, part := range []func() error{
		func() (err error) { r.waits, err = b.waitsOf(ctx); return err },
		func() (err error) { r.cold, err = b.coldStarts(ctx); return err },
		func() (err error) { r.crowd, err = b.crowdOf(ctx, r.waits[ours][0][create][0]); return err },
		func() (err error) { r.memory, err = b.peaks(ctx, ours, programs[ours], b.runs); return err },
		func() (err error) { r.memory2, err = b.peaks(ctx, python, programs[python], pythonLives); return err },
		func() (err error) { r.sizes, err = b.sizes(ctx); return err },
		func() (err error) { r.idle, err = b.size(ctx, idle, ".tools/bench/idle"); return err },
		func() (err error) { r.own, err = b.ownTimes(ctx); return err },
		func() (err error) { r.figures, err = b.figures(ctx); return err },
	} {
		if err := part(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// pythonLives is how many processes of Python live through 200 events. It is not a target,
// and one of them takes as long as several of ours.
const pythonLives = 2

// coldFile and latencyFile are the pictures, in the directory of docs/benchmark.md.
const (
	page        = "docs/benchmark.md"
	coldFile    = "cold-start.svg"
	latencyFile = "latency.svg"
)

// report lays the results out.
func (b *bench) report(ctx context.Context, r results) report.Report {
	all := append(append([]report.Table{r.coldTable(), r.waitsTable(), r.memoryTable(), r.sizeTable(), r.crowdTable()}, tables(r.own)...), tables(r.figures)...)
	return report.Report{
		Commit: b.commit(ctx), Day: time.Now(), Machine: report.Machine(filepath.Join(b.root, pythonPath)),
		Command: "make bench", Runs: b.runs,
		Targets: append(r.targets(), targetsOf(r.figures)...), Tables: all, Pictures: r.pictures(),
	}
}

func (b *bench) commit(ctx context.Context) string {
	command := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude=*")
	command.Dir = b.root
	printed, err := command.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(printed))
}

// targets are the list "To reach".
func (r results) targets() []report.Target {
	last := lookAt[len(lookAt)-1]
	var zips report.Sample
	for _, s := range r.sizes {
		zips = append(zips, float64(max(s.zip, s.samZip))/1e6)
	}
	return []report.Target{
		{What: "Cold start of the provider to its first poll, against an empty Go function", Got: ratios(r.cold.poll[ours], r.cold.poll[empty]), Unit: "x", Limit: 1.5},
		{What: "First Create without Verify answered from cold, sooner than the Python version", Got: ratios(r.cold.answer[python], r.cold.answer[ours]), Unit: "x", Limit: 10, Least: true},
		{What: "80 ms a call: the kind of event that is slowest for its chain, against 1.1 × chain × 80 ms + 50 ms", Got: r.waits.worst(ours), Unit: "x", Limit: 1},
		{What: "Memory after 200 events, against that after 10", Got: ratios(r.memory[last], r.memory[10]), Unit: "x", Limit: flat},
		{What: fmt.Sprintf("%d Creates at once in real processes, 10 calls a second, burst 10 (one run), against the ideal", r.crowd.events), Got: report.Sample{r.crowd.ratio()}, Unit: "x", Limit: 1.2},
		{What: "Verified Create at no latency", Got: seconds(r.waits.wall(ours, 0, verified)), Unit: "s", Limit: 0.5},
		{What: "Peak memory over 200 events", Got: r.memory[last], Unit: "MiB", Limit: 20},
		{What: "Largest zip of a function", Got: report.Sample{highest(zips)}, Unit: "MB", Limit: zipLimit / 1e6},
		{What: "Own time of a Create of 1 bucket", Got: r.ownTime("Create, buckets=1"), Unit: "ms", Limit: 1},
		{What: "Own time of a Create of 300 buckets", Got: r.ownTime("Create, buckets=300"), Unit: "ms", Limit: 10},
	}
}

// flat is how much the peak may grow between event 10 and event 200. The timing of the
// garbage collector alone makes it grow that much.
const flat = 1.05

func (r results) ownTime(benchmark string) report.Sample {
	for _, f := range r.own {
		if f.Name == benchmark && f.Column == "time" {
			return f.Values
		}
	}
	return nil
}

func (c crowded) ratio() float64 { return float64(c.took) / float64(c.ideal) }

func highest(s report.Sample) (most float64) {
	for _, v := range s {
		most = max(most, v)
	}
	return most
}

func seconds(s report.Sample) (found report.Sample) {
	for _, v := range s {
		found = append(found, v/1000)
	}
	return found
}

func (r results) coldTable() report.Table {
	t := report.Table{
		Title:   "Cold start",
		About:   "The clock starts just before the process does. Where an answer is measured, the event waits already, and the answer is the PUT to the ResponseURL. It is measured for a Create with Verify: false, and for a verified one. AWS and the Runtime API run on the same machine, add no latency, and speak HTTP without TLS. The time that Lambda itself needs before it starts the process is not included. Each program makes its clients before it asks for an event.",
		Columns: []string{"first poll", "against empty Go", "Create answered", "sooner than Python", "verified Create answered", "sooner than Python, verified"},
	}
	for _, name := range []string{empty, idle, ours, rotator, python} {
		sooner, soonerVerified := report.Cell{}, report.Cell{}
		if name == ours {
			sooner = report.Cell{Values: ratios(r.cold.answer[python], r.cold.answer[ours]), Unit: "x"}
			soonerVerified = report.Cell{Values: ratios(r.cold.verified[python], r.cold.verified[ours]), Unit: "x"}
		}
		t.Rows = append(t.Rows, report.Row{Name: name, Cells: []report.Cell{
			{Values: r.cold.poll[name], Unit: "ms"}, {Values: ratios(r.cold.poll[name], r.cold.poll[empty]), Unit: "x"},
			optional(r.cold.answer[name], "ms"), sooner, optional(r.cold.verified[name], "ms"), soonerVerified,
		}})
	}
	return t
}

// optional is an empty cell where nothing is to be measured.
func optional(s report.Sample, unit string) report.Cell {
	if s == nil {
		return report.Cell{}
	}
	return report.Cell{Values: s, Unit: unit}
}

func (r results) waitsTable() report.Table {
	t := report.Table{
		Title:   "Each kind of event",
		About:   "In a warm process. The first three columns count the calls to AWS, those of them that write, and the longest chain of calls that wait for each other. They are the least of all runs, counted where each call lasts 80 ms longer. The next three are the time from the event to its answer, with 0, 20 and 80 ms added to every call but the answer. For a step of a rotation it is the time until the function ends. The last column compares the time at 80 ms with 1.1 × chain × 80 ms + 50 ms. It uses the chains that `make bench-counts` checks. This local AWS lets a look at the user count for one second, and AWS for four. So testSecret and finishSecret look once more here, and the chains allow for that. The time that TLS adds is not included: each proof of a key opens a connection of its own, which takes two more round trips. The Python version makes fewer calls because it does less. Its docstring says what it leaves out.",
		Columns: []string{"calls", "writes", "chain", "at 0 ms", "at 20 ms", "at 80 ms", "against the chain"},
	}
	for _, program := range []string{ours, python} {
		for _, kind := range kinds {
			c, known := r.waits.count(program, kind)
			if !known {
				continue
			}
			row := report.Row{Name: kind + ", " + program, Cells: []report.Cell{counted(c.calls), counted(c.writes), counted(c.chain)}}
			for _, latency := range latencies {
				row.Cells = append(row.Cells, report.Cell{Values: r.waits.wall(program, latency, kind), Unit: "ms"})
			}
			row.Cells = append(row.Cells, report.Cell{Values: r.waits.overTarget(program, kind), Unit: "x"})
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func (r results) memoryTable() report.Table {
	t := report.Table{
		Title: "Memory",
		About: fmt.Sprintf("The most memory that the process has had (VmHWM in /proc/PID/status), after 1, 10 and 200 events in one warm process. The events are a Create (every second one is verified), an Update that changes nothing, an Update with another bucket, an Update with a new Serial, a Delete, and then the same again. TLS, which needs root certificates, is included for neither program. %d processes of Python were measured.", pythonLives),
	}
	for _, after := range lookAt {
		t.Columns = append(t.Columns, fmt.Sprintf("after %d", after))
	}
	for _, row := range []struct {
		name string
		memory
	}{{ours, r.memory}, {python, r.memory2}} {
		cells := []report.Cell{}
		for _, after := range lookAt {
			cells = append(cells, report.Cell{Values: row.memory[after], Unit: "MiB"})
		}
		t.Rows = append(t.Rows, report.Row{Name: row.name, Cells: cells})
	}
	return t
}

func (r results) sizeTable() report.Table {
	t := report.Table{
		Title:   "Size",
		About:   "The size of the functions as they are released. Our own code packs the zip for stack sets. `sam deploy` packs the same file with Python's zipfile, after `make build`. A plain `sam build` compiles with SAM's own settings, and its file is larger.",
		Columns: []string{"bootstrap", "zip for stack sets", "the same, packed as SAM does"},
	}
	for _, s := range append(r.sizes, r.idle) {
		t.Rows = append(t.Rows, report.Row{Name: s.name, Cells: []report.Cell{megabytes(s.bootstrap), megabytes(s.zip), megabytes(s.samZip)}})
	}
	return t
}

func megabytes(n int) report.Cell {
	return report.Cell{Values: report.Sample{float64(n) / 1e6}, Unit: "MB"}
}

func (r results) crowdTable() report.Table {
	return report.Table{
		Title:   "Real processes at once",
		About:   fmt.Sprintf("All Creates begin together, each in a process of its own. Each API of IAM takes %d calls a second, and %d at once. This is one run. The tables in simulated time have more runs.", rate, burst),
		Columns: []string{"until the last answer", "ideal", "ratio"},
		Rows: []report.Row{{Name: fmt.Sprintf("%d Creates", r.crowd.events), Cells: []report.Cell{
			{Values: report.Sample{r.crowd.took.Seconds()}, Unit: "s"}, {Values: report.Sample{r.crowd.ideal.Seconds()}, Unit: "s"}, {Values: report.Sample{r.crowd.ratio()}, Unit: "x"},
		}}},
	}
}

func (r results) pictures() []report.Picture {
	starts := report.Picture{File: coldFile, Title: "Cold start", Unit: "ms"}
	for _, name := range []string{empty, idle, ours, python} {
		starts.Bars = append(starts.Bars, report.Bar{Group: "first poll", Name: name, Values: r.cold.poll[name]})
	}
	for _, name := range []string{ours, python} {
		starts.Bars = append(starts.Bars, report.Bar{Group: "first Create answered", Name: name, Values: r.cold.answer[name]})
	}
	waiting := report.Picture{File: latencyFile, Title: "Each kind of event, 80 ms a call", Unit: "ms"}
	for _, kind := range kinds {
		for _, program := range []string{ours, python} {
			if _, known := r.waits.count(program, kind); known {
				bar := report.Bar{Group: kind, Name: program, Values: r.waits.wall(program, far, kind)}
				if program == ours {
					bar.Mark = r.waits.allowed(program, kind)
				}
				waiting.Bars = append(waiting.Bars, bar)
			}
		}
	}
	return []report.Picture{starts, waiting}
}

// fewest is how many runs the page needs.
const fewest = 20

// write writes the page and its pictures.
func (b *bench) write(r report.Report) error {
	if b.runs < fewest {
		b.say("%d runs are fewer than %d: %s stays as it is", b.runs, fewest, page)
		return nil
	}
	if err := b.file(page, r.Markdown); err != nil {
		return err
	}
	for _, p := range r.Pictures {
		if err := b.file(filepath.Join(filepath.Dir(page), p.File), p.SVG); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) file(name string, write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(b.root, name), text.Bytes(), 0o644)
}
