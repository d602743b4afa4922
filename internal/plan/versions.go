package plan

import (
	"slices"

	"cloney-s3-credentials/internal/access"
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
	_, key := keyOf(current)
	if p.seen.Secret != nil && slices.ContainsFunc(p.seen.Secret.Versions, func(v access.Version) bool {
		_, known := keyOf(v)
		return known == key && key != ""
	}) {
		return nil
	}
	moved := []access.Version{}
	if previous, ok := p.seen.Former.Labelled(access.Previous); ok {
		// It is AWSCURRENT there until its successor is: only a key that lives.
		if _, lives := p.find(KeyOf(previous)); lives {
			moved = append(moved, previous)
		}
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

// keyOf returns what the version's label says: the Serial it was issued for
// and the key it holds, or 0 and nothing for a version that is not ours.
func keyOf(v access.Version) (serial int, keyID string) {
	for _, label := range v.Labels {
		if serial, keyID, ok := name.ParseKeyLabel(label); ok {
			return serial, keyID
		}
	}
	return 0, ""
}

// KeyOf returns the id of the key that a version holds, by its label; empty
// for a version that the provider did not store.
func KeyOf(v access.Version) string {
	_, keyID := keyOf(v)
	return keyID
}

func labelled(versions []access.Version, label string) (access.Version, bool) {
	return access.SecretInfo{Versions: versions}.Labelled(label)
}
