package plan_test

import (
	"fmt"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/policy"
)

// world is what the steps make of what was seen.
type world struct {
	want  plan.Desired
	seen  plan.Observed
	wrong []string

	user, secret, restored, rekeyed, completed bool
	bounded                                    bool                      // the user, by our boundary
	made, attached                             map[string][]access.Place // by the name of the policy
	keys                                       map[string]access.Key
	versions                                   map[string]string // key by version
	current                                    string            // version
	lived                                      bool              // AWSCURRENT's key did
	proven                                     map[string]bool   // versions
	readers                                    []string
	rotation                                   map[string]access.Rotation // by secret
	ended                                      map[string]bool            // secrets whose AWSPENDING came off
	begun                                      []access.Place             // what the user had and shall have
}

// What stands for the new version, and its key.
const minted, newKey = "", "new"

func worldOf(want plan.Desired, seen plan.Observed) *world {
	w := &world{want: want, seen: seen, user: seen.User != nil, secret: seen.Secret != nil, made: map[string][]access.Place{}, attached: map[string][]access.Place{}, keys: map[string]access.Key{}, versions: map[string]string{}, proven: map[string]bool{}, rotation: map[string]access.Rotation{}, ended: map[string]bool{}}
	for _, existing := range seen.Policies {
		w.attached[existing.Name] = policy.Places(existing.Document)
	}
	for _, key := range slices.Concat(seen.Keys, seen.OtherKeys) {
		w.keys[key.ID] = key
	}
	for _, secret := range secrets(seen) {
		for _, v := range secret.Versions {
			w.versions[v.ID] = keyring.KeyID(v)
		}
		current, _ := secret.Labelled(access.Current)
		w.current = current.ID
		w.rotation[secret.Name] = secret.Rotation
	}
	w.bounded = seen.User != nil && seen.User.Boundary.Holds()
	w.restored = w.secret && seen.Secret.Deleted.IsZero()
	w.rekeyed = w.secret && want.Spec.KMSKey == ""
	w.readers, _, _ = policy.ReadersOf(seen.ResourcePolicy)
	w.lived = w.lives()
	for _, place := range want.Spec.Scope.Places {
		if w.reaches(place) {
			w.begun = append(w.begun, place)
		}
	}
	return w
}

// secrets are the declared one, then the others that were seen.
func secrets(seen plan.Observed) (all []access.SecretInfo) {
	if seen.Secret != nil {
		all = append(all, *seen.Secret)
	}
	return append(all, seen.OldSecrets...)
}

func (w *world) ensure(ok bool, format string, args ...any) {
	if !ok {
		w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
	}
}

func (w *world) lives() bool {
	key, there := w.versions[w.current]
	return there && w.keys[key].Active
}

func (w *world) reaches(place access.Place) bool {
	for _, places := range w.attached {
		if slices.ContainsFunc(places, func(has access.Place) bool { return has.Covers(place) }) {
			return true
		}
	}
	return false
}

// check is what holds at every moment.
func (w *world) check() {
	for _, place := range w.begun {
		w.ensure(w.reaches(place), "the user lacks %s for a moment", place)
	}
	w.ensure(!w.lived || w.lives(), "AWSCURRENT names no live key")
	before, _, _ := policy.ReadersOf(w.seen.ResourcePolicy)
	for _, reader := range before {
		stays := slices.Contains(w.want.Spec.Readers, reader)
		w.ensure(!stays || slices.Contains(w.readers, reader), "%s cannot read for a moment", reader)
	}
}

// checkEnd is what stands when the plan is through.
func (w *world) checkEnd() {
	for _, place := range w.want.Spec.Scope.Places {
		w.ensure(w.reaches(place), "the user lacks %s", place)
	}
	for _, places := range w.attached {
		for _, place := range places {
			w.ensure(slices.Contains(w.want.Spec.Scope.Places, place), "the user has %s", place)
		}
	}
	w.ensure(w.completed && w.lives(), "AWSCURRENT names no live key, or it was not completed")
	w.ensure(w.rotation[w.want.Spec.SecretName].Holds(w.want.Spec.Schedule), "it is rotated %+v", w.rotation[w.want.Spec.SecretName])
	w.ensure(slices.Equal(slices.Sorted(slices.Values(w.readers)), w.want.Spec.Readers) || len(w.want.Spec.Readers)+len(w.readers) == 0, "%v read", w.readers)
}

// apply checks what a step needs, and does it.
func (w *world) apply(step plan.Step) {
	w.ensure(!w.completed, "%s after the last step", plan.Describe(step))
	switch s := step.(type) {
	case plan.CreateUser:
		w.user, w.bounded = true, true
	case plan.PutBoundary:
		w.ensure(!w.bounded, "a boundary that is there already")
		w.bounded = true
	case plan.TagUser:
		w.ensure(w.user, "no user to tag")
	case plan.CreatePolicy:
		w.ensure(w.user, "a policy that no Delete finds")
		w.made[s.Name] = policy.Places(s.Text)
	case plan.AttachPolicy:
		places, there := w.made[s.Name]
		w.ensure(there && w.user, "nothing to attach")
		w.ensure(w.bounded, "a policy for a user without a boundary")
		w.attached[s.Name] = places
	case plan.UpdatePolicy:
		w.ensure(w.bounded, "a wider policy for a user without a boundary")
		w.attached[s.Name] = policy.Places(s.Text)
	case plan.DetachPolicy:
		delete(w.attached, s.Name)
	case plan.DeletePolicy:
		w.ensure(w.attached[s.Name] == nil, "%s is attached", s.Name)
	case plan.DeleteKey:
		w.deleteKey(s.ID)
	case plan.Mint:
		w.mint(s)
	case plan.Prove:
		w.prove(s.Version)
	case plan.Promote:
		w.promote(s)
	case plan.Unlabel:
		_, there := w.keys[w.versions[s.Version]]
		w.ensure(!there, "a key that is there is forgotten")
		w.ended[s.Secret] = w.ended[s.Secret] || s.Label == access.Pending
	case plan.Complete:
		w.completed = true
	default:
		w.applyToSecret(step)
	}
}

func (w *world) applyToSecret(step plan.Step) {
	switch s := step.(type) {
	case plan.CreateSecret:
		w.ensure(w.user || w.want.PhysicalID == "", "a secret that no Delete finds")
		w.secret, w.restored, w.rekeyed = true, true, true
		if s.Token != "" && !w.lived {
			w.current, w.versions[s.Token] = s.Token, ""
		}
	case plan.RestoreSecret:
		w.restored = true
	case plan.RekeySecret:
		w.rekeyed = true
	case plan.TagSecret:
		w.ensure(s.Set[name.TagPhysical] == "" || w.user, "the secret passes to a user that is not there")
	case plan.CopyVersions:
		for _, v := range s.Versions {
			key := w.versions[v.ID]
			delete(w.versions, v.ID)
			w.versions[plan.CopiedID(s.To, v.ID)] = key
			if v.Has(access.Current) {
				w.current = plan.CopiedID(s.To, v.ID)
			}
		}
	case plan.PutResourcePolicy:
		w.ensure(slices.Equal(s.Readers, s.Kept) || !w.want.Spec.Verify || w.proven[minted] || w.versions[minted] == "", "someone reads what was not proven")
		w.readers = s.Readers
	case plan.DeleteResourcePolicy:
		w.readers = nil
	case plan.Schedule:
		w.ensure(w.lives() && w.user, "it is rotated before it has a key")
		_, pending := w.pendingIn(s.Secret)
		w.ensure(!pending || w.ended[s.Secret] || s.Tolerant, "Secrets Manager takes no schedule while a rotation has not ended")
		w.rotation[s.Secret] = access.Rotation{On: true, Schedule: s.Expression, Function: rotator, Ours: rotator}
	case plan.CancelRotation:
		w.ensure(w.rotation[s.Secret].On, "%s is not rotated", s.Secret)
		w.rotation[s.Secret] = access.Rotation{}
	case plan.DeleteSecret:
		_, pending := w.pendingIn(s.Name)
		w.ensure(!pending, "the key of a rotation is left")
		w.ensure(w.lives(), "what moves along is not there yet")
		return
	}
	w.ensure(w.secret && w.restored, "%s: it is not there", plan.Describe(step))
}

// pendingIn is the key of a rotation of the secret that has not ended, as long as it
// lives.
func (w *world) pendingIn(secret string) (key string, there bool) {
	for _, seen := range secrets(w.seen) {
		pending, _ := seen.Labelled(access.Pending)
		if key = keyring.KeyID(pending); seen.Name == secret && !pending.Has(access.Current) {
			_, there = w.keys[key]
			return key, there
		}
	}
	return "", false
}

// lost reports whether the key is one of a rotation that nothing can finish any more.
func (w *world) lost(id string) bool {
	_, others := (keyring.Ring{Keys: w.seen.OtherKeys}).Find(id)
	for _, seen := range secrets(w.seen) {
		pending, _ := seen.Labelled(access.Pending)
		off := !w.rotation[seen.Name].On
		moved := seen.Name != w.want.Spec.SecretName && w.lives()
		if keyring.KeyID(pending) == id && (off || moved || others) {
			return true
		}
	}
	return false
}

func (w *world) deleteKey(id string) {
	ended := w.lost(id)
	_, there := w.keys[id]
	off := !w.keys[id].Active
	delete(w.keys, id)
	w.ensure(there || ended, "key %s is gone already", id)
	w.ensure(off || w.versions[w.current] != id, "the current key %s goes", id)
	ring := keyring.Ring{Keys: w.seen.Keys, Others: w.seen.OtherKeys, LastUse: w.seen.LastUse, Grace: name.Days(name.DefaultGraceDays), Now: now}
	for _, secret := range secrets(w.seen) {
		ring.Versions = secret.Versions
		ring.Replaced, _ = time.Parse(time.RFC3339, secret.Tags[name.TagPromoted])
	}
	key, _ := ring.Find(id)
	_, leaked := ring.SwitchedOff()
	w.ensure(!ring.InUse(key) || off && leaked || ended, "key %s goes, and is in use", id)
}

func (w *world) mint(s plan.Mint) {
	ofUser := 0
	for _, key := range w.seen.Keys {
		if _, there := w.keys[key.ID]; there {
			ofUser++
		}
	}
	w.ensure(w.bounded, "a key for a user without a boundary")
	w.ensure(w.user && ofUser < keyring.Most, "no room for a key: %d", ofUser)
	w.ensure(w.secret && w.restored && w.rekeyed, "no place for a key")
	w.ensure(len(w.seen.OldSecrets) == 0 || w.lives() || !w.lived, "the versions have not moved")
	for _, reader := range w.readers {
		w.ensure(slices.Contains(w.want.Spec.Readers, reader), "%s reads the new key", reader)
	}
	w.ensure(s.First == (w.current == ""), "first is %t, and AWSCURRENT %q", s.First, w.current)
	w.keys[newKey] = access.Key{Active: true}
	w.versions[minted] = newKey
}

func (w *world) prove(version string) {
	key, there := w.versions[version]
	w.ensure(there && w.keys[key].Active, "there is no key to prove")
	for _, place := range w.want.Spec.Scope.Places {
		w.ensure(w.reaches(place), "what is proven has no access to %s yet", place)
	}
	w.proven[version] = true
}

func (w *world) promote(s plan.Promote) {
	key, there := w.versions[s.Version]
	before := w.current
	w.current = s.Version
	w.ensure(there && w.keys[key].Active, "a key is promoted that is not there")
	w.ensure(s.From == before, "AWSCURRENT is at %s and not at %s", before, s.From)
	// One that makes room for a new key is for a moment only.
	room := s.Version != minted && !w.keys[w.versions[before]].Active
	w.ensure(w.proven[s.Version] || room || !w.want.Spec.Verify, "a key is promoted that was not proven")
}
