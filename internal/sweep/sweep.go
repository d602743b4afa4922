// Package sweep is the daily sweep: it looks at every user of the provider, retires
// replaced keys that nobody uses any more, and reports what was left over or changed by
// others. It changes nothing else.
//
// It reads each user once. Package keyring decides which keys to retire, and findings.go
// decides what to report: both are pure.
//
// A comment at each write says what a crash right after it leaves. The next sweep looks
// again.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/parallel"
	"cloney-s3-credentials/internal/patience"
)

// Sweeper sweeps. All fields except Metrics are required.
type Sweeper struct {
	Users     Users
	Policies  Policies
	Keys      Keys
	Secrets   Secrets
	Stacks    Stacks
	Announcer notice.Announcer
	Log       *slog.Logger
	Metrics   *metric.Sink
	// KeyAge is how old a key may become before it is reported (KEY_AGE_DAYS).
	KeyAge time.Duration
}

const (
	// reserve is the time before its deadline in which the sweep begins no further user. In
	// that time it completes the users that it has begun, and records where it stopped.
	reserve = 45 * time.Second
	// workers is how many users it looks at at the same time. They are enough to reach the
	// permitted rate of calls, even when each call is slow.
	workers = 8
)

// round is one run of the sweep.
type round struct {
	*Sweeper
	iam    paced
	stacks Stacks

	began    time.Time
	listed   map[string]bool // every user under the path
	policies map[string]string
	secrets  map[string][]access.SecretInfo // ours, by the resource to which they belong

	mu     sync.Mutex // guards the fields after it
	queue  []access.ListedUser
	last   string // the last user that the sweep has begun
	counts metric.Swept
}

// Sweep looks at every user once, or at as many as the context's deadline permits. The next
// sweep continues after the last of them. A user that cannot be read does not stop the
// sweep. Sweep returns an error if it could not list the users.
func (s *Sweeper) Sweep(ctx context.Context) error {
	calls := perSecond(iamCalls)
	r := &round{
		Sweeper: s, iam: paced{s.Users, s.Policies, s.Keys, calls}, stacks: pacedStacks{s.Stacks, perSecond(stackCalls)}, began: time.Now(),
	}
	after, err := r.list(ctx)
	if err != nil {
		return err
	}
	r.all(ctx)
	through := len(r.queue) == 0
	if through {
		r.orphanedSecrets(ctx)
	}
	r.recordStop(ctx, after, through)
	s.Metrics.Sweep(r.counts)
	s.Log.InfoContext(ctx, "swept", "users", r.counts.Users, "failed", r.counts.Failed, "left for the next sweep", len(r.queue),
		"findings", r.counts.Findings, "deactivated", r.counts.Deactivated, "deleted", r.counts.Deleted)
	return nil
}

// list lists users, policies and secrets, and orders the users. It returns the user after
// which this sweep begins; empty: the last sweep reached every user.
func (r *round) list(ctx context.Context) (after string, err error) {
	var users []access.ListedUser
	var secrets []access.SecretInfo
	err = parallel.Do(
		func() (err error) {
			users, err = patience.Ask(ctx, patience.Nothing, func() ([]access.ListedUser, error) { return r.iam.ListUsers(ctx) })
			return wrap("listing the users", err)
		},
		func() (err error) {
			r.policies, err = patience.Ask(ctx, patience.Nothing, func() (map[string]string, error) { return r.iam.ListPolicies(ctx) })
			return wrap("listing the policies", err)
		},
		func() (err error) {
			secrets, err = patience.Ask(ctx, patience.Nothing, func() ([]access.SecretInfo, error) { return r.Secrets.ListSecrets(ctx) })
			return wrap("listing the secrets", err)
		},
	)
	if err != nil {
		return "", err
	}
	r.listed, r.secrets = map[string]bool{}, map[string][]access.SecretInfo{}
	for _, user := range users {
		r.listed[user.Name] = true
	}
	for _, secret := range secrets {
		if _, ours := ownerOf(secret.Tags); !ours || !secret.Deleted.IsZero() {
			continue
		}
		r.secrets[resource(secret.Tags)] = append(r.secrets[resource(secret.Tags)], secret)
		after = max(after, secret.Tags[name.TagSwept])
	}
	r.queue = inOrder(users, after)
	return after, nil
}

// wrap adds to an error what the sweep was doing.
func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// inOrder sorts the users by name, and puts those after the last user of the earlier sweep
// first.
func inOrder(users []access.ListedUser, after string) []access.ListedUser {
	slices.SortFunc(users, func(a, b access.ListedUser) int { return strings.Compare(a.Name, b.Name) })
	first := slices.IndexFunc(users, func(u access.ListedUser) bool { return u.Name > after })
	if first < 0 {
		return users
	}
	return slices.Concat(users[first:], users[:first])
}

// all sweeps the users in the queue, until the time is short.
func (r *round) all(ctx context.Context) {
	var work []func() error
	for range workers {
		work = append(work, func() error {
			for user, ok := r.next(ctx); ok; user, ok = r.next(ctx) {
				r.visit(ctx, user)
			}
			return nil
		})
	}
	_ = parallel.Do(work...) // none returns an error
}

// next takes the next user from the queue.
func (r *round) next(ctx context.Context) (user access.ListedUser, ok bool) {
	deadline, ends := ctx.Deadline()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 || ctx.Err() != nil || ends && time.Until(deadline) < reserve {
		return user, false
	}
	user, r.queue = r.queue[0], r.queue[1:]
	r.last = user.Name
	return user, true
}

// visit sweeps one user. It counts a failure, and the next sweep tries again.
func (r *round) visit(ctx context.Context, listed access.ListedUser) {
	err := r.user(ctx, listed)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.Users++
	if err != nil {
		r.counts.Failed++
		r.Log.WarnContext(ctx, "a user could not be swept; the next sweep tries again", "user", listed.Name, "error", err.Error())
	}
}

// user looks at one user, retires its keys, and reports its findings.
func (r *round) user(ctx context.Context, listed access.ListedUser) error {
	seen, err := r.look(ctx, listed)
	if errors.Is(err, errDeleted) {
		return nil
	}
	if err != nil {
		return err
	}
	failed := r.retire(ctx, &seen)
	r.countKeys(seen.holding)
	if seen.atWork() {
		return failed
	}
	told, err := r.announce(ctx, seen.user.Tags[name.TagTold], seen.report())
	set, unset := changeOfTag(seen.user.Tags[name.TagTold], told)
	// Killed runs of the rotator have left these marks. Each makes the next event wait.
	unset = append(unset, order.Abandoned(seen.user.Tags, seen.now.Add(-longestEvent))...)
	err = errors.Join(err, r.tagUser(ctx, listed.Name, set, unset))
	return errors.Join(failed, err)
}

// recordStop records after which user the next sweep begins. It tags a secret of the last
// user of this sweep, or of the nearest user before it, and removes the tags of earlier
// sweeps.
func (r *round) recordStop(ctx context.Context, after string, through bool) {
	mark := r.last
	if through {
		mark = ""
	}
	if mark == "" && after == "" {
		return
	}
	marked, carrier := r.marked(mark)
	if carrier != "" {
		// A crash after this leaves two secrets with that tag. The tag with the later name
		// counts. Users between the two wait one more day.
		r.tagSecret(ctx, carrier, map[string]string{name.TagSwept: mark}, nil)
	}
	for _, secret := range marked {
		if secret != carrier {
			r.tagSecret(ctx, secret, nil, []string{name.TagSwept})
		}
	}
}

// marked returns the secrets with the tag of an earlier sweep, and the secret that gets the
// tag of this sweep; empty: no secret does.
func (r *round) marked(mark string) (marked []string, carrier string) {
	of := ""
	for _, secrets := range r.secrets {
		for _, secret := range secrets {
			if secret.Tags[name.TagSwept] != "" {
				marked = append(marked, secret.Name)
			}
			if user := secret.Tags[name.TagPhysical]; user <= mark && user > of {
				of, carrier = user, secret.Name
			}
		}
	}
	slices.Sort(marked)
	return marked, carrier
}

func (r *round) tagSecret(ctx context.Context, secret string, set map[string]string, unset []string) {
	err := patience.Nothing.Do(ctx, func() error { return r.Secrets.TagSecret(ctx, secret, set, unset) })
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		r.Log.WarnContext(ctx, "the sweep could not record where it stopped; the next sweep may begin with another user", "secret", secret, "error", err.Error())
	}
}

// ownerOf returns the resource to which an entity belongs, by its tags.
func ownerOf(tags map[string]string) (owner name.Owner, ours bool) {
	stack, err := name.ParseStackID(tags[name.TagStack])
	owner = name.Owner{Stack: stack, Logical: tags[name.TagLogical]}
	return owner, err == nil && owner.Logical != "" && tags[name.TagPhysical] != ""
}

// resource identifies the resource to which an entity belongs.
func resource(tags map[string]string) string {
	return tags[name.TagStack] + "|" + tags[name.TagLogical]
}
