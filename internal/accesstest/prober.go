package accesstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
)

// Proof is one time that credentials were proven.
type Proof struct {
	KeyID string
	Scope access.Scope
}

// Proofs returns what was proven since the last Forget.
func (a *Account) Proofs() []Proof {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.proofs)
}

// patience is how long the Prober waits for a key to authenticate.
const patience = 90 * time.Second

var errNotYet = errors.New("the key does not authenticate")

// Prove tries once a second until the key authenticates, for 90 seconds, then
// asks whether each bucket exists and the user's policies permit the roles.
func (a *Account) Prove(ctx context.Context, credentials access.Credentials, scope access.Scope) error {
	for started := time.Now(); ; {
		err := a.call(ctx, "Prove", func() error { return a.prove(credentials, scope) })
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

func (a *Account) prove(credentials access.Credentials, scope access.Scope) error {
	k := a.key(credentials.KeyID)
	if k == nil || !k.active || k.half != credentials.Secret.Reveal() {
		return errNotYet
	}
	if k.refused > 0 {
		k.refused--
		return errNotYet
	}
	for _, place := range scope.Places {
		if !a.buckets[place.Bucket()] {
			return fmt.Errorf("bucket %s does not exist", place.Bucket())
		}
	}
	if missing := a.missing(k.user, scope); missing != "" {
		return fmt.Errorf("%s is denied", missing)
	}
	a.proofs = append(a.proofs, Proof{KeyID: k.id, Scope: scope})
	return nil
}

// The guide's table.
var (
	onBucket  = []string{"s3:ListBucket", "s3:GetBucketLocation"}
	onSources = []string{"s3:GetObject", "s3:GetObjectVersion"}
	onTargets = []string{"s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
)

// missing returns an action and the resource that the scope's roles need it
// on, which the user's policies do not allow; empty: none.
func (a *Account) missing(user string, scope access.Scope) string {
	var objects []string
	if scope.Source {
		objects = append(objects, onSources...)
	}
	if scope.Destination {
		objects = append(objects, onTargets...)
	}
	granted := a.granted(user)
	for _, place := range scope.Places {
		arn := "arn:aws:s3:::" + place.Bucket()
		for _, action := range onBucket {
			if !granted[action+" on "+arn] {
				return action + " on " + arn
			}
		}
		for _, action := range objects {
			if !granted[action+" on "+arn+"/*"] {
				return action + " on " + arn + "/*"
			}
		}
	}
	return ""
}

// granted evaluates the user's attached policies, as far as our own documents
// go: Allow statements that name actions and resources literally.
func (a *Account) granted(name string) map[string]bool {
	granted := map[string]bool{}
	u := a.users[strings.ToLower(name)]
	if u == nil {
		return granted
	}
	for _, attached := range u.attached {
		var document struct {
			Statement []struct {
				Effect           string
				Action, Resource []string
			}
		}
		p := a.policies[strings.ToLower(attached)]
		if p == nil || json.Unmarshal([]byte(p.text()), &document) != nil {
			continue
		}
		for _, s := range document.Statement {
			for _, action := range s.Action {
				for _, resource := range s.Resource {
					if s.Effect == "Allow" {
						granted[action+" on "+resource] = true
					}
				}
			}
		}
	}
	return granted
}

type kept struct {
	user  string
	scope access.Scope
}

// Keep has the account shout as soon as the user may not do what the scope
// says, if only between two calls. It holds until Release.
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
