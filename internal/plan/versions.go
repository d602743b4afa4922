package plan

import (
	"slices"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
)

// source returns the old secret whose values are copied: the one that holds most of the
// active keys, and among equals the one that the stack declared before.
func (p *planner) source() (source *access.SecretInfo) {
	most := -1
	for i, old := range p.seen.OldSecrets {
		_, filled := old.Labelled(access.Current)
		if !filled || p.locked(old) || !old.Deleted.IsZero() {
			continue
		}
		rank := 2 * len(p.livingIn(old))
		if old.Name == p.want.Old.SecretName {
			rank++
		}
		if rank > most {
			source, most = &p.seen.OldSecrets[i], rank
		}
	}
	return source
}

// locked reports whether reading an old secret is useless: this run has tried, or an earlier
// run has and the plan needs nothing of it now.
func (p *planner) locked(old access.SecretInfo) bool {
	_, tried := p.seen.Locked[old.Name]
	return tried || old.Tags[name.TagLocked] != "" && !p.onlyIn(old)
}

// onlyIn reports whether only an old secret holds the key of the declared Serial.
func (p *planner) onlyIn(old access.SecretInfo) bool {
	holds := func(versions []access.Version) bool {
		_, found := keyring.Ring{Keys: p.seen.Keys, Versions: versions}.ForSerial(p.want.Spec.Serial)
		return found
	}
	return holds(old.Versions) && (p.seen.Secret == nil || !holds(p.seen.Secret.Versions))
}

// livingIn returns the user's active keys that a version of the secret holds. It leaves out
// the pending key: a secret is not kept for that.
func (p *planner) livingIn(secret access.SecretInfo) (living []string) {
	pending, _ := unfinished(secret)
	for _, key := range p.seen.Keys {
		if key.Active && key.ID != keyring.KeyID(pending) && (keyring.Ring{Versions: secret.Versions}).Stored(key.ID) {
			living = append(living, key.ID)
		}
	}
	return living
}

// keptSecrets are the old secrets that stay: each is the only one that holds a key that
// stays, and says when that key was replaced; or AWS does not delete the secret. Ask once
// the plan says which keys are deleted.
func (p *planner) keptSecrets() (kept []string) {
	for _, old := range p.seen.OldSecrets {
		if len(old.Replicas) > 0 || slices.ContainsFunc(p.livingIn(old), p.nowhereElse) {
			kept = append(kept, old.Name)
		}
	}
	return kept
}

// remembered are the names that the user still remembers after the plan.
func (p *planner) remembered() []string {
	names := append(p.keptSecrets(), p.want.Spec.SecretName)
	for _, lost := range p.seen.Lost {
		names = append(names, lost.Name)
	}
	return names
}

// nowhereElse reports whether a key stays that the declared secret does not hold.
func (p *planner) nowhereElse(key string) bool {
	goes := slices.ContainsFunc(p.tasks, func(t Task) bool { return t.Step == Step(DeleteKey{p.want.Spec.UserName, key}) })
	return !goes && !p.ring.Stored(key)
}

// moved returns the versions to copy from the old secret: none if the new secret holds the
// old secret's current key, or if that key does not work while the new secret's current one
// does.
func (p *planner) moved() []access.Version {
	if _, locked := p.seen.Locked[p.want.Spec.SecretName]; locked || p.oldSecret == nil {
		return nil
	}
	current, _ := p.oldSecret.Labelled(access.Current)
	key := keyring.KeyID(current)
	here := keyring.Ring{}
	if p.seen.Secret != nil {
		here.Versions = p.seen.Secret.Versions
		_, lives := keyring.ActiveVersion(p.seen.Keys, []access.Version{current})
		_, livesHere := keyring.ActiveVersion(p.seen.Keys, p.seen.Secret.Versions)
		if key != "" && here.Stored(key) || livesHere && !lives {
			return nil
		}
	}
	// Copied are the versions whose keys are active and not in the new secret. AWSPREVIOUS
	// comes last of them: each version is AWSCURRENT there until the next one is.
	var moved []access.Version
	previous, _ := p.oldSecret.Labelled(access.Previous)
	lives := func(v access.Version) bool {
		_, there := (keyring.Ring{Keys: p.seen.Keys}).Find(keyring.KeyID(v))
		return there && !here.Stored(keyring.KeyID(v))
	}
	pending, _ := unfinished(*p.oldSecret)
	for _, v := range p.oldSecret.Versions {
		if v.ID != current.ID && v.ID != previous.ID && v.ID != pending.ID && lives(v) && !keyring.NeverCurrent(v) {
			moved = append(moved, v)
		}
	}
	if lives(previous) {
		moved = append(moved, previous)
	}
	return append(moved, current)
}

// versions are the secret's versions as they will be after CopyVersions.
func (p *planner) versions() (versions []access.Version) {
	switch {
	case p.seen.Secret != nil:
		versions = p.seen.Secret.Versions
	case p.want.Spec.KMSKey != "":
		versions = []access.Version{{ID: PlaceholderID(p.want.Spec.SecretName), Labels: []string{access.Current}}}
	}
	for _, v := range p.moved() {
		// A copy has an id of its own, which derives from the old id.
		v.ID = CopiedID(p.want.Spec.SecretName, v.ID)
		versions = withStored(versions, v)
	}
	return versions
}

// withStored returns the versions after another one is stored as AWSCURRENT. The label of its
// key is on one version at a time. Storing a version again changes nothing.
func withStored(versions []access.Version, another access.Version) (after []access.Version) {
	another.Labels = append(CopiedLabels(another), access.Current)
	for _, v := range versions {
		if v.ID == another.ID {
			return versions
		}
		current := v.Has(access.Current)
		v.Labels = slices.DeleteFunc(slices.Clone(v.Labels), func(label string) bool { return another.Has(label) || label == access.Previous })
		if current {
			v.Labels = append(v.Labels, access.Previous)
		}
		after = append(after, v)
	}
	return append(after, another)
}

// CopiedLabels are the labels that a version keeps in another secret: those that say
// something of its key.
func CopiedLabels(v access.Version) (labels []string) {
	for _, label := range v.Labels {
		if name.IsOwnLabel(label) && label != name.LabelLatest && label != name.LabelTried {
			labels = append(labels, label)
		}
	}
	return labels
}

// givenUp reports whether only an old secret holds the key of the declared Serial, cannot be
// read, and the stack goes back: then a new key replaces that key. The secret stays until
// its key has been unused for the grace.
func (p *planner) givenUp(old access.SecretInfo) bool {
	_, locked := p.seen.Locked[old.Name]
	return p.acceptedWhole && locked && p.onlyIn(old)
}

// lockedAway refuses a plan whose key is only in an old secret that cannot be read. A new
// Serial does not need that secret, and a rollback goes on without it.
func (p *planner) lockedAway() error {
	if _, moves := p.ring.ForSerial(p.want.Spec.Serial); moves {
		return nil
	}
	for _, old := range p.seen.OldSecrets {
		if why, locked := p.seen.Locked[old.Name]; locked && p.onlyIn(old) && !p.givenUp(old) {
			return Refused(why)
		}
	}
	return nil
}

// PlaceholderID is the id of the version that holds a placeholder until the first key is
// stored. AWSPREVIOUS stays on it until the next key, and it names no key.
func PlaceholderID(secret string) string { return name.Token("placeholder", secret) }

// CopiedID is the id of a version's copy in another secret. Copying twice stores once.
func CopiedID(to, version string) string { return name.Token("copy", to, version) }
