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

// chain is the length of the longest sequence of calls in which each call began after
// the one before it had ended: as many calls may have waited for each other.
//
// Calls that overlap did not wait for each other. Two calls can follow each other by
// chance, where the program or the machine was slow. So the chain is counted where
// every call lasts long. Chance makes it longer, never shorter.
func chain(spans []span) int {
	// The call that ends first leaves the most room for those that follow.
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
