package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cloney-s3-credentials/internal/bench/report"
)

// A count that differs is an error, also one that is smaller.
func TestCompare(t *testing.T) {
	found := map[string]count{}
	for kind, want := range counts {
		found[kind] = want
	}
	if err := compare(found); err != nil || len(found) != len(kinds) {
		t.Error(err)
	}
	for _, other := range []count{{8, 7, 5}, {9, 8, 5}, {9, 7, 6}, {}} {
		found[create] = other
		if err := compare(found); err == nil || !strings.Contains(err.Error(), "says 9, 7 and 5") || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%v: %v", other, err)
		}
	}
	if got := (count{9, 7, 6}).least(count{10, 6, 5}); got != (count{9, 6, 5}) {
		t.Error(got)
	}
}

func TestTooLarge(t *testing.T) {
	wrong := errors.Join(tooLarge([]size{{name: "fits", zip: zipLimit, samZip: zipLimit + 1}, {name: "larger", zip: zipLimit + 1}})...)
	if wrong == nil || strings.Contains(wrong.Error(), "fits") || !strings.Contains(wrong.Error(), "larger: the zip has 4000001 bytes") {
		t.Error(wrong)
	}
}

// A limit is that of our table, however long the chain that was measured.
func TestAllowed(t *testing.T) {
	began := time.Now()
	long := measured{wall: 980 * time.Millisecond}
	for i := range 12 {
		long.spans = append(long.spans, span{"iam GetUser", began.Add(time.Duration(i) * time.Second), began.Add(time.Duration(i)*time.Second + far)})
	}
	w := waits{ours: {far: {create: {long}}}, python: {far: {create: {long}}}}
	if got := w.allowed(ours, create); got != 490 {
		t.Error(got)
	}
	if got := w.overTarget(ours, create); len(got) != 1 || got[0] != 2 {
		t.Error(got)
	}
	if got := w.allowed(python, create); got != 1.1*12*80+50 {
		t.Error(got)
	}
	if got := ratios(report.Sample{2, 9, 5}, report.Sample{1, 3}); len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Error(got)
	}
}
