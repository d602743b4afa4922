package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata again")

// example has one of everything: targets reached, missed and not measured; counts,
// texts and times; characters that Markdown and SVG would read.
func example() Report {
	return Report{
		Commit: "0123456789ab", Day: time.Date(2026, 11, 27, 23, 30, 0, 0, time.FixedZone("", -3600)),
		Machine: "Example CPU @ 2.00GHz (amd64), 2 cores, 7.75 GiB of memory, Linux 6.1.0, Go 1.26.10, Python 3.11.7",
		Command: "make bench", Runs: 4,
		Targets: []Target{
			{What: "zip of the provider", Got: Sample{3.912, 3.912, 3.912, 3.912}, Unit: "MB", Limit: 4},
			{What: "first poll from cold, against an empty Go function", Got: Sample{1.61, 1.58, 1.72, 1.66}, Unit: "x", Limit: 1.5,
				Note: "The runtime of Go and the four clients' tables take what is above it: a sentence that is long enough to be broken on a terminal."},
			{What: "first Create answered from cold, Python against ours", Got: Sample{14.2, 15, 13.1, 14.4}, Unit: "x", Limit: 10, Least: true},
			{What: "200 at once", Unit: "x", Limit: 1.2},
		},
		Tables: []Table{{
			Title: "Cold start", About: "From the start of the process to its first poll for work.",
			Columns: []string{"first poll", "calls", "as"},
			Rows: []Row{
				{"ours | shipped", []Cell{{Values: Sample{5.123, 5.2, 5.3, 5.05}, Unit: "ms"}, {Values: Sample{9, 9, 9, 9}}, {Text: "a binary"}}},
				{"Python", []Cell{{Values: Sample{382.1, 390.2, 379.9, 401.7}, Unit: "ms"}, {Values: Sample{12003, 12003, 12003, 12003}}, {Text: "crhelper"}}},
			},
		}, {Title: "Nothing was measured", Columns: []string{"seconds"}, Rows: []Row{{"a row", []Cell{{Values: Sample{}, Unit: "s"}}}}}},
		Pictures: []Picture{{
			File: "cold-start.svg", Title: "Cold start <less is better>", Unit: "ms",
			Bars: []Bar{
				{"To the first poll", "empty Go", Sample{3.1, 3.2, 3.3, 3.2}, 0},
				{"To the first poll", "ours", Sample{5.1, 5.2, 5.3, 5.05}, 4.8},
				{"To the first poll", "Python", Sample{382, 390, 380, 402}, 0},
				{"To the first answer", "ours", Sample{30, 31, 33, 29}, 0},
				{"To the first answer", "Python", Sample{510, 490, 530, 500}, 0},
			},
		}},
	}
}

func TestGolden(t *testing.T) {
	r := example()
	for file, write := range map[string]func(io.Writer) error{
		"terminal.txt": r.Terminal, "benchmark.md": r.Markdown, "cold-start.svg": r.Pictures[0].SVG,
		"proportional.svg": Picture{Title: "Memory", Unit: "MiB", Bars: []Bar{{"Over 200 events", "ours", Sample{15, 16, 17}, 20}, {"Over 200 events", "not measured", nil, 0}}}.SVG,
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s: look at it, then go test ./internal/bench/report -update\n%s", file, diff)
		}
	}
}

// A picture is shown by a browser, which takes no XML that is broken.
func TestPicturesAreXML(t *testing.T) {
	for _, p := range []Picture{example().Pictures[0], {Title: "nothing & nobody"}, {Bars: []Bar{{"g", "zero", Sample{0, 0}, 0}}}} {
		var svg bytes.Buffer
		if err := p.SVG(&svg); err != nil {
			t.Fatal(err)
		}
		if text := svg.String(); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%q has a number that is none:\n%s", p.Title, text)
		}
		decoder := xml.NewDecoder(&svg)
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%q: %v", p.Title, err)
			}
		}
	}
}

// An axis has lines enough to read it by, and not so many that their numbers meet.
func TestAxis(t *testing.T) {
	for _, s := range []scale{{high: 1}, {high: 1.9}, {high: 2}, {high: 4.9}, {high: 5}, {high: 99}, {high: 1234}, {true, 1, 400}, {true, 0.001, 90}} {
		steps := s.steps()
		if len(steps) > 10 || len(steps) < 4 && !s.powers || s.at(steps[0]) != 0 || s.at(steps[len(steps)-1]) > 1.0001 {
			t.Errorf("%+v has lines at %v", s, steps)
		}
	}
}

func TestQuartiles(t *testing.T) {
	for _, c := range []struct {
		sample            Sample
		low, median, high float64
	}{
		{Sample{7}, 7, 7, 7},
		{Sample{4, 1, 3, 2}, 1.75, 2.5, 3.25},
		{Sample{5, 1, 4, 2, 3}, 2, 3, 4},
	} {
		low, high := c.sample.Quartiles()
		if low != c.low || c.sample.Median() != c.median || high != c.high {
			t.Errorf("%v: %v %v %v", c.sample, low, c.sample.Median(), high)
		}
	}
	if unsorted := (Sample{2, 1}); unsorted.Median() != 1.5 || unsorted[0] != 2 {
		t.Errorf("the sample was sorted under its owner: %v", unsorted)
	}
	if !math.IsNaN(Sample{}.Median()) {
		t.Errorf("of nothing there is a median: %v", Sample{}.Median())
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.012345: "0.0123", 0.1 + 0.2: "0.300", 8.1: "8.10", 1.004e-3: "0.00100", 8.1249: "8.12", 99.96: "100", 382.4: "382", 13649: "13,600", 1234567: "1,230,000", -1234: "-1,230", 100: "100",
	} {
		if got := rounded(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	for want, s := range map[string]Sample{"12,003": {12003, 12003}, "12,000": {12003, 12004}, "2.00 (1.50–2.50)": {1, 2, 3}, "0.123": {0.12345}, "not measured": nil} {
		if got := s.String(); got != want {
			t.Errorf("%v is written %q, want %q", s, got, want)
		}
	}
}

// A target that was missed by a hair, or not measured, is not called reached,
// whatever it is rounded to.
func TestReached(t *testing.T) {
	for _, c := range []struct {
		target Target
		want   bool
	}{
		{Target{Got: Sample{1.5}, Limit: 1.5}, true},
		{Target{Got: Sample{1.5001}, Limit: 1.5}, false},
		{Target{Got: Sample{10}, Limit: 10, Least: true}, true},
		{Target{Got: Sample{9.9999}, Limit: 10, Least: true}, false},
		{Target{Limit: 1.5}, false},
		{Target{Limit: 1.5, Least: true}, false},
		{Target{Got: Sample{1, 1, 99}, Limit: 1.5}, true},
	} {
		if got := c.target.Reached(); got != c.want {
			t.Errorf("%+v: %v", c.target, got)
		}
	}
}

// A reader's editor shows a line of 120 characters; tables are what they are.
func TestThePageIsNarrow(t *testing.T) {
	var page bytes.Buffer
	if err := example().Markdown(&page); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(page.String()) {
		if length := utf8.RuneCountInString(line); length > 121 && !strings.HasPrefix(line, "|") {
			t.Errorf("%d characters: %s", length, line)
		}
	}
}

func TestMachine(t *testing.T) {
	got := machine("processor\t: 0\nmodel name\t: Example CPU @ 2.00GHz\nprocessor\t: 1\nmodel name\t: Example CPU @ 2.00GHz\n",
		"MemTotal:        8126464 kB\n", "6.1.0-13-builder.example\n", "Python 3.11.7\n")
	for _, want := range []string{"Example CPU @ 2.00GHz (", ", 7.75 GiB of memory, ", "Go 1.", ", Python 3.11.7"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if strings.Contains(got, "builder") {
		t.Errorf("%q names who built the kernel", got)
	}
	if none := machine("", "", "", ""); !strings.HasPrefix(none, "an unnamed processor") || strings.Contains(none, "memory") || strings.HasSuffix(none, ", ") {
		t.Errorf("where the system tells nothing: %q", none)
	}
}
