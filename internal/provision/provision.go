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
}

// Target is what a Delete names.
type Target struct {
	Owner      name.Owner
	PhysicalID string
	UserName   string // that the properties lead to
	SecretName string // that the properties lead to
}

// Create converges. If it fails, what it made is taken away again, the key
// first; CloudFormation sends a Delete all the same, which finishes the rest.
func (p *Provisioner) Create(ctx context.Context, want plan.Desired) (Result, error) {
	work, cancel := working(ctx)
	defer cancel()
	seen, err := p.observe(work, want)
	if err != nil {
		return Result{}, err
	}
	if plan.Settled(want, seen) {
		p.Log.Info("delivered again: finished already")
		return result(want, seen), nil
	}
	done, err := p.converge(work, want, seen)
	if err != nil && unfinished(seen) {
		p.undo(ctx, want, func() error { return p.removeUnfinished(ctx, want) })
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
	seen, err := p.observe(work, want)
	if err != nil {
		return Result{}, err
	}
	done, err := p.converge(work, want, seen)
	switch {
	case err != nil && replacing && unfinished(seen):
		p.undo(ctx, want, func() error { return p.undoReplacement(ctx, want, former.PhysicalID) })
	case err == nil && !replacing && former.UserName != want.Spec.UserName:
		// The rollback of a replacement whose answer never came: CloudFormation
		// does not know of that user, and will send no Delete for it.
		half := Target{Owner: want.Owner, PhysicalID: former.UserName, SecretName: former.SecretName}
		err = p.remove(work, half)
	}
	return done, err
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
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for what a Create left unanswered: %w", err)
	}
	if user.Tags[name.TagAnswered] != "" || !target.Owner.OwnsAs(target.UserName, user.Tags) {
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
	for attempt := 1; ; attempt++ {
		steps, err := plan.Converge(want, seen, time.Now())
		if err != nil {
			return Result{}, err
		}
		run := p.begin(want, seen)
		if err = run.apply(ctx, steps); err == nil {
			err = run.lastLook(ctx)
		}
		if !errors.Is(err, errRaced) || attempt == 5 || sleep(ctx, firstWait) != nil {
			return run.finished(), err
		}
		if seen, err = p.observe(ctx, want); err != nil {
			return Result{}, err
		}
	}
}

// How long keys and secret may disagree before that is believed.
const (
	// listLag is for a key that AWSCURRENT names and the list of keys lacks.
	// Taken for gone too soon, one that someone has just been given would be
	// replaced.
	listLag = 10 * time.Second
	// storing is for a key that was just made and no secret records. Taken for
	// nobody's too soon, one that another run is storing would be deleted.
	storing = 30 * time.Second
)

// observe looks at what is there, as far as planning needs it. Keys and secret
// have to be of one moment: a key that another run of the same event stores in
// between would look like one that is gone, or like one that is nobody's.
func (p *Provisioner) observe(ctx context.Context, want plan.Desired) (plan.Observed, error) {
	started, looks := time.Now(), 0
	var seen plan.Observed
	// What is there by one look and not by the next is looked for again.
	err := settle(ctx, true, func() (err error) {
		looks++
		seen = plan.Observed{Policies: map[int]access.Policy{}, LastUse: map[string]access.LastUse{}}
		if seen.Secret, err = p.findSecret(ctx, want.Spec.SecretName); err != nil {
			return err
		}
		if seen.Former, err = p.formerSecret(ctx, want); err != nil {
			return err
		}
		user, err := p.user(ctx, want.Spec.UserName)
		if err != nil && !errors.Is(err, access.ErrNotFound) {
			return fmt.Errorf("looking for the user: %w", err)
		}
		if err == nil {
			seen.User = &user
			// Someone else's user is refused by the plan, and not looked into.
			if want.Owner.OwnsAs(user.Name, user.Tags) {
				if err := p.observeUser(ctx, user.Name, &seen); err != nil {
					return err
				}
				if err := p.sameMoment(ctx, want, seen, time.Since(started), looks); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return seen, err
}

// formerSecret returns the secret of the former name, or nil if there is none
// that is ours.
func (p *Provisioner) formerSecret(ctx context.Context, want plan.Desired) (*access.SecretInfo, error) {
	if want.FormerSecret == "" {
		return nil, nil
	}
	former, err := p.findSecret(ctx, want.FormerSecret)
	if err != nil || former == nil || !former.Deleted.IsZero() || !want.Owner.OwnsAs(want.Spec.UserName, former.Tags) {
		return nil, err
	}
	return former, nil
}

// sameMoment returns access.ErrBusy if the secret has changed since it was
// seen, or if keys and secret may yet come to agree.
func (p *Provisioner) sameMoment(ctx context.Context, want plan.Desired, seen plan.Observed, waited time.Duration, looks int) error {
	secret, err := p.findSecret(ctx, want.Spec.SecretName)
	if err != nil {
		return err
	}
	if secret == nil {
		secret = &access.SecretInfo{}
	}
	var before []access.Version
	if seen.Secret != nil {
		before = seen.Secret.Versions
	}
	if !slices.EqualFunc(secret.Versions, before, sameVersion) {
		return fmt.Errorf("secret %s is being changed: %w", want.Spec.SecretName, access.ErrBusy)
	}
	for _, key := range seen.Keys {
		recorded := slices.ContainsFunc(secret.Versions, func(v access.Version) bool { return plan.KeyOf(v) == key.ID })
		if !recorded && waited < storing && time.Since(key.Created) < storing {
			return fmt.Errorf("key %s is not stored: %w", key.ID, access.ErrBusy)
		}
	}
	if waited >= listLag && looks >= fewestLooks {
		return nil
	}
	// A secret that two users share in turn names a key of the other one: then
	// this waits in vain, once, in the rollback of a replacement.
	for _, secret := range []*access.SecretInfo{secret, seen.Former} {
		if secret == nil || !want.Owner.Owns(secret.Tags) {
			continue
		}
		current, _ := secret.Labelled(access.Current)
		if key := plan.KeyOf(current); key != "" && !slices.ContainsFunc(seen.Keys, func(k access.Key) bool { return k.ID == key }) {
			return fmt.Errorf("key %s is not listed: %w", key, access.ErrBusy)
		}
	}
	return nil
}

func sameVersion(a, b access.Version) bool {
	return a.ID == b.ID && len(a.Labels) == len(b.Labels) && !slices.ContainsFunc(a.Labels, func(label string) bool { return !b.Has(label) })
}

func (p *Provisioner) observeUser(ctx context.Context, user string, seen *plan.Observed) (err error) {
	if seen.Keys, err = p.keys(ctx, user); err != nil {
		return fmt.Errorf("listing the user's keys: %w", err)
	}
	if len(seen.Keys) > 1 {
		for _, key := range seen.Keys {
			if seen.LastUse[key.ID], err = ask(ctx, func() (access.LastUse, error) { return p.Keys.LastUse(ctx, key.ID) }); err != nil {
				return fmt.Errorf("asking when key %s was last used: %w", key.ID, err)
			}
		}
	}
	attached, err := ask(ctx, func() ([]string, error) { return p.Policies.Attached(ctx, user) })
	if err != nil {
		return fmt.Errorf("listing the user's policies: %w", err)
	}
	for _, policy := range attached {
		number, ours := name.PolicyNumber(user, policy)
		if !ours {
			continue
		}
		if seen.Policies[number], err = p.policy(ctx, policy); err != nil {
			return fmt.Errorf("reading policy %s: %w", policy, err)
		}
	}
	return nil
}

func (p *Provisioner) user(ctx context.Context, name string) (access.User, error) {
	return ask(ctx, func() (access.User, error) { return p.Users.User(ctx, name) })
}

func (p *Provisioner) keys(ctx context.Context, user string) ([]access.Key, error) {
	return ask(ctx, func() ([]access.Key, error) { return p.Keys.Keys(ctx, user) })
}

func (p *Provisioner) policy(ctx context.Context, name string) (access.Policy, error) {
	return ask(ctx, func() (access.Policy, error) { return p.Policies.Policy(ctx, name) })
}

// findSecret returns the secret, or nil if there is none.
func (p *Provisioner) findSecret(ctx context.Context, secret string) (*access.SecretInfo, error) {
	info, err := ask(ctx, func() (access.SecretInfo, error) { return p.Secrets.Secret(ctx, secret) })
	if errors.Is(err, access.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for secret %s: %w", secret, err)
	}
	return &info, nil
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
