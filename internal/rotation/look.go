package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
)

// seen is what a step finds.
type seen struct {
	step     Step
	token    string
	secret   access.SecretInfo
	owner    name.Owner   // by the secret's tags
	user     *access.User // nil: there is none
	keys     []access.Key
	lastUse  map[string]access.LastUse // of each key but AWSCURRENT's; createSecret asks for it
	policies []access.Policy           // ours, attached to the user; testSecret and finishSecret read them
	filled   bool                      // the rotation's version holds a value and does not say of which key
	now      time.Time
}

// look looks at what is there, as far as the step needs it.
func (r *run) look(ctx context.Context) (s seen, err error) {
	s = seen{step: r.event.Step, token: r.event.Token, now: time.Now()}
	s.secret, err = ask(ctx, "describing the secret", func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, r.secret) })
	if errors.Is(err, access.ErrNotFound) {
		return s, noSecret(r.event)
	}
	if err != nil {
		return s, err
	}
	if s.owner, err = whose(s.secret, r.event, r.Function); err != nil {
		return s, err
	}
	if err := s.atWork(); err != nil {
		return s, err
	}
	if err := r.lookAtUser(ctx, &s); err != nil || s.user == nil {
		return s, err
	}
	switch s.step {
	case CreateSecret:
		if err := r.lookAtUse(ctx, &s); err != nil {
			return s, err
		}
		return s, r.lookAtValue(ctx, &s)
	case TestSecret, FinishSecret:
		return s, r.lookAtPolicies(ctx, &s)
	}
	return s, nil
}

// lookAtUser looks for the user and its keys. IAM lists a new key some seconds late:
// one that the secret names and the list lacks is looked for again.
func (r *run) lookAtUser(ctx context.Context, s *seen) error {
	user, err := ask(ctx, "looking for user "+s.userName(), func() (access.User, error) { return r.Users.User(ctx, s.userName()) })
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.user = &user
	err = patience.Maybe.Do(ctx, func() (err error) {
		if s.keys, err = r.Keys.Keys(ctx, user.Name); err != nil {
			return err
		}
		for _, v := range []access.Version{s.current(), s.pending()} {
			if _, listed := s.ring().Find(keyring.KeyID(v)); !listed && keyring.KeyID(v) != "" {
				return errUnlisted
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errUnlisted) {
		return fmt.Errorf("listing the user's keys: %w", err)
	}
	return nil
}

// errUnlisted: a key that the secret names is in no list, or not yet.
var errUnlisted = fmt.Errorf("a key is not listed: %w", access.ErrNotFound)

// lookAtUse asks when the keys were last used that may have to make room.
func (r *run) lookAtUse(ctx context.Context, s *seen) error {
	s.lastUse = map[string]access.LastUse{}
	for _, key := range s.keys {
		if key.ID == keyring.KeyID(s.current()) {
			continue
		}
		use, err := r.lastUse(ctx, key.ID)
		if err != nil {
			return err
		}
		s.lastUse[key.ID] = use
	}
	return nil
}

func (r *run) lastUse(ctx context.Context, keyID string) (access.LastUse, error) {
	return ask(ctx, "asking when key "+keyID+" was last used", func() (access.LastUse, error) { return r.Keys.LastUse(ctx, keyID) })
}

// lookAtValue asks whether the rotation's version holds a value that has no label of
// ours. Secrets Manager registers it empty.
func (r *run) lookAtValue(ctx context.Context, s *seen) error {
	if keyring.KeyID(s.pending()) != "" {
		return nil
	}
	_, err := ask(ctx, "looking at the rotation's version", func() (access.Secret, error) { return r.versions.Value(ctx, r.secret, s.token) })
	s.filled = err == nil
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return err
}

// lookAtPolicies reads the attached policies that are ours.
func (r *run) lookAtPolicies(ctx context.Context, s *seen) error {
	attached, err := ask(ctx, "listing the user's policies", func() ([]string, error) { return r.Policies.Attached(ctx, s.userName()) })
	if err != nil {
		return err
	}
	for _, called := range attached {
		if _, ours := name.PolicyNumber(s.userName(), called); !ours {
			continue
		}
		read, err := ask(ctx, "reading policy "+called, func() (access.Policy, error) { return r.Policies.Policy(ctx, called) })
		if err != nil {
			return err
		}
		s.policies = append(s.policies, read)
	}
	return nil
}

// ask asks until there is an answer. An error says what was asked.
func ask[T any](ctx context.Context, what string, question func() (T, error)) (answer T, err error) {
	if answer, err = patience.Ask(ctx, patience.Nothing, question); err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return answer, err
}

// userName is the user that the secret belongs to.
func (s seen) userName() string { return s.secret.Tags[name.TagPhysical] }

// current and pending are the versions of AWSCURRENT and of the rotation; without an
// id: there is none.
func (s seen) current() access.Version {
	v, _ := s.secret.Labelled(access.Current)
	return v
}

func (s seen) pending() access.Version {
	for _, v := range s.secret.Versions {
		if v.ID == s.token {
			return v
		}
	}
	return access.Version{}
}

// ring is the user's keys, and what the secret says of them.
func (s seen) ring() keyring.Ring {
	return keyring.Ring{
		User: s.userName(), Secret: s.secret.Name, Keys: s.keys, Versions: s.secret.Versions, LastUse: s.lastUse,
		Replaced: keyring.Promoted(s.secret.Tags), Grace: name.Grace(s.secret.Tags), Now: s.now,
	}
}
