package plan

import (
	"slices"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
)

// source returns the former secret whose values move along: the one that records
// most of the keys that live, and among equals the one that the stack declared
// before.
func (p *planner) source() (source *access.SecretInfo) {
	most := -1
	for i, former := range p.seen.Formers {
		_, filled := former.Labelled(access.Current)
		if !filled || p.locked(former) || !former.Deleted.IsZero() {
			continue
		}
		rank := 2 * len(p.livingIn(former))
		if former.Name == p.want.Former.SecretName {
			rank++
		}
		if rank > most {
			source, most = &p.seen.Formers[i], rank
		}
	}
	return source
}

// locked reports whether there is no point in reading a former secret: this run
// has tried, or an earlier one has and nothing of it is wanted now.
func (p *planner) locked(former access.SecretInfo) bool {
	_, tried := p.seen.Locked[former.Name]
	return tried || former.Tags[name.TagLocked] != "" && !p.wanted(former)
}

// wanted reports whether a former secret alone holds the key of the wanted Serial.
func (p *planner) wanted(former access.SecretInfo) bool {
	stands := func(versions []access.Version) bool {
		_, stands := keyring.Ring{Keys: p.seen.Keys, Versions: versions}.Standing(p.want.Spec.Serial)
		return stands
	}
	return stands(former.Versions) && (p.seen.Secret == nil || !stands(p.seen.Secret.Versions))
}

// livingIn returns the user's keys that live and that a version of the secret
// records, but for the one of a rotation that has not ended: it keeps no secret.
func (p *planner) livingIn(secret access.SecretInfo) (living []string) {
	pending, _ := unfinished(secret)
	for _, key := range p.seen.Keys {
		if key.Active && key.ID != keyring.KeyID(pending) && (keyring.Ring{Versions: secret.Versions}).Recorded(key.ID) {
			living = append(living, key.ID)
		}
	}
	return living
}

// keptSecrets are the former secrets that stay: each is the only one that records a
// key that lives on, and says since when it is replaced; or AWS does not delete it.
// It is asked once the plan says which keys go.
func (p *planner) keptSecrets() (kept []string) {
	for _, former := range p.seen.Formers {
		if len(former.Replicas) > 0 || slices.ContainsFunc(p.livingIn(former), p.nowhereElse) {
			kept = append(kept, former.Name)
		}
	}
	return kept
}

// remembered are the names that the user goes on remembering.
func (p *planner) remembered() []string {
	names := append(p.keptSecrets(), p.want.Spec.SecretName)
	for _, lost := range p.seen.Lost {
		names = append(names, lost.Name)
	}
	return names
}

// nowhereElse reports whether the secret does not record a key that stays.
func (p *planner) nowhereElse(key string) bool {
	goes := slices.ContainsFunc(p.tasks, func(t Task) bool { return t.Step == Step(DeleteKey{p.want.Spec.UserName, key}) })
	return !goes && !p.ring.Recorded(key)
}

// moved returns the versions that have to move along from the former secret:
// none when what is current there is known here, or dead while what is current
// here lives.
func (p *planner) moved() []access.Version {
	if _, locked := p.seen.Locked[p.want.Spec.SecretName]; locked || p.former == nil {
		return nil
	}
	current, _ := p.former.Labelled(access.Current)
	key := keyring.KeyID(current)
	here := keyring.Ring{}
	if p.seen.Secret != nil {
		here.Versions = p.seen.Secret.Versions
		_, lives := keyring.LivingOf(p.seen.Keys, []access.Version{current})
		_, livesHere := keyring.LivingOf(p.seen.Keys, p.seen.Secret.Versions)
		if key != "" && here.Recorded(key) || livesHere && !lives {
			return nil
		}
	}
	// Those whose keys live and are not known here, AWSPREVIOUS after the others: each
	// is AWSCURRENT there until its successor is.
	var moved []access.Version
	previous, _ := p.former.Labelled(access.Previous)
	lives := func(v access.Version) bool {
		_, there := (keyring.Ring{Keys: p.seen.Keys}).Find(keyring.KeyID(v))
		return there && !here.Recorded(keyring.KeyID(v))
	}
	pending, _ := unfinished(*p.former)
	for _, v := range p.former.Versions {
		if v.ID != current.ID && v.ID != previous.ID && v.ID != pending.ID && lives(v) && !keyring.Untold(v) {
			moved = append(moved, v)
		}
	}
	if lives(previous) {
		moved = append(moved, previous)
	}
	return append(moved, current)
}

// versions are the secret's versions as they will be once CopyVersions has run.
func (p *planner) versions() (versions []access.Version) {
	switch {
	case p.seen.Secret != nil:
		versions = p.seen.Secret.Versions
	case p.want.Spec.KMSKey != "":
		versions = []access.Version{{ID: PlaceholderID(p.want.Spec.SecretName), Labels: []string{access.Current}}}
	}
	for _, v := range p.moved() {
		// Ids differ in the new place: they derive from the old ones.
		v.ID = CopiedID(p.want.Spec.SecretName, v.ID)
		versions = stored(versions, v)
	}
	return versions
}

// stored returns the versions once another one is stored as AWSCURRENT, with the
// label of its key, which is on one version at a time. Storing one again changes
// nothing.
func stored(versions []access.Version, another access.Version) (after []access.Version) {
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

// CopiedLabels are the labels that a version keeps in another secret: what they say of
// its key stays true.
func CopiedLabels(v access.Version) (labels []string) {
	for _, label := range v.Labels {
		if name.IsOwnLabel(label) && label != name.LabelLatest && label != name.LabelTried {
			labels = append(labels, label)
		}
	}
	return labels
}

// givenUp reports whether a former secret alone holds the key of the wanted Serial,
// cannot be read, and the stack goes back: a new key takes that one's place. The
// secret stays until its key has gone unused.
func (p *planner) givenUp(former access.SecretInfo) bool {
	_, locked := p.seen.Locked[former.Name]
	return p.stood && locked && p.wanted(former)
}

// lockedAway refuses a plan whose key is only in a former secret that cannot be
// read. A new Serial needs nothing of it; and a rollback does without.
func (p *planner) lockedAway() error {
	if _, moves := p.ring.Standing(p.want.Spec.Serial); moves {
		return nil
	}
	for _, former := range p.seen.Formers {
		if why, locked := p.seen.Locked[former.Name]; locked && p.wanted(former) && !p.givenUp(former) {
			return Refused(why)
		}
	}
	return nil
}

// PlaceholderID is the id of the version that holds the place of a secret's first
// key. AWSPREVIOUS stays on it until the next key: it names no key either way.
func PlaceholderID(secret string) string { return name.Token("placeholder", secret) }

// CopiedID is the id of a version's copy in another secret. Copying twice
// stores once.
func CopiedID(to, version string) string { return name.Token("copy", to, version) }
