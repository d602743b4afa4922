package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
)

// secretStep carries out a step on a secret.
func (r *run) secretStep(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.CreateSecret:
		return r.createSecret(ctx, s)
	case plan.RestoreSecret:
		// A crash after this: the secret is back, with its former values.
		return r.write(ctx, func(ctx context.Context) error { return r.Keeping.RestoreSecret(ctx, s.Name) })
	case plan.RekeySecret:
		return r.rekeySecret(ctx, s)
	case plan.TagSecret:
		return r.write(ctx, func(ctx context.Context) error { return r.Secrets.TagSecret(ctx, s.Name, s.Set, s.Unset) })
	case plan.CopyVersions:
		return r.copyVersions(ctx, s)
	case plan.PutResourcePolicy:
		return r.putResourcePolicy(ctx, s)
	case plan.DeleteResourcePolicy:
		return r.deleteResourcePolicy(ctx, s)
	case plan.DeleteSecret:
		return r.deleteSecret(ctx, s)
	}
	return fmt.Errorf("no way to carry out a %T", step)
}

func (r *run) createSecret(ctx context.Context, s plan.CreateSecret) error {
	// A crash after this: an empty secret with our tags.
	var made access.SecretInfo
	err := r.write(ctx, func(ctx context.Context) (err error) {
		made, err = r.Secrets.CreateSecret(ctx, s.Name, s.KMSKey, s.Tags)
		return err
	})
	if errors.Is(err, access.ErrExists) {
		return r.taken(ctx, s, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.SecretARN = made.ARN
	return err
}

// taken sorts out a secret's name that was taken since it was looked for.
func (r *run) taken(ctx context.Context, s plan.CreateSecret, cause error) error {
	existing, err := patience.Ask(ctx, patience.JustMade, func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, s.Name) })
	switch {
	case err == nil && r.owner.Owns(existing.Tags):
		return issue.ErrRaced
	case err == nil, errors.Is(err, access.ErrNotFound), errors.Is(err, access.ErrDenied):
		return fmt.Errorf("%w: %w", plan.Refused(fmt.Sprintf("SecretName: a secret %q exists and does not belong to this resource; choose another SecretName", s.Name)), cause)
	}
	return err
}

// deleteSecret deletes a secret. When it was seen some time ago it asks again
// whose it is: it may have passed to another user, or been made anew.
func (r *run) deleteSecret(ctx context.Context, s plan.DeleteSecret) error {
	// A crash after this: all is gone but what carries the user's name.
	return r.write(ctx, func(ctx context.Context) error {
		if time.Since(r.seenAt) > r.lease() {
			info, err := r.Secrets.Secret(ctx, s.Name)
			switch {
			case errors.Is(err, access.ErrNotFound), err == nil && !r.owner.OwnsAs(s.User, info.Tags):
				return nil
			case err != nil:
				return err
			}
		}
		return r.Secrets.DeleteSecret(ctx, s.Name)
	})
}

// rekeySecret encrypts with another key. If one that the stack goes back to is
// gone since, the secret stays with the key that it has: a rollback goes through.
func (r *run) rekeySecret(ctx context.Context, s plan.RekeySecret) error {
	// A crash after this: the tag still says the former key; done again.
	err := r.write(ctx, func(ctx context.Context) error { return r.Keeping.RekeySecret(ctx, s.Name, s.KMSKey) })
	if err != nil && s.Tolerant && access.Definite(err) {
		r.Log.WarnContext(ctx, "SecretKmsKeyId: the secret goes on with another key; this one was accepted before and does not work now", "secret", s.Name, "error", err.Error())
		return nil
	}
	return err
}

func (r *run) copyVersions(ctx context.Context, s plan.CopyVersions) error {
	for _, version := range s.Versions {
		value, err := patience.Ask(ctx, patience.Nothing, func() (access.Secret, error) { return r.Versions.Value(ctx, s.From, version.ID) })
		if errors.Is(err, access.ErrNotFound) {
			return issue.ErrRaced // another run of the same event has moved it
		}
		if err != nil {
			return fmt.Errorf("reading version %s: %w", version.ID, err)
		}
		labels := []string{access.Current}
		for _, label := range version.Labels {
			if _, _, ours := name.ParseKeyLabel(label); ours {
				labels = append(labels, label)
			}
		}
		// A crash after this: the next run copies again, which stores nothing
		// twice, and goes on with the version that follows. Until then the
		// former secret stands.
		copied := plan.CopiedID(s.To, version.ID)
		if err := r.write(ctx, func(ctx context.Context) error { return r.Versions.PutVersion(ctx, s.To, copied, value, labels) }); err != nil {
			return fmt.Errorf("storing version %s: %w", version.ID, err)
		}
		r.mu.Lock()
		r.result.AccessKeyID = keyring.KeyID(version)
		r.mu.Unlock()
	}
	return nil
}
