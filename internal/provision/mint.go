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

// mint issues a key and stores it. Between the two calls the key is live and
// nobody knows its secret half but this function: nothing else happens there.
func (r *run) mint(ctx context.Context, s plan.Mint) error {
	started := time.Now()
	// A crash after this: a key that no secret records. The next run, an Update
	// or a Delete finds it in the list of keys and deletes it.
	err := r.settle(ctx, func() (err error) {
		r.minted, err = r.Keys.CreateKey(ctx, s.User)
		return err
	})
	if errors.Is(err, access.ErrLimit) {
		// The plan saw room: another run of the same event has taken it since,
		// or the list of keys was late.
		return fmt.Errorf("creating an access key: %w: %w", errRaced, err)
	}
	if err != nil {
		if !access.Definite(err) {
			r.dropUnknown(ctx, s, started)
		}
		return fmt.Errorf("creating an access key: %w", err)
	}
	labels := []string{name.KeyLabel(s.Serial, r.minted.KeyID)}
	if s.First {
		labels = append(labels, access.Current)
	}
	// A crash after this: the key is recorded, and found again by its label.
	err = r.settle(ctx, func() error {
		return r.Secrets.PutVersion(ctx, s.Secret, s.Token, r.minted.Encode(), labels)
	})
	switch {
	case errors.Is(err, access.ErrExists):
		// Another run of the same event stored its key first. The caller
		// deletes ours.
		return errRaced
	case err != nil && (access.Definite(err) || !r.stored(ctx, s)):
		return fmt.Errorf("storing the key: %w", err)
	}
	r.version = s.Token
	r.promoted = s.First
	if s.First {
		r.result.AccessKeyID = r.minted.KeyID
	}
	return nil
}

// stored reports whether a store that failed unclearly happened all the same.
func (r *run) stored(ctx context.Context, s plan.Mint) bool {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	secret, err := r.findSecret(ctx, s.Secret)
	if err != nil || secret == nil {
		return false
	}
	return slices.ContainsFunc(secret.Versions, func(v access.Version) bool { return plan.KeyOf(v) == r.minted.KeyID })
}

// dropMinted deletes the key that this run issued, unless it became current.
func (r *run) dropMinted(ctx context.Context) {
	if r.minted.KeyID == "" || r.promoted {
		return
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	if r.version != "" {
		// Promote may have failed and happened all the same.
		secret, err := r.findSecret(ctx, r.want.Spec.SecretName)
		if err != nil {
			r.Log.Warn("a stored key was left: whether it became current could not be asked", "key", r.minted.KeyID, "error", err.Error())
			return
		}
		if secret != nil {
			if current, ok := secret.Labelled(access.Current); ok && plan.KeyOf(current) == r.minted.KeyID {
				return
			}
		}
	}
	if err := r.settle(ctx, func() error { return r.Keys.DeleteKey(ctx, r.want.Spec.UserName, r.minted.KeyID) }); err != nil {
		r.Log.Warn("a key that was not stored could not be deleted; the next run or the Delete does", "user", r.want.Spec.UserName, "key", r.minted.KeyID, "error", err.Error())
	}
}

// clockSkew is how far AWS's clock may be behind ours.
const clockSkew = time.Minute

// dropUnknown deletes the key that a CreateAccessKey made whose answer never
// came: one that was not there before, is not older than the attempt, and is
// not recorded in the secret, where a run at the same moment may have put it.
// A listing may lag behind; then the next run finds the key.
func (r *run) dropUnknown(ctx context.Context, s plan.Mint, started time.Time) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	keys, err := r.keys(ctx, s.User)
	if err != nil {
		r.Log.Warn("after an unclear answer the keys could not be listed; the next run or the Delete looks again", "user", s.User, "error", err.Error())
		return
	}
	secret, err := r.findSecret(ctx, s.Secret)
	if err != nil {
		return
	}
	for _, key := range keys {
		before := slices.ContainsFunc(r.seen.Keys, func(k access.Key) bool { return k.ID == key.ID })
		recorded := secret != nil && slices.ContainsFunc(secret.Versions, func(v access.Version) bool { return plan.KeyOf(v) == key.ID })
		if before || recorded || key.Created.Before(started.Add(-clockSkew)) {
			continue
		}
		err := r.Keys.DeleteKey(ctx, s.User, key.ID)
		r.log(plan.DeleteKey{User: s.User, ID: key.ID}, started, err)
	}
}

// afterwards returns a context for tidying up after the run's own has ended.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), keepForUndo/2)
}
