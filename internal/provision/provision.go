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

// Provisioner makes the account as desired. All fields but the last four are
// required.
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

	// Role is the ARN of the function's role, for sentences; empty: not known.
	Role string

	// Lease, InFlight and Queue are order.Lease, order.InFlight and order.Queue
	// where they are not set. Local runs set them: their AWS and their queue are
	// quicker. InFlight has to be longer than Lease and what a call takes there.
	Lease, InFlight, Queue time.Duration
}

// Create converges. If it fails, what it made is taken away again, the key
// first; CloudFormation sends a Delete all the same, which finishes the rest.
func (p *Provisioner) Create(ctx context.Context, want plan.Desired) (Result, error) {
	return p.carryOut(ctx, want)
}

// Update converges, from whatever an earlier Update or its rollback left. A
// replacement that fails takes its half-made user away again; any other failed
// Update is put right by the rollback Update that CloudFormation sends.
func (p *Provisioner) Update(ctx context.Context, want plan.Desired) (Result, error) {
	if plan.InCapitalsOnly(want.Spec.UserName, want.PhysicalID) {
		return Result{}, plan.Refused(fmt.Sprintf("UserName: %q and %q differ in capitals only, and IAM cannot hold both; choose another name", want.PhysicalID, want.Spec.UserName))
	}
	if want.Frozen {
		return p.stands(ctx, want)
	}
	return p.carryOut(ctx, want)
}

// errFrozen: something would have to be written.
var errFrozen = plan.Refused("it is not as declared, and is frozen")

// stands returns what stands, if it is as desired, and writes nothing. So the
// rollback of an Update goes through that was refused before it did anything.
func (p *Provisioner) stands(ctx context.Context, want plan.Desired) (Result, error) {
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

// carryOut carries a Create or Update out, and undoes it where it fails.
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

// certain reports whether a run that has failed with err knows what it has done.
// If not, it leaves its mark as begun, and the event that follows looks closely.
func certain(err error) bool {
	var refused plan.Refused
	var unproven issue.Unproven
	return access.Definite(err) || errors.As(err, &refused) || errors.As(err, &unproven)
}

// keepForUndo is how much of the time that is left work leaves for undoing: at
// most this, and a quarter where there is less of it.
const keepForUndo = 20 * time.Second

// working returns a context that ends early enough to undo afterwards.
func working(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(keepForUndo, time.Until(deadline)/4)))
}

// most is how often a run looks again because something else was faster.
const most = 5

// converge observes, plans and applies, once it is the run's turn. It returns
// what the run began with; nil: it does not know.
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
		case plan.Stands:
			r.Log.InfoContext(ctx, "delivered again: what a later event has made stands")
			return began, nil
		case plan.Work:
			r.failed.By = nil // the delivery that it has yielded to is over
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
			err = nil // each secret is found to be so once
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

// yielding is how often a run looks whether another one has ended.
const yielding = time.Second

// ready observes, leaves the run's mark, and says whether it may work.
func (r *run) ready(ctx context.Context, want plan.Desired) (plan.Observed, plan.Verdict, error) {
	r.seenAt = time.Now()
	seen, err := r.observe(ctx, want, func(known plan.Observed) error {
		r.know(known)
		if r.changed(known) {
			return nil
		}
		// As early as that, because the rest is still being asked.
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
	case verdict != plan.Stands && r.changed(seen):
		r.failed.Gone = true
		err = errGone
	}
	return seen, verdict, err
}

// know notes the users that the run has seen, and needs.
func (r *run) know(seen plan.Observed) {
	for _, user := range []*access.User{seen.User, seen.Other} {
		if user != nil && r.needs(user.Name) && r.ids[user.Name] == "" && r.owner.OwnsAs(user.Name, user.Tags) {
			r.ids[user.Name] = user.ID
		}
	}
}

// needs reports whether the run needs the user to stay. One that a rollback takes
// away may be gone.
func (r *run) needs(user string) bool {
	return !r.removing && (user == r.want.Spec.UserName || r.want.Replaces())
}

// changed reports whether a user that the run has seen and needs is another one by
// now, or gone.
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
		r.Log.WarnContext(ctx, "the user carries a permissions boundary that is not the provider's; it stays. Ask who put it there; if it is not meant as a limit, put the provider's in its place: aws iam put-user-permissions-boundary", "user", seen.User.Name, "boundary", seen.User.Boundary.ARN)
	}
	tasks, err := plan.Converge(want, seen, time.Now())
	if err != nil {
		return err
	}
	if seen.User != nil && plan.Forgot(*seen.User) && !plan.Finished(seen.User) {
		r.forgotten(ctx, seen.User.Name) // once: it is finished then
	}
	if len(tasks) == 0 {
		// Where it has left a mark: that nobody was at work who did not see it.
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

// forgotten warns that the user may have secrets that it does not remember any more.
func (p *Provisioner) forgotten(ctx context.Context, user string) {
	p.Log.WarnContext(ctx, "what the user remembered was lost with its tags; look for secrets of it that are left, and delete those that nobody reads",
		"user", user, "command", fmt.Sprintf("aws secretsmanager list-secrets --filters Key=tag-key,Values=%s Key=tag-value,Values=%s", name.TagPhysical, user))
}

// dropMinted deletes the key that a failed plan issued and stored, unless it
// became current, or may become it: AWS may carry out late what had no answer.
// A later run sees it, and decides about it.
func (r *run) dropMinted(ctx context.Context, err error) {
	promoting := r.promoting && !certain(err)
	if r.minted.KeyID != "" && !r.promoted && r.failed.By == nil && !promoting {
		r.issuer.DropStored(ctx, r.want.Spec.UserName, r.want.Spec.SecretName, r.minted.KeyID)
	}
}

// removeHalf takes away what a replacement has made whose answer never came:
// this is its rollback, and CloudFormation does not know of that user.
func (r *run) removeHalf(ctx context.Context) error {
	half := r.want.Other()
	if half == "" || r.want.Replaces() {
		return nil
	}
	rest := r.removal(plan.Target{Owner: r.owner, Run: r.event, SecretName: r.want.Former.SecretName}, half)
	rest.waited = r.waited
	return rest.remove(ctx)
}

// undo takes back what a failed run has done, and reports what may be left. Its
// own failure is logged and not answered: the stack owner needs the first cause,
// and the Delete or rollback that follows takes the same way again.
//
// began is what the run began with; nil: it does not know. over says that no call
// of it can be under way.
func (r *run) undo(ctx context.Context, began *plan.Observed, over bool) Left {
	if began == nil {
		return Unknown
	}
	r.failed.Wrote = r.wrote
	what := plan.Undo(r.want, *began, r.failed)
	if what == plan.Nothing {
		if over && r.failed.By == nil && !r.failed.Gone {
			r.end(ctx)
		}
		if r.failed.Wrote || began.User != nil && plan.HalfMade(r.want, *began) {
			return Something
		}
		return Nothing
	}
	if err := r.takeBack(ctx, what); err != nil {
		r.Log.WarnContext(ctx, "undoing did not finish; the Delete or rollback that follows does", "user", r.want.Spec.UserName, "error", err.Error())
		return Something
	}
	return Nothing
}

func (r *run) takeBack(ctx context.Context, what plan.Undoing) error {
	user := r.want.Spec.UserName
	rest := r.removal(plan.Target{Owner: r.owner, Run: r.event, SecretName: r.want.Spec.SecretName, Undo: true}, user)
	rest.waited = true
	if r.own {
		rest.made = r.tried // and no other run has made one
	}
	if what == plan.HandBack {
		there, err := r.findUser(ctx, user)
		if err != nil || plan.ClaimOn(rest.Target, user, there, true) == plan.Later {
			return err // another delivery has finished it
		}
		if err := r.handBack(ctx); err != nil {
			return err
		}
	}
	return rest.remove(ctx)
}

// handBack gives a secret that both users share back to the former one, before
// the new user goes. In that order: AWSCURRENT names a live key at every moment.
func (r *run) handBack(ctx context.Context) error {
	former := r.want.PhysicalID
	secret, err := r.findSecret(ctx, r.want.Spec.SecretName)
	if err != nil || secret == nil {
		return err
	}
	user, err := r.findUser(ctx, former)
	if err != nil || user == nil {
		return err
	}
	// Those that were seen: a list of now may lack what one of before had.
	keys := r.seen.OtherKeys
	if len(keys) == 0 {
		if keys, err = r.keys(ctx, former); err != nil && !errors.Is(err, access.ErrNotFound) {
			return err
		}
	}
	// A crash after this: the new user is left, which the rollback Update finds
	// by OldResourceProperties.
	return r.apply(ctx, plan.GiveBack(r.want, *secret, *user, keys))
}
