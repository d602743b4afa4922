package plan

import (
	"slices"
	"strconv"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
)

// key plans which key AWSCURRENT shall name: the one it names, one that was
// issued for this Serial before and still lives, or a new one.
func (p *planner) key(user, policies, secret needs) (needs, error) {
	current, _ := p.ring.Labelled(access.Current)
	version, stands := p.ring.Standing(p.want.Spec.Serial)
	switch {
	case stands && version.ID == current.ID:
		return p.keep(version, after(policies, secret)), nil
	case stands:
		return p.goBack(version, current, after(policies, secret)), nil
	}
	return p.mint(current, user, policies, secret)
}

// keep keeps AWSCURRENT where it is.
func (p *planner) keep(version access.Version, ready needs) needs {
	proof := p.prove(version, ready)
	return after(p.widen(proof), p.strays(keyring.KeyID(version), ready, proof))
}

// goBack makes a key current that was it before.
func (p *planner) goBack(version, current access.Version, ready needs) needs {
	proof := p.prove(version, ready)
	promoted := p.add(Promote{Secret: p.want.Spec.SecretName, Version: version.ID, KeyID: keyring.KeyID(version), From: current.ID, Note: true}, p.widen(proof))
	return after(promoted, p.strays(keyring.KeyID(version), promoted))
}

// prove proves a key that is stored, unless it was proven for this before.
func (p *planner) prove(version access.Version, ready needs) needs {
	if !p.want.Spec.Verify || p.proven(version) {
		return ready
	}
	return p.add(Prove{Secret: p.want.Spec.SecretName, Version: version.ID, Tolerant: p.stood}, ready)
}

// mint makes a new key.
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
		ready = p.add(Prove{Secret: s.SecretName, Tolerant: p.stood}, ready)
	}
	ready = p.widen(ready)
	if current.ID != "" {
		ready = p.add(Promote{Secret: s.SecretName, From: current.ID}, ready)
		for _, v := range p.ring.Forgotten(current.ID, deleted) {
			p.forget(s.SecretName, v, name.KeyLabel(keyring.Serial(v), keyring.KeyID(v)), ready)
		}
	}
	return after(ready, p.strays("", ready)), nil
}

// token names the version of the new key: the same for every run that sees the
// same keys in the secret, so that of two runs only one can store; another for the next key.
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

// room deletes what is in the way of a new key, or refuses. It returns the
// version that AWSCURRENT names then.
func (p *planner) room(current access.Version, ready needs) (deleted []access.Key, now access.Version, done needs, err error) {
	user := p.want.Spec.UserName
	// While the secret moves, its rollback has to find the former one as it was.
	if former, ok := p.ring.SwitchedOff(); ok && p.former == nil {
		off, _ := p.ring.Find(keyring.KeyID(current))
		// A crash after the first: AWSCURRENT names the former key, which lives.
		moved := p.add(Promote{Secret: p.want.Spec.SecretName, Version: former.ID, KeyID: keyring.KeyID(former), From: current.ID, Note: true}, ready)
		return []access.Key{off}, former, p.add(DeleteKey{user, off.ID}, moved), nil
	}
	free, blocking := p.ring.Room()
	if key, back, ok := p.takenBack(); ok && blocking != nil {
		// A crash after the first: AWSCURRENT of the former secret names the key that
		// was in use before; the other one is found by its label.
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

// takenBack returns the key that goes where a rollback needs a new one and both
// places are taken: the one that the Update issued which is taken back, if nobody
// has used it. Its value is in a former secret that cannot be read, together with
// the key that was there before, which is in use, and becomes current there again.
func (p *planner) takenBack() (key access.Key, back Promote, ok bool) {
	for _, former := range p.seen.Formers {
		if !p.givenUp(former) {
			continue
		}
		current, _ := former.Labelled(access.Current)
		before, _ := keyring.Ring{Keys: p.seen.Keys, Versions: former.Versions}.Standing(p.want.Spec.Serial)
		back = Promote{Secret: former.Name, Version: before.ID, KeyID: keyring.KeyID(before), From: current.ID}
		for _, v := range former.Versions {
			key, there := p.ring.Find(keyring.KeyID(v))
			if there && keyring.Serial(v) != p.want.Spec.Serial && p.ring.Unused(key) {
				return key, back, true
			}
		}
	}
	return key, back, false
}

// strays deletes the keys that are nobody's.
func (p *planner) strays(promoted string, ready ...needs) (done needs) {
	for _, key := range p.ring.Strays(promoted) {
		step := DeleteKey{p.want.Spec.UserName, key.ID}
		if !slices.ContainsFunc(p.tasks, func(t Task) bool { return t.Step == Step(step) }) {
			done = append(done, p.add(step, ready...)...)
		}
	}
	return done
}

// promotedAt is when AWSCURRENT last went back, as far as it was noted.
func (p *planner) promotedAt() time.Time {
	for _, secret := range []*access.SecretInfo{p.former, p.seen.Secret} {
		if secret == nil {
			continue
		}
		if t := keyring.Promoted(secret.Tags); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
