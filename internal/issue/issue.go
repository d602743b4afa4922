// Package issue carries out the life of a key: it creates and stores a key, proves it, makes
// it current, and deletes it again when that fails.
//
// It owns its ports. The provider and the rotator pass a Guard, which keeps their writes in
// order. Package keyring decides which key to create and which to keep.
package issue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/patience"
)

// Keys is a user's access keys.
type Keys interface {
	// Keys lists all of a user's keys. The list may lag behind by some seconds.
	Keys(ctx context.Context, user string) ([]access.Key, error)
	// CreateKey creates a key. The edge never repeats it: AWS has no idempotency token for
	// this call. After an error that is not access.Definite the key may exist.
	// access.ErrLimit: the user has two keys already.
	CreateKey(ctx context.Context, user string) (access.Credentials, error)
	// DeleteKey deletes a key. A key that does not exist is not an error.
	DeleteKey(ctx context.Context, user, keyID string) error
	// LastUse returns when a key was last used.
	LastUse(ctx context.Context, keyID string) (access.LastUse, error)
}

// Versions is the values of a secret.
type Versions interface {
	// PutVersion stores a value as the version called token, with these labels in the same
	// call. The same value again changes nothing; another value under the same token is
	// access.ErrExists.
	PutVersion(ctx context.Context, name, token string, value access.Secret, labels []string) error
	// Value returns the value of one version, or access.ErrNotFound.
	Value(ctx context.Context, name, version string) (access.Secret, error)
	// Promote moves AWSCURRENT from one version to another, and AWSPREVIOUS follows.
	// access.ErrMoved: AWSCURRENT is at neither of them.
	Promote(ctx context.Context, name, version, from string) error
	// Unlabel removes a label from a version. A label that the version does not have is not
	// an error.
	Unlabel(ctx context.Context, name, version, label string) error
}

// Secrets describes secrets.
type Secrets interface {
	// Secret describes a secret, also one in its recovery window, or returns
	// access.ErrNotFound.
	Secret(ctx context.Context, name string) (access.SecretInfo, error)
}

// Prober proves that a key does what it should.
type Prober interface {
	// Prove returns nil once the key authenticates and every bucket answers as its role
	// needs. If the scope makes buckets deny the function itself (SourceIps, an ExpiresAt in
	// the past), authenticating suffices. access.Obstacles says, bucket by bucket, what is
	// wrong, and what the subject's owner can do. Any other error: the key does not
	// authenticate.
	Prove(ctx context.Context, credentials access.Credentials, scope access.Scope, subject access.Subject) error
}

// Guard carries out writes, as long as it is the run's turn.
type Guard interface {
	// Write repeats f until it succeeds or fails for good.
	Write(ctx context.Context, wait patience.For, f func(context.Context) error) error
	// Once is Write for what must not be repeated after an unclear answer.
	Once(ctx context.Context, wait patience.For, f func(context.Context) error) error
}

// ErrRaced: another run was faster at one step. Observe again.
var ErrRaced = errors.New("another run was faster")

// Unproven says why a key does not do what it should, or not in time.
type Unproven struct{ Cause error }

func (u Unproven) Error() string { return u.Cause.Error() }

// Unwrap returns the cause.
func (u Unproven) Unwrap() error { return u.Cause }

// Unstored says why a key could not be stored. The key is deleted again.
type Unstored struct{ Cause error }

func (u Unstored) Error() string { return "storing the key: " + u.Cause.Error() }

// Unwrap returns the cause.
func (u Unstored) Unwrap() error { return u.Cause }

// Issuer issues keys. All fields are required.
type Issuer struct {
	Guard    Guard
	Keys     Keys
	Versions Versions
	Secrets  Secrets
	Prober   Prober
	Log      *slog.Logger
	// Wait is how long to wait for what the caller has just created.
	Wait patience.For
}

// Order describes a new key.
type Order struct {
	User, Secret string
	Token        string // id of the stored version; only one run can store it
	Labels       func(keyID string) []string
	Known        []access.Key // the user's keys before
}

// Mint creates a key and stores it. Nothing else happens between the two calls: in that time
// the key works, and only this function knows its secret half. After an error the key is not
// stored, and is deleted again, or its id is in the credentials. ErrRaced: observe again.
func (i Issuer) Mint(ctx context.Context, o Order) (minted access.Credentials, err error) {
	started, asked := time.Now(), false
	// A crash after this: a key that no secret holds. The next run, an Update or a Delete
	// finds it in the list of keys and deletes it.
	err = i.Guard.Once(ctx, i.Wait, func(ctx context.Context) (err error) {
		asked = true
		minted, err = i.Keys.CreateKey(ctx, o.User)
		return err
	})
	if errors.Is(err, access.ErrLimit) {
		// There was room: another run has taken it, or the list was late.
		return minted, fmt.Errorf("creating an access key: %w: %w", ErrRaced, err)
	}
	if err != nil {
		if asked && !access.Definite(err) {
			i.dropUnknown(ctx, o, started)
		}
		return access.Credentials{}, fmt.Errorf("creating an access key: %w", err)
	}
	// A crash after this: the secret holds the key, and its label leads to it. If throttled,
	// the call is repeated soon: the key works, and no secret holds it yet.
	soon := i.Wait
	soon.Often = true
	err = i.Guard.Write(ctx, soon, func(ctx context.Context) error {
		return i.Versions.PutVersion(ctx, o.Secret, o.Token, minted.Encode(), o.Labels(minted.KeyID))
	})
	switch {
	case errors.Is(err, access.ErrExists):
		// Another run stored its key first.
		err = ErrRaced
	case err == nil || !access.Definite(err) && i.wasStored(ctx, o, minted.KeyID):
		return minted, nil
	}
	i.Drop(ctx, o.User, minted.KeyID)
	return access.Credentials{}, Unstored{err}
}

// wasStored reports whether storing succeeded although the call failed unclearly.
func (i Issuer) wasStored(ctx context.Context, o Order, keyID string) bool {
	ctx, cancel := Afterwards(ctx)
	defer cancel()
	secret, err := i.secret(ctx, o.Secret)
	return err == nil && keyring.Ring{Versions: secret.Versions}.Stored(keyID)
}

func (i Issuer) secret(ctx context.Context, name string) (access.SecretInfo, error) {
	return patience.Ask(ctx, patience.Nothing, func() (access.SecretInfo, error) { return i.Secrets.Secret(ctx, name) })
}

// Drop deletes a key that nobody has. A failure is logged: the next run or the Delete finds
// the key.
func (i Issuer) Drop(ctx context.Context, user, keyID string) {
	ctx, cancel := Afterwards(ctx)
	defer cancel()
	if err := i.Wait.Do(ctx, func() error { return i.Keys.DeleteKey(ctx, user, keyID) }); err != nil {
		i.Log.WarnContext(ctx, "a key that was not stored could not be deleted; the next run or the Delete deletes it", "user", user, "key", keyID, "error", err.Error())
	}
}

// DropStored deletes a stored key, unless it is current: a promotion may have failed
// unclearly and still succeeded.
func (i Issuer) DropStored(ctx context.Context, user, secretName, keyID string) {
	ctx, cancel := Afterwards(ctx)
	defer cancel()
	secret, err := i.secret(ctx, secretName)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		i.Log.WarnContext(ctx, "a stored key was left, because the secret could not be read to see whether the key is current", "key", keyID, "error", err.Error())
		return
	}
	if current, ok := secret.Labelled(access.Current); ok && keyring.KeyID(current) == keyID {
		return
	}
	i.Drop(ctx, user, keyID)
}

// clockSkew is how far AWS's clock may be behind ours.
const clockSkew = time.Minute

// dropUnknown deletes the key that a CreateAccessKey created whose answer was lost: a key
// that did not exist before, is not older than the attempt, and is not in the secret. A list
// may lag behind, so dropUnknown asks for a while; the next run finds a key that appears
// later.
func (i Issuer) dropUnknown(ctx context.Context, o Order, started time.Time) {
	ctx, cancel := Afterwards(ctx)
	defer cancel()
	err := patience.Maybe.Do(ctx, func() error {
		unknown, err := i.unknown(ctx, o, started)
		if err == nil && len(unknown) == 0 {
			return access.ErrNotFound
		}
		for _, key := range unknown {
			err = errors.Join(err, i.Keys.DeleteKey(ctx, o.User, key))
		}
		return err
	})
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		i.Log.WarnContext(ctx, "after an unclear answer a key may be left; the next run or the Delete looks again", "user", o.User, "error", err.Error())
	}
}

// unknown lists the keys that the attempt may have created.
func (i Issuer) unknown(ctx context.Context, o Order, started time.Time) (ids []string, err error) {
	keys, err := i.Keys.Keys(ctx, o.User)
	if err != nil {
		return nil, err
	}
	secret, err := i.Secrets.Secret(ctx, o.Secret)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return nil, err
	}
	for _, key := range keys {
		before := slices.ContainsFunc(o.Known, func(k access.Key) bool { return k.ID == key.ID })
		recorded := keyring.Ring{Versions: secret.Versions}.Stored(key.ID)
		if !before && !recorded && !key.Created.Before(started.Add(-clockSkew)) {
			ids = append(ids, key.ID)
		}
	}
	return ids, nil
}

// ReadKey returns the key that a version of the secret holds.
func (i Issuer) ReadKey(ctx context.Context, secret, version string) (access.Credentials, error) {
	value, err := patience.Ask(ctx, patience.Nothing, func() (access.Secret, error) { return i.Versions.Value(ctx, secret, version) })
	if err != nil {
		return access.Credentials{}, fmt.Errorf("reading the stored key: %w", err)
	}
	return access.DecodeCredentials(value)
}

// Prove returns nil once the key does what the scope says, or Unproven.
func (i Issuer) Prove(ctx context.Context, key access.Credentials, scope access.Scope, subject access.Subject) error {
	defer metric.Verified(ctx, time.Now())
	if err := i.Prober.Prove(ctx, key, scope, subject); err != nil {
		return Unproven{err}
	}
	return nil
}

// Promote moves AWSCURRENT to a version. ErrRaced: AWSCURRENT is not where it was.
func (i Issuer) Promote(ctx context.Context, secret, version, from string) error {
	// A crash after this: the new key is current, and the previous one still works.
	err := i.Guard.Write(ctx, patience.Nothing, func(ctx context.Context) error { return i.Versions.Promote(ctx, secret, version, from) })
	if errors.Is(err, access.ErrMoved) {
		return fmt.Errorf("%w: %w", ErrRaced, err)
	}
	return err
}

// tidying is how long cleaning up may take after the run's own time.
const tidying = 10 * time.Second

// Afterwards returns a context for cleaning up after the run's own context has ended.
func Afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), tidying)
}
