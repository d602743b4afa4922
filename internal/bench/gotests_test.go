package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/bench/report"
)

func TestReadFigures(t *testing.T) {
	got, err := readFigures([]byte(`=== RUN   TestCrowdFigures
    load_test.go:12: figure: {"table": "at once", "name": "Create, 200", "column": "ratio", "unit": "x", "values": [1.1, 1.2], "limit": 1.2}
figure: {"table": "growth", "name": "Create, 3 buckets", "column": "calls", "values": [9]}
--- PASS: TestCrowdFigures (0.01s)
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []figure{
		{Table: "at once", Name: "Create, 200", Column: "ratio", Unit: "x", Values: report.Sample{1.1, 1.2}, Limit: 1.2},
		{Table: "growth", Name: "Create, 3 buckets", Column: "calls", Values: report.Sample{9}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A figure that is not understood is not a figure of the report, and an error.
func TestReadFiguresRefuses(t *testing.T) {
	for _, line := range []string{`figure: {"table": "growth"`, `figure: {"table": "growth", "name": "x", "column": "y", "values": []}`, `figure: {"name": "x", "column": "y", "values": [1]}`} {
		if got, err := readFigures([]byte(line)); err == nil {
			t.Errorf("%s is read as %+v", line, got)
		}
	}
}

func TestReadBenchmarks(t *testing.T) {
	got := readBenchmarks([]byte(`goos: linux
BenchmarkDecode/buckets=1-2         	   10000	     50000 ns/op	    2000 B/op	      30 allocs/op
BenchmarkDecode/buckets=1-2         	   10000	     70000 ns/op	    2000 B/op	      30 allocs/op
BenchmarkDocuments/buckets=300      	     100	   1500000.5 ns/op	 9.5 MB/s	 4000000 B/op	     777 allocs/op
BenchmarkPlain-16 	 100	 1000000 ns/op
PASS
ok  	cloney-s3-credentials/internal/resource	1.234s
`))
	want := []figure{
		{Table: ownTime, Name: "Decode, buckets=1", Column: "time", Unit: "ms", Values: report.Sample{0.05, 0.07}},
		{Table: ownTime, Name: "Decode, buckets=1", Column: "memory", Unit: "kB", Values: report.Sample{2, 2}},
		{Table: ownTime, Name: "Decode, buckets=1", Column: "allocations", Values: report.Sample{30, 30}},
		{Table: ownTime, Name: "Documents, buckets=300", Column: "time", Unit: "ms", Values: report.Sample{1.5000005}},
		{Table: ownTime, Name: "Documents, buckets=300", Column: "memory", Unit: "kB", Values: report.Sample{4000}},
		{Table: ownTime, Name: "Documents, buckets=300", Column: "allocations", Values: report.Sample{777}},
		{Table: ownTime, Name: "Plain", Column: "time", Unit: "ms", Values: report.Sample{1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Figures come in any order; what nobody told stays empty.
func TestTables(t *testing.T) {
	got := tables([]figure{
		{Table: "growth", Name: "one", Column: "calls", Values: report.Sample{1}},
		{Table: "growth", Name: "two", Column: "time", Unit: "s", Values: report.Sample{2}},
		{Table: "at once", Name: "all", Column: "time", Values: report.Sample{3}},
		{Table: "growth", Name: "two", Column: "calls", Values: report.Sample{4}},
	})
	want := []report.Table{
		{Title: "growth", About: abouts["growth"], Columns: []string{"calls", "time"}, Rows: []report.Row{
			{Name: "one", Cells: []report.Cell{{Values: report.Sample{1}}, {}}},
			{Name: "two", Cells: []report.Cell{{Values: report.Sample{4}}, {Values: report.Sample{2}, Unit: "s"}}},
		}},
		{Title: "at once", About: abouts["at once"], Columns: []string{"time"}, Rows: []report.Row{{Name: "all", Cells: []report.Cell{{Values: report.Sample{3}}}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
