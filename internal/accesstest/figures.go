package accesstest

import (
	"encoding/json"
	"flag"
	"fmt"
	"testing"
)

// measured is how often a play with random parts is repeated for a figure. `make test`
// measures nothing.
var measured = flag.Int("figures", 0, "print figures for the benchmark, and play so many times what has a chance in it")

// Measured returns how often a test of figures repeats a play with random parts. It skips
// the test if no figures were requested.
func Measured(t *testing.T) int {
	t.Helper()
	if *measured == 0 {
		t.Skip("figures are asked for by -figures")
	}
	return *measured
}

// Figure is one cell of a table of the benchmark: a value for each time that it was
// measured.
type Figure struct {
	Table  string    `json:"table"`
	Name   string    `json:"name"` // of the row
	Column string    `json:"column"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
	// Limit is the highest value that is acceptable; 0: there is no limit.
	Limit float64 `json:"limit,omitempty"`
	// Note says why the limit cannot be reached.
	Note string `json:"note,omitempty"`
}

// Print prints the figure as a line of its own, for the benchmark to collect.
func (f Figure) Print() {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // not a number: the test has divided by zero
	}
	fmt.Printf("figure: %s\n", text)
}
