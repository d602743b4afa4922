package sandbox_test

import (
	"errors"

	"cloney-s3-credentials/internal/traces"
)

// Heard asks what has to hold of an answer that CloudFormation goes on with.
func (s *stage) Heard(e *traces.Event) {
	if e.Broken != nil {
		s.complain("%w", e.Broken)
	}
	meets := e.Number == s.event
	// Where there is little time the machine decides: what fails is sent again.
	hurried := e.Props["ServiceTimeout"] == hurried
	switch {
	case e.Heard == nil:
		s.note("%d: given up", e.Number)
	case !e.Succeeded() && !meets && !hurried && (s.alone() || e.Kind == traces.RollBack || e.Kind.Type() == "Delete"):
		s.complain("the %s, %d, failed: %s", e.Kind, e.Number, e.Heard.Reason)
	case !e.Succeeded() && !meets && e.Kind == traces.Create && s.Retained == nil && e.Doubled == nil:
		s.keyless()
	case e.Succeeded() && s.alone() && e.Kind == traces.Update && e.Heard.PhysicalResourceID != e.Physical:
		s.replaced(e)
	}
}

// keyless asks for no live key after a Create that failed.
func (s *stage) keyless() {
	held, err := s.books()
	if err != nil {
		s.complain("%w", err)
	}
	for _, user := range held.Users {
		if len(user.Keys) > 0 {
			s.complain("the Create failed, and %s has %d keys", user.Name, len(user.Keys))
		}
	}
}

// replaced asks for both users, before the first one is taken away.
func (s *stage) replaced(e *traces.Event) {
	former, err := s.whole(e.Physical, e.Old)
	now, wrong := s.whole(e.Heard.PhysicalResourceID, e.Props)
	former.secret = former.declared.SecretName != now.declared.SecretName
	former.current = "" // CloudFormation has got another one since
	if err := errors.Join(err, wrong, s.holds(former, now)); err != nil {
		s.complain("replaced: %w", err)
	}
}

// rests asks for the account to be as CloudFormation asked for last, before
// anything else is sent.
func (s *stage) rests() {
	var shall []whole
	left := s.Retained
	if s.Physical != "" {
		left = &traces.Life{Physical: s.Physical, Props: s.Props}
	}
	if left != nil {
		w, err := s.whole(left.Physical, left.Props)
		if shall = append(shall, w); err != nil {
			s.complain("%w", err)
		}
	}
	if s.Stuck {
		s.complain("it failed for good")
	}
	if err := s.holds(shall...); err != nil {
		s.complain("after %s: %w", s.Events[len(s.Events)-1].Kind, err)
	}
}

// whole is a user as the properties declare it, with the keys that CloudFormation
// was given.
func (s *stage) whole(user string, props traces.Properties) (whole, error) {
	declared, err := s.declared(props)
	w := whole{user: user, declared: declared, secret: true, keys: 1, given: s.Given.Keys[user], overtaken: !s.alone()}
	for _, e := range s.Events {
		if e.Props["Serial"] != nil {
			w.keys = 2
		}
	}
	if last := s.Events[len(s.Events)-1]; last.Heard != nil {
		w.current = s.Given.Last
	}
	return w, err
}
