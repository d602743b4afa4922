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

// observe looks at what is there, as far as planning needs it. Questions that
// need nothing of each other are asked at the same time.
//
// known is called as soon as the users are known, while the rest is still
// being asked.
//
// IAM lists a new key some seconds late. A key that AWSCURRENT names and the
// list lacks is looked for again before it counts as gone: someone may just
// have been given it.
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

// errUnlisted: a key that a secret names is in no list yet.
var errUnlisted = fmt.Errorf("a key is not listed: %w", access.ErrNotFound)

// unlisted returns errUnlisted if AWSCURRENT names a key that is in no list.
func unlisted(want plan.Desired, seen plan.Observed) error {
	if seen.User == nil && seen.Other == nil {
		return nil
	}
	lists := keyring.Ring{Keys: append(append([]access.Key{}, seen.Keys...), seen.OtherKeys...)}
	secrets := seen.Formers
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

// look is one look at the account.
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
			// Most users have one policy: it is read before the list says so.
			func() (err error) { guessed, err = l.findPolicy(ctx, name.Policy(user, 1)); return err },
		)
		return nil
	}
	// A user that is to be made is not there, as a rule, and IAM denies what is asked
	// about it: the function's role reaches users of its own path alone.
	toBeMade := l.want.PhysicalID == "" || l.want.Replaces()
	early := []func() error{
		func() error { return l.users(ctx, known) },
		func() (err error) { l.seen.Secret, err = l.findSecret(ctx, l.want.Spec.SecretName); return err },
		func() error { return l.formerSecrets(ctx, l.want.FormerSecrets(nil)) },
	}
	if !toBeMade {
		early = append(early, details)
	}
	if err := parallel.Do(early...); err != nil {
		return err
	}
	// Someone else's user is refused by the plan, and not looked into.
	if l.seen.User == nil || !l.want.Owner.OwnsAs(user, l.seen.User.Tags) {
		l.seen.Keys = nil
		return l.resourcePolicy(ctx)
	}
	if toBeMade {
		_ = details()
	}
	remembered := slices.DeleteFunc(l.want.FormerSecrets(l.seen.User), func(secret string) bool { return slices.Contains(l.want.FormerSecrets(nil), secret) })
	if err := l.formerSecrets(ctx, remembered); err != nil {
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

// lags notes that a list does not know the user: there is none, or IAM lags behind.
func (l *look) lags(err error) error {
	if !errors.Is(err, access.ErrNotFound) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = true
	return nil
}

// users looks for the user, and the other one that the event is about.
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
	// It may not be there, and then IAM denies what is asked about its keys.
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

// formerSecrets looks for secrets of these names that are the user's.
func (l *look) formerSecrets(ctx context.Context, names []string) error {
	var looks []func() error
	for _, candidate := range names {
		looks = append(looks, func() error {
			former, err := l.findSecret(ctx, candidate)
			if err != nil || former == nil {
				return err
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			switch user := l.want.Spec.UserName; {
			case l.want.Owner.OwnsAs(user, former.Tags):
				l.seen.Formers = append(l.seen.Formers, *former)
			case l.want.Owner.LostAs(user, former.Tags):
				l.seen.Lost = append(l.seen.Lost, *former)
				l.tagsGone(ctx, "secret", candidate)
			}
			return nil
		})
	}
	err := parallel.Do(looks...)
	slices.SortFunc(l.seen.Formers, func(a, b access.SecretInfo) int { return strings.Compare(a.Name, b.Name) })
	return err
}

// tagsGone warns of what may be the resource's, and is left: whose it is can no
// longer be told.
func (p *Provisioner) tagsGone(ctx context.Context, kind, entity string) {
	p.Log.WarnContext(ctx, "not touched: it does not carry all tags of this provider any more; delete it by hand if it was the resource's", "kind", kind, "name", entity)
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

// lastUse asks when the keys were last used of which that decides.
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
				// IAM denies it for a key that is gone and still listed. What is
				// not known counts as used just now.
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

// resourcePolicy reads who may read a secret of ours, where somebody may. In its
// recovery window a secret does not show it.
func (l *look) resourcePolicy(ctx context.Context) error {
	secret := l.seen.Secret
	if secret == nil || !l.want.Owner.Owns(secret.Tags) || !secret.Deleted.IsZero() {
		return nil
	}
	if secret.Tags[name.TagReaders] == "" && len(l.want.Spec.Readers)+len(l.want.Former.Readers) == 0 {
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

// find returns what there is, or nil if there is nothing.
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
