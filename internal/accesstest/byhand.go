package accesstest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
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

// MakeUser makes a user with one active key, and returns the key's id.
func (a *Account) MakeUser(name string, tags map[string]string) (keyID string) {
	a.byHand(func() {
		a.add(&user{name: name, path: a.path(), tags: maps.Clone(tags)})
		keyID = a.mint(name).id
	})
	return keyID
}

// MakePolicy makes a policy under our path.
func (a *Account) MakePolicy(name, text string, tags map[string]string) {
	a.byHand(func() {
		a.policies[strings.ToLower(name)] = &policy{name: name, path: a.path(), versions: []string{text}, tags: maps.Clone(tags)}
	})
}

// MakeSecret makes a secret with a value of its own.
func (a *Account) MakeSecret(name, value string, tags map[string]string) {
	a.byHand(func() {
		a.secrets[name] = &secret{name: name, tags: maps.Clone(tags), versions: []*version{
			newVersion(strings.Repeat("0", 32), value, access.Current),
		}}
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

// DropUser deletes a user with all that hangs on it. Policies stay, detached.
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

// Unbind takes the permissions boundary off a user.
func (a *Account) Unbind(user string) {
	a.byHand(func() { a.users[strings.ToLower(user)].unbound = true })
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

// Unprotect ends every Protect.
func (a *Account) Unprotect() { a.byHand(func() { clear(a.protected) }) }
