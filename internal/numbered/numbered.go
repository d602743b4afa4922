// Package numbered writes several problems into one line. A stack owner reads them in
// CloudFormation's list of events, which shows no line breaks, and each problem has
// commas and semicolons of its own.
package numbered

import (
	"fmt"
	"strings"
)

// Room is what the number of an item and the mark between two items take, in bytes, as
// long as there are fewer than a hundred items.
const Room = len("(99) ") + len("; ")

// Join writes a single item as it is, and several as "(1) …; (2) …".
func Join(items []string) string {
	if len(items) == 1 {
		return items[0]
	}
	numbered := make([]string, len(items))
	for i, item := range items {
		numbered[i] = fmt.Sprintf("(%d) %s", i+1, item)
	}
	return strings.Join(numbered, "; ")
}
