package plan

import (
	"fmt"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/policy"
)

// Who may read the secret is planned from its resource policy itself, not from
// a tag that remembers it: one read to each event, and a policy that a crash, a
// failed update or someone's hand left otherwise is seen.
//
// A policy with our statement is ours. One without is someone else's: it stays
// while the stack names no readers. When it does, SecretReaders says who may
// read, and a policy beside ours cannot be: a secret has one.

// tooManyReaders refuses what Secrets Manager would not take.
func (p *planner) tooManyReaders() error {
	readers := p.want.Spec.Readers
	size := len(policy.Readers(readers))
	if size <= policy.MaxReadersSize {
		return nil
	}
	return Refused(fmt.Sprintf("SecretReaders: %d readers need a resource policy of %d characters, and Secrets Manager takes %d; name fewer, or whole accounts", len(readers), size, policy.MaxReadersSize))
}

// narrow takes the right to read from those who shall have it no more. Early:
// the new key of the same update is none of their business.
func (p *planner) narrow(place needs) needs {
	secret := p.want.Spec.SecretName
	if !p.seen.Secret.Deleted.IsZero() {
		// It cannot be read before it is restored: what is ours of it goes.
		return p.add(DeleteResourcePolicy{secret}, place)
	}
	present, ours, exact := policy.ReadersOf(p.readers)
	kept, ids := p.kept(present)
	missing := len(p.want.Spec.Readers) - len(kept)
	if !ours || exact && len(kept)+len(ids) == len(present) && len(ids) <= missing {
		return nil
	}
	p.readers = policy.Readers(kept)
	if len(kept) == 0 {
		return p.add(DeleteResourcePolicy{secret}, place)
	}
	return p.add(PutResourcePolicy{Secret: secret, Readers: kept, Kept: kept}, place)
}

// widen lets the readers read who cannot yet. Late: they find a key that was
// proven, and nobody is let in by an update that failed before. But not last:
// a reader whom AWS does not know is the likeliest mistake, and refused before
// AWSCURRENT moves it leaves no key behind that is in use.
func (p *planner) widen(proof needs) needs {
	wanted := p.want.Spec.Readers
	present, _, exact := policy.ReadersOf(p.readers)
	kept, _ := p.kept(present)
	if len(wanted) > len(kept) || len(wanted) > 0 && !exact {
		step := PutResourcePolicy{Secret: p.want.Spec.SecretName, Readers: wanted, Kept: kept, Tolerant: p.back || p.gone(kept)}
		return after(proof, p.add(step, proof))
	}
	return proof
}

// gone reports whether those who are missing among the kept were readers
// before, and ids stand in their place. One that is named anew is not gone but
// not known yet, or written wrongly.
func (p *planner) gone(kept []string) bool {
	missing := slices.DeleteFunc(slices.Clone(p.want.Spec.Readers), func(reader string) bool { return slices.Contains(kept, reader) })
	before, _, _ := policy.ReadersOf(p.seen.ResourcePolicy)
	_, ids := p.kept(before)
	return len(ids) >= len(missing) && !slices.ContainsFunc(missing, func(reader string) bool { return !slices.Contains(p.want.Former.Readers, reader) })
}

// kept splits those whom a policy names: who stays a reader, and ids. By an id
// AWS means a user or role that is gone, or was not quite there yet.
func (p *planner) kept(present []string) (kept, ids []string) {
	for _, principal := range present {
		switch {
		case slices.Contains(p.want.Spec.Readers, principal):
			kept = append(kept, principal)
		case !strings.HasPrefix(principal, "arn:"):
			ids = append(ids, principal)
		}
	}
	return kept, ids
}
