// Package keyring decides about the keys of one user: which key belongs to a Serial, which
// keys are in use, which may be deleted, and whether there is room for another key.
//
// These keys are in use: the current key; every other active key that a version of the
// secret holds and that was replaced or used within the grace; and a key that somebody
// created by hand and used within the grace. The pending key belongs to a rotation. None of
// these is ever deleted to make room.
//
// It is pure: the provider and the rotator ask it the same questions.
package keyring

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Most is how many keys AWS allows a user, inactive ones included.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const Most = 2

// Ring is the keys of one user, and the secret that holds them.
type Ring struct {
	User        string
	Secret      string // its name
	Keys        []access.Key
	Others      []access.Key              // keys of another user that the secret holds too
	Versions    []access.Version          // of the secret
	OldVersions []access.Version          // of old secrets of the user that still exist
	LastUse     map[string]access.LastUse // by key id, of each key but the current one
	Replaced    time.Time                 // when AWSCURRENT last moved; zero: not known
	Grace       time.Duration
	Now         time.Time
}

// Serial returns the Serial for which a version's key was issued, or 0 for a version that
// the provider did not store.
func Serial(v access.Version) int {
	serial, _ := label(v)
	return serial
}

// KeyID returns the id of the key that a version holds, by its label; empty
// for a version that the provider did not store.
func KeyID(v access.Version) string {
	_, keyID := label(v)
	return keyID
}

func label(v access.Version) (serial int, keyID string) {
	for _, l := range v.Labels {
		if serial, keyID, ok := name.ParseKeyLabel(l); ok {
			return serial, keyID
		}
	}
	return 0, ""
}

// Find returns the user's key with that id.
func (r Ring) Find(keyID string) (access.Key, bool) { return find(r.Keys, keyID) }

func find(keys []access.Key, keyID string) (access.Key, bool) {
	i := slices.IndexFunc(keys, func(k access.Key) bool { return k.ID == keyID })
	if i < 0 || keyID == "" {
		return access.Key{}, false
	}
	return keys[i], true
}

// Labelled returns the version that carries the staging label.
func (r Ring) Labelled(label string) (access.Version, bool) {
	return access.SecretInfo{Versions: r.Versions}.Labelled(label)
}

func (r Ring) holds(label, keyID string) bool {
	v, ok := r.Labelled(label)
	return ok && keyID != "" && KeyID(v) == keyID
}

// pending reports whether the key belongs to a rotation, also one of an old secret.
func (r Ring) pending(keyID string) bool {
	return keyID != "" && slices.ContainsFunc(slices.Concat(r.Versions, r.OldVersions), func(v access.Version) bool {
		return v.Has(access.Pending) && KeyID(v) == keyID
	})
}

// Stored reports whether a version of the secret holds the key.
func (r Ring) Stored(keyID string) bool {
	return slices.ContainsFunc(r.Versions, func(v access.Version) bool { return KeyID(v) == keyID })
}

// everStored reports whether a version of the secret or of an old secret holds the key.
func (r Ring) everStored(keyID string) bool {
	return r.Stored(keyID) || (Ring{Versions: r.OldVersions}).Stored(keyID)
}

// ForSerial returns the version whose key was issued for the Serial and is active: the
// current version if it is one of them, else the one with the youngest key. The pending key
// of a rotation does not count.
func (r Ring) ForSerial(serial int) (version access.Version, ok bool) {
	var youngest access.Key
	for _, v := range r.Versions {
		key, there := r.Find(KeyID(v))
		switch {
		case !there || !key.Active || Serial(v) != serial || v.Has(access.Pending) && !v.Has(access.Current):
			continue
		case v.Has(access.Current):
			return v, true
		case !ok || cmp.Or(key.Created.Compare(youngest.Created), cmp.Compare(key.ID, youngest.ID)) > 0:
			version, youngest, ok = v, key, true
		}
	}
	return version, ok
}

// ActiveVersion returns the current version, or else the previous one, if its key is active and
// one of these.
func ActiveVersion(keys []access.Key, versions []access.Version) (access.Version, bool) {
	r := Ring{Keys: keys, Versions: versions}
	for _, label := range []string{access.Current, access.Previous} {
		if v, ok := r.Labelled(label); ok {
			if key, there := r.Find(KeyID(v)); there && key.Active {
				return v, true
			}
		}
	}
	return access.Version{}, false
}

// InUse reports whether somebody may be using the key.
func (r Ring) InUse(key access.Key) bool {
	switch {
	case r.holds(access.Current, key.ID), r.pending(key.ID):
		return true
	case !key.Active:
		return false
	}
	used := r.LastUse[key.ID].Time
	usedLately := r.Now.Sub(used) < r.Grace
	if !r.everStored(key.ID) || r.neverCurrent(key) {
		return usedLately && used.After(key.Created.Add(proving))
	}
	return usedLately || r.Now.Sub(r.replaced()) < r.Grace
}

// proving is how long after creating a key its own update may have used it, to prove it: a
// function runs for at most 5 minutes. IAM counts that as a use.
const proving = 15 * time.Minute

// Unused reports whether nobody has used the key since its own update proved it, as far as
// IAM says.
func (r Ring) Unused(key access.Key) bool {
	return !r.LastUse[key.ID].Time.After(key.Created.Add(proving))
}

// neverCurrent reports whether nobody ever received the key: it was stored last, and never became
// current, because its update failed.
func (r Ring) neverCurrent(key access.Key) bool {
	return slices.ContainsFunc(slices.Concat(r.Versions, r.OldVersions), func(v access.Version) bool { return KeyID(v) == key.ID && NeverCurrent(v) })
}

// NeverCurrent reports whether nobody ever received a version's key.
func NeverCurrent(v access.Version) bool {
	return v.Has(name.LabelLatest) && !v.Has(access.Current) && !v.Has(access.Previous) && !v.Has(access.Pending)
}

// current returns the current key, of whichever user.
func (r Ring) current() (access.Key, bool) {
	version, _ := r.Labelled(access.Current)
	if key, there := find(r.Keys, KeyID(version)); there {
		return key, true
	}
	return find(r.Others, KeyID(version))
}

// replaced is when AWSCURRENT last moved: the latest of the times that an event or a
// rotation recorded, and of the current key's creation. If none is known, it counts as moved
// just now: that keeps a key too long, never too short.
func (r Ring) replaced() (latest time.Time) {
	version, _ := r.Labelled(access.Current)
	current, _ := r.current()
	for _, at := range []time.Time{r.Replaced, current.Created, name.Since(version.Labels)} {
		if at.After(latest) {
			latest = at
		}
	}
	if latest.IsZero() {
		return r.Now
	}
	return latest
}

// Promoted is when AWSCURRENT last moved back to an older key, by the tags of its secret;
// zero: never, as far as is known.
func Promoted(secretTags map[string]string) time.Time {
	t, _ := time.Parse(time.RFC3339, secretTags[name.TagPromoted])
	return t
}

// Room returns what has to be deleted for another key. free are keys that may be deleted, in
// this order, and suffice; otherwise blocking is a key in use.
func (r Ring) Room() (free []access.Key, blocking *access.Key) {
	left := len(r.Keys)
	for _, key := range r.byUse() {
		switch {
		case left < Most:
			return free, nil
		case !r.InUse(key):
			free = append(free, key)
			left--
		case !r.holds(access.Current, key.ID):
			blocking = &key
		}
	}
	if left < Most {
		return free, nil
	}
	return nil, blocking
}

// BeingStored returns one of these keys that a run may be about to store: no version holds it,
// and it is only minutes old. A rotation must not take such a key for a lost one, because an
// event may begin at the same time.
func (r Ring) BeingStored(keys []access.Key) (storing access.Key, ok bool) {
	for _, key := range keys {
		if !r.everStored(key.ID) && r.Now.Sub(key.Created) < proving {
			return key, true
		}
	}
	return access.Key{}, false
}

// byUse sorts keys: first those that no version holds, then inactive ones, and older ones
// before younger ones.
func (r Ring) byUse() []access.Key {
	rank := func(key access.Key) int {
		switch {
		case !r.Stored(key.ID):
			return 0
		case !key.Active:
			return 1
		}
		return 2
	}
	keys := slices.Clone(r.Keys)
	slices.SortStableFunc(keys, func(a, b access.Key) int {
		return cmp.Or(rank(a)-rank(b), a.Created.Compare(b.Created))
	})
	return keys
}

// Unneeded returns the keys that nobody needs: none is current, previous or about to become
// current, and none is in use. Lost keys are among them, and keys that somebody created by
// hand and has not used for long.
func (r Ring) Unneeded(promoted string) (unneeded []access.Key) {
	for _, key := range r.Keys {
		given := key.ID == promoted || r.holds(access.Current, key.ID) || r.holds(access.Previous, key.ID)
		if !given && !r.InUse(key) {
			unneeded = append(unneeded, key)
		}
	}
	return unneeded
}

// SwitchedOff returns the previous version if its key is in use and the current key was
// deactivated, as a person does with a leaked key. Then the deactivated key makes room,
// after AWSCURRENT has moved back to this version.
func (r Ring) SwitchedOff() (previous access.Version, ok bool) {
	current, _ := r.Labelled(access.Current)
	off, there := r.Find(KeyID(current))
	if !there || off.Active {
		return access.Version{}, false
	}
	previous, _ = r.Labelled(access.Previous)
	key, there := r.Find(KeyID(previous))
	if !there || !r.InUse(key) {
		return access.Version{}, false
	}
	return previous, true
}

// KeylessVersions returns the versions whose keys no user has any more, or are in deleted. The
// version that becomes AWSPREVIOUS stays, and so does the pending one of a rotation, whose
// key the list may not have yet.
func (r Ring) KeylessVersions(becomesPrevious string, deleted []access.Key) (versions []access.Version) {
	for _, v := range r.Versions {
		_, there := r.Find(KeyID(v))
		_, elsewhere := find(r.Others, KeyID(v))
		_, goes := find(deleted, KeyID(v))
		if Serial(v) > 0 && v.ID != becomesPrevious && !v.Has(access.Pending) && (goes || !there && !elsewhere) {
			versions = append(versions, v)
		}
	}
	return versions
}

// Blocked says why there is no room, and what to do.
func (r Ring) Blocked(key access.Key) string {
	why, next := r.WhyBlocked(key)
	return why + ". " + next
}

// WhyBlocked returns the same in two parts.
func (r Ring) WhyBlocked(key access.Key) (why, next string) {
	if r.pending(key.ID) {
		return fmt.Sprintf("the user has two keys already, and AWS allows no more. Key %s belongs to a rotation that has not ended", key.ID),
			fmt.Sprintf("Try again after it has ended: then one of the two keys can be replaced. If it does not end, continue it: aws secretsmanager rotate-secret --secret-id %s", r.Secret)
	}
	which := "which was replaced"
	if !r.everStored(key.ID) {
		which = "which somebody created by hand"
	}
	return fmt.Sprintf("the user has two keys already, and AWS allows no more. Key %s, %s, may still be in use: %s", key.ID, which, r.lastUsed(key)),
		fmt.Sprintf("Try again when the key has been unused for %d days; or deactivate it once nothing uses it: aws iam update-access-key --user-name %s --access-key-id %s --status Inactive",
			int(r.Grace.Hours()/24), r.User, key.ID)
}

func (r Ring) lastUsed(key access.Key) string {
	use := r.LastUse[key.ID]
	replaced := "replaced on " + r.replaced().UTC().Format(time.DateOnly)
	switch {
	case use.Time.IsZero():
		return replaced + ", and never used, as far as IAM says"
	case r.Unused(key) && r.everStored(key.ID):
		return replaced + ", and not used since this provider verified it, as far as IAM says"
	}
	return fmt.Sprintf("last used on %s for %s in %s", use.Time.UTC().Format(time.DateOnly), use.Service, use.Region)
}
