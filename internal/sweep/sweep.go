// Package sweep is the daily sweep: it looks at every user of the provider,
// retires replaced keys that nobody uses any more, and reports what is lost or
// changed. It touches nothing else.
//
// Of each user it makes one look; package keyring says which keys to retire, and
// findings what to report: both are pure.
//
// Every write says what a crash right after it leaves. The next sweep looks again.
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

// Sweeper sweeps. All fields are required, but for Metrics.
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
	// spare is how long before its deadline the sweep begins with no further user: time
	// for those that it is at, and to note where it was.
	spare = 45 * time.Second
	// abreast is how many users it looks at at the same time: enough to make as many
	// calls a second as it may, however slow each is.
	abreast = 8
)

// round is one sweep at work.
type round struct {
	*Sweeper
	iam    paced
	stacks Stacks

	began    time.Time
	listed   map[string]bool // every user under the path
	policies map[string]string
	secrets  map[string][]access.SecretInfo // ours, by the resource that they belong to

	mu     sync.Mutex // guards what follows
	queue  []access.ListedUser
	last   string // the user whose turn was last
	counts metric.Swept
}

// Sweep looks at every user once, or at as many as it has time for before the
// context's deadline; the next sweep goes on after them. A user that cannot be
// looked at does not stop it. It returns an error if it could look at none.
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
		r.lostSecrets(ctx)
	}
	r.leaveOff(ctx, after, through)
	s.Metrics.Sweep(r.counts)
	s.Log.InfoContext(ctx, "swept", "users", r.counts.Users, "failed", r.counts.Failed, "left for the next sweep", len(r.queue),
		"findings", r.counts.Findings, "deactivated", r.counts.Deactivated, "deleted", r.counts.Deleted)
	return nil
}

// list lists what there is, and puts the users into the order of their turns. It
// returns the user after whom the last sweep left off; empty: it was through.
func (r *round) list(ctx context.Context) (after string, err error) {
	var users []access.ListedUser
	var secrets []access.SecretInfo
	err = parallel.Do(
		func() (err error) {
			users, err = patience.Ask(ctx, patience.Nothing, func() ([]access.ListedUser, error) { return r.iam.ListUsers(ctx) })
			return said("listing the users", err)
		},
		func() (err error) {
			r.policies, err = patience.Ask(ctx, patience.Nothing, func() (map[string]string, error) { return r.iam.ListPolicies(ctx) })
			return said("listing the policies", err)
		},
		func() (err error) {
			secrets, err = patience.Ask(ctx, patience.Nothing, func() ([]access.SecretInfo, error) { return r.Secrets.ListSecrets(ctx) })
			return said("listing the secrets", err)
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
	r.queue = turns(users, after)
	return after, nil
}

// said says at what an error came.
func said(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// turns is the order in which the users have their turn: those after the one at which
// the last sweep left off, then from the first one on.
func turns(users []access.ListedUser, after string) []access.ListedUser {
	slices.SortFunc(users, func(a, b access.ListedUser) int { return strings.Compare(a.Name, b.Name) })
	first := slices.IndexFunc(users, func(u access.ListedUser) bool { return u.Name > after })
	if first < 0 {
		return users
	}
	return slices.Concat(users[first:], users[:first])
}

// all gives each user its turn, until time is short.
func (r *round) all(ctx context.Context) {
	var workers []func() error
	for range abreast {
		workers = append(workers, func() error {
			for user, ok := r.next(ctx); ok; user, ok = r.next(ctx) {
				r.visit(ctx, user)
			}
			return nil
		})
	}
	_ = parallel.Do(workers...) // none returns an error
}

// next takes the next user out of the queue.
func (r *round) next(ctx context.Context) (user access.ListedUser, ok bool) {
	deadline, ends := ctx.Deadline()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 || ctx.Err() != nil || ends && time.Until(deadline) < spare {
		return user, false
	}
	user, r.queue = r.queue[0], r.queue[1:]
	r.last = user.Name
	return user, true
}

// visit looks at one user, retires, and tells. What fails is counted, and the next
// sweep tries again.
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

func (r *round) user(ctx context.Context, listed access.ListedUser) error {
	seen, err := r.look(ctx, listed)
	if errors.Is(err, errGone) {
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
	told, err := r.tell(ctx, seen.user.Tags[name.TagTold], seen.report())
	set, unset := noted(seen.user.Tags[name.TagTold], told)
	// The marks that killed runs of the rotator have left: each has the next event wait.
	unset = append(unset, order.Abandoned(seen.user.Tags, seen.now.Add(-settled))...)
	err = errors.Join(err, r.tagUser(ctx, listed.Name, set, unset))
	return errors.Join(failed, err)
}

// leaveOff notes after whom the next sweep goes on, on a secret of a user that had its
// turn: that user's, or the nearest one's before it. Tags of earlier sweeps go.
func (r *round) leaveOff(ctx context.Context, after string, through bool) {
	mark := r.last
	if through {
		mark = ""
	}
	if mark == "" && after == "" {
		return
	}
	marked, carrier := r.marked(mark)
	if carrier != "" {
		// A crash after this: two secrets say where to go on. The later one counts, by the
		// users' names; users between the two wait one more day.
		r.tagSecret(ctx, carrier, map[string]string{name.TagSwept: mark}, nil)
	}
	for _, secret := range marked {
		if secret != carrier {
			r.tagSecret(ctx, secret, nil, []string{name.TagSwept})
		}
	}
}

// marked returns the secrets that say where an earlier sweep left off, and the one
// that is to say where this one did; empty: none.
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
		r.Log.WarnContext(ctx, "where the sweep left off could not be noted; the next one may begin elsewhere", "secret", secret, "error", err.Error())
	}
}

// ownerOf returns whose an entity is, by its tags.
func ownerOf(tags map[string]string) (owner name.Owner, ours bool) {
	stack, err := name.ParseStackID(tags[name.TagStack])
	owner = name.Owner{Stack: stack, Logical: tags[name.TagLogical]}
	return owner, err == nil && owner.Logical != "" && tags[name.TagPhysical] != ""
}

// resource stands for the resource that an entity belongs to.
func resource(tags map[string]string) string {
	return tags[name.TagStack] + "|" + tags[name.TagLogical]
}
