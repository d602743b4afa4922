package accesstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
)

// Proof is one proof of credentials.
type Proof struct {
	KeyID   string
	Scope   access.Scope
	Subject access.Subject
}

// Proofs returns the proofs since the last Forget.
func (a *Account) Proofs() []Proof {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.proofs)
}

// patience is how long the Prober waits for a key to authenticate.
const patience = 90 * time.Second

var errNotYet = errors.New("the key does not authenticate")

// Prove tries once a second until the key authenticates, for 90 seconds, then asks whether
// each bucket exists and the user's policies permit the roles; The second check is left out
// where the scope has buckets deny the function itself.
func (a *Account) Prove(ctx context.Context, credentials access.Credentials, scope access.Scope, subject access.Subject) error {
	for started := time.Now(); ; {
		err := a.call(on(ctx, credentials.KeyID), "Prove", func() error { return a.prove(credentials, scope, subject) })
		if !errors.Is(err, errNotYet) || time.Since(started) >= patience {
			return err
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (a *Account) prove(credentials access.Credentials, scope access.Scope, subject access.Subject) error {
	k := a.key(credentials.KeyID)
	if k == nil || !k.active || k.half != credentials.Secret.Reveal() {
		return errNotYet
	}
	if k.refused > 0 {
		k.refused--
		return errNotYet
	}
	k.used = access.LastUse{Time: time.Now(), Service: "sts", Region: a.region}
	if scope.Expired(time.Now()) || len(scope.SourceIPs) > 0 {
		// Buckets deny the function's own calls then, as they should.
		k.proven = true
		a.proofs = append(a.proofs, Proof{KeyID: k.id, Scope: scope, Subject: subject})
		return nil
	}
	for _, place := range scope.Places {
		if !a.buckets[place.Bucket()] {
			return access.Obstacles(fmt.Sprintf("bucket %s does not exist", place.Bucket()))
		}
	}
	if missing := a.missing(k.user, scope); missing != "" {
		return access.Obstacles(missing + " is denied")
	}
	k.proven = true
	a.proofs = append(a.proofs, Proof{KeyID: k.id, Scope: scope, Subject: subject})
	return nil
}

type kept struct {
	user  string
	scope access.Scope
}

// Keep makes the account shout as soon as the user may not do what the scope says, even
// between two calls. It holds until Release.
func (a *Account) Keep(user string, scope access.Scope) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = append(a.kept, kept{user, scope})
	a.checkKept()
}

// Release ends every Keep.
func (a *Account) Release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = nil
}

func (a *Account) checkKept() {
	for _, k := range a.kept {
		if missing := a.missing(k.user, k.scope); missing != "" {
			a.shout("%s may no longer %s, which it may before and after", k.user, missing)
		}
	}
}
