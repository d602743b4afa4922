package issue_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
)

const (
	user   = "reader"
	secret = name.SecretPrefix + user
)

// guard lets every write through.
type guard struct{}

func (guard) Write(ctx context.Context, wait patience.For, f func(context.Context) error) error {
	return wait.Do(ctx, func() error { return f(ctx) })
}

func (g guard) Once(ctx context.Context, wait patience.For, f func(context.Context) error) error {
	return g.Write(ctx, wait, f)
}

// world is an account with a user of ours, its current key, and its secret.
type world struct {
	*testing.T
	*accesstest.Account
	issuer issue.Issuer
	first  string
}

func play(t *testing.T, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		account := accesstest.New(t, "one")
		log := &strings.Builder{}
		stack, err := name.ParseStackID("arn:aws:cloudformation:" + accesstest.Region + ":" + accesstest.ID + ":stack/stack/51af3dc0-da77-11e4-872e-1234567db123")
		if err != nil {
			t.Fatal(err)
		}
		tags := name.Owner{Stack: stack, Logical: "Credentials"}.Tags(user)
		w := &world{T: t, Account: account, first: account.MakeUser(user, tags), issuer: issue.Issuer{
			Guard: guard{}, Keys: account, Versions: account, Secrets: account, Prober: account, Log: slog.New(slog.NewTextHandler(log, nil)),
		}}
		account.MakeSecret(secret, `{"AccessKeyId":"`+w.first+`"}`, tags)
		time.Sleep(time.Hour) // the first key is old
		f(w)
		if account.Leaked(log.String()) {
			t.Errorf("a secret half is in the log:\n%s", log)
		}
	})
}

var token = name.Token("the new key")

func (w *world) mint(ctx context.Context) (access.Credentials, error) {
	known, err := w.Account.Keys(ctx, user)
	if err != nil {
		w.Fatal(err)
	}
	return w.issuer.Mint(ctx, issue.Order{User: user, Secret: secret, Token: token, Known: known, Labels: func(keyID string) []string {
		return []string{name.KeyLabel(2, keyID), name.LabelLatest}
	}})
}

// errUnclear is a call that does not say whether it happened.
var errUnclear = errors.New("connection reset")

// at has the first calls of that name fail so.
func at(verb string, times int, cause error) func(context.Context, string) error {
	return func(_ context.Context, called string) error {
		if called == verb && times > 0 {
			times--
			return cause
		}
		return nil
	}
}

// alive asks for exactly these keys.
func (w *world) alive(keys ...string) {
	w.Helper()
	if live := w.LiveKeys(user); !slices.Equal(live, keys) {
		w.Errorf("live keys: %v, not %v", live, keys)
	}
}

// A key is stored, proven and made current.
func TestAKeyIsIssued(t *testing.T) {
	play(t, func(w *world) {
		minted, err := w.mint(w.Context())
		if err != nil || w.Labelled(secret, name.KeyLabel(2, minted.KeyID)) != minted.KeyID || w.Labelled(secret, access.Current) != w.first {
			t.Fatalf("%v, minted %s, AWSCURRENT %s", err, minted.KeyID, w.Labelled(secret, access.Current))
		}
		if stored, err := w.issuer.ReadKey(w.Context(), secret, token); err != nil || stored != minted {
			t.Errorf("%v, stored %s", err, stored.KeyID)
		}
		scope := access.Scope{Source: true, Places: []access.Place{"one"}}
		if err := w.issuer.Prove(w.Context(), minted, scope, access.Subject{}); !errors.As(err, new(issue.Unproven)) || !strings.Contains(err.Error(), "denied") {
			t.Errorf("without a policy it was proven: %v", err)
		}
		info, err := w.Secret(w.Context(), secret)
		current, _ := info.Labelled(access.Current)
		if err != nil || w.issuer.Promote(w.Context(), secret, token, "another") == nil || w.Labelled(secret, access.Current) != w.first {
			t.Errorf("promoted from another version than the current one: %v", err)
		}
		if err := w.issuer.Promote(w.Context(), secret, token, "another"); !errors.Is(err, issue.ErrRaced) {
			t.Error(err)
		}
		if err := w.issuer.Promote(w.Context(), secret, token, current.ID); err != nil || w.Labelled(secret, access.Current) != minted.KeyID {
			t.Error(err)
		}
		w.alive(w.first, minted.KeyID)
	})
}

// Whatever goes wrong, no key lives on that is stored nowhere; and one that is
// stored lives.
func TestAKeyThatFailsToBeMadeOrStored(t *testing.T) {
	for title, c := range map[string]struct {
		fail  func(*world)
		is    error // nil: it is no failure
		lives bool  // the new key
	}{
		"denied":                 {func(w *world) { w.Before = at("CreateAccessKey", 1, access.ErrDenied) }, access.ErrDenied, false},
		"no place":               {func(w *world) { w.Before = at("CreateAccessKey", 1, access.ErrLimit) }, issue.ErrRaced, false},
		"not made":               {func(w *world) { w.Before = at("CreateAccessKey", 1, errUnclear) }, errUnclear, false},
		"made":                   {func(w *world) { w.After = at("CreateAccessKey", 1, errUnclear) }, errUnclear, false},
		"made, listed late":      {func(w *world) { w.After, w.Lag.Keys = at("CreateAccessKey", 1, errUnclear), 3 }, errUnclear, false},
		"made, the clock behind": {func(w *world) { w.After, w.Behind = at("CreateAccessKey", 1, errUnclear), time.Minute }, errUnclear, false},
		"made, then throttled": {func(w *world) {
			w.After, w.Before = at("CreateAccessKey", 1, errUnclear), at("DeleteAccessKey", 2, access.ErrThrottled)
		}, errUnclear, false},
		"not stored":             {func(w *world) { w.Before = at("PutSecretValue", 1, access.ErrDenied) }, access.ErrDenied, false},
		"not stored, errUnclear": {func(w *world) { w.Before = at("PutSecretValue", 1, errUnclear) }, errUnclear, false},
		"stored":                 {func(w *world) { w.After = at("PutSecretValue", 1, errUnclear) }, nil, true},
		"stored once throttled":  {func(w *world) { w.Before = at("PutSecretValue", 3, access.ErrThrottled) }, nil, true},
		"another run was faster": {faster, issue.ErrRaced, false},
		"not stored, then throttled": {func(w *world) {
			w.Before = both(at("PutSecretValue", 1, errUnclear), at("DeleteAccessKey", 2, access.ErrThrottled))
		}, errUnclear, false},
	} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				c.fail(w)
				minted, err := w.mint(w.Context())
				if !errors.Is(err, c.is) || (err == nil) != c.lives {
					t.Errorf("%v", err)
				}
				w.Before, w.After = nil, nil
				if !c.lives {
					w.alive(w.first)
					return
				}
				w.alive(w.first, minted.KeyID)
				if latest := w.Labelled(secret, name.LabelLatest); latest != minted.KeyID {
					t.Errorf("minted %s, stored %s", minted.KeyID, latest)
				}
			})
		})
	}
}

func both(one, other func(context.Context, string) error) func(context.Context, string) error {
	return func(ctx context.Context, verb string) error { return errors.Join(one(ctx, verb), other(ctx, verb)) }
}

// faster has another run store its key under the same token.
func faster(w *world) {
	w.Before = func(ctx context.Context, verb string) error {
		if verb != "PutSecretValue" {
			return nil
		}
		w.Before = nil
		return w.PutVersion(ctx, secret, token, access.NewSecret(`{"AccessKeyId":"AKIAOTHER"}`), []string{name.LabelLatest})
	}
}

// A key that was there a moment before, and one that another run has stored
// in between, are not the lost one.
func TestOnlyTheLostKeyIsDeleted(t *testing.T) {
	play(t, func(w *world) {
		byHand, other := w.AddKey(user), ""
		w.Before = func(ctx context.Context, verb string) error {
			if verb != "CreateAccessKey" {
				return nil
			}
			w.Before = nil
			other = w.AddKey(user)
			_ = w.PutVersion(ctx, secret, name.Token("theirs"), access.NewSecret(`{"AccessKeyId":"`+other+`"}`), []string{name.KeyLabel(3, other)})
			return errUnclear
		}
		if _, err := w.mint(w.Context()); !errors.Is(err, errUnclear) {
			t.Error(err)
		}
		w.alive(w.first, byHand, other)
	})
}

// The time of the run is over: what it has made goes all the same.
func TestWhatIsLostGoesThoughTimeIsOver(t *testing.T) {
	for _, verb := range []string{"CreateAccessKey", "PutSecretValue"} {
		play(t, func(w *world) {
			ctx, cancel := context.WithCancel(w.Context())
			w.After = func(_ context.Context, called string) error {
				if called == "CreateAccessKey" && called == verb {
					cancel()
					return context.Canceled
				}
				return nil
			}
			w.Before = func(ctx context.Context, called string) error {
				if called == "PutSecretValue" && called == verb {
					cancel()
				}
				return ctx.Err()
			}
			if _, err := w.mint(ctx); err == nil {
				t.Error("succeeded")
			}
			w.alive(w.first)
		})
	}
}

// A promotion that failed may have happened: then the key stays.
func TestAStoredKeyIsDroppedUnlessItIsCurrent(t *testing.T) {
	for title, c := range map[string]struct {
		promote, ask bool
		lives        bool
	}{
		"not current":         {false, true, false},
		"current":             {true, true, true},
		"who knows":           {false, false, true},
		"current, who knows?": {true, false, true},
	} {
		t.Run(title, func(t *testing.T) {
			play(t, func(w *world) {
				minted, err := w.mint(w.Context())
				if err != nil {
					t.Fatal(err)
				}
				info, _ := w.Secret(w.Context(), secret)
				current, _ := info.Labelled(access.Current)
				if c.promote {
					if err := w.issuer.Promote(w.Context(), secret, token, current.ID); err != nil {
						t.Fatal(err)
					}
				}
				if !c.ask {
					w.Before = at("DescribeSecret", 1, access.ErrDenied)
				}
				w.issuer.DropStored(w.Context(), user, secret, minted.KeyID)
				if alive := slices.Contains(w.LiveKeys(user), minted.KeyID); alive != c.lives {
					t.Errorf("the key lives: %t", alive)
				}
			})
		})
	}
}
