package provision_test

import (
	"fmt"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
)

// named are so many buckets, with names of twenty characters.
func named(n int) (places []access.Place) {
	for i := range n {
		places = append(places, access.Place(fmt.Sprintf("bucket-%013d", i)))
	}
	return places
}

// createAmong creates the usual stack with so many buckets, in an account that has so
// many other stacks already.
func createAmong(t *testing.T, others, places int) (calls, chain, policies int) {
	t.Helper()
	play(t, func(w *world) {
		if others > 0 {
			newCrowd(w, ids(others), 0, 0).create()
		}
		made := named(places)
		for _, bucket := range made {
			w.SetBucket(string(bucket), true)
		}
		calls, chain = w.costOf(func() { policies = len(w.create(stack(verify(false), buckets(made...))).PolicyARNs) })
	})
	return calls, chain, policies
}

// Each further policy costs a Create two calls, at the same time as the first one's, and
// the account's other stacks none.
func TestACreateGrowsWithItsPoliciesAlone(t *testing.T) {
	usual, chain, _ := createAmong(t, 0, 1)
	for _, c := range []struct{ others, places int }{{100, 1}, {0, 30}, {0, 300}, {100, 300}} {
		calls, longest, policies := createAmong(t, c.others, c.places)
		if most := usual + 2*(policies-1); calls > most || longest > chain {
			t.Errorf("among %d stacks, with %d buckets in %d policies: %d calls, not %d, in a chain of %d, not %d", c.others, c.places, policies, calls, most, longest, chain)
		}
	}
}

// What the benchmark says of growth.
func TestGrowthFigures(t *testing.T) {
	accesstest.Measured(t)
	row := func(name string, others, places int) {
		calls, chain, policies := createAmong(t, others, places)
		for _, cell := range []struct {
			column, unit string
			value        int
		}{{"calls", "", calls}, {"longest chain", "", chain}, {"policies", "", policies}, {"time, 20 ms a call", "ms", 20 * chain}} {
			accesstest.Figure{Table: "Growth of a Create", Name: name, Column: cell.column, Unit: cell.unit, Values: []float64{float64(cell.value)}}.Print()
		}
	}
	for _, places := range []int{1, 3, 10, 30, 100, 300} {
		row(fmt.Sprintf("Create, buckets: %d", places), 0, places)
	}
	for _, others := range []int{1, 10, 100, 1000, 5000} {
		row(fmt.Sprintf("Create, stacks in the account: %d", others), others-1, 1)
	}
}
