package plan

import (
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/spec"
)

// A user remembers, in one tag, what was completed and proven for it, the latest first. So a
// rollback sees that its state was proven before, and does not prove it again: the bucket
// may be deleted by then, and a rollback that fails leaves the stack stuck.

// mostRemember is how many digests fit into a tag's value.
const mostRemember = 15

// Accepted is a digest of properties that were completed: the scope, the readers and the KMS
// key. A limit that the provider's owner has set since, or a reader or KMS key that was
// deleted since, does not stop a rollback to them.
func Accepted(s spec.Spec) string {
	return keyring.Digest("accepted", s.Scope, s.Readers, s.KMSKey)
}

// AcceptedWhole is a digest of everything that was completed together: in addition, the secret, the
// Serial and the schedule. An Update to the same state again is a rollback: it declares no
// new key, name or schedule.
func AcceptedWhole(s spec.Spec) string {
	parts := []any{"stood", s.Scope, s.Readers, s.KMSKey, s.SecretName, s.Serial, s.Verify}
	if s.Schedule != "" {
		// Only then, so that the digests stay valid of users from before there were
		// schedules.
		parts = append(parts, s.Schedule)
	}
	return keyring.Digest(parts...)
}

// readCompleted returns what the user's tags remember.
func readCompleted(userTags map[string]string) []string {
	return strings.Fields(userTags[name.TagCompleted])
}

// IsCompleted reports whether a user was ever completed. Until then it is incomplete.
func IsCompleted(user *access.User) bool { return user != nil && name.IsCompleted(user.Tags) }

// Forgot reports whether what a user remembers was removed with its other tags: from the
// start every user remembers how many policies it can have. Such a user may have secrets
// that no tag names.
func Forgot(user access.User) bool { return user.Tags[name.TagPolicies] == "" }

// CompletedTag is the tag's value once these properties are completed. proven is the key that
// was proven for them; empty: none was.
func CompletedTag(before []string, s spec.Spec, proven string) string {
	now := []string{Accepted(s), AcceptedWhole(s)}
	if s.Verify && proven != "" {
		now = append(now, keyring.Proof(proven, s.Scope))
	}
	for _, digest := range before {
		if !slices.Contains(now, digest) && len(digest) == keyring.DigestLength && len(now) < mostRemember {
			now = append(now, digest)
		}
	}
	return strings.Join(now, " ")
}

// outdated reports whether the user does not remember what is declared.
func (p *planner) outdated() bool {
	if p.seen.User == nil || !p.accepted {
		return true
	}
	version, ok := p.ring.ForSerial(p.want.Spec.Serial)
	return p.want.Spec.Verify && (!ok || !p.proven(version))
}

// unproven reports whether the plan leaves something new unproven because the stack sets
// Verify: false. What a killed Create has left counts as new.
func (p *planner) unproven() bool {
	if p.want.Spec.Verify || p.want.Spec.Scope.Expired(p.now) {
		return false
	}
	if version, ok := p.ring.ForSerial(p.want.Spec.Serial); ok && p.proven(version) {
		return false
	}
	return !IsCompleted(p.seen.User) || slices.ContainsFunc(p.tasks, func(t Task) bool {
		switch t.Step.(type) {
		case Mint, Promote, CreatePolicy, UpdatePolicy:
			return true
		}
		return false
	})
}

// proven reports whether the version's key was proven for what is declared: by an event, as
// the user remembers, or by a rotation, as the version's label says.
func (p *planner) proven(version access.Version) bool {
	scope := p.want.Spec.Scope
	byRotation := keyring.Proven(version, scope)
	return p.seen.User != nil && (byRotation || slices.Contains(readCompleted(p.seen.User.Tags), keyring.Proof(keyring.KeyID(version), scope)))
}
