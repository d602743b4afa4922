package plan

import (
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/spec"
)

// A user remembers, in one tag, what was completed and proven for it, the
// youngest first. So a rollback finds that what it goes back to was proven, and
// does not prove it again: the bucket may be gone by then, and CloudFormation
// has no third way.

// mostRemember is how many digests a tag's value holds.
const mostRemember = 15

// Accepted stands for properties that were completed: what may be accessed, who
// may read, and the KMS key. What the account's owner has narrowed since, and
// readers and KMS keys that are gone since, do not stop who goes back to them.
func Accepted(s spec.Spec) string {
	return keyring.Digest("accepted", s.Scope, s.Readers, s.KMSKey)
}

// Stood stands for all that was completed together: beside what Accepted stands
// for, the secret, the Serial and the schedule. Who comes back to that goes back, and
// a new key, a new name or a new schedule is none of what the Update is for.
func Stood(s spec.Spec) string {
	parts := []any{"stood", s.Scope, s.Readers, s.KMSKey, s.SecretName, s.Serial, s.Verify}
	if s.Schedule != "" {
		// Only then: what users remember from before there were schedules stays true.
		parts = append(parts, s.Schedule)
	}
	return keyring.Digest(parts...)
}

// completed returns what the user's tags remember.
func completed(userTags map[string]string) []string {
	return strings.Fields(userTags[name.TagCompleted])
}

// Finished reports whether a user was ever completed. Until then it is
// half-made.
func Finished(user *access.User) bool { return user != nil && name.Finished(user.Tags) }

// Forgot reports whether what a user remembers was taken off with its other tags:
// each remembers from its first moment on how far its policies go. So it may have
// secrets that nothing leads to.
func Forgot(user access.User) bool { return user.Tags[name.TagPolicies] == "" }

// Completed is the tag's value once these properties are completed. proven is the
// key that was proven for them; empty: none was.
func Completed(before []string, s spec.Spec, proven string) string {
	now := []string{Accepted(s), Stood(s)}
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

// incomplete reports whether the user does not remember what is desired.
func (p *planner) incomplete() bool {
	if p.seen.User == nil || !p.back {
		return true
	}
	version, ok := p.ring.Standing(p.want.Spec.Serial)
	return p.want.Spec.Verify && (!ok || !p.proven(version))
}

// unproven reports whether the plan leaves something new unproven, because the
// stack has it so. What a killed Create has left counts as new.
func (p *planner) unproven() bool {
	if p.want.Spec.Verify || p.want.Spec.Scope.Expired(p.now) {
		return false
	}
	if version, ok := p.ring.Standing(p.want.Spec.Serial); ok && p.proven(version) {
		return false
	}
	return !Finished(p.seen.User) || slices.ContainsFunc(p.tasks, func(t Task) bool {
		switch t.Step.(type) {
		case Mint, Promote, CreatePolicy, UpdatePolicy:
			return true
		}
		return false
	})
}

// proven reports whether the version's key was proven for what is desired: by an
// event, as the user remembers, or by a rotation, as the version says.
func (p *planner) proven(version access.Version) bool {
	scope := p.want.Spec.Scope
	byRotation := keyring.Proven(version, scope)
	return p.seen.User != nil && (byRotation || slices.Contains(completed(p.seen.User.Tags), keyring.Proof(keyring.KeyID(version), scope)))
}
