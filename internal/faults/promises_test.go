package faults_test

import (
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/spec"
	"cloney-s3-credentials/internal/traces"
)

// rests checks the promises when nothing of a play is at work any more, before another
// event can put anything right: the account is as CloudFormation requested last.
func (s *stage) rests() {
	if !s.rotating { // a rotation that was killed leaves a key that the next one deletes
		s.Check()
	}
	s.answeredInTime()
	switch {
	case s.Physical != "":
		s.stands(s.Physical, s.Props)
	case s.Retained != nil:
		s.stands(s.Retained.Physical, s.Retained.Props)
	default:
		s.holdsOnly("", spec.Spec{})
	}
	if s.Leaked(s.log.text.String()) {
		s.Errorf("a secret half is in the log")
	}
}

// comfort is how long before CloudFormation continues a delivery must begin, so that its
// response can be in time.
const comfort = 16 * time.Second

// answeredInTime checks that each event for which CloudFormation waited to the end has a
// response.
func (s *stage) answeredInTime() {
	for _, e := range s.Events {
		waited := e.GivenUp && (e.Cancelled == 0 || e.Sent.Add(e.Cancelled).After(e.Ends()))
		if waited && !e.Unheard && !e.Late && !e.Dropped() && s.faults[e.Number].call == 0 && e.Sent.Add(e.Queued+comfort).Before(e.Ends()) {
			s.Errorf("%d, the %s, was not answered before CloudFormation went on", e.Number, e.Kind)
		}
	}
}

// stands checks that the resource is as declared.
func (s *stage) stands(user string, props properties) {
	declared := s.as(logical, props)
	s.holdsOnly(user, declared)
	live := s.LiveKeys(user)
	current := s.Labelled(declared.SecretName, access.Current)
	if current == "" || !slices.Contains(live, current) {
		s.Errorf("AWSCURRENT of %s names %q, and %s has the keys %v", declared.SecretName, current, user, live)
	}
	if s.Labelled(declared.SecretName, name.KeyLabel(declared.Serial, current)) != current {
		s.Errorf("AWSCURRENT of %s names %s, which was not made for Serial %d", declared.SecretName, current, declared.Serial)
	}
	if s.rotating {
		return
	}
	if last := s.Events[len(s.Events)-1]; last.Heard != nil && current != s.Given.Last {
		s.Errorf("AWSCURRENT of %s names %s, and CloudFormation was given %s", declared.SecretName, current, s.Given.Last)
	}
	for _, key := range s.Given.Keys[user] {
		if !slices.Contains(live, key) {
			s.Errorf("%s, which %s was given, lives no more", key, user)
		}
	}
}

// holdsOnly checks that the account holds one user of ours with what belongs to it, or
// none.
func (s *stage) holdsOnly(user string, declared spec.Spec) {
	left := s.Inventory()
	want := accesstest.Inventory{
		Users: append([]string{neighbour}, s.strangers...), Policies: []string{neighbour + "-1"}, Secrets: []string{neighbourSecret},
	}
	// The plays of rotations check the keys of a user with a rotation.
	isNot := func(key string) bool {
		owner, _, _ := strings.Cut(key, "/")
		return slices.Contains(want.Users, owner) || s.rotating && owner == user
	}
	left.Keys = slices.DeleteFunc(left.Keys, isNot)
	if user != "" {
		want.Users = append(want.Users, user)
		want.Secrets = append(want.Secrets, declared.SecretName)
		attached, _ := s.Attached(s.Context(), user)
		want.Policies = append(want.Policies, attached...)
		for _, key := range s.LiveKeys(user) {
			if s.rotating {
				break
			}
			want.Keys = append(want.Keys, user+"/"+key)
		}
	}
	for _, list := range [][]string{want.Users, want.Policies, want.Secrets, want.Keys} {
		slices.Sort(list)
	}
	if diff := cmp.Diff(want, left, cmpopts.EquateEmpty()); diff != "" {
		s.Errorf("left in the account (-want +got):\n%s", diff)
	}
}

var _ traces.Function = (*stage)(nil)
