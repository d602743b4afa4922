package accesstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// Inventory lists what an account holds. Its zero value is an empty account.
type Inventory struct {
	Users    []string
	Policies []string
	Keys     []string // as "user/id", inactive ones with " (inactive)"
	Secrets  []string // another region's with " in REGION", one in its recovery window with " (deleted)"
}

// Inventory returns what is left in the account, in all its regions, sorted.
func (a *Account) Inventory() Inventory {
	a.mu.Lock()
	defer a.mu.Unlock()
	var left Inventory
	for _, u := range a.users {
		left.Users = append(left.Users, u.name)
	}
	for _, p := range a.policies {
		left.Policies = append(left.Policies, p.name)
	}
	for _, k := range a.keys {
		text := k.user + "/" + k.id
		if !k.active {
			text += " (inactive)"
		}
		left.Keys = append(left.Keys, text)
	}
	for region, s := range a.everySecret() {
		text := s.name
		if region != Region {
			text += " in " + region
		}
		if !s.deleted.IsZero() {
			text += " (deleted)"
		}
		left.Secrets = append(left.Secrets, text)
	}
	for _, list := range [][]string{left.Users, left.Policies, left.Keys, left.Secrets} {
		slices.Sort(list)
	}
	return left
}

// LiveKeys returns the ids of a user's active keys, in the order they were made.
func (a *Account) LiveKeys(user string) (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.keysOf(user) {
		if k.active {
			ids = append(ids, k.id)
		}
	}
	return ids
}

// Labelled returns the id of the key in the version of a secret that carries
// the label; empty: there is none.
func (a *Account) Labelled(secret, label string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.secrets[secret]; s != nil {
		if v, ok := s.labelled(label); ok {
			return v.key
		}
	}
	return ""
}

// CurrentVersion returns the id of a secret's current version; empty: there is none.
func (a *Account) CurrentVersion(secret string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.secrets[secret]; s != nil {
		if v, ok := s.labelled(access.Current); ok {
			return v.id
		}
	}
	return ""
}

// Tags returns the tags of the user, policy or secret of that name.
func (a *Account) Tags(entity string) map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.tagsOf(entity))
}

func (a *Account) tagsOf(entity string) map[string]string {
	if u := a.users[strings.ToLower(entity)]; u != nil {
		return u.tags
	}
	if p := a.policies[strings.ToLower(entity)]; p != nil {
		return p.tags
	}
	if s := a.secrets[entity]; s != nil {
		return s.tags
	}
	return nil
}

// KMSKey returns the KMS key that encrypts a secret.
func (a *Account) KMSKey(secret string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.secrets[secret].kmsKey
}

// MayUse reports whether the user's policies allow all that the scope says.
func (a *Account) MayUse(user string, scope access.Scope) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.missing(user, scope) == ""
}

// Excess returns a request on one of the account's buckets that the user's
// policies allow beyond what the scope says; empty: none.
func (a *Account) Excess(user string, scope access.Scope) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.excess(user, scope)
}

// Leaked reports whether a text holds the secret access key of any key ever created.
func (a *Account) Leaked(text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.issued, func(half string) bool { return strings.Contains(text, half) })
}

// Check fails the test unless the account is as it must be while nothing is at work: the
// current key of every secret of ours is live, its version has the label that names it, and
// a version of a secret holds every live key of a user of ours, under any label. A key that
// the last list did not show (Lag) is permitted: a later event has to find it.
func (a *Account) Check() {
	a.t.Helper()
	for _, problem := range a.problems() {
		a.t.Errorf("the account, at rest: %s", problem)
	}
}

func (a *Account) problems() (problems []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	recorded := map[string]bool{}
	for _, s := range a.everySecret() {
		for _, v := range s.versions {
			recorded[v.key] = recorded[v.key] || len(v.labels) > 0
		}
		current, ok := s.labelled(access.Current)
		if s.tags[name.TagStack] != "" && s.deleted.IsZero() && ok && current.key != "" && !a.alive(current.key) {
			problems = append(problems, fmt.Sprintf("AWSCURRENT of %s names key %s, which is dead", s.name, current.key))
		}
		if s.tags[name.TagStack] != "" && ok && current.key != "" && !current.records(current.key) {
			problems = append(problems, fmt.Sprintf("AWSCURRENT of %s names key %s and does not say so: %v", s.name, current.key, current.labels))
		}
	}
	for _, k := range a.keys {
		if u := a.users[strings.ToLower(k.user)]; k.active && !k.hidden && u != nil && u.tags[name.TagStack] != "" && !recorded[k.id] {
			problems = append(problems, fmt.Sprintf("key %s of %s lives, and no secret records it", k.id, k.user))
		}
	}
	for _, u := range a.users {
		if n := len(a.keysOf(u.name)); n > mostKeys {
			problems = append(problems, fmt.Sprintf("%s has %d keys", u.name, n))
		}
	}
	return problems
}
