package plan

import (
	"fmt"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/policy"
)

// The readers are planned from the resource policy itself, not from a tag that remembers it.
// That costs one read per event, and shows a policy that a crash, a failed update or a
// person has left.
//
// A policy with our statement is ours. A policy without it is somebody else's, and stays
// while the stack names no readers. When the stack names readers, our policy replaces it: a
// secret has only one.

// tooManyReaders refuses a policy that is too long for Secrets Manager.
func (p *planner) tooManyReaders() error {
	readers := p.want.Spec.Readers
	size := len(policy.Readers(readers))
	if size <= policy.MaxReadersSize {
		return nil
	}
	return Refused(fmt.Sprintf("SecretReaders: %d readers need a resource policy of %d characters, and Secrets Manager allows %d; name fewer readers, or whole accounts", len(readers), size, policy.MaxReadersSize))
}

// narrow removes the right to read from removed readers. It comes early: a removed reader
// must not read the new key of the same update.
func (p *planner) narrow(place needs) needs {
	secret := p.want.Spec.SecretName
	if !p.seen.Secret.Deleted.IsZero() {
		// The policy cannot be read before the secret is restored: if it is ours, it is
		// deleted.
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

// widen adds readers. It comes late: they find a proven key, and an update that fails before
// adds nobody. But it is not the last step: a reader that AWS does not know is the most
// likely mistake, and if it is refused before AWSCURRENT moves, no new key is in use.
func (p *planner) widen(proof needs) needs {
	declared := p.want.Spec.Readers
	present, _, exact := policy.ReadersOf(p.readers)
	kept, _ := p.kept(present)
	if len(declared) > len(kept) || len(declared) > 0 && !exact {
		step := PutResourcePolicy{Secret: p.want.Spec.SecretName, Readers: declared, Kept: kept, Tolerant: p.accepted || p.wereDeleted(kept)}
		return after(proof, p.add(step, proof))
	}
	return proof
}

// wereDeleted reports whether all readers that are missing in the policy were readers before, and
// ids stand in their place. A reader that is added now was not deleted: AWS does not know it
// yet, or its name is wrong.
func (p *planner) wereDeleted(kept []string) bool {
	missing := slices.DeleteFunc(slices.Clone(p.want.Spec.Readers), func(reader string) bool { return slices.Contains(kept, reader) })
	before, _, _ := policy.ReadersOf(p.seen.ResourcePolicy)
	_, ids := p.kept(before)
	return len(ids) >= len(missing) && !slices.ContainsFunc(missing, func(reader string) bool { return !slices.Contains(p.want.Old.Readers, reader) })
}

// kept splits the principals of a policy into readers that stay, and ids. AWS writes an id
// in place of a user or role that was deleted, or that it did not quite know yet.
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
