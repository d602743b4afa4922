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

// undo runs what takes a failed run's work away. Its own failure is logged and
// not answered: the stack owner needs the first cause, and the Delete or the
// rollback Update that follows takes the same way again.
func (p *Provisioner) undo(ctx context.Context, want plan.Desired, f func() error) {
	if err := f(); err != nil {
		p.Log.WarnContext(ctx, "undoing did not finish; the Delete or rollback that follows does", "user", want.Spec.UserName, "error", err.Error())
	}
}

// finished reports whether the user that a run failed to make is to stay all
// the same: CloudFormation has been told of it by another delivery of the same
// event, or that one has completed it. If the mark may be the run's own it says
// nothing.
func (p *Provisioner) finished(ctx context.Context, userName string, own bool) (bool, error) {
	user, err := p.user(ctx, userName)
	if errors.Is(err, access.ErrNotFound) {
		return false, nil
	}
	return user.Tags[name.TagAnswered] != "" || user.Tags[name.TagCompleted] != "" && !own, err
}

// removeUnfinished takes away what a run made in vain.
func (p *Provisioner) removeUnfinished(ctx context.Context, want plan.Desired, own bool) error {
	if finished, err := p.finished(ctx, want.Spec.UserName, own); err != nil || finished {
		return err
	}
	return p.remove(ctx, Target{Owner: want.Owner, PhysicalID: want.Spec.UserName, SecretName: want.Spec.SecretName})
}

// undoReplacement gives a secret that both users share back to the former one,
// and removes the new user. In that order: AWSCURRENT names a live key at
// every moment.
func (p *Provisioner) undoReplacement(ctx context.Context, want plan.Desired, former string, own bool) error {
	if finished, err := p.finished(ctx, want.Spec.UserName, own); err != nil || finished {
		return err
	}
	secret, err := p.findSecret(ctx, want.Spec.SecretName)
	if err != nil {
		return err
	}
	if secret != nil && want.Owner.OwnsAs(want.Spec.UserName, secret.Tags) {
		if err := p.giveBack(ctx, want, *secret, former); err != nil {
			return err
		}
	}
	return p.remove(ctx, Target{Owner: want.Owner, PhysicalID: want.Spec.UserName, SecretName: want.Spec.SecretName})
}

// giveBack makes the secret the former user's again if it holds a live key of
// that user. A secret that was made for the new user does not.
func (p *Provisioner) giveBack(ctx context.Context, want plan.Desired, secret access.SecretInfo, former string) error {
	user, err := p.user(ctx, former)
	if errors.Is(err, access.ErrNotFound) || err == nil && !want.Owner.OwnsAs(former, user.Tags) {
		return nil
	}
	if err != nil {
		return err
	}
	version, err := p.versionOf(ctx, former, want.Spec.UserName, secret)
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if current, _ := secret.Labelled(access.Current); version.ID != current.ID {
		// A crash after this: AWSCURRENT names the former user's live key,
		// and the rollback Update does the rest.
		if err := settle(ctx, false, func() error { return p.Secrets.Promote(ctx, secret.Name, version.ID, current.ID) }); err != nil {
			return fmt.Errorf("giving the secret back: %w", err)
		}
	}
	// A crash after this: the new user is left, which the rollback Update
	// finds by OldResourceProperties.
	return p.pass(ctx, secret.Name, want.Owner.Tags(former), nil)
}

// versionOf returns the youngest version that holds a live key of the former
// user, or access.ErrNotFound. A key that is neither user's by the lists is
// looked for until that is to be believed: a list may be late.
func (p *Provisioner) versionOf(ctx context.Context, former, user string, secret access.SecretInfo) (found access.Version, err error) {
	theirs, err := p.keys(ctx, user)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return access.Version{}, err
	}
	patience := time.Duration(0)
	for _, version := range secret.Versions {
		if key := plan.KeyOf(version); key != "" && !listed(key, theirs) {
			patience = justMadeFor
		}
	}
	err = waitOut(ctx, patience, func() error {
		keys, err := p.Keys.Keys(ctx, former)
		if err != nil {
			return err
		}
		for _, label := range []string{access.Current, access.Previous} {
			if version, ok := secret.Labelled(label); ok && lives(plan.KeyOf(version), keys) {
				found = version
				return nil
			}
		}
		return access.ErrNotFound
	})
	return found, err
}

func listed(keyID string, keys []access.Key) bool {
	return slices.ContainsFunc(keys, func(key access.Key) bool { return key.ID == keyID })
}

func lives(keyID string, keys []access.Key) bool {
	return slices.ContainsFunc(keys, func(key access.Key) bool { return key.ID == keyID && key.Active })
}

// remove takes away everything that belongs to the target's physical id, and
// nothing else: each entity's tags are asked first.
func (p *Provisioner) remove(ctx context.Context, target Target) error {
	// An id that CloudFormation invented may be no user name at all.
	if !name.IsUser(target.PhysicalID) {
		return nil
	}
	for attempt := 1; ; attempt++ {
		again, err := p.removeOnce(ctx, target)
		if err != nil || !again || attempt == 5 {
			return err
		}
	}
}

// removeOnce reports whether the user is back after all: a Create or Update
// that this has overtaken makes it anew. That looks once more in its turn (see
// lastLook), so that one of the two sees what the other did.
func (p *Provisioner) removeOnce(ctx context.Context, target Target) (again bool, err error) {
	seen, foreign, err := p.belongings(ctx, target)
	if err != nil || foreign {
		return false, err
	}
	whose := plan.Desired{Owner: target.Owner}
	whose.Spec.UserName = target.PhysicalID
	run := p.begin(whose, seen)
	if err := run.apply(ctx, plan.Remove(target.PhysicalID, seen, nil)); err != nil {
		return false, err
	}
	// Looked for once the user is gone: until then a Create or Update that this
	// has overtaken may make it.
	secrets, err := p.ownSecrets(ctx, target)
	if err != nil {
		return false, err
	}
	if err := run.apply(ctx, plan.Remove(target.PhysicalID, plan.Observed{}, secrets)); err != nil || seen.User == nil {
		return false, err
	}
	_, err = p.user(ctx, target.PhysicalID)
	if errors.Is(err, access.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// belongings observes what carries the target's tags, the secret aside. A user
// of that name that does not is foreign, and so is all that hangs on the name.
func (p *Provisioner) belongings(ctx context.Context, target Target) (seen plan.Observed, foreign bool, err error) {
	seen.Policies = map[int]access.Policy{}
	look := p.sought
	if target.UserName != "" && target.UserName != target.PhysicalID {
		look = p.user // an id that CloudFormation made up, and nobody a user for
	}
	user, err := look(ctx, target.PhysicalID)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return seen, false, fmt.Errorf("looking for the user: %w", err)
	}
	if err == nil {
		if !target.Owner.OwnsAs(target.PhysicalID, user.Tags) {
			return seen, true, nil
		}
		seen.User = &user
		// Gone in between: another Delete is at it.
		if seen.Keys, err = p.keys(ctx, user.Name); err != nil && !errors.Is(err, access.ErrNotFound) {
			return seen, false, fmt.Errorf("listing the user's keys: %w", err)
		}
	}
	// The last policy may have been made by a process that is gone, and not be
	// seen yet.
	err = waitOut(ctx, justMadeFor, func() error {
		if err := p.ownPolicies(ctx, target, &seen); err != nil {
			return err
		}
		if seen.User != nil && len(seen.Policies) < plan.HighestPolicy(seen.User.Tags) {
			return access.ErrNotFound
		}
		return nil
	})
	if errors.Is(err, access.ErrNotFound) {
		err = nil
	}
	return seen, false, err
}

// ownSecrets finds the secrets that carry the target's tags.
func (p *Provisioner) ownSecrets(ctx context.Context, target Target) (secrets []string, err error) {
	for _, candidate := range candidates(target) {
		secret, err := p.findSecret(ctx, candidate)
		if err != nil {
			return nil, err
		}
		if secret != nil && candidate != target.Keep && target.Owner.OwnsAs(target.PhysicalID, secret.Tags) {
			secrets = append(secrets, candidate)
		}
	}
	return secrets, nil
}

// sought returns the user, or access.ErrNotFound once that is to be believed: a
// process that is gone may have made it a moment ago.
func (p *Provisioner) sought(ctx context.Context, name string) (user access.User, err error) {
	err = waitOut(ctx, justMadeFor, func() (err error) {
		user, err = p.Users.User(ctx, name)
		return err
	})
	return user, err
}

// ownPolicies finds the policies of the user by number, attached or not: a
// crash may have left one between its making and its attaching.
func (p *Provisioner) ownPolicies(ctx context.Context, target Target, seen *plan.Observed) error {
	highest := name.MaxPolicies
	if seen.User != nil {
		highest = plan.HighestPolicy(seen.User.Tags)
	}
	for number := 1; number <= highest; number++ {
		policy, err := p.policy(ctx, name.Policy(target.PhysicalID, number))
		if errors.Is(err, access.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("looking for policy %d of the user: %w", number, err)
		}
		if target.Owner.OwnsAs(target.PhysicalID, policy.Tags) {
			seen.Policies[number] = policy
		}
	}
	return nil
}

// candidates are the names that the target's secret can have.
func candidates(target Target) []string {
	byDefault := name.Secret(target.PhysicalID)
	if target.SecretName == "" || target.SecretName == byDefault {
		return []string{byDefault}
	}
	return []string{target.SecretName, byDefault}
}
