// Package iamtest judges requests by IAM policies, as AWS documents it. Tests ask it,
// offline and a million times, what the policies of this project allow. Only tests import
// it.
//
// It judges one principal: its identity policies, within a permissions boundary and a
// service control policy, and a resource's own policy, also that of a KMS key, of a role
// (its trust policy), or of another account's resource. It never guesses. Parse refuses any
// element, operator, condition key or variable that it does not know. Evaluate panics with
// a Refusal if the request is incomplete, or if AWS's documentation leaves the answer open.
// It does not know session policies, NotPrincipal, federated principals, or resource
// policies for a role within a boundary.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
package iamtest

import "fmt"

// Refusal says why a policy or a request is not judged. Parse returns it. Evaluate and
// Matching panic with it, because such a test is wrong.
type Refusal string

func (r Refusal) Error() string { return "iamtest does not judge: " + string(r) }

func refuse(format string, args ...any) Refusal { return Refusal(fmt.Sprintf(format, args...)) }

// Account holds everything that decides on one principal's requests.
type Account struct {
	Identity  []*Policy // of the user or role, attached or inline
	Boundary  *Policy   // nil: none
	Control   *Policy   // a service control policy; nil: none
	Resource  *Policy   // of the resource that is asked for, with Principals; nil: none
	Principal string    // ARN of the user or role; needed with Resource and Owner only
	Owner     string    // the account of what is asked for; empty: the principal's own
}

// Request is one call. Context holds condition keys in any capitals. A key that is not
// there is missing from the request. The keys that AWS puts into every request
// (aws:CurrentTime, aws:SecureTransport, aws:PrincipalArn …) must be there if a policy
// reads them.
type Request struct {
	Action   string // as in s3:GetObject
	Resource string // an ARN, or * for an action that acts on none
	Context  map[string][]string
}

// Outcome is the decision on a request.
type Outcome int

const (
	ImplicitDeny Outcome = iota // nothing allows it
	ExplicitDeny
	Allowed
)

func (o Outcome) String() string {
	return [...]string{"ImplicitDeny", "ExplicitDeny", "Allowed"}[o]
}

// Layer is a kind of policy.
type Layer string

const (
	Control  Layer = "control"
	Boundary Layer = "boundary"
	Identity Layer = "identity"
	Resource Layer = "resource"
)

// Statement names one statement of an account.
type Statement struct {
	Layer  Layer
	Policy int // index in Account.Identity, otherwise 0
	Index  int // in the policy
	Sid    string
	Deny   bool
}

func (s Statement) String() string {
	return fmt.Sprintf("%s policy %d, statement %d %q", s.Layer, s.Policy, s.Index, s.Sid)
}

// Decision is the outcome and the first statement that caused it. For an ImplicitDeny only
// By.Layer is set: the layer without an Allow.
type Decision struct {
	Outcome Outcome
	By      Statement
}

func (d Decision) String() string {
	if d.Outcome == ImplicitDeny {
		return fmt.Sprintf("%s: no Allow in %s", d.Outcome, d.By.Layer)
	}
	return fmt.Sprintf("%s by %s", d.Outcome, d.By)
}

// Matching returns every statement that applies to the request, whatever the
// others say.
func Matching(a Account, r Request) []Statement {
	var found []Statement
	q := newQuery(&a, &r)
	for _, layer := range []Layer{Control, Boundary, Identity, Resource} {
		for number, policy := range a.layer(layer) {
			for i := range policy.statements {
				if s := &policy.statements[i]; s.applies(&q) && s.names(a.Principal) != nobody {
					found = append(found, Statement{layer, number, i, s.sid, s.deny})
				}
			}
		}
	}
	return found
}
