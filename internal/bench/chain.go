package main

import (
	"slices"
	"time"
)

// span is when a call was under way.
type span struct {
	name         string
	began, ended time.Time
}

// chain is how many of the calls, at the most, had to wait for each other: the
// longest sequence in which each call began when the one before it had ended.
//
// Of calls that overlap none waited for the other. Two that follow each other may
// do so by chance, where the program or the machine was slow: so it is counted
// where every call lasts long. Chance makes it longer, never shorter.
func chain(spans []span) int {
	// Who ends first leaves most room for those that follow.
	byEnd := slices.SortedFunc(slices.Values(spans), func(a, b span) int { return a.ended.Compare(b.ended) })
	length := 0
	var last time.Time
	for _, s := range byEnd {
		if length == 0 || !s.began.Before(last) {
			length, last = length+1, s.ended
		}
	}
	return length
}
