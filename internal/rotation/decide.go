package rotation

import (
	"fmt"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

// action is what a step does.
type action string

const (
	nothing  action = "nothing"  // the step is done, or there is nothing to do
	mint     action = "mint"     // create a key, and store it
	prove    action = "prove"    // prove the key
	promote  action = "promote"  // make the key current, and announce that
	announce action = "announce" // announce that the key is current
	discard  action = "discard"  // delete the key, and remove the labels of its version
)

// decision is what a step does, with everything that it needs to know for that.
type decision struct {
	action action

	// For mint: the keys to delete first. If the current key was deactivated, AWSCURRENT
	// moves back to the version back before that; without an id it does not move.
	free   []access.Key
	back   access.Version
	serial int

	// For prove and promote: what the key must be able to do, and whether it was proven for
	// that.
	scope  access.Scope
	proven bool

	// For discard: the reason.
	why Refused
}

// decide returns what a step does, or Refused.
func decide(s seen) (decision, error) {
	if s.pending().Has(access.Current) {
		return s.afterPromotion(), nil
	}
	if err := s.checkResource(); err != nil {
		return decision{}, err
	}
	switch s.step {
	case CreateSecret:
		return s.create()
	case TestSecret:
		return s.test()
	case FinishSecret:
		return s.finish()
	}
	return decision{action: nothing}, nil
}

// afterPromotion decides for a rotation whose key is current already: Secrets Manager
// repeats the step, because its process was killed or its response was lost.
func (s seen) afterPromotion() decision {
	v := s.pending()
	rotated := !name.Since(v.Labels).IsZero()
	announced := v.Has(name.AnnouncedLabel(keyring.KeyID(v)))
	if s.step == FinishSecret && rotated && (!announced || v.Has(access.Pending)) {
		return decision{action: announce}
	}
	return decision{action: nothing}
}

// checkResource refuses to rotate if the user, its tags or its current key are not as this
// provider left them.
func (s seen) checkResource() error {
	switch {
	case s.user == nil:
		return failed("Raise Serial in the stack: the update creates the user again", "user %s, to which secret %s belongs, does not exist", s.userName(), s.secret.Name)
	case !s.owner.OwnsAs(s.user.Name, s.user.Tags):
		return failed(change+"the update puts it right, or says what is wrong", "user %s does not carry the tags of the resource to which secret %s belongs", s.user.Name, s.secret.Name)
	// Secrets Manager sends a testSecret alone while the event that sets the schedule has
	// not marked the user as completed yet.
	case !name.IsCompleted(s.user.Tags) && !s.testsSchedule():
		return failed(change+"the update puts it right, or says what is wrong", "user %s is incomplete: the event that created or last changed it was not completed", s.user.Name)
	case keyring.KeyID(s.current()) == "":
		return failed("Raise Serial in the stack: the update stores a new key", "the current version of secret %s holds no key that this provider stored", s.secret.Name)
	}
	return nil
}

// create decides for createSecret: it creates a key, once.
func (s seen) create() (decision, error) {
	if keyID := keyring.KeyID(s.pending()); keyID != "" {
		if _, there := s.ring().Find(keyID); !there {
			return s.discardDeleted(keyID), nil
		}
		return decision{action: nothing}, nil
	}
	if s.filled {
		return decision{}, failed("Remove the label AWSPENDING, and start another rotation: aws secretsmanager update-secret-version-stage --secret-id "+s.secret.Name+" --version-stage AWSPENDING --remove-from-version-id "+s.token,
			"version %s of secret %s, which is the version of this rotation, holds a value that this provider did not store", s.token, s.secret.Name)
	}
	if b := s.user.Boundary; !b.Holds() && !name.IsUserBoundary(b.ARN, s.user.ARN) {
		return decision{}, failed(change+"the update puts the boundary on the user, or says what prevents that", "user %s does not carry the provider's permissions boundary, so it gets no new key", s.user.Name)
	}
	d := decision{action: mint, serial: keyring.Serial(s.current())}
	ring := s.ring()
	if previous, off := ring.SwitchedOff(); off {
		current, _ := ring.Find(keyring.KeyID(s.current()))
		d.back, d.free = previous, []access.Key{current}
		return d, nil
	}
	free, blocking := ring.Room()
	if blocking != nil {
		why, next := ring.WhyBlocked(*blocking)
		return decision{}, failed(next, "%s", why)
	}
	if key, storing := ring.BeingStored(free); storing {
		return decision{}, fmt.Errorf("key %s of user %s is a few minutes old, and no secret holds it yet: somebody may be about to store it. Secrets Manager tries again", key.ID, s.user.Name)
	}
	d.free = free
	return d, nil
}

// testsSchedule reports whether this is the testSecret that Secrets Manager sends alone when
// a schedule is set. It creates a version for that, which holds no key of its own.
func (s seen) testsSchedule() bool {
	keyID := keyring.KeyID(s.pending())
	return s.step == TestSecret && (keyID == "" || keyID == keyring.KeyID(s.current()))
}

// test decides for testSecret: it proves the rotation's key, if there is one.
func (s seen) test() (decision, error) {
	scope, err := s.scope()
	if err != nil {
		return decision{}, err
	}
	keyID := keyring.KeyID(s.pending())
	if s.testsSchedule() {
		if _, there := s.ring().Find(keyring.KeyID(s.current())); !there {
			return decision{}, failed("Raise Serial in the stack: the update creates a new key", "the current key of secret %s does not exist any more", s.secret.Name)
		}
		return decision{action: nothing}, nil
	}
	if _, there := s.ring().Find(keyID); !there {
		return s.discardDeleted(keyID), nil
	}
	if keyring.Proven(s.pending(), scope) {
		return decision{action: nothing}, nil
	}
	return decision{action: prove, scope: scope}, nil
}

// finish decides for finishSecret: it makes the key current. If the stack was updated after
// the proof, the key is proven again.
func (s seen) finish() (decision, error) {
	scope, err := s.scope()
	if err != nil {
		return decision{}, err
	}
	keyID := keyring.KeyID(s.pending())
	if keyID == "" {
		return decision{}, fmt.Errorf("version %s of secret %s holds no key yet. Secrets Manager tries the rotation again", s.token, s.secret.Name)
	}
	if _, there := s.ring().Find(keyID); !there {
		return s.discardDeleted(keyID), nil
	}
	return decision{action: promote, scope: scope, proven: keyring.Proven(s.pending(), scope)}, nil
}

// scope reads from the user's policies what its key must be able to do.
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

// CloudFormation sends no event for a resource whose properties have not changed.
const (
	change         = "Change a property of the resource, for example a tag in Tags, and update the stack: "
	updatePolicies = change + "the update writes its policies again. Then Secrets Manager can rotate"
)

// discardDeleted ends a rotation whose key was deleted, or belongs to an earlier user of the
// resource.
func (s seen) discardDeleted(keyID string) decision {
	return decision{action: discard, why: s.again("key %s, which this rotation created, is not a key of user %s any more", keyID, s.userName())}
}

// again is the refusal for a failed rotation that may succeed when it is started again.
func (s seen) again(reason string, args ...any) Refused {
	return failed("Remove the cause, and then start another rotation: aws secretsmanager rotate-secret --secret-id "+s.secret.Name, reason, args...)
}
