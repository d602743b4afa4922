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

// seen is everything that a step has found.
type seen struct {
	step     Step
	token    string
	secret   access.SecretInfo
	owner    name.Owner   // by the secret's tags
	user     *access.User // nil: the user does not exist
	keys     []access.Key
	lastUse  map[string]access.LastUse // of each key except the current one; only createSecret asks for it
	policies []access.Policy           // ours that are attached to the user; only testSecret and finishSecret read them
	filled   bool                      // the rotation's version holds a value without a label that names its key
	now      time.Time
}

// look reads what exists, as far as the step needs it.
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
	if err := s.checkNotEnded(); err != nil {
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

// lookAtUser reads the user and its keys. IAM lists a new key only after some seconds, so
// lookAtUser lists the keys again if a key of the secret is not in the list.
func (r *run) lookAtUser(ctx context.Context, s *seen) error {
	user, err := ask(ctx, "reading user "+s.userName(), func() (access.User, error) { return r.Users.User(ctx, s.userName()) })
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

// errUnlisted means that IAM does not list a key of the secret, or not yet.
var errUnlisted = fmt.Errorf("a key is not listed: %w", access.ErrNotFound)

// lookAtUse reads the last use of every key that the rotation may have to delete.
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
	return ask(ctx, "reading the last use of key "+keyID, func() (access.LastUse, error) { return r.Keys.LastUse(ctx, keyID) })
}

// lookAtValue checks whether the rotation's version holds a value without a label of ours.
// Secrets Manager creates that version without a value.
func (r *run) lookAtValue(ctx context.Context, s *seen) error {
	if keyring.KeyID(s.pending()) != "" {
		return nil
	}
	_, err := ask(ctx, "reading the rotation's version", func() (access.Secret, error) { return r.versions.Value(ctx, r.secret, s.token) })
	s.filled = err == nil
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return err
}

// lookAtPolicies reads our attached policies.
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

// ask repeats a question until AWS answers it. An error names the question.
func ask[T any](ctx context.Context, what string, question func() (T, error)) (answer T, err error) {
	if answer, err = patience.Ask(ctx, patience.Nothing, question); err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return answer, err
}

// userName returns the name of the user to which the secret belongs.
func (s seen) userName() string { return s.secret.Tags[name.TagPhysical] }

// current and pending return the current version and the rotation's version. A version
// without an id does not exist.
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

// ring returns the user's keys with what the secret's labels say about them.
func (s seen) ring() keyring.Ring {
	return keyring.Ring{
		User: s.userName(), Secret: s.secret.Name, Keys: s.keys, Versions: s.secret.Versions, LastUse: s.lastUse,
		Replaced: keyring.Promoted(s.secret.Tags), Grace: name.Grace(s.secret.Tags), Now: s.now,
	}
}
