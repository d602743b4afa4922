package plan

import (
	"slices"
	"strconv"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
)

// key plans which key becomes or stays current: the current one, one that was issued for
// this Serial before and still works, or a new one.
func (p *planner) key(user, policies, secret needs) (needs, error) {
	current, _ := p.ring.Labelled(access.Current)
	version, found := p.ring.ForSerial(p.want.Spec.Serial)
	switch {
	case found && version.ID == current.ID:
		return p.keep(version, after(policies, secret)), nil
	case found:
		return p.goBack(version, current, after(policies, secret)), nil
	}
	return p.mint(current, user, policies, secret)
}

// keep keeps the current key.
func (p *planner) keep(version access.Version, ready needs) needs {
	proof := p.prove(version, ready)
	return after(p.widen(proof), p.deleteUnneeded(keyring.KeyID(version), ready, proof))
}

// goBack makes an older key current again.
func (p *planner) goBack(version, current access.Version, ready needs) needs {
	proof := p.prove(version, ready)
	promoted := p.add(Promote{Secret: p.want.Spec.SecretName, Version: version.ID, KeyID: keyring.KeyID(version), From: current.ID, Note: true}, p.widen(proof))
	return after(promoted, p.deleteUnneeded(keyring.KeyID(version), promoted))
}

// prove proves a stored key, unless it was proven for this scope before.
func (p *planner) prove(version access.Version, ready needs) needs {
	if !p.want.Spec.Verify || p.proven(version) {
		return ready
	}
	return p.add(Prove{Secret: p.want.Spec.SecretName, Version: version.ID, Tolerant: p.acceptedWhole}, ready)
}

// mint issues a new key.
func (p *planner) mint(current access.Version, user, policies, secret needs) (needs, error) {
	s := p.want.Spec
	if err := p.outside("Serial", "no new key"); err != nil {
		return nil, err
	}
	if why, locked := p.seen.Locked[s.SecretName]; locked {
		return nil, Refused(why)
	}
	deleted, current, room, err := p.room(current, after(user, secret))
	if err != nil {
		return nil, err
	}
	minted := p.add(Mint{
		User: s.UserName, Secret: s.SecretName, Serial: s.Serial, Token: p.token(), First: current.ID == "",
	}, user, secret, room)
	ready := after(policies, minted)
	if s.Verify {
		ready = p.add(Prove{Secret: s.SecretName, Tolerant: p.acceptedWhole}, ready)
	}
	ready = p.widen(ready)
	if current.ID != "" {
		ready = p.add(Promote{Secret: s.SecretName, From: current.ID}, ready)
		for _, v := range p.ring.KeylessVersions(current.ID, deleted) {
			p.forget(s.SecretName, v, name.KeyLabel(keyring.Serial(v), keyring.KeyID(v)), ready)
		}
	}
	return after(ready, p.deleteUnneeded("", ready)), nil
}

// token is the id of the new key's version. It is the same for every run that sees the same
// keys in the secret, so that only one of two runs can store its key; the next key has
// another one.
func (p *planner) token() string {
	ids := make([]string, 0, len(p.ring.Versions))
	for _, v := range p.ring.Versions {
		if keyring.KeyID(v) != "" {
			ids = append(ids, v.ID)
		}
	}
	slices.Sort(ids)
	return name.Token(append([]string{p.want.Spec.UserName, strconv.Itoa(p.want.Spec.Serial)}, ids...)...)
}

// room deletes what blocks a new key, or refuses. It returns the version that is current
// after that.
func (p *planner) room(current access.Version, ready needs) (deleted []access.Key, now access.Version, done needs, err error) {
	user := p.want.Spec.UserName
	// While the values move to another secret, a rollback must find the old secret
	// unchanged.
	if previous, ok := p.ring.SwitchedOff(); ok && p.oldSecret == nil {
		off, _ := p.ring.Find(keyring.KeyID(current))
		// A crash after the first step: AWSCURRENT names the older key, which works.
		moved := p.add(Promote{Secret: p.want.Spec.SecretName, Version: previous.ID, KeyID: keyring.KeyID(previous), From: current.ID, Note: true}, ready)
		return []access.Key{off}, previous, p.add(DeleteKey{user, off.ID}, moved), nil
	}
	free, blocking := p.ring.Room()
	if key, back, ok := p.takenBack(); ok && blocking != nil {
		// A crash after the first step: AWSCURRENT of the old secret names the key that was
		// in use before. The label of the other key leads the next run to it.
		return []access.Key{key}, current, p.add(DeleteKey{user, key.ID}, p.add(back, ready)), nil
	}
	if blocking != nil {
		return nil, current, nil, Refused("Serial: " + p.ring.Blocked(*blocking))
	}
	for _, key := range free {
		done = append(done, p.add(DeleteKey{user, key.ID}, ready)...)
	}
	return free, current, done, nil
}

// takenBack returns the key to delete when a rollback needs a new key and the user has two:
// the key that the failed Update issued, if nobody has used it. Its value is in an old
// secret that cannot be read. The key from before is in that secret too, is in use, and
// becomes current there again.
func (p *planner) takenBack() (key access.Key, back Promote, ok bool) {
	for _, old := range p.seen.OldSecrets {
		if !p.givenUp(old) {
			continue
		}
		current, _ := old.Labelled(access.Current)
		before, _ := keyring.Ring{Keys: p.seen.Keys, Versions: old.Versions}.ForSerial(p.want.Spec.Serial)
		back = Promote{Secret: old.Name, Version: before.ID, KeyID: keyring.KeyID(before), From: current.ID}
		for _, v := range old.Versions {
			key, there := p.ring.Find(keyring.KeyID(v))
			if there && keyring.Serial(v) != p.want.Spec.Serial && p.ring.Unused(key) {
				return key, back, true
			}
		}
	}
	return key, back, false
}

// deleteUnneeded deletes the keys that nobody needs.
func (p *planner) deleteUnneeded(promoted string, ready ...needs) (done needs) {
	for _, key := range p.ring.Unneeded(promoted) {
		step := DeleteKey{p.want.Spec.UserName, key.ID}
		if !slices.ContainsFunc(p.tasks, func(t Task) bool { return t.Step == Step(step) }) {
			done = append(done, p.add(step, ready...)...)
		}
	}
	return done
}

// promotedAt is when AWSCURRENT last moved back to an older key, as far as the tags say.
func (p *planner) promotedAt() time.Time {
	for _, secret := range []*access.SecretInfo{p.oldSecret, p.seen.Secret} {
		if secret == nil {
			continue
		}
		if t := keyring.Promoted(secret.Tags); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
