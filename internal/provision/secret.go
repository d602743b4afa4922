package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
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
		// A crash after this: the secret exists again, with its old values.
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
	case plan.Schedule:
		return r.schedule(ctx, s)
	case plan.CancelRotation:
		return r.cancelRotation(ctx, s)
	case plan.DeleteSecret:
		return r.deleteSecret(ctx, s)
	}
	return fmt.Errorf("no way to carry out a %T", step)
}

func (r *run) createSecret(ctx context.Context, s plan.CreateSecret) error {
	// A crash after this: a secret without a key, with our tags.
	var made access.SecretInfo
	err := r.write(ctx, func(ctx context.Context) (err error) {
		made, err = r.Secrets.CreateSecret(ctx, s.Name, s.KMSKey, s.Token, s.Tags)
		return err
	})
	switch {
	case errors.Is(err, access.ErrExists):
		return r.taken(ctx, s, err)
	case ofKMS(err) && s.Tolerant && s.KMSKey != "":
		r.goesOnWith(ctx, s.Name, err)
		// The tag says which key it is, so that the next run tries the declared one again.
		s.KMSKey, s.Instead = s.Instead, ""
		s.Tags = maps.Clone(s.Tags)
		delete(s.Tags, name.TagKMSKey)
		if s.KMSKey != "" {
			s.Tags[name.TagKMSKey] = s.KMSKey
		}
		return r.createSecret(ctx, s)
	}
	err = r.newKMSKey(s.KMSKey, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.SecretARN = made.ARN
	return err
}

// taken finds out why a secret's name is taken that was free before.
func (r *run) taken(ctx context.Context, s plan.CreateSecret, cause error) error {
	existing, err := patience.Ask(ctx, patience.JustMade, func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, s.Name) })
	switch {
	case err == nil && r.owner.Owns(existing.Tags):
		return issue.ErrRaced
	case err == nil:
		return fmt.Errorf("%w: %w", plan.ForeignSecret(r.owner, r.want.Spec.UserName, existing), cause)
	case errors.Is(err, access.ErrNotFound), errors.Is(err, access.ErrDenied):
		return fmt.Errorf("%w: %w", plan.Refused(fmt.Sprintf("SecretName: a secret %q already exists, and this provider cannot read whose it is; choose another SecretName", s.Name)), cause)
	}
	return err
}

// deleteSecret deletes a secret. If it was observed some time ago, deleteSecret checks again
// whose it is: the secret may belong to another user now, or may be a new one.
func (r *run) deleteSecret(ctx context.Context, s plan.DeleteSecret) error {
	// A crash after this: only what has the user's name is left.
	err := r.write(ctx, func(ctx context.Context) error {
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
	if errors.Is(err, access.ErrInvalid) {
		return r.replicated(ctx, s.Name, err)
	}
	return err
}

// replicated explains why a secret cannot be deleted, if its replicas are the cause.
func (r *run) replicated(ctx context.Context, secret string, cause error) error {
	info, err := r.findSecret(ctx, secret)
	if err != nil || info == nil || len(info.Replicas) == 0 {
		return cause
	}
	regions := strings.Join(info.Replicas, " ")
	err = fmt.Errorf("somebody replicated the secret to %s, and AWS deletes a secret only after its replicas are removed; the key in it is deleted. Remove the replicas (aws secretsmanager remove-regions-from-replication --secret-id %s --remove-replica-regions %s), and %s: %w", regions, secret, regions, r.finish(), cause)
	if !r.removing {
		return err // replicated after this run observed; the next run keeps the secret
	}
	return inTheWay{err}
}

func (r *run) copyVersions(ctx context.Context, s plan.CopyVersions) error {
	for _, version := range s.Versions {
		value, err := patience.Ask(ctx, patience.Nothing, func() (access.Secret, error) { return r.Versions.Value(ctx, s.From, version.ID) })
		if errors.Is(err, access.ErrNotFound) {
			return issue.ErrRaced // another run of the same event has moved it
		}
		if ofKMS(err) {
			return r.lock(s.From, err)
		}
		if err != nil {
			return fmt.Errorf("reading version %s: %w", version.ID, err)
		}
		labels := append(plan.CopiedLabels(version), access.Current)
		// A crash after this: the next run copies again, which stores no version twice, and
		// goes on with the next version. Until then the old secret stays.
		copied := plan.CopiedID(s.To, version.ID)
		err = r.write(ctx, func(ctx context.Context) error { return r.Versions.PutVersion(ctx, s.To, copied, value, labels) })
		if ofKMS(err) {
			return r.lock(s.To, err)
		}
		if err != nil {
			return fmt.Errorf("storing version %s: %w", version.ID, err)
		}
		r.mu.Lock()
		r.current(copied, keyring.KeyID(version))
		r.mu.Unlock()
	}
	return nil
}
