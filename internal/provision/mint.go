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
	// Promptly, because another run takes a key for nobody's that is not stored
	// for long (see storing).
	err = promptly(ctx, r.justMade, func() error {
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
			r.Log.WarnContext(ctx, "a stored key was left: whether it became current could not be asked", "key", r.minted.KeyID, "error", err.Error())
			return
		}
		if secret != nil {
			if current, ok := secret.Labelled(access.Current); ok && plan.KeyOf(current) == r.minted.KeyID {
				return
			}
		}
	}
	if err := r.settle(ctx, func() error { return r.Keys.DeleteKey(ctx, r.want.Spec.UserName, r.minted.KeyID) }); err != nil {
		r.Log.WarnContext(ctx, "a key that was not stored could not be deleted; the next run or the Delete does", "user", r.want.Spec.UserName, "key", r.minted.KeyID, "error", err.Error())
	}
}

// clockSkew is how far AWS's clock may be behind ours.
const clockSkew = time.Minute

// dropUnknown deletes the key that a CreateAccessKey made whose answer never
// came: one that was not there before, is not older than the attempt, and is
// not recorded in the secret, where a run at the same moment may have put it.
// A listing may lag behind, so it looks for a while; what comes to light later
// the next run finds.
func (r *run) dropUnknown(ctx context.Context, s plan.Mint, started time.Time) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	err := waitOut(ctx, justMadeFor, func() error {
		unknown, err := r.unknown(ctx, s, started)
		if err == nil && len(unknown) == 0 {
			return access.ErrNotFound
		}
		for _, key := range unknown {
			err = errors.Join(err, r.Keys.DeleteKey(ctx, s.User, key))
		}
		return err
	})
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		r.Log.WarnContext(ctx, "after an unclear answer a key may be left; the next run or the Delete looks again", "user", s.User, "error", err.Error())
	}
}

// unknown lists the keys that the attempt may have made.
func (r *run) unknown(ctx context.Context, s plan.Mint, started time.Time) (ids []string, err error) {
	keys, err := r.Keys.Keys(ctx, s.User)
	if err != nil {
		return nil, err
	}
	secret, err := r.findSecret(ctx, s.Secret)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		before := slices.ContainsFunc(r.seen.Keys, func(k access.Key) bool { return k.ID == key.ID })
		recorded := secret != nil && slices.ContainsFunc(secret.Versions, func(v access.Version) bool { return plan.KeyOf(v) == key.ID })
		if !before && !recorded && !key.Created.Before(started.Add(-clockSkew)) {
			ids = append(ids, key.ID)
		}
	}
	return ids, nil
}

// lastLook is what a run sees before it answers that made a user or changed
// something. An event of the same user may have got in between: a Delete, or
// the rollback of a replacement. And the list of keys may show by now what an
// earlier run issued that was killed before it could store it.
func (r *run) lastLook(ctx context.Context) error {
	if !r.wrote && !r.result.Unanswered {
		return nil
	}
	if err := r.waitForPassing(ctx); err != nil {
		return err
	}
	var keys []access.Key
	var secret *access.SecretInfo
	w := newWatch()
	err := waitOut(ctx, listLag, func() (err error) {
		if keys, err = r.keysOfMade(ctx); err != nil {
			return err
		}
		secret, err = r.findSecret(ctx, r.want.Spec.SecretName)
		switch {
		case err != nil:
			return err
		case slices.ContainsFunc(keys, func(key access.Key) bool { return !r.recorded(key.ID, secret) && w.storing(key) }):
			return access.ErrBusy
		case !r.givesOut(secret, keys):
			return access.ErrNotFound // not listed yet, or deleted
		}
		return nil
	})
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return err
	}
	for _, key := range keys {
		if r.cameToLight(key.ID, secret) {
			// An earlier run made it and was killed; the plan takes it away.
			return fmt.Errorf("key %s was not listed before: %w", key.ID, errRaced)
		}
		if r.minted.KeyID == "" && !r.result.Unanswered || r.recorded(key.ID, secret) {
			continue
		}
		if err := r.step(ctx, plan.DeleteKey{User: r.want.Spec.UserName, ID: key.ID}); err != nil {
			return fmt.Errorf("deleting key %s, which no secret records: %w", key.ID, err)
		}
	}
	switch {
	case err == nil:
		return nil
	case r.result.Unanswered:
		// Made again it would take the secret from whom that was given back to.
		return errOvertaken
	}
	// What is there now decides.
	return fmt.Errorf("AWSCURRENT of secret %s names no key of the user: %w", r.want.Spec.SecretName, errRaced)
}

var errOvertaken = errors.New("the user, its key or its secret was deleted while it was being made, by a Delete or a rollback of this stack or by hand")

// keysOfMade lists the keys of the user that there is by now. IAM may not see
// yet what this run made: waited out before it is believed.
func (r *run) keysOfMade(ctx context.Context) (keys []access.Key, err error) {
	err = settle(ctx, true, func() (err error) {
		keys, err = r.Keys.Keys(ctx, r.want.Spec.UserName)
		return err
	})
	if errors.Is(err, access.ErrNotFound) {
		return nil, errOvertaken
	}
	if err != nil {
		return nil, fmt.Errorf("listing the user's keys: %w", err)
	}
	return keys, nil
}

// givesOut reports whether the secret is the user's, and AWSCURRENT names one
// of the keys.
func (r *run) givesOut(secret *access.SecretInfo, keys []access.Key) bool {
	if secret == nil || !r.want.Owner.OwnsAs(r.want.Spec.UserName, secret.Tags) {
		return false
	}
	current, _ := secret.Labelled(access.Current)
	return lives(plan.KeyOf(current), keys)
}

// cameToLight reports whether the key is nobody's and listed only since this
// run began, so that the plan could not take it away. One that no secret
// records may be another run's: observe waits for that to be told.
func (r *run) cameToLight(keyID string, now *access.SecretInfo) bool {
	if keyID == r.minted.KeyID || listed(keyID, r.seen.Keys) || now == nil {
		return false
	}
	holds := func(v access.Version) bool { return plan.KeyOf(v) == keyID }
	for _, label := range []string{access.Current, access.Previous} {
		if version, ok := now.Labelled(label); ok && holds(version) {
			return false
		}
	}
	mintedNone := r.minted.KeyID == "" && !r.result.Unanswered
	return mintedNone || r.seen.Secret != nil && slices.ContainsFunc(r.seen.Secret.Versions, holds)
}

// recorded reports whether the key is in the secret, or was when this began.
func (r *run) recorded(keyID string, now *access.SecretInfo) bool {
	for _, secret := range []*access.SecretInfo{now, r.seen.Secret, r.seen.Former} {
		if secret != nil && slices.ContainsFunc(secret.Versions, func(v access.Version) bool { return plan.KeyOf(v) == keyID }) {
			return true
		}
	}
	return keyID == r.minted.KeyID
}

// afterwards returns a context for tidying up after the run's own has ended.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), keepForUndo/2)
}
