package provision

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/parallel"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
)

// Delete removes everything of the physical id. An id that no response contained owns
// nothing, and is not an error: after a failed Create CloudFormation invents an id. So
// Delete also removes what an earlier Create of the same resource created, completed or not.
func (p *Provisioner) Delete(ctx context.Context, t plan.Target) error {
	if name.IsNotCreated(t.PhysicalID) {
		return nil
	}
	r := p.removal(t, t.PhysicalID)
	if t.Named() {
		return r.remove(ctx)
	}
	if name.IsUser(t.PhysicalID) { // an invented id may be too long for a user name
		user, err := p.findUser(ctx, t.PhysicalID)
		if err != nil {
			return err
		}
		if user != nil && plan.ClaimOn(t, t.PhysicalID, user, false) != plan.Foreign {
			return r.remove(ctx)
		}
	}
	// A Create may have created something although CloudFormation did not accept its
	// response. It may also still wait in the queue.
	r.user = t.UserName
	r.believe.NotFound = max(cmp.Or(p.Queue, order.Queue)-time.Since(t.Run.Sent), patience.Made)
	if deadline, ok := ctx.Deadline(); ok {
		r.believe.NotFound = min(r.believe.NotFound, time.Until(deadline)-toRemove)
	}
	return r.remove(ctx)
}

// toRemove is how much time a Delete keeps for its work after a long search.
const toRemove = 5 * time.Second

// removal removes everything that has a user's name and our tags, and nothing else.
type removal struct {
	*run
	plan.Target
	user string
	// believe is how long to look for a user that is not found: a run that was killed may
	// have created it a moment ago.
	believe patience.For
	// made are the policies that the run itself has created, or may have; nil: the removal
	// is of another run's work.
	made map[string]bool

	sureAbsent        bool // that the user does not exist
	waitedForPolicies bool // the removal has waited for policies to appear
	observedAgain     bool // the removal has observed again after that wait

	there *access.User
	claim plan.Claim
	mu    sync.Mutex // guards the lists in found
	found plan.Belongings
}

func (p *Provisioner) removal(t plan.Target, user string) *removal {
	r := &removal{run: p.begin(t.Run, t.Owner), Target: t, user: user, believe: patience.Maybe}
	r.removing = true
	return r
}

func (r *removal) remove(ctx context.Context) error {
	for {
		if err := r.look(ctx); err != nil {
			return err
		}
		if r.there == nil && !r.sureAbsent {
			r.sureAbsent = true
			if found, err := r.appears(ctx); err != nil || found {
				if err != nil {
					return err
				}
				continue
			}
		}
		err := r.once(ctx)
		if errors.Is(err, errAgain) {
			continue
		}
		if !errors.Is(err, errWait) {
			return err
		}
		if err := r.letThemEnd(ctx); err != nil {
			return err
		}
	}
}

// errAgain: what was observed before a wait may belong to another run now.
var errAgain = errors.New("the account must be observed again")

// once removes what was found, as far as this Delete may.
func (r *removal) once(ctx context.Context) (err error) {
	r.sureAbsent = r.sureAbsent || r.there != nil // once it was seen, it is deleted when it is not found
	switch {
	case r.claim == plan.Later:
		err = errCreatedAgain
	case r.claim == plan.Lost:
		return r.lost(ctx)
	case r.claim == plan.InDoubt:
		// Its keys are deleted at once. What its run still does is over after that.
		return cmp.Or(r.apply(ctx, plan.RemoveKeys(r.user, r.found)), errWait)
	case r.waitedForPolicies && !r.observedAgain:
		r.observedAgain = true
		return errAgain
	default:
		err = r.apply(ctx, plan.Remove(r.user, r.found))
	}
	if errors.Is(err, errCreatedAgain) {
		r.Log.InfoContext(ctx, "not deleted: a later event has created the user, or changed it", "user", r.user)
		return nil
	}
	return err
}

// lost leaves everything of a user that has lost its tags: its key needs its secret. A
// Delete fails, an Update goes on, see run.passBy.
func (r *removal) lost(ctx context.Context) error {
	if r.event.Type == order.Update {
		r.warnLostTags(ctx, "user", r.user)
		return nil
	}
	return plan.LostUser(r.owner, r.user)
}

// appears reports whether the user exists after all.
func (r *removal) appears(ctx context.Context) (bool, error) {
	err := r.believe.Do(ctx, func() error {
		_, err := r.Users.User(ctx, r.user)
		return err
	})
	if errors.Is(err, access.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// look observes what has the user's name and the target's tags, and decides what a Delete
// may do with it.
func (r *removal) look(ctx context.Context) error {
	r.seenAt = time.Now()
	r.found = plan.Belongings{Policies: map[int]access.Policy{}}
	known := plan.Secrets(r.user, r.SecretName, nil)
	err := parallel.Do(
		func() error { return r.who(ctx) },
		func() error { return r.policies(ctx, 1, 1) },
		func() error { return r.secrets(ctx, known) },
	)
	if err != nil {
		return err
	}
	highest := name.MaxPolicyNumber
	if r.found.User != nil {
		highest = plan.HighestPolicy(r.found.User.Tags)
	}
	remembered := plan.Secrets(r.user, r.SecretName, r.found.User)
	return parallel.Do(
		func() error { return r.otherPolicies(ctx, highest) },
		func() error {
			return r.secrets(ctx, slices.DeleteFunc(remembered, func(s string) bool { return slices.Contains(known, s) }))
		},
	)
}

// who finds out whose the user is, leaves the mark on it, and lists its keys.
func (r *removal) who(ctx context.Context) (err error) {
	if r.there, err = r.findUser(ctx, r.user); err != nil {
		return err
	}
	r.claim = plan.ClaimOn(r.Target, r.user, r.there, r.waited)
	if r.claim == plan.Foreign {
		r.found.ForeignUser = true
		r.warnForeign(ctx)
	}
	if r.there == nil || r.claim == plan.Foreign || r.claim == plan.Lost {
		return nil
	}
	r.found.User = r.there
	if plan.Forgot(*r.there) {
		r.warnForgotten(ctx, r.user)
	}
	return parallel.Do(
		func() error { return r.lay(ctx) },
		func() error { return r.keysOf(ctx) },
	)
}

// warnForeign warns of a user that stays and may still belong to the resource: its tags may
// have been overwritten.
func (r *removal) warnForeign(ctx context.Context) {
	if whose := plan.WhoseUser(r.owner, *r.there); whose != "" {
		r.Log.WarnContext(ctx, "not deleted: by its tags it does not belong to this resource; if the tags are wrong, its key still works", "kind", "user", "name", r.user, "whose", whose)
	}
}

// lay leaves the run's mark on a user that the Delete may remove.
func (r *removal) lay(ctx context.Context) error {
	if r.claim != plan.Mine && r.claim != plan.InDoubt {
		return nil
	}
	return r.mark(ctx, r.there)
}

// keysOf lists the user's keys.
func (r *removal) keysOf(ctx context.Context) error {
	keys, err := patience.Ask(ctx, patience.Maybe.Within(ctx), func() ([]access.Key, error) { return r.Keys.Keys(ctx, r.user) })
	if errors.Is(err, access.ErrNotFound) {
		return nil // deleted since
	}
	r.found.Keys = keys
	return err
}

// policies finds the user's policies of these numbers, attached or not: after a crash a
// policy may exist that was never attached.
func (r *removal) policies(ctx context.Context, from, to int) error {
	var reads []func() error
	for number := from; number <= to; number++ {
		reads = append(reads, func() error {
			policy, err := r.findPolicy(ctx, name.Policy(r.user, number))
			if err != nil || policy == nil || !r.takes(ctx, "policy", policy.Name, policy.Tags) {
				return err
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.found.Policies[number] = *policy
			return nil
		})
	}
	return parallel.Do(reads...)
}

// takes reports whether a policy or secret must be deleted. It warns of one that may be the
// user's and lacks tags.
func (r *removal) takes(ctx context.Context, kind, entity string, tags map[string]string) bool {
	if r.owner.LostAs(r.user, tags) {
		r.warnLostTags(ctx, kind, entity)
	}
	return r.Takes(r.user, tags)
}

// otherPolicies finds the policies that were not looked for yet. IAM may not show yet what
// this run, or a run that was killed, has just created.
func (r *removal) otherPolicies(ctx context.Context, highest int) error {
	if err := r.policies(ctx, 2, highest); err != nil || r.found.User == nil || r.waitedForPolicies {
		return err
	}
	expected := highest
	if r.made != nil {
		expected = len(r.made)
	} else if plan.IsCompleted(r.found.User) && !order.MarksOf(r.found.User.Tags).Open() {
		return nil
	}
	err := patience.Maybe.Within(ctx).Do(ctx, func() error {
		if len(r.found.Policies) >= expected {
			return nil
		}
		r.waitedForPolicies = true
		return cmp.Or(r.policies(ctx, 1, highest), access.ErrNotFound)
	})
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return err
}

// secrets finds the secrets of these names that belong to the user.
func (r *removal) secrets(ctx context.Context, names []string) error {
	var reads []func() error
	for _, candidate := range names {
		reads = append(reads, func() error {
			secret, err := r.findSecret(ctx, candidate)
			if err != nil || secret == nil || !r.takes(ctx, "secret", candidate, secret.Tags) {
				return err
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.found.Secrets = append(r.found.Secrets, candidate)
			return nil
		})
	}
	err := parallel.Do(reads...)
	slices.Sort(r.found.Secrets)
	return err
}
