// Package issue carries out the life of a key: it makes one and stores it,
// proves it, makes it current, and takes it back when that fails.
//
// It owns its ports. The provider and the rotator hand it what keeps their
// writes in order (Guard); which key to make, and which to keep, package
// keyring says.
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
	// CreateKey makes a key, and is never repeated by the edge: AWS has no
	// idempotency token for it. After an error that is not access.Definite the
	// key may exist. access.ErrLimit: both places are taken.
	CreateKey(ctx context.Context, user string) (access.Credentials, error)
	// DeleteKey deletes a key. One that is gone is no error.
	DeleteKey(ctx context.Context, user, keyID string) error
	// LastUse returns when a key was last used.
	LastUse(ctx context.Context, keyID string) (access.LastUse, error)
}

// Versions is the values of a secret.
type Versions interface {
	// PutVersion stores a value as the version called token, with these labels
	// in the same call. The same value again changes nothing; another value
	// under the same token is access.ErrExists.
	PutVersion(ctx context.Context, name, token string, value access.Secret, labels []string) error
	// Value returns the value of one version, or access.ErrNotFound.
	Value(ctx context.Context, name, version string) (access.Secret, error)
	// Promote moves AWSCURRENT from one version to another; AWSPREVIOUS follows.
	// access.ErrMoved: it is at neither of them.
	Promote(ctx context.Context, name, version, from string) error
	// Unlabel takes a label from a version. One that is gone is no error.
	Unlabel(ctx context.Context, name, version, label string) error
}

// Secrets describes secrets.
type Secrets interface {
	// Secret describes a secret, in its recovery window too, or access.ErrNotFound.
	Secret(ctx context.Context, name string) (access.SecretInfo, error)
}

// Prober proves that a key does what it should.
type Prober interface {
	// Prove returns nil once the key authenticates and every bucket answers as
	// its role needs; once it authenticates, where the scope has buckets deny
	// the function itself (SourceIps, an ExpiresAt that has passed).
	// access.Obstacles says, bucket by bucket, what is in the way, and what the
	// subject's owner can do about it; any other error: it does not authenticate.
	Prove(ctx context.Context, credentials access.Credentials, scope access.Scope, subject access.Subject) error
}

// Guard carries writes out, as long as it is the run's turn.
type Guard interface {
	// Write repeats f until it succeeds or fails for good.
	Write(ctx context.Context, wait patience.For, f func(context.Context) error) error
	// Once is Write for what must not be repeated after an unclear end.
	Once(ctx context.Context, wait patience.For, f func(context.Context) error) error
}

// ErrRaced: something else was faster at one step. Look again.
var ErrRaced = errors.New("another run was faster")

// Unproven is a key that does not do what it should, or not in time, and why.
type Unproven struct{ Cause error }

func (u Unproven) Error() string { return u.Cause.Error() }

// Unwrap returns the cause.
func (u Unproven) Unwrap() error { return u.Cause }

// Unstored is a key that could not be stored, and why. It is deleted again.
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
	// Wait is for what the caller has made a moment ago.
	Wait patience.For
}

// Order is what a new key is for.
type Order struct {
	User, Secret string
	Token        string // names the stored version; only one run can win it
	Labels       func(keyID string) []string
	Known        []access.Key // the user's keys before
}

// Mint makes a key and stores it. Between the two calls the key is live and
// nobody knows its secret half but this function: nothing else happens there.
// With an error the key is not stored, and deleted again, or its id is in the
// credentials. ErrRaced: look again.
func (i Issuer) Mint(ctx context.Context, o Order) (minted access.Credentials, err error) {
	started, asked := time.Now(), false
	// A crash after this: a key that no secret records. The next run, an Update
	// or a Delete finds it in the list of keys and deletes it.
	err = i.Guard.Once(ctx, i.Wait, func(ctx context.Context) (err error) {
		asked = true
		minted, err = i.Keys.CreateKey(ctx, o.User)
		return err
	})
	if errors.Is(err, access.ErrLimit) {
		// There was room: something else has taken it, or the list was late.
		return minted, fmt.Errorf("creating an access key: %w: %w", ErrRaced, err)
	}
	if err != nil {
		if asked && !access.Definite(err) {
			i.dropUnknown(ctx, o, started)
		}
		return access.Credentials{}, fmt.Errorf("creating an access key: %w", err)
	}
	// A crash after this: the key is recorded, and found again by its label.
	// Soon again when throttled: the key is live, and recorded nowhere.
	soon := i.Wait
	soon.Often = true
	err = i.Guard.Write(ctx, soon, func(ctx context.Context) error {
		return i.Versions.PutVersion(ctx, o.Secret, o.Token, minted.Encode(), o.Labels(minted.KeyID))
	})
	switch {
	case errors.Is(err, access.ErrExists):
		// Another run stored its key first.
		err = ErrRaced
	case err == nil || !access.Definite(err) && i.stored(ctx, o, minted.KeyID):
		return minted, nil
	}
	i.Drop(ctx, o.User, minted.KeyID)
	return access.Credentials{}, Unstored{err}
}

// stored reports whether a store that failed unclearly happened all the same.
func (i Issuer) stored(ctx context.Context, o Order, keyID string) bool {
	ctx, cancel := Afterwards(ctx)
	defer cancel()
	secret, err := i.secret(ctx, o.Secret)
	return err == nil && keyring.Ring{Versions: secret.Versions}.Recorded(keyID)
}

func (i Issuer) secret(ctx context.Context, name string) (access.SecretInfo, error) {
	return patience.Ask(ctx, patience.Nothing, func() (access.SecretInfo, error) { return i.Secrets.Secret(ctx, name) })
}

// Drop deletes a key that nobody has. Its failure is logged: the next run or
// the Delete finds the key.
func (i Issuer) Drop(ctx context.Context, user, keyID string) {
	ctx, cancel := Afterwards(ctx)
	defer cancel()
	if err := i.Wait.Do(ctx, func() error { return i.Keys.DeleteKey(ctx, user, keyID) }); err != nil {
		i.Log.WarnContext(ctx, "a key that was not stored could not be deleted; the next run or the Delete does", "user", user, "key", keyID, "error", err.Error())
	}
}

// DropStored deletes a key that is stored, unless it is current: a promotion
// may have failed and happened all the same.
func (i Issuer) DropStored(ctx context.Context, user, secretName, keyID string) {
	ctx, cancel := Afterwards(ctx)
	defer cancel()
	secret, err := i.secret(ctx, secretName)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		i.Log.WarnContext(ctx, "a stored key was left: whether it became current could not be asked", "key", keyID, "error", err.Error())
		return
	}
	if current, ok := secret.Labelled(access.Current); ok && keyring.KeyID(current) == keyID {
		return
	}
	i.Drop(ctx, user, keyID)
}

// clockSkew is how far AWS's clock may be behind ours.
const clockSkew = time.Minute

// dropUnknown deletes the key that a CreateAccessKey made whose answer never
// came: one that was not there before, is not older than the attempt, and is
// not recorded in the secret. A listing may lag behind, so it looks for a
// while; what comes to light later the next run finds.
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

// unknown lists the keys that the attempt may have made.
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
		recorded := keyring.Ring{Versions: secret.Versions}.Recorded(key.ID)
		if !before && !recorded && !key.Created.Before(started.Add(-clockSkew)) {
			ids = append(ids, key.ID)
		}
	}
	return ids, nil
}

// Stored returns the key that a version of the secret holds.
func (i Issuer) Stored(ctx context.Context, secret, version string) (access.Credentials, error) {
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

// Promote moves AWSCURRENT to a version. ErrRaced: it is not where it was.
func (i Issuer) Promote(ctx context.Context, secret, version, from string) error {
	// A crash after this: the new key is current, the former one lives.
	err := i.Guard.Write(ctx, patience.Nothing, func(ctx context.Context) error { return i.Versions.Promote(ctx, secret, version, from) })
	if errors.Is(err, access.ErrMoved) {
		return fmt.Errorf("%w: %w", ErrRaced, err)
	}
	return err
}

// tidying is how long tidying up may take once the run's own time is over.
const tidying = 10 * time.Second

// Afterwards returns a context for tidying up after the run's own has ended.
func Afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), tidying)
}
