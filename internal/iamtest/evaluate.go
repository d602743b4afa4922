package iamtest

import "strings"

// Evaluate decides on one request.
//
// An explicit Deny anywhere wins. Otherwise the service control policy must allow the
// request. In addition, either both the identity policies and the boundary must allow it,
// or the resource's own policy must name the user: a boundary that merely does not allow
// the action does not limit such a policy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-eval-logic
//
// For a resource of another account, the principal's own account and the resource's policy
// must both allow.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
func Evaluate(a Account, r Request) Decision {
	q := newQuery(&a, &r)
	control := q.ask(Control, listed(a.Control), "")
	boundary := q.ask(Boundary, listed(a.Boundary), "")
	identity := q.ask(Identity, a.Identity, "")
	resource := q.ask(Resource, listed(a.Resource), a.Principal)
	for _, found := range [...]*verdict{&control, &boundary, &identity, &resource} {
		if found.denied {
			return Decision{ExplicitDeny, found.by}
		}
	}
	within := a.Boundary == nil || boundary.allowed != nobody
	switch {
	case a.Control != nil && control.allowed == nobody:
		return Decision{By: Statement{Layer: Control}}
	case resource.allowed == nobody && (a.foreign() || a.Resource != nil && decidesFirst(r.Action)):
		return Decision{By: Statement{Layer: Resource}}
	case identity.allowed != nobody && within:
		return Decision{Allowed, identity.by}
	case a.foreign() && identity.allowed != nobody:
		return Decision{By: Statement{Layer: Boundary}}
	case a.foreign():
		return Decision{By: Statement{Layer: Identity}}
	case resource.allowed == named, resource.allowed == everyone && within:
		return Decision{Allowed, resource.by}
	case resource.allowed == everyone:
		panic(refuse("whether a boundary that does not allow %s limits %v, which allows everyone", r.Action, resource.by))
	case identity.allowed != nobody:
		return Decision{By: Statement{Layer: Boundary}}
	}
	return Decision{By: Statement{Layer: Identity}}
}

// foreign reports whether the resource belongs to another account.
func (a *Account) foreign() bool {
	return a.Owner != "" && !strings.Contains(a.Principal, ":"+a.Owner+":")
}

// decidesFirst reports whether the resource's policy must allow every action itself or
// leave it to its account: this is so for KMS keys, and for roles that are assumed.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
func decidesFirst(action string) bool {
	switch vendor, _, _ := strings.Cut(action, ":"); strings.ToLower(vendor) {
	case "kms", "sts":
		return true
	}
	return false
}

// listed returns a policy as a list. The list stays on the stack if the compiler inlines
// the call.
func listed(p *Policy) []*Policy {
	if p == nil {
		return nil
	}
	return []*Policy{p}
}

func (a *Account) layer(l Layer) []*Policy {
	switch l {
	case Control:
		return listed(a.Control)
	case Boundary:
		return listed(a.Boundary)
	case Resource:
		return listed(a.Resource)
	}
	return a.Identity
}

// verdict is the decision of one layer, and its statement.
type verdict struct {
	denied  bool
	allowed naming // whom: accountOnly allows nothing by itself
	by      Statement
}

// ask reads every Deny, and the Allows up to the first that names the principal.
func (q *query) ask(layer Layer, policies []*Policy, principal string) (v verdict) {
	for number, policy := range policies {
		for i := range policy.statements {
			s := &policy.statements[i]
			if !s.deny && v.allowed >= named {
				continue
			}
			naming := s.names(principal)
			if naming == nobody || !s.deny && naming <= v.allowed || !s.applies(q) {
				continue
			}
			by := Statement{layer, number, i, s.sid, s.deny}
			if s.deny {
				return verdict{denied: true, by: by}
			}
			v = verdict{allowed: naming, by: by}
		}
	}
	return v
}

// query is a request that was checked and split once.
type query struct {
	action    string
	resource  string
	segments  [6]string // of an ARN
	isARN     bool
	variables map[string][]string
}

func newQuery(a *Account, r *Request) query {
	if !isAction(r.Action) {
		panic(refuse("action %q: it is not one action", r.Action))
	}
	q := query{action: r.Action, resource: r.Resource, variables: r.Context}
	if r.Resource != "*" {
		if q.segments, q.isARN = splitARN(r.Resource); !q.isARN {
			panic(refuse("resource %q: it is not an ARN", r.Resource))
		}
	}
	for key := range r.Context {
		if _, known := keyOf(key); !known {
			panic(refuse("context key %q: it is not known", key))
		}
	}
	a.check(r)
	return q
}

// check refuses policies in the wrong place.
func (a *Account) check(r *Request) {
	for _, policy := range a.Identity {
		policy.check(false)
	}
	if a.Boundary != nil {
		a.Boundary.check(false)
	}
	if a.Control != nil {
		a.Control.check(false)
	}
	segments, isARN := splitARN(a.Principal)
	if a.Owner != "" && (!isAccount(a.Owner) || !isARN) {
		panic(refuse("principal %q and a resource of account %q", a.Principal, a.Owner))
	}
	if a.Resource == nil {
		return
	}
	a.Resource.check(true)
	switch isRole := strings.HasPrefix(segments[5], "role/"); {
	case !isRole && !strings.HasPrefix(segments[5], "user/"):
		panic(refuse("a resource policy for principal %q: it is not an IAM user or role", a.Principal))
	// A policy that names a role is limited by the role's boundary. A policy that names its
	// session is not.
	case isRole && a.Boundary != nil:
		panic(refuse("a resource policy for a role within a boundary"))
	}
	// A role's policy is only about the right to assume it.
	if vendor, _, _ := strings.Cut(r.Action, ":"); strings.EqualFold(vendor, "iam") {
		panic(refuse("a resource policy for %s", r.Action))
	}
}

func (p *Policy) check(withPrincipal bool) {
	if p.named != withPrincipal {
		panic(refuse("a policy with Principal as one of an identity, or the other way round"))
	}
}
