package policy

import (
	"fmt"
	"slices"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Document is one managed policy's text, and its number among the user's.
type Document struct {
	Number int // from 1 to name.MaxPolicies
	Text   string
}

// TooManyError says how many buckets are more than the policies can hold.
type TooManyError struct{ Buckets, Fit int }

func (e TooManyError) Error() string {
	return fmt.Sprintf("Buckets: %d are %d more than the %d managed policies that AWS attaches to a user can hold (%d characters each); declare a second resource for the rest",
		e.Buckets, e.Buckets-e.Fit, name.MaxPolicies, MaxSize)
}

// Documents spreads the scope over policies. former says which number held
// which buckets until now (nil at first): a bucket stays where it is, so that
// replacing one policy after the other never leaves a bucket without the
// permission that it has before and after.
//
// The documents come in the order in which they have to be applied: what takes
// a bucket over comes before what gives it up. A number of former that is not
// among them is no longer needed, and goes last.
func Documents(scope access.Scope, partition string, former map[int][]string) ([]Document, error) {
	s := spread{scope: scope, partition: partition, held: map[int][]string{}, size: map[int]int{}, costs: map[int][2]int{}, full: map[int]bool{}}
	homeless := s.keep(former)
	fit := len(scope.Buckets) - len(homeless)
	for _, bucket := range homeless {
		if s.place(bucket) {
			fit++
		}
	}
	if fit < len(scope.Buckets) {
		return nil, TooManyError{Buckets: len(scope.Buckets), Fit: fit}
	}
	return s.documents(), nil
}

type spread struct {
	scope     access.Scope
	partition string
	held      map[int][]string // number → buckets
	size      map[int]int      // number → characters of its document
	costs     map[int][2]int   // length of a bucket's name → cost
	full      map[int]bool     // numbers that give buckets up: they take none
}

// add puts the bucket into the numbered policy if there is room.
func (s *spread) add(number int, bucket string) bool {
	first, further := s.cost(bucket)
	size := s.size[number] + further
	if len(s.held[number]) == 0 {
		size = first
	}
	if size > MaxSize {
		return false
	}
	s.held[number] = append(s.held[number], bucket)
	s.size[number] = size
	return true
}

// cost returns the characters of a document that holds the bucket alone, and
// by how many another document grows by it, whatever else that holds. Both
// depend on nothing but the length of its name.
func (s *spread) cost(bucket string) (first, further int) {
	if known, ok := s.costs[len(bucket)]; ok {
		return known[0], known[1]
	}
	first = len(write(s.scope, []string{bucket}, s.partition))
	further = len(write(s.scope, []string{bucket, bucket}, s.partition)) - first
	s.costs[len(bucket)] = [2]int{first, further}
	return first, further
}

// keep leaves each bucket in its former policy as far as that still holds it
// (a second role makes every bucket longer), and returns the others.
func (s *spread) keep(former map[int][]string) (homeless []string) {
	placed := map[string]bool{}
	for number := 1; number <= name.MaxPolicies; number++ {
		for _, bucket := range former[number] {
			if _, wanted := slices.BinarySearch(s.scope.Buckets, bucket); !wanted || placed[bucket] {
				continue
			}
			if placed[bucket] = s.add(number, bucket); !placed[bucket] {
				s.full[number] = true
			}
		}
	}
	for _, bucket := range s.scope.Buckets {
		if !placed[bucket] {
			homeless = append(homeless, bucket)
		}
	}
	return homeless
}

// place puts a bucket into the first policy with room that gives none up.
func (s *spread) place(bucket string) bool {
	for number := 1; number <= name.MaxPolicies; number++ {
		if !s.full[number] && s.add(number, bucket) {
			return true
		}
	}
	return false
}

// documents returns what takes buckets over first, what gives them up last.
func (s *spread) documents() []Document {
	var takers, givers []Document
	for number := 1; number <= name.MaxPolicies; number++ {
		buckets := s.held[number]
		if len(buckets) == 0 {
			continue
		}
		slices.Sort(buckets)
		document := Document{Number: number, Text: write(s.scope, buckets, s.partition)}
		if s.full[number] {
			givers = append(givers, document)
		} else {
			takers = append(takers, document)
		}
	}
	return append(takers, givers...)
}
