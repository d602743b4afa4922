package policy

import (
	"fmt"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Document is one managed policy's text and number.
type Document struct {
	Number int // from 1 to name.MaxPolicyNumber
	Text   string
}

// TooManyError says how many places there are, and how many fit into the policies.
type TooManyError struct{ Places, Fit int }

func (e TooManyError) Error() string {
	if e.Fit == 0 {
		return "Buckets: a user's policies have no room for any entry, because KmsKeyArns, SourceIps or a long prefix fill them. Declare several resources, each with fewer of these"
	}
	return fmt.Sprintf("Buckets: %d entries are too many, because a user's policies hold about %d of these. Declare more resources for the others", e.Places, e.Fit)
}

// Documents spreads the scope over policies. before says which number held which places
// until now; at first it is nil. Places stay in their policy where possible. So replacing
// one policy after the other never removes access, not even for a moment, that exists before
// and after.
//
// The documents are in the order in which they must be applied: a document that gains a
// place comes before the one that loses it. A number in before that is not among them is no
// longer needed, and its policy is deleted last.
//
// most is the highest number for new policies: name.MaxPolicies, or more for a user of an
// earlier release. What a tenth policy held until now stays in it.
func Documents(most int, scope access.Scope, partition string, before map[int][]access.Place) ([]Document, error) {
	s := spread{most: most, scope: scope, partition: partition, before: index(before), givers: map[int]bool{}}
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
	most      int // the highest number for a new policy
	scope     access.Scope
	partition string
	before    map[string][]held // by bucket
	layouts   [name.MaxPolicyNumber + 1]*layout
	// givers are the numbers that lose a place to another. They gain nothing from others, so
	// there is an order in which each gainer comes before its givers.
	givers map[int]bool
}

// held is a place to which a policy gave access until now.
type held struct {
	place  access.Place
	number int
}

func index(before map[int][]access.Place) map[string][]held {
	byBucket := map[string][]held{}
	for number := 1; number <= name.MaxPolicyNumber; number++ {
		for _, p := range before[number] {
			byBucket[p.Bucket()] = append(byBucket[p.Bucket()], held{p, number})
		}
	}
	return byBucket
}

// holders returns the numbers, ascending, of the policies that gave access until now to some
// or all keys of the place.
func (s *spread) holders(p access.Place) (numbers []int) {
	for _, h := range s.before[p.Bucket()] {
		if h.place.Covers(p) || p.Covers(h.place) {
			numbers = append(numbers, h.number)
		}
	}
	return slices.Compact(numbers)
}

// keep leaves each place in the first policy that held any of it, if there is still room,
// and returns the others. A second role makes every place longer.
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

// put puts a place into the first policy that has room and loses nothing.
func (s *spread) put(place access.Place) bool {
	for number := 1; number <= s.most; number++ {
		if !s.givers[number] && s.layouts[number].add(place) {
			return true
		}
	}
	return false
}

// documents returns first the policies that lose nothing. Each of the others gains only from
// higher numbers, because of keep.
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
