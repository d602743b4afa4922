package main

import (
	"testing"
	"time"
)

// at makes spans of pairs of milliseconds.
func at(pairs ...[2]int) (spans []span) {
	zero := time.Unix(0, 0)
	for _, p := range pairs {
		spans = append(spans, span{began: zero.Add(time.Duration(p[0]) * time.Millisecond), ended: zero.Add(time.Duration(p[1]) * time.Millisecond)})
	}
	return spans
}

func TestChain(t *testing.T) {
	for _, c := range []struct {
		name  string
		spans []span
		want  int
	}{
		{"nothing", nil, 0},
		{"one", at([2]int{0, 80}), 1},
		{"one after the other", at([2]int{0, 80}, [2]int{81, 161}, [2]int{162, 242}), 3},
		{"all at once", at([2]int{0, 80}, [2]int{1, 81}, [2]int{2, 82}), 1},
		{"two at once between two", at([2]int{0, 80}, [2]int{81, 161}, [2]int{85, 165}, [2]int{166, 246}), 3},
		{"a long one beside three", at([2]int{0, 300}, [2]int{0, 80}, [2]int{81, 161}, [2]int{162, 242}), 3},
		{"in another order than they ended", at([2]int{162, 242}, [2]int{0, 80}, [2]int{81, 161}), 3},
		{"the first one ends at the very time the next begins", at([2]int{0, 80}, [2]int{80, 160}), 2},
		{"two chains beside each other", at([2]int{0, 80}, [2]int{40, 120}, [2]int{81, 161}, [2]int{121, 201}), 2},
	} {
		if got := chain(c.spans); got != c.want {
			t.Errorf("%s: %d, not %d", c.name, got, c.want)
		}
	}
}
