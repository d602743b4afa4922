package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/parallel"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
)

// observe looks at the account, as far as planning needs it. Questions that do not depend on
// each other are asked at the same time.
//
// known is called as soon as the users are known, while the other questions are still open.
//
// IAM lists a new key some seconds late. If a list lacks the key that AWSCURRENT names,
// observe asks again before that key counts as deleted: a client may just have received it.
func (p *Provisioner) observe(ctx context.Context, want plan.Desired, known func(plan.Observed) error) (seen plan.Observed, err error) {
	err = patience.Maybe.Do(ctx, func() error {
		l := look{Provisioner: p, want: want}
		if err := l.all(ctx, known); err != nil {
			return err
		}
		seen = l.seen
		return unlisted(want, seen)
	})
	if errors.Is(err, errUnlisted) {
		err = nil
	}
	return seen, err
}

// errUnlisted: no list has the key that a secret names yet.
var errUnlisted = fmt.Errorf("a key is not listed: %w", access.ErrNotFound)

// unlisted returns errUnlisted if AWSCURRENT names a key that no list has.
func unlisted(want plan.Desired, seen plan.Observed) error {
	if seen.User == nil && seen.Other == nil {
		return nil
	}
	lists := keyring.Ring{Keys: append(append([]access.Key{}, seen.Keys...), seen.OtherKeys...)}
	secrets := seen.OldSecrets
	if seen.Secret != nil {
		secrets = append(slices.Clone(secrets), *seen.Secret)
	}
	for _, secret := range secrets {
		if !want.Owner.Owns(secret.Tags) {
			continue
		}
		current, _ := secret.Labelled(access.Current)
		if _, listed := lists.Find(keyring.KeyID(current)); !listed && keyring.KeyID(current) != "" {
			return errUnlisted
		}
	}
	return nil
}

// look is one observation of the account.
type look struct {
	*Provisioner
	want plan.Desired
	seen plan.Observed
	late bool       // a list does not know the user yet
	mu   sync.Mutex // guards the maps of seen, and late
}

func (l *look) all(ctx context.Context, known func(plan.Observed) error) error {
	l.seen = plan.Observed{Policies: map[int]access.Policy{}, LastUse: map[string]access.LastUse{}}
	var attached []string
	var guessed *access.Policy
	var ofUser error
	user := l.want.Spec.UserName
	details := func() error {
		ofUser = parallel.Do(
			func() (err error) { l.seen.Keys, err = l.keys(ctx, user); return l.lags(err) },
			func() (err error) { attached, err = l.attached(ctx, user); return l.lags(err) },
			// Most users have one policy. It is read before the list of policies arrives.
			func() (err error) { guessed, err = l.findPolicy(ctx, name.Policy(user, 1)); return err },
		)
		return nil
	}
	// A user that is to be created does not exist, as a rule, and then IAM denies questions
	// about it: the function's role reaches only users with its own path.
	toBeMade := l.want.PhysicalID == "" || l.want.Replaces()
	early := []func() error{
		func() error { return l.users(ctx, known) },
		func() (err error) { l.seen.Secret, err = l.findSecret(ctx, l.want.Spec.SecretName); return err },
		func() error { return l.oldSecrets(ctx, l.want.OldSecretNames(nil)) },
	}
	if !toBeMade {
		early = append(early, details)
	}
	if err := parallel.Do(early...); err != nil {
		return err
	}
	// The plan refuses a user that belongs to somebody else, so it is not observed further.
	if l.seen.User == nil || !l.want.Owner.OwnsAs(user, l.seen.User.Tags) {
		l.seen.Keys = nil
		return l.resourcePolicy(ctx)
	}
	if toBeMade {
		_ = details()
	}
	remembered := slices.DeleteFunc(l.want.OldSecretNames(l.seen.User), func(secret string) bool { return slices.Contains(l.want.OldSecretNames(nil), secret) })
	if err := l.oldSecrets(ctx, remembered); err != nil {
		return err
	}
	if ofUser != nil {
		return ofUser
	}
	if l.late {
		return fmt.Errorf("looking into user %s: %w", user, access.ErrNotFound)
	}
	return parallel.Do(
		func() error { return l.policies(ctx, attached, guessed) },
		func() error { return l.lastUse(ctx) },
		func() error { return l.resourcePolicy(ctx) },
	)
}

// lags records that a list does not know the user: the user does not exist, or IAM shows it
// late.
func (l *look) lags(err error) error {
	if !errors.Is(err, access.ErrNotFound) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = true
	return nil
}

// users looks for the user, and for the other user of the event.
func (l *look) users(ctx context.Context, known func(plan.Observed) error) error {
	err := parallel.Do(
		func() (err error) { l.seen.User, err = l.findUser(ctx, l.want.Spec.UserName); return err },
		func() error { return l.other(ctx) },
	)
	if err != nil || known == nil {
		return err
	}
	return known(plan.Observed{User: l.seen.User, Other: l.seen.Other})
}

func (l *look) other(ctx context.Context) error {
	other := l.want.Other()
	if other == "" {
		return nil
	}
	// The other user may not exist, and then IAM denies questions about its keys.
	user, err := l.findUser(ctx, other)
	if err != nil || user == nil {
		return err
	}
	if !l.want.Owner.OwnsAs(other, user.Tags) {
		if plan.HasLostTags(l.want.Owner, *user) {
			l.seen.LostUser = user
		}
		return nil
	}
	l.seen.Other = user
	l.seen.OtherKeys, err = l.keys(ctx, other)
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return err
}

// oldSecrets looks for secrets of these names that belong to the user.
func (l *look) oldSecrets(ctx context.Context, names []string) error {
	var looks []func() error
	for _, candidate := range names {
		looks = append(looks, func() error {
			old, err := l.findSecret(ctx, candidate)
			if err != nil || old == nil {
				return err
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			switch user := l.want.Spec.UserName; {
			case l.want.Owner.OwnsAs(user, old.Tags):
				l.seen.OldSecrets = append(l.seen.OldSecrets, *old)
			case l.want.Owner.LostAs(user, old.Tags):
				l.seen.Lost = append(l.seen.Lost, *old)
				l.warnLostTags(ctx, "secret", candidate)
			}
			return nil
		})
	}
	err := parallel.Do(looks...)
	slices.SortFunc(l.seen.OldSecrets, func(a, b access.SecretInfo) int { return strings.Compare(a.Name, b.Name) })
	return err
}

// warnLostTags warns of an entity that stays: it may belong to the resource, but its tags no
// longer show that.
func (p *Provisioner) warnLostTags(ctx context.Context, kind, entity string) {
	p.Log.WarnContext(ctx, "not deleted: it has lost tags of this provider; if it belonged to the resource, delete it by hand", "kind", kind, "name", entity)
}

// policies reads the attached policies that are ours.
func (l *look) policies(ctx context.Context, attached []string, guessed *access.Policy) error {
	var reads []func() error
	for _, policy := range attached {
		number, ours := name.PolicyNumber(l.want.Spec.UserName, policy)
		if !ours {
			continue
		}
		reads = append(reads, func() error {
			read := guessed
			if number != 1 || read == nil {
				var err error
				if read, err = l.findPolicy(ctx, policy); err != nil || read == nil {
					return err
				}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.seen.Policies[number] = *read
			return nil
		})
	}
	return parallel.Do(reads...)
}

// lastUse asks when the other keys were last used: the plan decides by that.
func (l *look) lastUse(ctx context.Context) error {
	var current access.Version
	if l.seen.Secret != nil {
		current, _ = l.seen.Secret.Labelled(access.Current)
	}
	var asks []func() error
	for _, key := range l.seen.Keys {
		if key.ID == keyring.KeyID(current) {
			continue
		}
		asks = append(asks, func() error {
			use, err := ask(ctx, "asking when key "+key.ID+" was last used", func() (access.LastUse, error) { return l.Keys.LastUse(ctx, key.ID) })
			if errors.Is(err, access.ErrDenied) || errors.Is(err, access.ErrNotFound) {
				// IAM denies the question for a key that was deleted and is still listed. A
				// key whose last use is unknown counts as used just now.
				use, err = access.LastUse{Time: time.Now(), Service: "an unknown service", Region: "an unknown region"}, nil
			}
			if err != nil {
				return err
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.seen.LastUse[key.ID] = use
			return nil
		})
	}
	return parallel.Do(asks...)
}

// resourcePolicy reads the resource policy of a secret of ours, if the secret can have
// readers. In its recovery window a secret does not show its policy.
func (l *look) resourcePolicy(ctx context.Context) error {
	secret := l.seen.Secret
	if secret == nil || !l.want.Owner.Owns(secret.Tags) || !secret.Deleted.IsZero() {
		return nil
	}
	if secret.Tags[name.TagReaders] == "" && len(l.want.Spec.Readers)+len(l.want.Old.Readers) == 0 {
		return nil
	}
	var err error
	l.seen.ResourcePolicy, err = ask(ctx, "asking who may read secret "+secret.Name, func() (string, error) { return l.Readers.ResourcePolicy(ctx, secret.Name) })
	return err
}

func (p *Provisioner) findUser(ctx context.Context, user string) (*access.User, error) {
	return find(ctx, "looking for user "+user, func() (access.User, error) { return p.Users.User(ctx, user) })
}

func (p *Provisioner) findPolicy(ctx context.Context, policy string) (*access.Policy, error) {
	return find(ctx, "reading policy "+policy, func() (access.Policy, error) { return p.Policies.Policy(ctx, policy) })
}

func (p *Provisioner) findSecret(ctx context.Context, secret string) (*access.SecretInfo, error) {
	return find(ctx, "looking for secret "+secret, func() (access.SecretInfo, error) { return p.Secrets.Secret(ctx, secret) })
}

// find returns what was found, or nil.
func find[T any](ctx context.Context, what string, look func() (T, error)) (*T, error) {
	found, err := ask(ctx, what, look)
	if errors.Is(err, access.ErrNotFound) {
		return nil, nil
	}
	return &found, err
}

func (p *Provisioner) keys(ctx context.Context, user string) ([]access.Key, error) {
	return ask(ctx, "listing the user's keys", func() ([]access.Key, error) { return p.Keys.Keys(ctx, user) })
}

func (p *Provisioner) attached(ctx context.Context, user string) ([]string, error) {
	return ask(ctx, "listing the user's policies", func() ([]string, error) { return p.Attachments.Attached(ctx, user) })
}

// ask asks until there is an answer. An error says what was asked.
func ask[T any](ctx context.Context, what string, question func() (T, error)) (answer T, err error) {
	if answer, err = patience.Ask(ctx, patience.Nothing, question); err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return answer, err
}
