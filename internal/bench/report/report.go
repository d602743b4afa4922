// Package report shows what the benchmark measured: as tables on a terminal, as
// docs/benchmark.md, and as two pictures.
//
// It computes medians and quartiles and lays them out. It measures nothing.
package report

import "time"

// Report is what one run of the benchmark measured, on one machine.
type Report struct {
	Commit   string
	Day      time.Time
	Machine  string // processor, number of cores, memory, system, versions of Go and Python
	Command  string // that made it
	Runs     int    // of each measurement
	Targets  []Target
	Tables   []Table
	Pictures []Picture
}

// Sample is what was measured of one thing, a value for each run.
type Sample []float64

// Target is what was to be reached, and what was.
type Target struct {
	What  string
	Got   Sample // of a ratio, one for each pair of runs that follow each other
	Unit  string // "x" for a ratio
	Limit float64
	Least bool   // the limit is the least that is asked for, not the most
	Note  string // where it is not reached: why
}

// Table is one kind of measurements.
type Table struct {
	Title   string
	About   string // what is measured, and how: one paragraph of Markdown
	Columns []string
	Rows    []Row
}

// Row is one line of a table.
type Row struct {
	Name  string
	Cells []Cell
}

// Cell is one measurement, or a text where Values is nil.
type Cell struct {
	Values Sample
	Unit   string
	Text   string
}

// Picture is groups of bars.
type Picture struct {
	File  string // such as cold-start.svg, in the directory of docs/benchmark.md
	Title string
	Unit  string
	Bars  []Bar
}

// Bar is one bar of a picture.
type Bar struct {
	Group, Name string
	Values      Sample  // the bar ends at their median, a line shows their quartiles
	Mark        float64 // a line across: what was to be reached; 0: none
}
