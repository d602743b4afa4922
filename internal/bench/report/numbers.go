package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Median is the value in the middle; NaN where nothing was measured.
func (s Sample) Median() float64 { return s.quantile(0.5) }

// Quartiles are the values between which the middle half of the runs lies.
func (s Sample) Quartiles() (low, high float64) { return s.quantile(0.25), s.quantile(0.75) }

// quantile lies between two of the values where no value is exactly there, as in R,
// NumPy and every spreadsheet.
func (s Sample) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	below := int(at)
	if below == len(sorted)-1 {
		return sorted[below]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}

// digits is how many digits of a measured number count.
const digits = 3

// String is the median and, where they say more, the quartiles: "8.12 (7.98–8.30)".
func (s Sample) String() string { return s.in("") }

// in is the same with the unit: "8.12 ms (7.98–8.30)".
func (s Sample) in(unit string) string {
	if len(s) == 0 {
		return "not measured"
	}
	low, high := s.Quartiles()
	middle, from, to := s.number(s.Median()), s.number(low), s.number(high)
	text := withUnit(middle, unit)
	if from != middle || to != middle {
		text += " (" + from + "–" + to + ")"
	}
	return text
}

// number writes one of the sample's numbers. A count is written in full.
func (s Sample) number(v float64) string {
	if s.counts() {
		return plain(v)
	}
	return rounded(v)
}

// counts reports whether the same whole number came out of every run.
func (s Sample) counts() bool {
	return len(s) > 0 && s[0] == math.Trunc(s[0]) && !slices.ContainsFunc(s, func(v float64) bool { return v != s[0] })
}

// rounded is a number of three digits: 0.0123, 8.10, 382, 13,600.
func rounded(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	// Written and read again: 99.96 has another power of ten than the 100 that it is
	// rounded to.
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', digits-1, 64), 64)
	if err != nil {
		short = v
	}
	power := int(math.Floor(math.Log10(math.Abs(short)) + 1e-9))
	return grouped(strconv.FormatFloat(short, 'f', max(0, digits-1-power), 64))
}

// plain is a number that nobody measured: 1.5, 20.
func plain(v float64) string { return grouped(strconv.FormatFloat(v, 'f', -1, 64)) }

// grouped sets commas between thousands.
func grouped(number string) string {
	whole, fraction, _ := strings.Cut(number, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

func withUnit(number, unit string) string {
	switch unit {
	case "":
		return number
	case "x":
		return number + " ×"
	}
	return number + " " + unit
}

// String is what the cell says.
func (c Cell) String() string {
	if c.Values == nil {
		return c.Text
	}
	return c.Values.in(c.Unit)
}

// Reached reports whether the median keeps the limit.
func (t Target) Reached() bool {
	if t.Least {
		return t.Got.Median() >= t.Limit
	}
	return t.Got.Median() <= t.Limit // of nothing measured it is NaN: not reached
}

// limit is what was to be reached: "at most 1.5 ×".
func (t Target) limit() string {
	bound := "at most "
	if t.Least {
		bound = "at least "
	}
	return bound + withUnit(plain(t.Limit), t.Unit)
}

// verdict is one word of a table, or three.
func (t Target) verdict() string {
	switch {
	case len(t.Got) == 0:
		return "not measured"
	case t.Reached():
		return "reached"
	}
	return "not reached"
}

// ratiosFirst are the targets in the order of the report. A ratio is about the same on
// another machine, so it comes before the times and sizes.
func (r Report) ratiosFirst() []Target {
	targets := slices.Clone(r.Targets)
	slices.SortStableFunc(targets, func(a, b Target) int {
		return boolToInt(b.Unit == "x") - boolToInt(a.Unit == "x")
	})
	return targets
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
