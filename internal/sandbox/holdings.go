package sandbox

import "context"

// Holdings are what the account holds by moto's own books, read past every API
// and every client of AWS. Stack, of everything, is the tag cloney:stack-id.
type Holdings struct {
	Users    []HeldUser
	Policies []HeldPolicy // under the provider's path
	Secrets  []HeldSecret
}

// HeldUser is a user.
type HeldUser struct {
	Name, Stack string
	Keys        []HeldKey
	Policies    []string // ARNs of those that are attached
}

// HeldPolicy is a managed policy.
type HeldPolicy struct{ ARN, Stack, Document string }

// HeldSecret is a secret.
type HeldSecret struct {
	Name, Stack string
	Readers     string // its resource policy; empty: it has none
	Versions    []HeldVersion
}

// HeldKey is an access key with its secret half.
type HeldKey struct {
	ID     string
	Active bool
	Secret string
}

// HeldVersion is one version of a secret.
type HeldVersion struct {
	Labels []string
	Value  string
}

// Holdings reads moto's books.
func (s *Sandbox) Holdings(ctx context.Context) (Holdings, error) {
	var held Holdings
	return held, s.ask(ctx, "holdings", &held)
}
