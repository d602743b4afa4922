package accesstest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// What people do to an account, past the provider: not counted, not faulted,
// never late. Of an entity that is not there they panic: the test is wrong.

// byHand does something while no call is carried out.
func (a *Account) byHand(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// ExpectRemoval says that the users' keys may be deleted though AWSCURRENT
// names them, because the whole user is about to go. It holds until it is gone.
func (a *Account) ExpectRemoval(users ...string) {
	a.byHand(func() {
		for _, user := range users {
			a.expected[user] = true
		}
	})
}

// ExpectNoRemoval takes ExpectRemoval back.
func (a *Account) ExpectNoRemoval(users ...string) {
	a.byHand(func() {
		for _, user := range users {
			delete(a.expected, user)
		}
	})
}

// Racing says that events run at the same moment of which one takes away what
// the other makes. Which key AWSCURRENT names meanwhile is then nobody's fault:
// Check asks once they are at rest. All else is watched as ever.
func (a *Account) Racing(racing bool) { a.byHand(func() { a.racing = racing }) }

// Protect has the account shout when an entity of that name is changed.
func (a *Account) Protect(names ...string) {
	a.byHand(func() {
		for _, name := range names {
			a.protected[name] = true
		}
	})
}

// MakeUser makes a user with one active key, and returns the key's id. It is on the
// provider's path if it carries tags of ours, as a stranger is not.
func (a *Account) MakeUser(called string, tags map[string]string) (keyID string) {
	path := "/"
	if tags[name.TagStack] != "" {
		path = a.path()
	}
	a.byHand(func() {
		a.add(&user{name: called, path: path, tags: maps.Clone(tags)})
		keyID = a.mint(called).id
	})
	return keyID
}

// MakePolicy makes a policy under our path.
func (a *Account) MakePolicy(name, text string, tags map[string]string) {
	a.byHand(func() {
		a.policies[strings.ToLower(name)] = &policy{name: name, path: a.path(), versions: []string{text}, tags: maps.Clone(tags)}
	})
}

// MakeSecret makes a secret with a value of its own, and with the label of the key
// in it.
func (a *Account) MakeSecret(called, value string, tags map[string]string) {
	stored := newVersion(strings.Repeat("0", 32), value, access.Current)
	if stored.key != "" {
		stored.labels = append(stored.labels, name.KeyLabel(1, stored.key))
	}
	a.byHand(func() {
		a.secrets[called] = &secret{name: called, tags: maps.Clone(tags), versions: []*version{stored}}
	})
}

// ScheduleDeletion puts a secret into its recovery window.
func (a *Account) ScheduleDeletion(secret string) {
	a.byHand(func() { a.secrets[secret].deleted = time.Now().Add(30 * 24 * time.Hour) })
}

// AddKey makes one more key for a user, however many it has.
func (a *Account) AddKey(user string) (keyID string) {
	a.byHand(func() { keyID = a.mint(user).id })
	return keyID
}

// Deactivate makes a key inactive.
func (a *Account) Deactivate(keyID string) { a.byHand(func() { a.key(keyID).active = false }) }

// Use notes that a key was used.
func (a *Account) Use(keyID string, use access.LastUse) { a.byHand(func() { a.key(keyID).used = use }) }

// DropKey deletes a key.
func (a *Account) DropKey(keyID string) {
	a.byHand(func() {
		k := a.key(keyID)
		a.keys = slices.DeleteFunc(a.keys, func(other *key) bool { return other == k })
	})
}

// DropUser deletes a user with all that is attached to it. Policies stay, detached.
func (a *Account) DropUser(name string) {
	a.byHand(func() {
		delete(a.users, strings.ToLower(a.users[strings.ToLower(name)].name))
		a.keys = slices.DeleteFunc(a.keys, func(k *key) bool { return k.user == name })
	})
}

// DropPolicy detaches a policy from everything and deletes it.
func (a *Account) DropPolicy(name string) {
	a.byHand(func() {
		delete(a.policies, strings.ToLower(name))
		for _, u := range a.users {
			u.attached = slices.DeleteFunc(u.attached, func(other string) bool { return other == name })
		}
	})
}

// DropSecret deletes a secret at once.
func (a *Account) DropSecret(name string) { a.byHand(func() { delete(a.secrets, name) }) }

// Detach detaches a policy from a user, and leaves both.
func (a *Account) Detach(userName, policy string) {
	a.byHand(func() {
		u := a.users[strings.ToLower(userName)]
		u.attached = slices.DeleteFunc(u.attached, func(other string) bool { return other == policy })
	})
}

// Bind puts a permissions boundary on a user, by its ARN; empty: none. One that
// the provider never made limits the user on purpose.
func (a *Account) Bind(user, boundary string) {
	a.byHand(func() {
		u := a.users[strings.ToLower(user)]
		u.boundary, u.limited = boundary, boundary != "" && boundary != Boundary && boundary != Former
	})
}

// BoundaryOf returns the ARN of a user's permissions boundary; empty: it has none.
func (a *Account) BoundaryOf(user string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u := a.users[strings.ToLower(user)]; u != nil {
		return u.boundary
	}
	return ""
}

// Untag takes tags off the user, policy or secret of that name; none named: all.
func (a *Account) Untag(entity string, keys ...string) {
	a.byHand(func() {
		tags := a.tagsOf(entity)
		if len(keys) == 0 {
			clear(tags)
		}
		for _, key := range keys {
			delete(tags, key)
		}
	})
}

// Tag sets tags of the user, policy or secret of that name.
func (a *Account) Tag(entity string, tags map[string]string) {
	a.byHand(func() { maps.Copy(a.tagsOf(entity), tags) })
}

// PutIntoGroup puts a user into a group.
func (a *Account) PutIntoGroup(userName, group string) {
	a.byHand(func() {
		u := a.users[strings.ToLower(userName)]
		u.groups = append(u.groups, group)
	})
}

// TakeOutOfGroups takes a user out of all groups.
func (a *Account) TakeOutOfGroups(userName string) {
	a.byHand(func() { a.users[strings.ToLower(userName)].groups = nil })
}

// Replicate replicates a secret to regions; to none: its replicas are removed.
func (a *Account) Replicate(secret string, regions ...string) {
	a.byHand(func() { a.secrets[secret].replicas = regions })
}

// HangOn hangs something on a user, of one of Kinds.
func (a *Account) HangOn(userName, kind string) {
	a.byHand(func() {
		if kinds[kind] == "" {
			panic("no such kind: " + kind)
		}
		a.users[strings.ToLower(userName)].hung[kind] = true
	})
}

// AttachElsewhere attaches a policy to a group, a role or another user.
func (a *Account) AttachElsewhere(policy, to string) {
	a.byHand(func() {
		p := a.policies[strings.ToLower(policy)]
		p.elsewhere = append(p.elsewhere, to)
	})
}

// DetachElsewhere undoes every AttachElsewhere of the policy.
func (a *Account) DetachElsewhere(policy string) {
	a.byHand(func() { a.policies[strings.ToLower(policy)].elsewhere = nil })
}

// SetBucket says whether a bucket exists.
func (a *Account) SetBucket(bucket string, exists bool) {
	a.byHand(func() { a.buckets[bucket] = exists })
}

// CloseKMSKey has Secrets Manager answer so where it has to use the KMS key: it was
// disabled, or its policy lets the provider in no more. nil: it can be used again.
func (a *Account) CloseKMSKey(key string, answer error) { a.byHand(func() { a.kms[key] = answer }) }

// StuckKMSKeys has a change of KMS keys refused where one of the two cannot be
// used. AWS documents that it takes such a change, of a key that it is not allowed
// to use; of one that is disabled it says nothing.
func (a *Account) StuckKMSKeys() { a.byHand(func() { a.stuck = true }) }

// Readable reports whether AWSCURRENT of a secret can be decrypted.
func (a *Account) Readable(secret string) (readable bool) {
	a.byHand(func() {
		current, there := a.secrets[secret].labelled(access.Current)
		readable = there && a.kms[current.kmsKey] == nil
	})
	return readable
}

// Unprotect ends every Protect.
func (a *Account) Unprotect() { a.byHand(func() { clear(a.protected) }) }

// Unhang takes off what HangOn has hung on a user.
func (a *Account) Unhang(userName, kind string) {
	a.byHand(func() { delete(a.users[strings.ToLower(userName)].hung, kind) })
}
