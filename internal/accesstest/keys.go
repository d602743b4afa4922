package accesstest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

type key struct {
	id, half, user string
	active         bool
	created        time.Time
	used           access.LastUse
	unlisted       int  // lists that do not hold it yet
	hidden         bool // the last list did not hold it
	refused        int  // proofs in which it does not authenticate yet
	proven         bool // for whatever scope

	needed    time.Time        // when somebody last needed it, noticed or not
	unnoticed []access.LastUse // calls that the record of its last use does not show yet
}

func (a *Account) keysOf(user string) (theirs []*key) {
	for _, k := range a.keys {
		if k.user == user {
			theirs = append(theirs, k)
		}
	}
	return theirs
}

func (a *Account) key(id string) *key {
	i := slices.IndexFunc(a.keys, func(k *key) bool { return k.id == id })
	if i < 0 {
		return nil
	}
	return a.keys[i]
}

func (a *Account) alive(id string) bool {
	k := a.key(id)
	return k != nil && k.active
}

// Keys lists a user's keys.
func (a *Account) Keys(ctx context.Context, user string) (listed []access.Key, err error) {
	err = a.call(on(ctx, user), "ListAccessKeys", func() error {
		if _, err := a.find(user); err != nil {
			return err
		}
		for _, k := range a.keysOf(user) {
			if k.hidden = k.unlisted > 0; k.hidden {
				k.unlisted--
				continue
			}
			listed = append(listed, access.Key{ID: k.id, Active: k.active, Created: k.created})
		}
		return nil
	})
	return listed, err
}

// CreateKey creates a key with a secret access key that Leaked recognizes.
func (a *Account) CreateKey(ctx context.Context, user string) (made access.Credentials, err error) {
	var k *key
	err = a.call(on(ctx, user), "CreateAccessKey", func() error {
		u, err := a.find(user)
		if err != nil {
			return err
		}
		a.ours("user "+user, u.tags)
		if len(a.keysOf(user)) >= mostKeys {
			return access.ErrLimit
		}
		k = a.mint(user)
		k.unlisted, k.refused = a.Lag.Keys, a.Lag.Prove
		return nil
	})
	if err != nil {
		return access.Credentials{}, err // the answer is lost, and the half with it
	}
	return access.Credentials{KeyID: k.id, Secret: access.NewSecret(k.half)}, nil
}

func (a *Account) mint(user string) *key {
	a.made++
	k := &key{
		id: fmt.Sprintf("AKIAKEY%013d", a.made), half: fmt.Sprintf("HalfOfKey+%013d/LetNobodySeeThis", a.made),
		user: user, active: true, created: time.Now().Add(-a.Behind),
	}
	a.keys = append(a.keys, k)
	a.issued = append(a.issued, k.half)
	return k
}

// DeleteKey deletes a key. A key in use may only be deleted with its user.
func (a *Account) DeleteKey(ctx context.Context, user, keyID string) error {
	return a.call(on(ctx, keyID), "DeleteAccessKey", func() error {
		u, err := a.find(user)
		k := a.key(keyID)
		if err != nil || k == nil || k.user != user {
			return nil
		}
		a.ours("user "+user, u.tags)
		a.mayDelete(k)
		a.keys = slices.DeleteFunc(a.keys, func(other *key) bool { return other == k })
		return nil
	})
}

// mayDelete shouts when a live current key is deleted. That is right for an earlier secret
// that cannot be read, and when the whole user is being deleted (ExpectRemoval). In the
// second case the secret must not hold another user's key that could replace it.
func (a *Account) mayDelete(k *key) {
	if a.racing {
		return
	}
	for _, s := range a.everySecret() {
		current, ok := s.labelled(access.Current)
		if !ok || !k.active || !s.deleted.IsZero() || current.key != k.id || s.tags[name.TagLocked] != "" {
			continue
		}
		if !a.expected[k.user] {
			a.shout("key %s of %s is deleted while it lives and AWSCURRENT of %s names it", k.id, k.user, s.name)
		}
		for _, v := range s.versions {
			other := a.key(v.key)
			if other != nil && other.user != k.user && other.active && len(v.labels) > 0 {
				a.shout("key %s of %s is deleted before AWSCURRENT of %s was given back to %s", k.id, k.user, s.name, other.id)
			}
		}
	}
}

// LastUse returns when the key was last used.
func (a *Account) LastUse(ctx context.Context, keyID string) (use access.LastUse, err error) {
	err = a.call(on(ctx, keyID), "GetAccessKeyLastUsed", func() error {
		if k := a.key(keyID); k != nil {
			a.notice(k)
			use = k.used
			return nil
		}
		return access.ErrNotFound
	})
	return use, err
}

// keyIn returns the id of the key that a stored value holds.
func keyIn(value string) string {
	var stored struct {
		AccessKeyID string `json:"AccessKeyId"`
	}
	if json.Unmarshal([]byte(value), &stored) != nil {
		return ""
	}
	return stored.AccessKeyID
}
