package keyring

import (
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// A replaced key is retired in two steps. It is deactivated when it has been unused for the
// grace, and deleted when it has been unused for as long again. A person can activate a
// deactivated key again, but not a deleted one.

const (
	// RecordsLate is how late IAM may show that a key was used. AWS does not document it;
	// users report hours.
	RecordsLate = 4 * time.Hour
	// hurry is how much shorter than the grace a key may be inactive before it is deleted: a
	// day, because IAM's late record may have delayed the deactivation by one sweep; and
	// half a day, because daily sweeps do not reach a user at the same hour. Even so the key
	// has been unused for twice the grace.
	hurry = 36 * time.Hour
)

// inactive is the shortest time for which a key is inactive before it is deleted.
func inactive(grace time.Duration) time.Duration { return max(grace-hurry, grace/2) }

// Holding is the keys of one user, and every secret that may hold them.
type Holding struct {
	User    string
	Keys    []access.Key
	Secrets []access.SecretInfo // the user's own; several if its SecretName was changed
	Others  []access.SecretInfo // of the same resource, under another user's name
	LastUse map[string]access.LastUse
	Now     time.Time
}

// Deed is what is to be done about a key.
type Deed string

// These are the deeds.
const (
	// Deactivate deactivates the key, and records the time.
	Deactivate Deed = "deactivate"
	// Delete deletes the key, and removes its labels.
	Delete Deed = "delete"
	// Forget removes our labels from the version of a deleted key: an earlier sweep has
	// deleted the key, and stopped before it removed them.
	Forget Deed = "forget"
	// Spare records that somebody has activated the key again.
	Spare Deed = "spare"
)

// Retirement is one deed, and the version that holds the key.
type Retirement struct {
	Deed            Deed
	KeyID           string
	Secret, Version string
}

// Retire returns which keys are to be retired. It never returns the current or pending key
// of any secret, a key that no secret of the user holds, or a key that somebody may be
// using. While the current key does not work it returns none: a replaced key may be the only
// one that works.
func (h Holding) Retire() (retire []Retirement) {
	if !h.currentWorks() {
		return nil
	}
	for _, secret := range h.Secrets {
		for _, v := range secret.Versions {
			if deed, due := h.deed(v); due {
				retire = append(retire, Retirement{deed, KeyID(v), secret.Name, v.ID})
			}
		}
	}
	return retire
}

// deed returns what is to be done about the key of a version, if anything is due.
func (h Holding) deed(v access.Version) (deed Deed, due bool) {
	id := KeyID(v)
	key, there := find(h.Keys, id)
	off := h.deactivated(id)
	quiet := h.Now.Sub(h.quietSince(key))
	switch {
	case id == "" || h.given(id):
		return "", false
	case !there:
		return Forget, !off.IsZero()
	case key.Active && off.After(h.reactivated(id)):
		return Spare, true
	case key.Active:
		return Deactivate, !h.present().InUse(key) && quiet >= h.Grace()+RecordsLate
	}
	return Delete, quiet >= 2*h.Grace() && h.Now.Sub(off) >= inactive(h.Grace())
}

// StillInUse returns the keys that were replaced longer than the grace ago, and that
// somebody has used within the grace.
func (h Holding) StillInUse() (used []access.Key) {
	ring := h.present()
	for _, key := range h.Keys {
		lately := h.Now.Sub(h.LastUse[key.ID].Time) < h.Grace()
		if key.Active && h.records(key.ID) && !h.given(key.ID) && !ring.neverCurrent(key) && lately && h.Now.Sub(ring.replaced()) >= h.Grace() {
			used = append(used, key)
		}
	}
	return used
}

// Retired returns the keys that the sweep has deactivated and that are inactive.
func (h Holding) Retired() (retired []access.Key) {
	for _, key := range h.Keys {
		if !key.Active && !h.given(key.ID) && !h.deactivated(key.ID).IsZero() {
			retired = append(retired, key)
		}
	}
	return retired
}

// LostKeys returns the keys that no secret holds.
func (h Holding) LostKeys() (lost []access.Key) {
	for _, key := range h.Keys {
		if !h.records(key.ID) {
			lost = append(lost, key)
		}
	}
	return lost
}

// Grace is the longest grace of the user's secrets.
func (h Holding) Grace() time.Duration {
	var longest time.Duration
	for _, secret := range h.Secrets {
		longest = max(longest, name.Grace(secret.Tags))
	}
	return longest
}

// Current returns the user's present secret and its current key. there is false if that key
// was deleted.
func (h Holding) Current() (secret access.SecretInfo, key access.Key, there bool) {
	for _, candidate := range h.Secrets {
		version, _ := candidate.Labelled(access.Current)
		names, found := find(h.Keys, KeyID(version))
		later := found && (!there || names.Created.After(key.Created))
		if open := candidate.Tags[name.TagLocked] == ""; open && (secret.Name == "" || later) {
			secret, key, there = candidate, names, found
		}
	}
	return secret, key, there
}

func (h Holding) currentWorks() bool {
	_, key, there := h.Current()
	return there && key.Active
}

// present is the ring of the user's present secret. Replaced is the latest time at which
// AWSCURRENT of any of its secrets moved.
func (h Holding) present() Ring {
	secret, _, _ := h.Current()
	ring := Ring{User: h.User, Keys: h.Keys, Versions: secret.Versions, LastUse: h.LastUse, Grace: h.Grace(), Now: h.Now}
	for _, other := range h.Secrets {
		if other.Name != secret.Name {
			ring.OldVersions = append(ring.OldVersions, other.Versions...)
		}
		if moved := movedAt(other); moved.After(ring.Replaced) {
			ring.Replaced = moved
		}
	}
	return ring
}

// movedAt is when AWSCURRENT of a secret last moved, as far as that was recorded.
func movedAt(secret access.SecretInfo) time.Time {
	current, _ := secret.Labelled(access.Current)
	since := name.Since(current.Labels)
	if back := Promoted(secret.Tags); back.After(since) {
		return back
	}
	return since
}

// quietSince is since when nobody is known to need the key: it was replaced, used, or
// activated again by hand. For a key that nobody ever received, it is its creation.
func (h Holding) quietSince(key access.Key) time.Time {
	ring := h.present()
	since := ring.replaced()
	if ring.neverCurrent(key) {
		since = key.Created
	}
	for _, later := range []time.Time{h.LastUse[key.ID].Time, h.reactivated(key.ID)} {
		if later.After(since) {
			since = later
		}
	}
	return since
}

// given reports whether the key is current in a secret, or pending. An old secret that
// nobody can read (name.TagLocked) does not count.
func (h Holding) given(keyID string) bool {
	return slices.ContainsFunc(slices.Concat(h.Secrets, h.Others), func(secret access.SecretInfo) bool {
		ring := Ring{Versions: secret.Versions}
		return ring.holds(access.Current, keyID) && secret.Tags[name.TagLocked] == "" || ring.holds(access.Pending, keyID)
	})
}

func (h Holding) records(keyID string) bool {
	return slices.ContainsFunc(slices.Concat(h.Secrets, h.Others), func(secret access.SecretInfo) bool {
		return Ring{Versions: secret.Versions}.Stored(keyID)
	})
}

// deactivated is when the sweep deactivated the key; zero: never.
func (h Holding) deactivated(keyID string) time.Time { return h.noted(keyID, name.DeactivatedAt) }

// reactivated is when the sweep found the key active again.
func (h Holding) reactivated(keyID string) time.Time { return h.noted(keyID, name.ReactivatedAt) }

func (h Holding) noted(keyID string, read func(labels []string, keyID string) time.Time) (latest time.Time) {
	for _, secret := range h.Secrets {
		for _, v := range secret.Versions {
			if at := read(v.Labels, keyID); at.After(latest) {
				latest = at
			}
		}
	}
	return latest
}

// OwnLabels returns our labels on the version of a retirement. The label that names its key
// is the last.
func (h Holding) OwnLabels(of Retirement) (labels []string) {
	for _, secret := range h.Secrets {
		for _, v := range secret.Versions {
			if secret.Name == of.Secret && v.ID == of.Version {
				labels = slices.DeleteFunc(slices.Clone(v.Labels), func(l string) bool { return !name.IsOwnLabel(l) })
			}
		}
	}
	slices.SortStableFunc(labels, func(a, b string) int { return rank(a) - rank(b) })
	return labels
}

func rank(label string) int {
	if _, _, ofKey := name.ParseKeyLabel(label); ofKey {
		return 1
	}
	return 0
}
