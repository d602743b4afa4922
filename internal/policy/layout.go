package policy

import (
	"strconv"
	"unicode/utf8"

	"cloney-s3-credentials/internal/access"
)

// layout is one document that is being filled. It knows only the length: encoding the
// document again for each of many places would take long.
type layout struct {
	grammar grammar
	places  []access.Place
	size    int
	wholes  int
	located map[string]bool // buckets
	lists   map[string]bool // prefixes
}

func newLayout(g grammar) *layout {
	return &layout{grammar: g, located: map[string]bool{}, lists: map[string]bool{}}
}

// add puts the place into the document if there is room.
func (l *layout) add(p access.Place) bool {
	// Full documents are asked often. The place itself needs at least this much.
	if l.size+len(l.grammar.roles)*utf8.RuneCountInString(string(p)) > MaxSize {
		return false
	}
	size := l.size + l.growth(p)
	if size > MaxSize {
		return false
	}
	l.places = append(l.places, p)
	l.size = size
	if p.Prefix() == "" {
		l.wholes++
	} else {
		l.located[p.Bucket()] = true
		l.lists[p.Prefix()] = true
	}
	return true
}

// growth is how many characters longer the document gets with the place.
func (l *layout) growth(p access.Place) (n int) {
	if len(l.places) == 0 {
		n = length(document{Version: "2012-10-17", Statement: []statement{}}) - 1 // n statements have n-1 commas
	}
	for _, role := range l.grammar.roles {
		n += l.bucketGrowth(role, p)
		n += grown(len(l.places) > 0, func() statement { return l.grammar.objects(role, nil) }, l.grammar.objectARN(p))
		if len(l.places) == 0 {
			for _, s := range l.grammar.keys(role) {
				n += length(s) + 1
			}
		}
	}
	return n
}

func (l *layout) bucketGrowth(role role, p access.Place) (n int) {
	g, arn := l.grammar, l.grammar.bucketARN(p)
	if p.Prefix() == "" {
		return grown(l.wholes > 0, func() statement { return g.onBuckets(role.sid+bucketSid, []string{location, list}, []string{}) }, arn)
	}
	if !l.located[p.Bucket()] {
		n += grown(len(l.located) > 0, func() statement { return g.onBuckets(role.sid+locationSid, []string{location}, []string{}) }, arn)
	}
	// Any place in the order has as many digits in its number.
	number := strconv.Itoa(len(l.lists) + 1)
	return n + grown(l.lists[p.Prefix()], func() statement { return g.listing(role, number, p.Prefix(), []string{}) }, arn)
}

// grown is how much longer a document gets with an ARN: a comma before it, or, without its
// statement, the statement and the comma after that.
func grown(there bool, empty func() statement, arn string) int {
	if there {
		return length(arn) + 1
	}
	return length(empty()) + length(arn) + 1
}

// length counts characters. AWS does not count white space; the only white space that we
// write is in prefixes, and length counts it.
func length(value any) int { return utf8.RuneCountInString(encode(value)) }
