package faults_test

import (
	"net/netip"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/spec"
)

// hands are changes by hand, without CloudFormation, by the words of the traces.
var hands = map[string]func(*stage){
	"the user is deleted": func(s *stage) {
		s.DropUser(s.Physical)
		delete(s.Given.Keys, s.Physical)
	},
	"a stranger takes the user's name": func(s *stage) {
		s.DropUser(s.Physical)
		s.MakeUser(s.Physical, map[string]string{"owner": "stranger"})
		s.Protect(s.Physical)
		s.strangers = append(s.strangers, s.Physical)
	},
	"bucket one is deleted":      func(s *stage) { s.SetBucket("one", false) },
	"only bucket two is allowed": func(s *stage) { s.limits.AllowedBuckets = []string{"two"} },
	"the owner sets every limit": func(s *stage) {
		s.limits = spec.Limits{
			AllowedBuckets: []string{"two"}, AllowedReaders: []string{"none"}, ClosedBuckets: []string{"o*"}, RequireSecretKMSKey: true, MaxDays: 1,
			SourceCIDRs: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
		}
	},
	"the reader is deleted": func(s *stage) {
		s.SetReader(reader, false)
		s.gone = append(s.gone, reader)
	},
	"nobody may touch what is retained": func(s *stage) {
		user := s.Retained.Physical
		s.Protect(user, name.Policy(user, 1), name.Secret(user))
	},
}

// Hand makes the change by hand that the word names.
func (s *stage) Hand(what string) {
	s.told("by hand: %s", what)
	s.mu.Lock()
	defer s.mu.Unlock()
	hands[what](s)
}
