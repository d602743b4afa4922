package rotation

import (
	"fmt"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

// kind is what a step does.
type kind string

const (
	nothing  kind = "nothing"  // it is done, or there is nothing to do
	mint     kind = "mint"     // make a key, and store it
	prove    kind = "prove"    // prove the key
	promote  kind = "promote"  // make the key current, and tell
	announce kind = "announce" // tell that the key is current
	discard  kind = "discard"  // take the key and its version away
)

// deed is what a step does in view of what is there.
type deed struct {
	kind kind

	// Of mint: the keys that have to go, and the version to which AWSCURRENT goes back
	// before that, because its own key was switched off; no id: it stays.
	free   []access.Key
	back   access.Version
	serial int

	// Of prove and promote: what the key has to do; and whether it was proven for that.
	scope  access.Scope
	proven bool

	// Of discard: why.
	why Refused
}

// decide says what a step does, or Refused.
func decide(s seen) (deed, error) {
	if s.pending().Has(access.Current) {
		return s.done(), nil
	}
	if err := s.stands(); err != nil {
		return deed{}, err
	}
	switch s.step {
	case CreateSecret:
		return s.create()
	case TestSecret:
		return s.test()
	case FinishSecret:
		return s.finish()
	}
	return deed{kind: nothing}, nil
}

// done is of a rotation whose key is current already: a step that comes again, or one
// whose process was killed.
func (s seen) done() deed {
	v := s.pending()
	rotated := !name.Since(v.Labels).IsZero()
	told := v.Has(name.AnnouncedLabel(keyring.KeyID(v)))
	if s.step == FinishSecret && rotated && (!told || v.Has(access.Pending)) {
		return deed{kind: announce}
	}
	return deed{kind: nothing}
}

// stands refuses a rotation of what is not whole.
func (s seen) stands() error {
	switch {
	case s.user == nil:
		return failed("Update the stack with another Serial: it makes the user anew", "user %s, which secret %s belongs to, is gone", s.userName(), s.secret.Name)
	case !s.owner.OwnsAs(s.user.Name, s.user.Tags):
		return failed(change+"the update says what is wrong, or puts it right", "user %s does not carry the tags of the resource that secret %s belongs to", s.user.Name, s.secret.Name)
	// The event that sets a schedule has that tested before it notes that the user is finished.
	case !name.Finished(s.user.Tags) && !s.alone():
		return failed(change+"the update says what is wrong, or puts it right", "user %s was left half-made", s.user.Name)
	case keyring.KeyID(s.current()) == "":
		return failed("Update the stack with another Serial: it stores a key of the provider's own", "secret %s holds no key that this provider stored", s.secret.Name)
	}
	return nil
}

// create makes a key, once.
func (s seen) create() (deed, error) {
	if keyID := keyring.KeyID(s.pending()); keyID != "" {
		if _, there := s.ring().Find(keyID); !there {
			return s.lost(keyID), nil
		}
		return deed{kind: nothing}, nil
	}
	if s.filled {
		return deed{}, failed("Take the label off, and start another rotation: aws secretsmanager update-secret-version-stage --secret-id "+s.secret.Name+" --version-stage AWSPENDING --remove-from-version-id "+s.token,
			"version %s of secret %s, which this rotation was given, holds a value that this provider did not store", s.token, s.secret.Name)
	}
	if b := s.user.Boundary; !b.Holds() && !name.IsUserBoundary(b.ARN, s.user.ARN) {
		return deed{}, failed(change+"the update puts the boundary on, or says what is in the way", "user %s does not carry the provider's permissions boundary, so it gets no new key", s.user.Name)
	}
	d := deed{kind: mint, serial: keyring.Serial(s.current())}
	ring := s.ring()
	if former, off := ring.SwitchedOff(); off {
		current, _ := ring.Find(keyring.KeyID(s.current()))
		d.back, d.free = former, []access.Key{current}
		return d, nil
	}
	free, blocking := ring.Room()
	if blocking != nil {
		why, next := ring.WhyBlocked(*blocking)
		return deed{}, failed(next, "%s", why)
	}
	if key, storing := ring.Storing(free); storing {
		return deed{}, fmt.Errorf("key %s of user %s is a few minutes old and stored nowhere: whoever made it may be about to store it. Secrets Manager tries again", key.ID, s.user.Name)
	}
	d.free = free
	return d, nil
}

// alone reports whether testSecret is asked for alone, as Secrets Manager does when a
// schedule is set: the version that it makes for that holds no key of its own.
func (s seen) alone() bool {
	keyID := keyring.KeyID(s.pending())
	return s.step == TestSecret && (keyID == "" || keyID == keyring.KeyID(s.current()))
}

// test proves the rotation's key, if it has one.
func (s seen) test() (deed, error) {
	scope, err := s.scope()
	if err != nil {
		return deed{}, err
	}
	keyID := keyring.KeyID(s.pending())
	if s.alone() {
		if _, there := s.ring().Find(keyring.KeyID(s.current())); !there {
			return deed{}, failed("Update the stack with another Serial: it makes a new key", "the current key of secret %s is gone", s.secret.Name)
		}
		return deed{kind: nothing}, nil
	}
	if _, there := s.ring().Find(keyID); !there {
		return s.lost(keyID), nil
	}
	if keyring.Proven(s.pending(), scope) {
		return deed{kind: nothing}, nil
	}
	return deed{kind: prove, scope: scope}, nil
}

// finish makes the key current. One that was proven for something else, because the
// stack was updated meanwhile, is proven again.
func (s seen) finish() (deed, error) {
	scope, err := s.scope()
	if err != nil {
		return deed{}, err
	}
	keyID := keyring.KeyID(s.pending())
	if keyID == "" {
		return deed{}, fmt.Errorf("version %s of secret %s holds no key yet. Secrets Manager tries the rotation again", s.token, s.secret.Name)
	}
	if _, there := s.ring().Find(keyID); !there {
		return s.lost(keyID), nil
	}
	return deed{kind: promote, scope: scope, proven: keyring.Proven(s.pending(), scope)}, nil
}

// scope is what the user's policies say that its key is for.
func (s seen) scope() (access.Scope, error) {
	var texts, names []string
	for _, p := range s.policies {
		if !s.owner.OwnsAs(s.user.Name, p.Tags) {
			return access.Scope{}, failed(updatePolicies, "policy %s, which is attached to user %s, does not carry the tags of its resource", p.Name, s.user.Name)
		}
		texts, names = append(texts, p.Document), append(names, p.Name)
	}
	if len(texts) == 0 {
		return access.Scope{}, failed(updatePolicies, "no policy of this provider is attached to user %s", s.user.Name)
	}
	scope, ok := policy.Read(texts)
	if !ok {
		return access.Scope{}, failed(updatePolicies, "the policies of user %s (%s) are not as this provider wrote them: somebody has changed one", s.user.Name, strings.Join(names, ", "))
	}
	return scope, nil
}

// CloudFormation sends nothing for a resource whose properties have not changed.
const (
	change         = "Change a property of the resource, a tag in Tags will do, and update the stack: "
	updatePolicies = change + "the update writes its policies anew, and Secrets Manager can rotate again"
)

// lost is of a rotation whose key is gone, or is a former user's.
func (s seen) lost(keyID string) deed {
	return deed{kind: discard, why: s.again("key %s, which this rotation had made, is not one of user %s any more", keyID, s.userName())}
}

// again says why a rotation has failed after which another one may succeed.
func (s seen) again(reason string, args ...any) Refused {
	return failed("Once that is put right, start another rotation: aws secretsmanager rotate-secret --secret-id "+s.secret.Name, reason, args...)
}
