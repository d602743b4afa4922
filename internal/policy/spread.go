package policy

import (
	"fmt"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Document is one managed policy's text, and its number among the user's.
type Document struct {
	Number int // from 1 to name.MaxPolicyNumber
	Text   string
}

// TooManyError says how many places are more than the policies can hold.
type TooManyError struct{ Places, Fit int }

func (e TooManyError) Error() string {
	if e.Fit == 0 {
		return "Buckets: a user's policies have no room for any entry, because KmsKeyArns, SourceIps or a prefix take it all. Declare several resources, each with fewer of them"
	}
	return fmt.Sprintf("Buckets: %d entries are too many: a user's policies hold about %d of these. Declare further resources for the others", e.Places, e.Fit)
}

// Documents spreads the scope over policies. former says which number held
// which places until now (nil at first): what stays, stays where it is, so that
// replacing one policy after the other never takes away a permission, be it for
// a moment, that is there before and after.
//
// The documents come in the order in which they have to be applied: what takes
// a place over comes before what gives it up. A number of former that is not
// among them is no longer needed, and goes last.
//
// most is the highest number of what has none yet, name.MaxPolicies but for a user from
// before; what a tenth held until now stays in it.
func Documents(most int, scope access.Scope, partition string, former map[int][]access.Place) ([]Document, error) {
	s := spread{most: most, scope: scope, partition: partition, former: index(former), givers: map[int]bool{}}
	for number := range s.layouts {
		s.layouts[number] = newLayout(newGrammar(scope, partition))
	}
	homeless := s.keep()
	fit := len(scope.Places) - len(homeless)
	for _, place := range homeless {
		if s.put(place) {
			fit++
		}
	}
	if fit < len(scope.Places) {
		return nil, TooManyError{Places: len(scope.Places), Fit: fit}
	}
	return s.documents(), nil
}

type spread struct {
	most      int // the highest number for what has none yet
	scope     access.Scope
	partition string
	former    map[string][]held // by bucket
	layouts   [name.MaxPolicyNumber + 1]*layout
	// Numbers that give something up to another. They take nothing from others,
	// so that there is an order in which each taker comes before its givers.
	givers map[int]bool
}

// held is a place that a policy gave access to until now.
type held struct {
	place  access.Place
	number int
}

func index(former map[int][]access.Place) map[string][]held {
	byBucket := map[string][]held{}
	for number := 1; number <= name.MaxPolicyNumber; number++ {
		for _, p := range former[number] {
			byBucket[p.Bucket()] = append(byBucket[p.Bucket()], held{p, number})
		}
	}
	return byBucket
}

// holders returns the numbers, ascending, of the policies that until now gave
// access to keys of the place, be it to some of them or to more.
func (s *spread) holders(p access.Place) (numbers []int) {
	for _, h := range s.former[p.Bucket()] {
		if h.place.Covers(p) || p.Covers(h.place) {
			numbers = append(numbers, h.number)
		}
	}
	return slices.Compact(numbers)
}

// keep leaves each place in the first policy that held any of it, if that still
// has room (a second role makes all of it longer), and returns the others.
func (s *spread) keep() (homeless []access.Place) {
	for _, place := range s.scope.Places {
		holders := s.holders(place)
		if len(holders) == 0 || !s.layouts[holders[0]].add(place) {
			homeless = append(homeless, place)
			continue
		}
		for _, number := range holders[1:] {
			s.givers[number] = true
		}
	}
	for _, place := range homeless {
		for _, number := range s.holders(place) {
			s.givers[number] = true
		}
	}
	return homeless
}

// put puts a place into the first policy with room that gives nothing up.
func (s *spread) put(place access.Place) bool {
	for number := 1; number <= s.most; number++ {
		if !s.givers[number] && s.layouts[number].add(place) {
			return true
		}
	}
	return false
}

// documents returns those that give nothing up first. Of the others each takes
// over from higher numbers only, by keep.
func (s *spread) documents() []Document {
	var takers, givers []Document
	for number := 1; number <= name.MaxPolicyNumber; number++ {
		places := s.layouts[number].places
		if len(places) == 0 {
			continue
		}
		slices.SortFunc(places, func(a, b access.Place) int { return strings.Compare(string(a), string(b)) })
		document := Document{Number: number, Text: write(s.scope, places, s.partition)}
		if s.givers[number] {
			givers = append(givers, document)
		} else {
			takers = append(takers, document)
		}
	}
	return append(takers, givers...)
}
