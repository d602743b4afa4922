// Package keyring decides about the keys of one user: which one stands for a
// Serial, which are in use, which may go, and whether there is room for one
// more.
//
// In use is the key that AWSCURRENT names; every other active key that a
// version of the secret records and that was replaced or used within the grace;
// and a key that someone made by hand and used within it. A key that
// AWSPENDING names belongs to a rotation. None of them is ever deleted to make
// room.
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

// Most is how many keys AWS lets a user have, inactive ones included.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const Most = 2

// Ring is the keys of one user, and the secret that records them.
type Ring struct {
	User     string
	Secret   string // its name
	Keys     []access.Key
	Others   []access.Key              // of another user that the secret records too
	Versions []access.Version          // of the secret
	Former   []access.Version          // of secrets that it had before and that are still there
	LastUse  map[string]access.LastUse // by key id, of each key but AWSCURRENT's
	Replaced time.Time                 // when AWSCURRENT last moved; zero: not known
	Grace    time.Duration
	Now      time.Time
}

// Serial returns the Serial that a version's key was issued for, or 0 for a
// version that the provider did not store.
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

// Find returns the user's key of that id.
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

// pending reports whether a rotation holds the key, of a former secret too.
func (r Ring) pending(keyID string) bool {
	return keyID != "" && slices.ContainsFunc(slices.Concat(r.Versions, r.Former), func(v access.Version) bool {
		return v.Has(access.Pending) && KeyID(v) == keyID
	})
}

// Recorded reports whether a version of the secret holds the key.
func (r Ring) Recorded(keyID string) bool {
	return slices.ContainsFunc(r.Versions, func(v access.Version) bool { return KeyID(v) == keyID })
}

// everRecorded is Recorded, in a former secret too.
func (r Ring) everRecorded(keyID string) bool {
	return r.Recorded(keyID) || (Ring{Versions: r.Former}).Recorded(keyID)
}

// Standing returns the version whose key was issued for the Serial and lives:
// AWSCURRENT if it is one, else the one with the youngest key. What a rotation
// has not finished does not stand yet.
func (r Ring) Standing(serial int) (standing access.Version, ok bool) {
	var youngest access.Key
	for _, v := range r.Versions {
		key, there := r.Find(KeyID(v))
		switch {
		case !there || !key.Active || Serial(v) != serial || v.Has(access.Pending) && !v.Has(access.Current):
			continue
		case v.Has(access.Current):
			return v, true
		case !ok || cmp.Or(key.Created.Compare(youngest.Created), cmp.Compare(key.ID, youngest.ID)) > 0:
			standing, youngest, ok = v, key, true
		}
	}
	return standing, ok
}

// LivingOf returns the version of AWSCURRENT, or else AWSPREVIOUS, whose key is
// one of these and active.
func LivingOf(keys []access.Key, versions []access.Version) (access.Version, bool) {
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
	if !r.everRecorded(key.ID) || r.untold(key) {
		return usedLately && used.After(key.Created.Add(proving))
	}
	return usedLately || r.Now.Sub(r.replaced()) < r.Grace
}

// proving is how long after a key was made its own update may have used it, to
// prove it: a function runs for 5 minutes at the most. IAM counts that as a use.
const proving = 15 * time.Minute

// Unused reports whether nobody has used the key since its own update proved it, as
// far as IAM says.
func (r Ring) Unused(key access.Key) bool {
	return !r.LastUse[key.ID].Time.After(key.Created.Add(proving))
}

// untold reports whether nobody was ever given the key: it was stored last, and
// AWSCURRENT never named it, because its update failed.
func (r Ring) untold(key access.Key) bool {
	return slices.ContainsFunc(slices.Concat(r.Versions, r.Former), func(v access.Version) bool { return KeyID(v) == key.ID && Untold(v) })
}

// Untold reports whether a version's key was never given to anybody.
func Untold(v access.Version) bool {
	return v.Has(name.LabelLatest) && !v.Has(access.Current) && !v.Has(access.Previous) && !v.Has(access.Pending)
}

// current returns the key of AWSCURRENT, whosever it is.
func (r Ring) current() (access.Key, bool) {
	version, _ := r.Labelled(access.Current)
	if key, there := find(r.Keys, KeyID(version)); there {
		return key, true
	}
	return find(r.Others, KeyID(version))
}

// replaced is when AWSCURRENT last moved: the latest of when it was noted, by an event
// or by a rotation, and when its key was made. If none is known it moved just now: that
// keeps a key too long, never too short.
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

// Promoted is when AWSCURRENT last went back, by the tags of its secret; zero: it has
// not, as far as is known.
func Promoted(secretTags map[string]string) time.Time {
	t, _ := time.Parse(time.RFC3339, secretTags[name.TagPromoted])
	return t
}

// Room says what has to go for one more key. The keys of free may go, in this
// order, and are enough; or blocking is a key that is in use.
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

// Storing returns a key among these that somebody may be about to store: no version
// records it, and it is only minutes old. A rotation, beside which an event may begin,
// does not take it for one that was left behind.
func (r Ring) Storing(keys []access.Key) (storing access.Key, ok bool) {
	for _, key := range keys {
		if !r.everRecorded(key.ID) && r.Now.Sub(key.Created) < proving {
			return key, true
		}
	}
	return access.Key{}, false
}

// byUse returns those first that no version records, then those that were
// switched off, the older ones before the younger.
func (r Ring) byUse() []access.Key {
	rank := func(key access.Key) int {
		switch {
		case !r.Recorded(key.ID):
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

// Strays returns the keys that are nobody's: no label gives them out (AWSCURRENT,
// AWSPREVIOUS, or the one that is about to be), and they are not in use.
// Half-made ones are among them, and those that someone made by hand and has not
// used for long.
func (r Ring) Strays(promoted string) (strays []access.Key) {
	for _, key := range r.Keys {
		given := key.ID == promoted || r.holds(access.Current, key.ID) || r.holds(access.Previous, key.ID)
		if !given && !r.InUse(key) {
			strays = append(strays, key)
		}
	}
	return strays
}

// SwitchedOff returns the version of AWSPREVIOUS if its key is in use and the
// key of AWSCURRENT was deactivated, as one does with a key that has leaked.
// The deactivated key is then the one that makes room: AWSCURRENT moves back to
// this version first.
func (r Ring) SwitchedOff() (former access.Version, ok bool) {
	current, _ := r.Labelled(access.Current)
	off, there := r.Find(KeyID(current))
	if !there || off.Active {
		return access.Version{}, false
	}
	former, _ = r.Labelled(access.Previous)
	key, there := r.Find(KeyID(former))
	if !there || !r.InUse(key) {
		return access.Version{}, false
	}
	return former, true
}

// Forgotten returns the versions whose keys are gone, or among the deleted: no
// user has them any more. The version that becomes AWSPREVIOUS stays, and so
// does a rotation's, whose key the list may not have yet.
func (r Ring) Forgotten(becomesPrevious string, deleted []access.Key) (versions []access.Version) {
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

// WhyBlocked is Blocked in two parts.
func (r Ring) WhyBlocked(key access.Key) (why, next string) {
	if r.pending(key.ID) {
		return fmt.Sprintf("both places for keys are taken. Key %s belongs to a rotation that has not ended", key.ID),
			fmt.Sprintf("Try again once it has: then one of the two keys can be replaced. A rotation that is stuck is taken up again by: aws secretsmanager rotate-secret --secret-id %s", r.Secret)
	}
	which := "which was replaced"
	if !r.everRecorded(key.ID) {
		which = "which someone made by hand"
	}
	return fmt.Sprintf("both places for keys are taken. Key %s, %s, is still in use: %s", key.ID, which, r.lastUsed(key)),
		fmt.Sprintf("Try again when it has gone unused for %d days; or, once nothing needs it any more, deactivate it to free its place: aws iam update-access-key --user-name %s --access-key-id %s --status Inactive",
			int(r.Grace.Hours()/24), r.User, key.ID)
}

func (r Ring) lastUsed(key access.Key) string {
	use := r.LastUse[key.ID]
	if use.Time.IsZero() {
		return "replaced on " + r.replaced().UTC().Format(time.DateOnly) + ", no use recorded yet"
	}
	return fmt.Sprintf("last used on %s for %s in %s", use.Time.UTC().Format(time.DateOnly), use.Service, use.Region)
}
