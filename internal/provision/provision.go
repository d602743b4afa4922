package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// Provisioner makes the account as desired. All fields are required.
type Provisioner struct {
	Users    Users
	Keys     Keys
	Policies Policies
	Secrets  Secrets
	Prober   Prober
	Log      *slog.Logger
}

// Result is what stands once everything is as desired.
type Result struct {
	UserName    string
	UserARN     string
	PolicyARNs  []string // in the order of their numbers
	AccessKeyID string
	SecretARN   string
	SecretName  string
	// Unanswered: no answer that CloudFormation accepted has named the user yet.
	// See Acknowledge.
	Unanswered bool

	reached reached
}

// reached is what a run has come to, for its undoing. A call whose answer was
// lost counts: it may have happened.
type reached struct {
	made      bool // the user
	completed bool // the mark that says so
}

// Target is what a Delete names.
type Target struct {
	Owner      name.Owner
	PhysicalID string
	UserName   string // that the properties lead to
	SecretName string // that the properties lead to
	Keep       string // a secret to leave alone, whosever it is just now
}

// Create converges. If it fails, what it made is taken away again, the key
// first; CloudFormation sends a Delete all the same, which finishes the rest.
func (p *Provisioner) Create(ctx context.Context, want plan.Desired) (Result, error) {
	work, cancel := working(ctx)
	defer cancel()
	seen, err := p.observe(work, want, "")
	if err != nil {
		return Result{}, err
	}
	if plan.Settled(want, seen) {
		p.Log.InfoContext(ctx, "delivered again: finished already")
		return result(want, seen), nil
	}
	done, err := p.converge(work, want, seen)
	if err != nil && unfinished(seen) {
		p.undo(ctx, want, func() error { return p.removeUnfinished(ctx, want, errors.Is(err, errOvertaken)) })
	}
	return done, err
}

// unfinished reports whether the user that a run began with was half-made, or
// not there: then a run that fails may take it away.
func unfinished(seen plan.Observed) bool {
	return seen.User == nil || seen.User.Tags[name.TagCompleted] == ""
}

// Acknowledge notes that CloudFormation knows of the user: it has accepted an
// answer that names it. Only then is a user safe from the Delete that follows a
// Create that was never answered.
func (p *Provisioner) Acknowledge(ctx context.Context, user string) error {
	// A crash before this: the next Update notes it. Until then a Delete under
	// another id would take the user away, and there is none: CloudFormation
	// invents an id only if no answer came.
	mark := map[string]string{name.TagAnswered: time.Now().UTC().Format(time.RFC3339)}
	err := settle(ctx, false, func() error { return p.Users.TagUser(ctx, user, mark, nil) })
	if errors.Is(err, access.ErrNotFound) {
		return nil // a Delete was faster
	}
	return err
}

// Update converges, from whatever an earlier Update or its rollback left. A
// replacement that fails takes its half-made user away again; any other failed
// Update is put right by the rollback Update that CloudFormation sends. So is
// the failed rollback of a replacement: the user that it goes back to is
// finished, and stays.
//
// former names the user and secret that OldResourceProperties lead to.
func (p *Provisioner) Update(ctx context.Context, want plan.Desired, former Target) (Result, error) {
	work, cancel := working(ctx)
	defer cancel()
	if plan.InCapitalsOnly(want.Spec.UserName, former.PhysicalID) {
		return Result{}, plan.Refused(fmt.Sprintf("UserName: %q and %q differ in capitals only, and IAM cannot hold both; choose another name", former.PhysicalID, want.Spec.UserName))
	}
	replacing := want.Spec.UserName != former.PhysicalID
	if !replacing && former.SecretName != want.Spec.SecretName {
		want.FormerSecret = former.SecretName
	}
	seen, err := p.observe(work, want, "")
	if err == nil && !replacing && losing(want, seen) {
		seen, err = p.afterADelete(work, want)
	}
	if err != nil {
		return Result{}, err
	}
	done, err := p.converge(work, want, seen)
	switch {
	case err != nil && replacing && unfinished(seen):
		own := done.reached.completed || errors.Is(err, errOvertaken)
		p.undo(ctx, want, func() error { return p.undoReplacement(ctx, want, former.PhysicalID, own) })
	case err != nil && !replacing && (seen.User != nil || done.reached.made):
		// If a Delete took the user away, it does not know what this made since.
		p.undo(ctx, want, func() error { return p.removeUnfinished(ctx, want, errors.Is(err, errOvertaken)) })
	case err == nil && !replacing && former.UserName != want.Spec.UserName:
		// The rollback of a replacement whose answer never came: CloudFormation
		// does not know of that user, and will send no Delete for it.
		half := Target{Owner: want.Owner, PhysicalID: former.UserName, SecretName: former.SecretName, Keep: want.Spec.SecretName}
		if err = p.remove(work, half); err != nil {
			return done, err
		}
		// That replacement may still have been at work, and have passed the
		// secret on after it was seen.
		if seen, err = p.observe(work, want, seen.UserID()); err != nil {
			return done, err
		}
		return p.converge(work, want, seen)
	}
	return done, err
}

// losing reports whether a Delete may be at work: it takes the user first and
// the secret last.
func losing(want plan.Desired, seen plan.Observed) bool {
	return seen.User == nil && (seen.Former != nil || seen.Secret != nil && want.Owner.OwnsAs(want.Spec.UserName, seen.Secret.Tags))
}

// afterADelete tells a user that someone deleted by hand, which is made anew,
// from one that a Delete has just taken: the secret follows it then.
func (p *Provisioner) afterADelete(ctx context.Context, want plan.Desired) (plan.Observed, error) {
	if err := sleep(ctx, passing); err != nil {
		return plan.Observed{}, err
	}
	seen, err := p.observe(ctx, want, "")
	if err == nil && seen.User == nil && !losing(want, seen) {
		err = errOvertaken
	}
	return seen, err
}

// Delete takes everything of the physical id away. An id that no answer ever
// gave owns nothing, and is no error. What a Create of the same resource made
// and no answer told of goes too, finished or not: CloudFormation invents the
// id that it sends then.
func (p *Provisioner) Delete(ctx context.Context, target Target) error {
	if err := p.remove(ctx, target); err != nil || target.UserName == target.PhysicalID {
		return err
	}
	user, err := p.sought(ctx, target.UserName)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return fmt.Errorf("looking for what a Create left unanswered: %w", err)
	}
	// Without its user nothing is finished: what is left then is what a Delete
	// before this one did not come to.
	if err == nil && (user.Tags[name.TagAnswered] != "" || !target.Owner.OwnsAs(target.UserName, user.Tags)) {
		return nil
	}
	target.PhysicalID = target.UserName
	return p.remove(ctx, target)
}

// errRaced: another run of the same event was faster at one step. Look again.
var errRaced = errors.New("another run of the same event was faster")

// converge plans and applies, and looks again where another run of the same
// event got in between.
func (p *Provisioner) converge(ctx context.Context, want plan.Desired, seen plan.Observed) (Result, error) {
	var far reached
	for attempt := 1; ; attempt++ {
		steps, err := plan.Converge(want, seen, time.Now())
		if err != nil {
			return Result{reached: far}, err
		}
		run := p.begin(want, seen)
		run.result.reached = far
		if err = run.apply(ctx, steps); err == nil {
			err = run.lastLook(ctx)
		}
		if !errors.Is(err, errRaced) || attempt == 5 || sleep(ctx, firstWait) != nil {
			return run.finished(), err
		}
		far = run.result.reached
		if seen, err = p.observe(ctx, want, run.user); err != nil {
			return Result{reached: far}, err
		}
	}
}

// result tells what stands, from what was seen.
func result(want plan.Desired, seen plan.Observed) Result {
	done := Result{UserName: want.Spec.UserName, SecretName: want.Spec.SecretName, Unanswered: true}
	if seen.User != nil {
		done.UserARN = seen.User.ARN
		done.Unanswered = seen.User.Tags[name.TagAnswered] == ""
	}
	done.PolicyARNs = policyARNs(want.Spec.UserName, slices.Collect(maps.Values(seen.Policies)))
	if seen.Secret != nil {
		done.SecretARN = seen.Secret.ARN
		if current, ok := seen.Secret.Labelled(access.Current); ok {
			done.AccessKeyID = plan.KeyOf(current)
		}
	}
	return done
}

// policyARNs returns the ARNs in the order of the policies' numbers.
func policyARNs(user string, policies []access.Policy) []string {
	number := func(p access.Policy) int { n, _ := name.PolicyNumber(user, p.Name); return n }
	slices.SortFunc(policies, func(a, b access.Policy) int { return number(a) - number(b) })
	arns := make([]string, len(policies))
	for i, policy := range policies {
		arns[i] = policy.ARN
	}
	return arns
}
