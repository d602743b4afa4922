package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
)

// Current is the current key of a secret: which user it belongs to, and what the
// user's policies say that it is for.
type Current struct {
	User string
	// Both halves. The field is not private: fmt would print the secret half of one.
	Key     access.Credentials
	Scope   access.Scope
	Subject access.Subject
}

// Why the current key of a secret cannot be proven. What a rotation refuses too, it says itself.
const (
	holdsOther  = "the current version of secret %s holds another key than its label says. Raise Serial in the stack: the update stores a new key"
	notHere     = "secret %s does not exist in this account and region. Check the name, AWS_PROFILE and AWS_REGION"
	notOurs     = "secret %s does not carry the tags of a resource of this provider. Name the secret of a stack: the resource's attribute SecretName"
	keyDeleted  = "the current key %s of secret %s does not exist. Raise Serial in the stack: the update creates a new key"
	keyInactive = "the current key %s of secret %s is inactive. Raise Serial in the stack: the update creates a new key"
)

// Current reads the current key of a secret, and changes nothing. It says why the key
// cannot be proven, as the steps of a rotation say it.
func (r *Rotator) Current(ctx context.Context, secret string) (Current, error) {
	run := r.begin(Event{SecretID: secret})
	s, err := run.lookAtCurrent(ctx)
	if err != nil {
		return Current{}, err
	}
	scope, err := s.scope()
	if err != nil {
		return Current{}, err
	}
	key, err := run.issuer.ReadKey(ctx, run.secret, s.current().ID)
	if err != nil {
		return Current{}, err
	}
	if key.KeyID != keyring.KeyID(s.current()) {
		return Current{}, fmt.Errorf(holdsOther, run.secret)
	}
	return Current{User: s.user.Name, Key: key, Scope: scope, Subject: access.Subject{MadeUp: s.user.Name == s.owner.User()}}, nil
}

// Prove proves a current key as testSecret proves a new one, and changes nothing.
func (r *Rotator) Prove(ctx context.Context, c Current) error {
	return r.Prober.Prove(ctx, c.Key, c.Scope, c.Subject)
}

// lookAtCurrent looks at the secret, its user, the user's keys and policies.
func (r *run) lookAtCurrent(ctx context.Context) (s seen, err error) {
	s = seen{step: TestSecret, now: time.Now()}
	s.secret, err = ask(ctx, "describing the secret", func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, r.secret) })
	if errors.Is(err, access.ErrNotFound) {
		return s, fmt.Errorf(notHere, r.secret)
	}
	if err != nil {
		return s, err
	}
	var ours bool
	if s.owner, ours = ownerOf(s.secret); !ours {
		return s, fmt.Errorf(notOurs, s.secret.Name)
	}
	if err := r.lookAtUser(ctx, &s); err != nil {
		return s, err
	}
	if err := s.checkResource(); err != nil {
		return s, err
	}
	key, listed := s.ring().Find(keyring.KeyID(s.current()))
	switch {
	case !listed:
		return s, fmt.Errorf(keyDeleted, keyring.KeyID(s.current()), s.secret.Name)
	case !key.Active:
		return s, fmt.Errorf(keyInactive, key.ID, s.secret.Name)
	}
	return s, r.lookAtPolicies(ctx, &s)
}
