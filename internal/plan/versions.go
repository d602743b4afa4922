package plan

import (
	"slices"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
)

// moved returns the versions that have to move along from the secret's former
// name: none when what is current there is known here.
func (p *planner) moved() []access.Version {
	if p.seen.Former == nil {
		return nil
	}
	current, ok := p.seen.Former.Labelled(access.Current)
	if !ok {
		return nil
	}
	key := keyring.KeyID(current)
	if p.seen.Secret != nil && key != "" && (keyring.Ring{Versions: p.seen.Secret.Versions}).Recorded(key) {
		return nil
	}
	// Those whose keys live, AWSPREVIOUS after the others: each is AWSCURRENT there
	// until its successor is.
	var moved []access.Version
	previous, _ := p.seen.Former.Labelled(access.Previous)
	lives := func(v access.Version) bool {
		_, there := (keyring.Ring{Keys: p.seen.Keys}).Find(keyring.KeyID(v))
		return there
	}
	for _, v := range p.seen.Former.Versions {
		if v.ID != current.ID && v.ID != previous.ID && lives(v) && !keyring.Untold(v) {
			moved = append(moved, v)
		}
	}
	if lives(previous) {
		moved = append(moved, previous)
	}
	return append(moved, current)
}

// versions are the secret's versions as they will be once CopyVersions has run.
func (p *planner) versions() []access.Version {
	if versions := slices.Clone(p.moved()); len(versions) > 0 {
		// Ids differ in the new place: they derive from the old ones.
		for i := range versions {
			versions[i].ID = CopiedID(p.want.Spec.SecretName, versions[i].ID)
		}
		return versions
	}
	if p.seen.Secret == nil {
		return nil
	}
	return p.seen.Secret.Versions
}

// CopiedID is the id of a version's copy in another secret. Copying twice
// stores once.
func CopiedID(to, version string) string { return name.Token("copy", to, version) }
