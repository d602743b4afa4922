package sandbox

import "context"

// Holdings are what the account holds by moto's own books, read past every API
// and every client of AWS.
type Holdings struct {
	Users []struct {
		Name, Stack string
		Keys        []HeldKey
		Policies    []string // ARNs of those that are attached
	}
	Policies []struct{ ARN, Stack, Document string } // under the provider's path
	Secrets  []struct {
		Name, Stack string
		Versions    []HeldVersion
	}
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

// Holdings reads moto's books. Stack, of everything, is the tag cloney:stack-id.
func (s *Sandbox) Holdings(ctx context.Context) (Holdings, error) {
	var held Holdings
	return held, s.ask(ctx, "holdings", &held)
}
