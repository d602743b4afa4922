package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// How long keys and secret may disagree before that is believed.
const (
	// listLag is for a key that AWSCURRENT names and the list of keys lacks.
	// Taken for gone too soon, one that someone has just been given would be
	// replaced.
	listLag = 10 * time.Second
	// storing is for a key that was just made and no secret records. Taken for
	// nobody's too soon, one that another run is storing would be deleted.
	storing = 30 * time.Second
)

// observe looks at what is there, as far as planning needs it. Keys and secret
// have to be of one moment: a key that another run of the same event stores in
// between would look like one that is gone, or like one that is nobody's.
//
// id is that of the user that the run has seen before; empty: none. A Delete
// that has taken it away since has the last word, and what is made anew after
// it nobody would ever delete: errOvertaken.
func (p *Provisioner) observe(ctx context.Context, want plan.Desired, id string) (plan.Observed, error) {
	w := newWatch()
	var seen plan.Observed
	// What is there by one look and not by the next is looked for again.
	err := settle(ctx, true, func() (err error) {
		seen = plan.Observed{Policies: map[int]access.Policy{}, LastUse: map[string]access.LastUse{}}
		if seen.Secret, err = p.findSecret(ctx, want.Spec.SecretName); err != nil {
			return err
		}
		if seen.Former, err = p.formerSecret(ctx, want); err != nil {
			return err
		}
		if seen.ResourcePolicy, err = p.resourcePolicy(ctx, want, seen.Secret); err != nil {
			return err
		}
		look := p.user
		if id != "" {
			look = p.sought
		}
		user, err := look(ctx, want.Spec.UserName)
		if err != nil && !errors.Is(err, access.ErrNotFound) {
			return fmt.Errorf("looking for the user: %w", err)
		}
		if id != "" && user.ID != id {
			return errOvertaken
		}
		if err == nil {
			seen.User = &user
			// Someone else's user is refused by the plan, and not looked into.
			if want.Owner.OwnsAs(user.Name, user.Tags) {
				id = user.ID
				if err := p.observeUser(ctx, user.Name, &seen); err != nil {
					return err
				}
				if err := p.sameMoment(ctx, want, seen, w); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return seen, err
}

// formerSecret returns the secret of the former name, or nil if there is none
// that is ours.
func (p *Provisioner) formerSecret(ctx context.Context, want plan.Desired) (*access.SecretInfo, error) {
	if want.FormerSecret == "" {
		return nil, nil
	}
	former, err := p.findSecret(ctx, want.FormerSecret)
	if err != nil || former == nil || !former.Deleted.IsZero() || !want.Owner.OwnsAs(want.Spec.UserName, former.Tags) {
		return nil, err
	}
	return former, nil
}

// watch is how long a run has been looking.
type watch struct {
	started  time.Time
	unstored map[string]time.Time // keys that no secret records: since when they are seen
}

func newWatch() watch { return watch{started: time.Now(), unstored: map[string]time.Time{}} }

// storing reports whether another run may be about to store a key that no
// secret records yet.
func (w watch) storing(key access.Key) bool {
	if _, known := w.unstored[key.ID]; !known {
		w.unstored[key.ID] = time.Now()
	}
	// By our own clock too: AWS's may be ahead.
	return time.Since(w.unstored[key.ID]) < storing && time.Since(key.Created) < storing
}

// sameMoment returns access.ErrBusy if the secret has changed since it was
// seen, or if keys and secret may yet come to agree.
func (p *Provisioner) sameMoment(ctx context.Context, want plan.Desired, seen plan.Observed, w watch) error {
	secret, err := p.findSecret(ctx, want.Spec.SecretName)
	if err != nil {
		return err
	}
	if secret == nil {
		secret = &access.SecretInfo{}
	}
	var before []access.Version
	if seen.Secret != nil {
		before = seen.Secret.Versions
	}
	if !slices.EqualFunc(secret.Versions, before, sameVersion) {
		return fmt.Errorf("secret %s is being changed: %w", want.Spec.SecretName, access.ErrBusy)
	}
	for _, key := range seen.Keys {
		recorded := slices.ContainsFunc(secret.Versions, func(v access.Version) bool { return plan.KeyOf(v) == key.ID })
		if !recorded && w.storing(key) {
			return fmt.Errorf("key %s is not stored: %w", key.ID, access.ErrBusy)
		}
	}
	if time.Since(w.started) >= listLag {
		return nil
	}
	// A secret that two users share in turn names a key of the other one: then
	// this waits in vain, once, in the rollback of a replacement.
	if key := current(*secret); want.Owner.Owns(secret.Tags) && key != "" && !listed(key, seen.Keys) {
		return fmt.Errorf("key %s is not listed: %w", key, access.ErrBusy)
	}
	if seen.Former == nil {
		return nil
	}
	// This one goes. A key of it that is not AWSCURRENT goes with it, if only it
	// is known: a rotation that was killed may just have stored it.
	for _, version := range seen.Former.Versions {
		if key := plan.KeyOf(version); key != "" && !listed(key, seen.Keys) {
			return fmt.Errorf("key %s is not listed: %w", key, access.ErrBusy)
		}
	}
	return nil
}

// current returns the key that AWSCURRENT names; empty: none.
func current(secret access.SecretInfo) string {
	version, _ := secret.Labelled(access.Current)
	return plan.KeyOf(version)
}

func sameVersion(a, b access.Version) bool {
	return a.ID == b.ID && len(a.Labels) == len(b.Labels) && !slices.ContainsFunc(a.Labels, func(label string) bool { return !b.Has(label) })
}

func (p *Provisioner) observeUser(ctx context.Context, user string, seen *plan.Observed) (err error) {
	if seen.Keys, err = p.keys(ctx, user); err != nil {
		return fmt.Errorf("listing the user's keys: %w", err)
	}
	if len(seen.Keys) > 1 {
		for _, key := range seen.Keys {
			seen.LastUse[key.ID], err = ask(ctx, func() (access.LastUse, error) { return p.Keys.LastUse(ctx, key.ID) })
			if errors.Is(err, access.ErrDenied) {
				// IAM denies it for a key that is gone and still listed. What is
				// not known counts as used just now.
				seen.LastUse[key.ID], err = access.LastUse{Time: time.Now(), Service: "an unknown service", Region: "an unknown region"}, nil
			}
			if err != nil {
				return fmt.Errorf("asking when key %s was last used: %w", key.ID, err)
			}
		}
	}
	attached, err := ask(ctx, func() ([]string, error) { return p.Policies.Attached(ctx, user) })
	if err != nil {
		return fmt.Errorf("listing the user's policies: %w", err)
	}
	for _, policy := range attached {
		number, ours := name.PolicyNumber(user, policy)
		if !ours {
			continue
		}
		if seen.Policies[number], err = p.policy(ctx, policy); err != nil {
			return fmt.Errorf("reading policy %s: %w", policy, err)
		}
	}
	return nil
}

func (p *Provisioner) user(ctx context.Context, name string) (access.User, error) {
	return ask(ctx, func() (access.User, error) { return p.Users.User(ctx, name) })
}

func (p *Provisioner) keys(ctx context.Context, user string) ([]access.Key, error) {
	return ask(ctx, func() ([]access.Key, error) { return p.Keys.Keys(ctx, user) })
}

func (p *Provisioner) policy(ctx context.Context, name string) (access.Policy, error) {
	return ask(ctx, func() (access.Policy, error) { return p.Policies.Policy(ctx, name) })
}

// findSecret returns the secret, or nil if there is none.
func (p *Provisioner) findSecret(ctx context.Context, secret string) (*access.SecretInfo, error) {
	info, err := ask(ctx, func() (access.SecretInfo, error) { return p.Secrets.Secret(ctx, secret) })
	if errors.Is(err, access.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for secret %s: %w", secret, err)
	}
	return &info, nil
}
