package plan

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

// mostKeys is how many keys AWS lets a user have, inactive ones included.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const mostKeys = 2

// key plans which key AWSCURRENT shall name: the one it names, one that was
// issued for this Serial before and still lives, or a new one.
func (p *planner) key(documents []policy.Document) error {
	spec := p.want.Spec
	versions := p.versions()
	current, hasCurrent := labelled(versions, access.Current)

	if version, ok := p.standing(); ok && hasCurrent && version.ID == current.ID {
		if spec.Verify && p.incomplete(documents) {
			p.add(Prove{spec.SecretName, version.ID})
		}
		p.widen()
		p.strays(versions, KeyOf(version))
		return nil
	} else if ok {
		if spec.Verify {
			p.add(Prove{spec.SecretName, version.ID})
		}
		p.widen()
		p.add(Promote{Secret: spec.SecretName, Version: version.ID, From: current.ID})
		p.strays(versions, KeyOf(version))
		return nil
	}

	if former, ok := p.switchedOff(versions); ok {
		// A crash after the first: AWSCURRENT names the former key, which lives.
		p.add(Promote{Secret: spec.SecretName, Version: former.ID, From: current.ID})
		p.add(DeleteKey{spec.UserName, KeyOf(current)})
		current = former
	} else if err := p.room(versions); err != nil {
		return err
	}
	ids := make([]string, 0, len(versions))
	for _, v := range versions {
		ids = append(ids, v.ID)
	}
	sort.Strings(ids)
	p.add(Mint{
		User: spec.UserName, Secret: spec.SecretName, Serial: spec.Serial,
		// The same for every run that sees the same secret, so that of two runs
		// at the same moment one is told that it lost; another for the next key.
		Token: name.Token(append([]string{spec.UserName, strconv.Itoa(spec.Serial)}, ids...)...),
		First: !hasCurrent,
	})
	if spec.Verify {
		p.add(Prove{Secret: spec.SecretName})
	}
	p.widen()
	if hasCurrent {
		p.add(Promote{Secret: spec.SecretName, From: current.ID})
		p.unlabel(versions, current.ID)
	}
	// Only now: a key of nobody may be one that another run of the same event
	// is about to store. That run has lost by now, and knows it.
	p.strays(versions, "")
	return nil
}

// unlabel forgets the versions whose keys are gone, except the one that becomes
// AWSPREVIOUS. Only after a new key: forgetting them sooner would let Token
// give out a name that a forgotten version still holds.
func (p *planner) unlabel(versions []access.Version, becomesPrevious string) {
	for _, v := range versions {
		serial, keyID := keyOf(v)
		_, there := p.find(keyID)
		if serial > 0 && v.ID != becomesPrevious && (!there || p.planned(keyID)) {
			p.add(Unlabel{p.want.Spec.SecretName, v.ID, name.KeyLabel(serial, keyID)})
		}
	}
}

// standing returns the version whose key was issued for the desired Serial and
// lives: AWSCURRENT if it is one, else the youngest.
func (p *planner) standing() (access.Version, bool) {
	var standing []access.Version
	for _, v := range p.versions() {
		serial, keyID := keyOf(v)
		if key, ok := p.find(keyID); ok && key.Active && serial == p.want.Spec.Serial {
			if v.Has(access.Current) {
				return v, true
			}
			standing = append(standing, v)
		}
	}
	if len(standing) == 0 {
		return access.Version{}, false
	}
	return slices.MaxFunc(standing, func(a, b access.Version) int {
		one, _ := p.find(KeyOf(a))
		other, _ := p.find(KeyOf(b))
		return cmp.Or(one.Created.Compare(other.Created), cmp.Compare(one.ID, other.ID))
	}), true
}

func (p *planner) find(keyID string) (access.Key, bool) {
	i := slices.IndexFunc(p.seen.Keys, func(k access.Key) bool { return k.ID == keyID })
	if i < 0 || keyID == "" {
		return access.Key{}, false
	}
	return p.seen.Keys[i], true
}

// recorded returns the keys of AWSCURRENT and AWSPREVIOUS.
func recorded(versions []access.Version) (current, previous string) {
	if v, ok := labelled(versions, access.Current); ok {
		current = KeyOf(v)
	}
	if v, ok := labelled(versions, access.Previous); ok {
		previous = KeyOf(v)
	}
	return current, previous
}

// strays deletes the keys that neither AWSCURRENT nor AWSPREVIOUS names, nor is
// about to (promoted): half-made ones, and those that someone made by hand.
// Nobody could use them without having taken them past Secrets Manager.
func (p *planner) strays(versions []access.Version, promoted string) {
	current, previous := recorded(versions)
	for _, key := range p.seen.Keys {
		if key.ID != current && key.ID != previous && key.ID != promoted && !p.planned(key.ID) {
			p.add(DeleteKey{p.want.Spec.UserName, key.ID})
		}
	}
}

func (p *planner) planned(keyID string) bool {
	return slices.Contains(p.steps, Step(DeleteKey{p.want.Spec.UserName, keyID}))
}

// switchedOff returns the version of AWSPREVIOUS if its key is in use, and that
// of AWSCURRENT was deactivated, as one does with a key that has leaked. It gives
// nobody access, so that it is the one to go: once AWSCURRENT names the other,
// which then stays AWSPREVIOUS of the new one.
func (p *planner) switchedOff(versions []access.Version) (former access.Version, ok bool) {
	current, previous := recorded(versions)
	off, there := p.find(current)
	// While the secret moves, its rollback has to find the former one as it was.
	if !there || off.Active || p.seen.Former != nil {
		return access.Version{}, false
	}
	key, there := p.find(previous)
	if !there || !p.inUse(key) {
		return access.Version{}, false
	}
	return labelled(versions, access.Previous)
}

// room makes a place for one more key, or refuses.
func (p *planner) room(versions []access.Version) error {
	current, previous := recorded(versions)
	keys := slices.Clone(p.seen.Keys)
	// Those that nobody knows of first, then those that were switched off.
	slices.SortStableFunc(keys, func(a, b access.Key) int {
		return cmp.Or(rank(a, previous)-rank(b, previous), a.Created.Compare(b.Created))
	})
	left := len(keys)
	for _, key := range keys {
		if left < mostKeys {
			return nil
		}
		if key.ID == current || key.ID == previous && p.inUse(key) {
			continue
		}
		p.add(DeleteKey{p.want.Spec.UserName, key.ID})
		left--
	}
	if left < mostKeys {
		return nil
	}
	key, _ := p.find(previous)
	return Refused(fmt.Sprintf("Serial: both places for keys are taken. Key %s, which was replaced, is still in use: %s. Retry when it has gone unused for %d days, or deactivate it to free its place: aws iam update-access-key --user-name %s --access-key-id %s --status Inactive",
		key.ID, p.lastUsed(key), int(Grace.Hours()/24), p.want.Spec.UserName, key.ID))
}

func rank(key access.Key, previous string) int {
	switch {
	case key.ID == previous && key.Active:
		return 2
	case key.ID == previous:
		return 1
	}
	return 0
}

// inUse reports whether the key of AWSPREVIOUS may still be somebody's.
func (p *planner) inUse(key access.Key) bool {
	return key.Active && (p.now.Sub(p.replaced()) < Grace || p.now.Sub(p.seen.LastUse[key.ID].Time) < Grace)
}

// replaced is when AWSCURRENT last moved. Without a record of it, it moved just
// now: that keeps a key too long, never too short.
func (p *planner) replaced() time.Time {
	for _, secret := range []*access.SecretInfo{p.seen.Former, p.seen.Secret} {
		if secret == nil {
			continue
		}
		if t, err := time.Parse(time.RFC3339, secret.Tags[name.TagPromoted]); err == nil {
			return t
		}
	}
	return p.now
}

func (p *planner) lastUsed(key access.Key) string {
	use := p.seen.LastUse[key.ID]
	if use.Time.IsZero() {
		return "replaced on " + p.replaced().UTC().Format(time.DateOnly) + ", no use recorded yet"
	}
	return fmt.Sprintf("last used on %s for %s in %s", use.Time.UTC().Format(time.DateOnly), use.Service, use.Region)
}
