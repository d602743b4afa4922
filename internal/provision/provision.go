package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
)

// Provisioner makes the account as declared. All fields but the last four are required.
type Provisioner struct {
	Users       Users
	Keys        issue.Keys
	Policies    Policies
	Attachments Attachments
	Secrets     Secrets
	Keeping     Keeping
	Versions    issue.Versions
	Readers     Readers
	Rotations   Rotations
	Prober      issue.Prober
	Log         *slog.Logger

	// Role is the ARN of the function's role, for messages; empty: not known.
	Role string

	// Lease, InFlight and Queue replace order.Lease, order.InFlight and order.Queue where
	// they are set. Local runs set them, because their AWS and their queue are faster.
	// InFlight must be longer than Lease plus the time that a call takes there.
	Lease, InFlight, Queue time.Duration
}

// Create converges. If it fails, it removes what it created, the key first. CloudFormation
// sends a Delete after that, which removes the rest.
func (p *Provisioner) Create(ctx context.Context, want plan.Desired) (Result, error) {
	return p.carryOut(ctx, want)
}

// Update converges, whatever an earlier Update or its rollback left. A replacement that
// fails removes its incomplete user again. After any other failed Update CloudFormation
// sends a rollback Update, which restores the previous state.
func (p *Provisioner) Update(ctx context.Context, want plan.Desired) (Result, error) {
	if plan.InCapitalsOnly(want.Spec.UserName, want.PhysicalID) {
		return Result{}, plan.Refused(fmt.Sprintf("UserName: %q and %q differ only in upper and lower case, and IAM cannot hold both; choose another name", want.PhysicalID, want.Spec.UserName))
	}
	if want.Frozen {
		return p.asDeclared(ctx, want)
	}
	return p.carryOut(ctx, want)
}

// errFrozen: the run would have to write something.
var errFrozen = plan.Refused("it is not as declared, and must not be changed")

// asDeclared returns the result if everything is as declared, and writes nothing. So a rollback
// succeeds after an Update that was refused before it did anything.
func (p *Provisioner) asDeclared(ctx context.Context, want plan.Desired) (Result, error) {
	r := p.begin(want.Run, want.Owner)
	r.want = want
	seen, err := r.observe(ctx, want, nil)
	if err != nil {
		return Result{}, err
	}
	tasks, err := plan.Converge(want, seen, time.Now())
	if err != nil {
		return Result{}, err
	}
	if len(tasks) > 0 || want.Other() != "" {
		return Result{}, errFrozen
	}
	r.look(seen)
	return r.done(), nil
}

// carryOut carries out a Create or Update, and undoes it if it fails.
func (p *Provisioner) carryOut(ctx context.Context, want plan.Desired) (Result, error) {
	work, cancel := working(ctx)
	defer cancel()
	r := p.begin(want.Run, want.Owner)
	began, err := r.converge(work, want)
	if err == nil {
		err = r.removeHalf(work)
	}
	if err == nil {
		return r.done(), nil
	}
	left := r.undo(ctx, began, work.Err() == nil && certain(err))
	return Result{Left: left}, err
}

// certain reports whether a run that failed with err knows what it has done. If it does not
// know, its mark stays open, and the next event looks closely.
func certain(err error) bool {
	var refused plan.Refused
	var unproven issue.Unproven
	return access.Definite(err) || errors.As(err, &refused) || errors.As(err, &unproven)
}

// keepForUndo is how much of the remaining time a run keeps for undoing: this, or a quarter
// of the remaining time if that is less.
const keepForUndo = 20 * time.Second

// working returns a context that ends early enough to undo afterwards.
func working(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(keepForUndo, time.Until(deadline)/4)))
}

// most is how often a run observes again because another run was faster.
const most = 5

// converge observes, plans and applies, once it is the run's turn. It returns what it
// observed first; nil: it does not know.
func (r *run) converge(ctx context.Context, want plan.Desired) (began *plan.Observed, err error) {
	r.want = want
	for raced := 0; ; {
		seen, verdict, err := r.ready(ctx, want)
		if began == nil && r.result.UserName != "" {
			began = &seen
		}
		if err != nil {
			return began, err
		}
		switch verdict {
		case plan.AlreadyDone:
			r.Log.InfoContext(ctx, "this event was delivered again; the result of a later event stays")
			return began, nil
		case plan.Work:
			r.failed.By = nil // the other delivery, for which this run waited, has ended
			err = r.attempt(ctx, want, seen)
		case plan.Wait:
			err = errWait
		case plan.Yield:
			err = errYield
		}
		switch {
		case errors.Is(err, errWait):
			err = r.letThemEnd(ctx)
		case errors.Is(err, errYield):
			r.stop = nil
			err = patience.Sleep(ctx, yielding)
		case errors.Is(err, errLocked):
			err = nil // a run notices this once for each secret
		case errors.Is(err, issue.ErrRaced) && raced < most:
			raced++
			err = patience.Sleep(ctx, yielding)
		default:
			return began, err
		}
		if err != nil {
			return began, err
		}
	}
}

// yielding is how often a run checks whether another run has ended.
const yielding = time.Second

// ready observes, leaves the run's mark, and returns whether the run may work.
func (r *run) ready(ctx context.Context, want plan.Desired) (plan.Observed, plan.Verdict, error) {
	r.seenAt = time.Now()
	seen, err := r.observe(ctx, want, func(known plan.Observed) error {
		r.know(known)
		if r.changed(known) {
			return nil
		}
		// The mark is written this early because the other observations still run.
		verdict, last, err := plan.Admit(want, known, r.waited)
		if err != nil || verdict != plan.Wait && (verdict != plan.Work || !plan.Marks(want, last)) {
			return nil
		}
		return r.mark(ctx, known.User, known.Other)
	})
	if err != nil {
		return seen, 0, err
	}
	seen.Locked = r.locked
	r.look(seen)
	verdict, mark, err := plan.Admit(want, seen, r.waited)
	switch {
	case err != nil:
	case verdict == plan.Overtaken:
		err = r.overtaken(mark)
	case verdict == plan.Wait:
		err = r.mark(ctx, seen.User, seen.Other)
	case verdict != plan.AlreadyDone && r.changed(seen):
		r.failed.UserDeleted = true
		err = errUserDeleted
	}
	return seen, verdict, err
}

// know records the users that the run has seen and needs.
func (r *run) know(seen plan.Observed) {
	for _, user := range []*access.User{seen.User, seen.Other} {
		if user != nil && r.needs(user.Name) && r.ids[user.Name] == "" && r.owner.OwnsAs(user.Name, user.Tags) {
			r.ids[user.Name] = user.ID
		}
	}
}

// needs reports whether the run needs the user to stay. The user that a rollback removes may
// be deleted already.
func (r *run) needs(user string) bool {
	return !r.removing && (user == r.want.Spec.UserName || r.want.Replaces())
}

// changed reports whether a user that the run has seen and needs was deleted since, or
// deleted and created again.
func (r *run) changed(seen plan.Observed) bool {
	ids := map[string]string{}
	for _, user := range []*access.User{seen.User, seen.Other} {
		if user != nil {
			ids[user.Name] = user.ID
		}
	}
	for user, id := range r.ids {
		if ids[user] != id {
			return true
		}
	}
	return false
}

// attempt plans and applies once.
func (r *run) attempt(ctx context.Context, want plan.Desired, seen plan.Observed) error {
	if seen.User != nil && plan.LimitedByOthers(*seen.User) {
		r.Log.WarnContext(ctx, "the user has a permissions boundary that is not the provider's; it stays. Find out why it was set. If it is not meant as a limit, set the provider's boundary instead: aws iam put-user-permissions-boundary", "user", seen.User.Name, "boundary", seen.User.Boundary.ARN)
	}
	tasks, err := plan.Converge(want, seen, time.Now())
	if err != nil {
		return err
	}
	if seen.User != nil && plan.Forgot(*seen.User) && !plan.IsCompleted(seen.User) {
		r.warnForgotten(ctx, seen.User.Name) // once: the user is completed after this run
	}
	if len(tasks) == 0 {
		// If the run has left a mark, this makes sure that no other run missed it and is at
		// work.
		if err := r.hold(ctx); err != nil {
			return err
		}
		r.end(ctx)
		return nil
	}
	if err := r.mark(ctx, seen.User, seen.Other); err != nil {
		return err
	}
	if err = r.apply(ctx, tasks); err != nil {
		r.dropMinted(ctx, err)
	}
	return err
}

// warnForgotten warns that the user may have secrets that it no longer remembers.
func (p *Provisioner) warnForgotten(ctx context.Context, user string) {
	p.Log.WarnContext(ctx, "the user lost tags that named its old secrets; look for secrets of this user, and delete those that nobody reads",
		"user", user, "command", fmt.Sprintf("aws secretsmanager list-secrets --filters Key=tag-key,Values=%s Key=tag-value,Values=%s", name.TagPhysical, user))
}

// dropMinted deletes the key that a failed plan issued and stored, unless the key became
// current, or may still become current: AWS may carry out a call late that it did not
// answer. A later run sees that key and decides about it.
func (r *run) dropMinted(ctx context.Context, err error) {
	promoting := r.promoting && !certain(err)
	if r.minted.KeyID != "" && !r.promoted && r.failed.By == nil && !promoting {
		r.issuer.DropStored(ctx, r.want.Spec.UserName, r.want.Spec.SecretName, r.minted.KeyID)
	}
}

// removeHalf removes what a replacement created that never got an answer. This run is its
// rollback, and CloudFormation does not know of that user.
func (r *run) removeHalf(ctx context.Context) error {
	half := r.want.Other()
	if half == "" || r.want.Replaces() {
		return nil
	}
	rest := r.removal(plan.Target{Owner: r.owner, Run: r.event, SecretName: r.want.Old.SecretName}, half)
	rest.waited = r.waited
	return rest.remove(ctx)
}

// undo takes back what a failed run has done, and reports what may be left. If undoing
// fails, that goes to the log and not into the response: the stack owner needs the first
// cause, and the Delete or rollback that follows undoes the same again.
//
// began is what the run observed first; nil: it does not know. over says that no call of the
// run can be under way.
func (r *run) undo(ctx context.Context, began *plan.Observed, over bool) Left {
	if began == nil {
		return Unknown
	}
	r.failed.Wrote = r.wrote
	what := plan.Undo(r.want, *began, r.failed)
	if what == plan.Nothing {
		if over && r.failed.By == nil && !r.failed.UserDeleted {
			r.end(ctx)
		}
		if r.failed.Wrote || began.User != nil && plan.Incomplete(r.want, *began) {
			return Something
		}
		return Nothing
	}
	if err := r.takeBack(ctx, what); err != nil {
		r.Log.WarnContext(ctx, "undoing was not completed; the Delete or rollback that follows undoes the rest", "user", r.want.Spec.UserName, "error", err.Error())
		return Something
	}
	return Nothing
}

func (r *run) takeBack(ctx context.Context, what plan.Undoing) error {
	user := r.want.Spec.UserName
	rest := r.removal(plan.Target{Owner: r.owner, Run: r.event, SecretName: r.want.Spec.SecretName, Undo: true}, user)
	rest.waited = true
	if r.createdUser {
		rest.made = r.createdPolicies // and no other run has created a policy
	}
	if what == plan.HandBack {
		there, err := r.findUser(ctx, user)
		if err != nil || plan.ClaimOn(rest.Target, user, there, true) == plan.Later {
			return err // another delivery has completed the user
		}
		if err := r.handBack(ctx); err != nil {
			return err
		}
	}
	return rest.remove(ctx)
}

// handBack returns a secret that both users share to the old user, before the new user is
// deleted. In this order AWSCURRENT always names a key that works.
func (r *run) handBack(ctx context.Context) error {
	old := r.want.PhysicalID
	secret, err := r.findSecret(ctx, r.want.Spec.SecretName)
	if err != nil || secret == nil {
		return err
	}
	user, err := r.findUser(ctx, old)
	if err != nil || user == nil {
		return err
	}
	// The keys that the run has seen are preferred: a new list may lack a key that an older
	// list had.
	keys := r.seen.OtherKeys
	if len(keys) == 0 {
		if keys, err = r.keys(ctx, old); err != nil && !errors.Is(err, access.ErrNotFound) {
			return err
		}
	}
	// A crash after this leaves the new user. The rollback Update finds it by
	// OldResourceProperties.
	return r.apply(ctx, plan.GiveBack(r.want, *secret, *user, keys))
}
