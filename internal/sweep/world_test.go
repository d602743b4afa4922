package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/sweep"
)

const (
	day     = 24 * time.Hour
	stackID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/data/6f1d2c3b-4a59-4868-9776-a5b4c3d2e1f0"
)

// world is an account, its sweep, and all notices.
type world struct {
	t *testing.T
	*accesstest.Account
	*sweep.Sweeper
	told    *told
	log     *bytes.Buffer
	metrics *bytes.Buffer
}

// told keeps the notices. It takes none while fails is not nil.
type told struct {
	mu      sync.Mutex
	notices []notice.Notice
	fails   error
}

func (a *told) Announce(_ context.Context, n notice.Notice) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails != nil {
		return a.fails
	}
	a.notices = append(a.notices, n)
	return nil
}

func newWorld(t *testing.T) world {
	account := accesstest.New(t, "data")
	account.RecordsLate = keyring.RecordsLate
	w := world{t: t, Account: account, told: &told{}, log: &bytes.Buffer{}, metrics: &bytes.Buffer{}}
	w.Sweeper = &sweep.Sweeper{
		Users: account, Policies: account, Keys: account, Secrets: account, Stacks: account, Announcer: w.told,
		Log: slog.New(slog.NewTextHandler(w.log, nil)), Metrics: &metric.Sink{Function: "rotator", Out: w.metrics}, KeyAge: 90 * day,
	}
	return w
}

// sweep sweeps within the time that the rotator's function has.
func (w world) sweep() {
	w.t.Helper()
	w.sweepFor(15 * time.Minute)
}

// sweepFor sweeps within that time, and checks the promises.
func (w world) sweepFor(limit time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	if err := w.Sweep(ctx); err != nil {
		w.t.Errorf("the sweep: %v", err)
	}
	if w.Leaked(w.log.String()) || w.Leaked(fmt.Sprintf("%+v", w.told.notices)) {
		w.t.Error("a notice holds a secret access key")
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func owner(logical string) name.Owner {
	stack, err := name.ParseStackID(stackID)
	if err != nil {
		panic(err)
	}
	return name.Owner{Stack: stack, Logical: logical}
}

// user creates the same as the provider: a user with its policy, a key and a secret. It
// returns the key.
func (w world) user(called string) (keyID string) {
	w.t.Helper()
	ctx, tags := w.t.Context(), owner(called).Tags(called)
	documents, err := policy.Documents(name.MaxPolicies, access.Scope{Source: true, Places: []access.Place{"data"}}, "aws", nil)
	must(w.t, err)
	_, err = w.CreateUser(ctx, called, tags)
	must(w.t, err)
	_, err = w.CreatePolicy(ctx, called+"-1", documents[0].Text, tags)
	must(w.t, err, w.AttachPolicy(ctx, called, called+"-1"))
	_, err = w.CreateSecret(ctx, name.Secret(called), "", "", tags)
	must(w.t, err)
	keyID = w.rotate(called)
	must(w.t, w.Account.TagUser(ctx, called, map[string]string{name.TagPolicies: "1", name.TagCompleted: "x"}, nil))
	return keyID
}

// rotate gives the user a new key, which becomes current.
func (w world) rotate(called string) (keyID string) {
	w.t.Helper()
	ctx, secret := w.t.Context(), name.Secret(called)
	made, err := w.CreateKey(ctx, called)
	must(w.t, err)
	token := name.Token(made.KeyID)
	labels := []string{name.KeyLabel(1, made.KeyID), name.LabelLatest, name.SinceLabel(time.Now())}
	must(w.t, w.PutVersion(ctx, secret, token, made.Encode(), labels))
	if current := w.CurrentVersion(secret); current != token {
		must(w.t, w.Promote(ctx, secret, token, current))
	}
	return made.KeyID
}

// tell returns the notices since the last call, each as "Kind: user: Reason".
func (w world) tell() (notices []string) {
	for _, n := range w.told.notices {
		notices = append(notices, fmt.Sprintf("%s: %s: %s", n.Kind, n.UserName, n.Reason))
	}
	w.told.notices = nil
	return notices
}

// tells checks the notices since the last call: each has these words, and there are no
// others.
func (w world) tells(what string, want ...string) {
	w.t.Helper()
	got := w.tell()
	for _, words := range want {
		kind, reason, _ := strings.Cut(words, ": ")
		found := -1
		for i, n := range got {
			if strings.HasPrefix(n, kind) && strings.Contains(n, reason) {
				found = i
			}
		}
		if found < 0 {
			w.t.Errorf("%s: nothing is told of %q: %q", what, words, got)
			return
		}
		got = append(got[:found:found], got[found+1:]...)
	}
	if len(got) > 0 {
		w.t.Errorf("%s: told besides: %q", what, got)
	}
}
