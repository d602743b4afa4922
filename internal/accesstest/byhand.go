package accesstest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// These functions change an account by hand, without the provider: they are not counted,
// have no fault and no lag. If the entity does not exist they panic, because the test is
// wrong.

// byHand does something while no call is at work.
func (a *Account) byHand(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// ExpectRemoval says that the users' current keys may be deleted, because the whole user is
// about to be deleted. It holds until then.
func (a *Account) ExpectRemoval(users ...string) {
	a.byHand(func() {
		for _, user := range users {
			a.expected[user] = true
		}
	})
}

// ExpectNoRemoval reverses ExpectRemoval.
func (a *Account) ExpectNoRemoval(users ...string) {
	a.byHand(func() {
		for _, user := range users {
			delete(a.expected, user)
		}
	})
}

// Racing says that two events run at the same time, and one deletes what the other creates.
// In the meantime the current key is not checked. Check does that when both have ended.
// Everything else is watched as always.
func (a *Account) Racing(racing bool) { a.byHand(func() { a.racing = racing }) }

// Protect makes the account shout when an entity of that name changes.
func (a *Account) Protect(names ...string) {
	a.byHand(func() {
		for _, name := range names {
			a.protected[name] = true
		}
	})
}

// MakeUser creates a user with one active key, and returns the key's id. It is on the
// provider's path only if it carries tags of ours.
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

// MakePolicy creates a policy under our path.
func (a *Account) MakePolicy(name, text string, tags map[string]string) {
	a.byHand(func() {
		a.policies[strings.ToLower(name)] = &policy{name: name, path: a.path(), versions: []string{text}, tags: maps.Clone(tags)}
	})
}

// MakeSecret creates a secret with that value, and with the label of the key in it.
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

// AddKey creates another key for a user, however many it has.
func (a *Account) AddKey(user string) (keyID string) {
	a.byHand(func() { keyID = a.mint(user).id })
	return keyID
}

// Deactivate makes a key inactive.
func (a *Account) Deactivate(keyID string) { a.byHand(func() { a.key(keyID).active = false }) }

// Use records that a key was used.
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

// Bind puts a permissions boundary on a user, by its ARN; empty: none. A boundary of others
// limits the user on purpose.
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

// Untag removes tags from the user, policy or secret of that name. Without keys it removes
// all.
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

// TakeOutOfGroups removes a user from all groups.
func (a *Account) TakeOutOfGroups(userName string) {
	a.byHand(func() { a.users[strings.ToLower(userName)].groups = nil })
}

// Replicate replicates a secret to regions; to none: its replicas are removed.
func (a *Account) Replicate(secret string, regions ...string) {
	a.byHand(func() { a.secrets[secret].replicas = regions })
}

// HangOn attaches something of one of Kinds to a user.
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

// CloseKMSKey makes Secrets Manager give this answer when it needs the KMS key: the key was
// disabled, or its policy does not admit the provider any more. nil: the key can be used
// again.
func (a *Account) CloseKMSKey(key string, answer error) { a.byHand(func() { a.kms[key] = answer }) }

// StuckKMSKeys makes Secrets Manager refuse a change of KMS keys if one of the two cannot
// be used. AWS documents that it accepts such a change for a key that it may not use, and
// says nothing about a disabled key.
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

// Unhang removes what HangOn has attached to a user.
func (a *Account) Unhang(userName, kind string) {
	a.byHand(func() { delete(a.users[strings.ToLower(userName)].hung, kind) })
}
