package iamtest

import "strings"

// Policy is a parsed document. It never changes, and may be shared.
type Policy struct {
	statements []statement
	named      bool // its statements have Principals
}

type statement struct {
	sid          string
	deny         bool
	principals   []string // ARNs of users and roles, ids of accounts, *; no services
	actions      []glob
	notAction    bool
	resources    []arnGlob
	notResource  bool
	conditions   []condition
	needs        []string // keys of variables; without their values AWS may take it for invalid
	hasPrincipal bool     // otherwise it speaks of whom it is attached to
}

// applies reports whether action, resource and conditions are those of the request. An
// element with Not… matches everything else.
func (s *statement) applies(q *query) bool {
	if s.coversAction(q) == s.notAction || s.coversResource(q) == s.notResource || !s.holds(q) {
		return false
	}
	for _, key := range s.needs {
		if len(lookUp(q.variables, key, one)) == 0 {
			panic(refuse("statement %q, which applies if ${%s}, which the request does not resolve, only equals nothing", s.sid, key))
		}
	}
	return true
}

func (s *statement) coversAction(q *query) bool {
	for i := range s.actions {
		if s.actions[i].match(q.action, true, nil) {
			return true
		}
	}
	return false
}

func (s *statement) coversResource(q *query) bool {
	for i := range s.resources {
		if s.resources[i].match(q) {
			return true
		}
	}
	return false
}

// holds reports whether all conditions are true.
func (s *statement) holds(q *query) bool {
	for i := range s.conditions {
		if !s.conditions[i].holds(q.variables) {
			return false
		}
	}
	return true
}

// naming says how a statement's Principal names a principal.
type naming int

const (
	nobody      naming = iota
	accountOnly        // its account, which still has to allow it itself
	everyone
	named // or the statement is one of the principal's own
)

// names says how the statement names a principal's ARN. If the Principal is the account
// itself, a Deny is for everybody in it, and an Allow still needs an identity policy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func (s *statement) names(principal string) naming {
	if !s.hasPrincipal {
		return named
	}
	found := nobody
	for _, p := range s.principals {
		switch {
		case p == principal:
			return named
		case p == "*":
			found = everyone
		case found == nobody && strings.Contains(principal, ":"+p+":"):
			found = accountOnly
		}
	}
	return found
}

func isAccount(p string) bool { return len(p) == 12 && strings.Trim(p, "0123456789") == "" }

func isAction(text string) bool {
	vendor, name, ok := strings.Cut(text, ":")
	return ok && isWord(vendor, "-") && isWord(name, "")
}

// isWord reports whether a text has only letters, digits and the given other characters.
func isWord(text, others string) bool {
	for _, c := range []byte(text) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return text != ""
}
