package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/parallel"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
)

// apply carries out the tasks. A task starts as soon as the tasks that it needs are done.
// After a failure no task starts, and the running ones end first. apply returns the first
// error.
func (r *run) apply(ctx context.Context, tasks []plan.Task) error {
	var failed error
	var once sync.Once
	over := make(chan struct{}) // closed when a task has failed, or panicked
	finished := make([]chan struct{}, len(tasks))
	all := make([]func() error, len(tasks))
	for i, task := range tasks {
		finished[i] = make(chan struct{})
		all[i] = func() error {
			through := false
			defer func() {
				if !through {
					once.Do(func() { close(over) })
				}
			}()
			for _, need := range task.Needs {
				select {
				case <-finished[need]:
				case <-over:
					return nil
				}
			}
			err := r.task(ctx, task.Step, over)
			if err != nil {
				once.Do(func() { failed = err; close(over) })
				return nil
			}
			through = true
			close(finished[i])
			return nil
		}
	}
	_ = parallel.Do(all...) // the functions return no error
	return failed
}

// task carries out one step, unless the plan has failed since.
func (r *run) task(ctx context.Context, step plan.Step, over <-chan struct{}) error {
	select {
	case <-over:
		return nil
	default:
	}
	started := time.Now()
	err := r.step(ctx, step)
	outcome := "done"
	if err != nil {
		outcome = err.Error()
	}
	err = r.passBy(ctx, err)
	verb, entity := step.Effect()
	r.Log.InfoContext(ctx, "effect", "verb", verb, "entity", entity, "outcome", outcome, "milliseconds", time.Since(started).Milliseconds())
	// These say by themselves what is wrong, and begin with a property or the key: the
	// step in front of them would be no help, and name a secret that an undo deletes.
	var names toldError
	var refused plan.Refused
	var unproven issue.Unproven
	if err == nil || errors.As(err, &names) || errors.As(err, &refused) || errors.As(err, &unproven) {
		return err
	}
	return fmt.Errorf("%s: %w", plan.Describe(step), err)
}

func (r *run) step(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.CreateUser:
		return r.createUser(ctx, s)
	case plan.TagUser:
		// A crash within this: the stack's old tags are removed, the new ones are not set
		// yet, and the owner's tags are intact. The next run sets them. The same is true of
		// a policy and a secret.
		return r.write(ctx, func(ctx context.Context) error { return r.Users.TagUser(ctx, s.Name, s.Set, s.Unset) })
	case plan.PutBoundary:
		return r.putBoundary(ctx, s)
	case plan.TakeTurn:
		return r.hold(ctx)
	case plan.DeleteUser:
		return r.deleteUser(ctx, s)
	case plan.CreatePolicy:
		return r.createPolicy(ctx, s)
	case plan.AttachPolicy:
		// A crash after this: the user has the rights of the policy.
		return r.write(ctx, func(ctx context.Context) error { return r.Attachments.AttachPolicy(ctx, s.User, s.Name) })
	case plan.UpdatePolicy:
		// A crash after this: this policy is as declared, the others are as before. Each
		// bucket is in some policy, by the order of policy.Documents.
		return r.write(ctx, func(ctx context.Context) error { return r.Policies.UpdatePolicy(ctx, s.Name, s.Text) })
	case plan.TagPolicy:
		return r.write(ctx, func(ctx context.Context) error { return r.Attachments.TagPolicy(ctx, s.Name, s.Set, s.Unset) })
	case plan.DetachPolicy:
		// A crash after this: the policy exists and is attached to no user. A Delete finds
		// it by its number.
		return r.write(ctx, func(ctx context.Context) error { return r.Attachments.DetachPolicy(ctx, s.User, s.Name) })
	case plan.DeletePolicy:
		return r.deletePolicy(ctx, s)
	case plan.DeleteKey:
		return r.deleteKey(ctx, s)
	case plan.Mint:
		return r.mint(ctx, s)
	case plan.Prove:
		return r.prove(ctx, s)
	case plan.Promote:
		return r.promote(ctx, s)
	case plan.Unlabel:
		// A crash after this: one label fewer that names a deleted key.
		return r.write(ctx, func(ctx context.Context) error { return r.Versions.Unlabel(ctx, s.Secret, s.Version, s.Label) })
	case plan.Complete:
		return r.complete(ctx, s)
	}
	return r.secretStep(ctx, step)
}

func (r *run) write(ctx context.Context, f func(context.Context) error) error {
	return r.Write(ctx, r.wait(), f)
}

func (r *run) createUser(ctx context.Context, s plan.CreateUser) error {
	var made access.User
	var began time.Time
	// A crash after this: a user without any rights, with our tags.
	err := r.Write(ctx, patience.Nothing, func(ctx context.Context) (err error) {
		began = time.Now()
		made, err = r.Users.CreateUser(ctx, s.Name, s.Tags)
		return err
	})
	r.noteMade()
	if errors.Is(err, access.ErrExists) {
		// Another run was faster, or the answer to our own call was lost.
		made, err = r.itself(ctx, s, err)
		began = time.Time{}
	}
	if err != nil {
		return err
	}
	r.looks <- struct{}{}
	defer func() { <-r.looks }()
	if len(r.users) == 0 {
		// The user has the run's mark from the start.
		r.until = began.Add(r.lease())
	}
	r.users[s.Name], r.ids[s.Name] = made.ID, made.ID
	r.mu.Lock()
	defer r.mu.Unlock()
	r.createdUser = !began.IsZero()
	r.result.UserARN = made.ARN
	return nil
}

// putBoundary sets the provider's boundary on a user that has lost it.
func (r *run) putBoundary(ctx context.Context, s plan.PutBoundary) error {
	r.Log.WarnContext(ctx, "the user does not have the provider's permissions boundary; setting it", "user", s.User, "before", s.Old)
	// A crash after this: the user has the rights of its policies, within the boundary. IAM
	// may apply the boundary late. Only a new policy may follow, and a new policy's denial
	// is retried.
	return r.write(ctx, func(ctx context.Context) error { return r.Users.PutBoundary(ctx, s.User) })
}

// itself finds out why a name is taken that was free before: by a call of this run whose
// answer was lost, by another run of this resource, or by somebody else.
func (r *run) itself(ctx context.Context, s plan.CreateUser, cause error) (access.User, error) {
	// IAM may not show yet what was just created.
	existing, err := patience.Ask(ctx, patience.JustMade, func() (access.User, error) { return r.Users.User(ctx, s.Name) })
	switch {
	case err == nil && r.owner.OwnsAs(s.Name, existing.Tags) && r.event.Has(existing.Tags):
		return existing, nil
	case err == nil && r.owner.Owns(existing.Tags):
		return existing, issue.ErrRaced
	case err == nil:
		return existing, fmt.Errorf("%w: %w", plan.ForeignUser(r.owner, existing), cause)
	case errors.Is(err, access.ErrNotFound), errors.Is(err, access.ErrDenied):
		return existing, fmt.Errorf("%w: %w", plan.Refused(fmt.Sprintf("UserName: IAM already has a user %q, which does not belong to this resource. IAM does not distinguish upper and lower case in names. Choose another UserName", s.Name)), cause)
	}
	return existing, err
}

func (r *run) createPolicy(ctx context.Context, s plan.CreatePolicy) error {
	// A crash after this: a policy that is attached to no user, with our tags. The next run
	// finds it in this function, and a Delete finds it by its number.
	var made access.Policy
	err := r.write(ctx, func(ctx context.Context) (err error) {
		made, err = r.Policies.CreatePolicy(ctx, s.Name, s.Text, s.Tags)
		return err
	})
	r.noteMade()
	if errors.Is(err, access.ErrExists) {
		made, err = r.adoptPolicy(ctx, s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || !access.Definite(err) {
		r.createdPolicies[s.Name] = true
	}
	if err == nil {
		r.policies[made.Name] = made
	}
	return err
}

func (r *run) noteMade() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.created = true
}

// adoptPolicy takes over the existing policy if it belongs to this user.
func (r *run) adoptPolicy(ctx context.Context, s plan.CreatePolicy) (access.Policy, error) {
	// IAM may not show yet what was just created.
	existing, err := patience.Ask(ctx, patience.JustMade, func() (access.Policy, error) { return r.Policies.Policy(ctx, s.Name) })
	if err != nil && !errors.Is(err, access.ErrNotFound) && !errors.Is(err, access.ErrDenied) {
		return access.Policy{}, err
	}
	if err != nil {
		return access.Policy{}, plan.Refused(fmt.Sprintf("UserName: IAM already has a policy %q, which does not belong to this resource and was not changed. IAM does not distinguish upper and lower case in names. Choose another UserName", s.Name))
	}
	if !r.owner.OwnsAs(s.User, existing.Tags) {
		return access.Policy{}, plan.ForeignPolicy(r.owner, s.User, existing)
	}
	return existing, parallel.Do(
		func() error {
			return r.write(ctx, func(ctx context.Context) error { return r.Policies.UpdatePolicy(ctx, s.Name, s.Text) })
		},
		func() error {
			return r.write(ctx, func(ctx context.Context) error { return r.Attachments.TagPolicy(ctx, s.Name, s.Tags, nil) })
		},
	)
}

func (r *run) deleteUser(ctx context.Context, s plan.DeleteUser) error {
	// A crash after this: at most a policy or the secret is left. A Delete finds them by
	// name.
	err := r.write(ctx, func(ctx context.Context) error {
		if r.isDeleted(s.Name) {
			return nil // a later event has created the user that has this name now
		}
		return r.Users.DeleteUser(ctx, s.Name)
	})
	var in access.InGroups
	if errors.As(err, &in) {
		commands := make([]string, len(in.Groups))
		for i, group := range in.Groups {
			commands[i] = fmt.Sprintf("aws iam remove-user-from-group --group-name %s --user-name %s", group, s.Name)
		}
		return inTheWay{fmt.Errorf("somebody added the user to a group (%s), and this provider has no right to remove it from there; its keys are deleted. Remove it (%s), and %s: %w", strings.Join(in.Groups, ", "), strings.Join(commands, "; "), r.finish(), err)}
	}
	return err
}

func (r *run) deletePolicy(ctx context.Context, s plan.DeletePolicy) error {
	r.mu.Lock()
	delete(r.policies, s.Name)
	r.mu.Unlock()
	// A crash within this: old versions are deleted, the default version still exists. A
	// Delete finds the policy by its number.
	some, cancel := r.someOf(ctx)
	defer cancel()
	err := r.write(some, func(ctx context.Context) error { return r.Policies.DeletePolicy(ctx, s.Name) })
	if errors.Is(err, access.ErrConflict) {
		return inTheWay{fmt.Errorf("the policy is also attached to another user, role or group, which this provider does not change. List them (aws iam list-entities-for-policy --policy-arn %s), detach the policy there, and %s: %w", s.ARN, r.finish(), err)}
	}
	return err
}

// deleteKey deletes a key. A Delete need not check its turn again: no event after that
// Delete has created a key that it has found.
func (r *run) deleteKey(ctx context.Context, s plan.DeleteKey) error {
	// A crash after this: one unused key fewer.
	remove := func(ctx context.Context) error { return r.Keys.DeleteKey(ctx, s.User, s.ID) }
	if r.removing {
		r.note()
		return r.wait().Do(ctx, func() error { return remove(ctx) })
	}
	return r.write(ctx, remove)
}

func (r *run) mint(ctx context.Context, s plan.Mint) error {
	r.issuer.Wait = r.wait()
	minted, err := r.issuer.Mint(ctx, issue.Order{
		User: s.User, Secret: s.Secret, Token: s.Token, Known: r.seen.Keys,
		Labels: func(keyID string) []string {
			labels := []string{name.KeyLabel(s.Serial, keyID), name.LabelLatest}
			if s.First {
				labels = append(labels, access.Current)
			}
			return labels
		},
	})
	if err != nil {
		return r.unstored(s.Secret, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.minted, r.version, r.promoted = minted, s.Token, s.First
	if s.First {
		r.current(s.Token, minted.KeyID)
	}
	return nil
}

// prove proves a key. A rollback goes on without the proof if a bucket or a KMS key has
// changed since.
func (r *run) prove(ctx context.Context, s plan.Prove) error {
	err := r.tryProof(ctx, s)
	var unproven issue.Unproven
	var obstacles access.Obstacles
	notRead := ofKMS(err) && !errors.As(err, &unproven)
	if !s.Tolerant || !notRead && !errors.As(err, &obstacles) {
		return err
	}
	r.Log.WarnContext(ctx, "the stack goes back to a state that was accepted before; its key could not be verified now, and the next update tries again", "secret", s.Secret, "error", err.Error())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unproven = true
	return nil
}

func (r *run) tryProof(ctx context.Context, s plan.Prove) (err error) {
	key := r.minted
	if s.Version != "" {
		if key, err = r.issuer.ReadKey(ctx, s.Secret, s.Version); err != nil {
			return r.presentKMSKey(s.Secret, err)
		}
	}
	subject := access.Subject{MadeUp: r.want.Spec.UserName == r.want.Owner.User()}
	return r.issuer.Prove(ctx, key, r.want.Spec.Scope, subject)
}

func (r *run) promote(ctx context.Context, s plan.Promote) error {
	if s.Version == "" {
		s.Version, s.KeyID, r.promoting = r.version, r.minted.KeyID, true
	}
	if s.Note {
		// A crash after this: the current key counts as replaced although it was not, and is
		// kept longer than necessary.
		now := map[string]string{name.TagPromoted: time.Now().UTC().Format(time.RFC3339)}
		if err := r.write(ctx, func(ctx context.Context) error { return r.Secrets.TagSecret(ctx, s.Secret, now, nil) }); err != nil {
			return fmt.Errorf("recording the time: %w", err)
		}
	}
	if err := r.issuer.Promote(ctx, s.Secret, s.Version, s.From); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.promoted = s.Version == r.version
	r.current(s.Version, s.KeyID)
	return nil
}

// complete marks the user as completed and the run as ended, in one call.
func (r *run) complete(ctx context.Context, s plan.Complete) error {
	set := r.event.Ended()
	proven := r.result.AccessKeyID
	if r.unproven {
		proven = ""
	}
	set[name.TagCompleted] = plan.CompletedTag(s.Before, s.Spec, proven)
	for _, secret := range s.Kept {
		r.Log.WarnContext(ctx, "an old secret stays, and its key still works: no other secret holds that key, or the secret has replicas. Deactivate the key once nobody uses it, and remove replicas (aws secretsmanager remove-regions-from-replication). Then the next update deletes the secret", "secret", secret)
		maps.Copy(set, name.RememberSecret(secret))
	}
	// A crash before this: an incomplete user, which the next run completes and a Delete
	// removes. After this only the response is missing.
	tag := func(user string, set map[string]string, unset []string) func() error {
		return func() error {
			return r.write(ctx, func(ctx context.Context) error { return r.Users.TagUser(ctx, user, set, unset) })
		}
	}
	tags := []func() error{tag(s.User, set, s.Forget)}
	if s.Other != "" {
		tags = append(tags, tag(s.Other, r.event.Ended(), s.OtherForget))
	}
	err := parallel.Do(tags...)
	if errors.Is(err, access.ErrNotFound) {
		r.failed.UserDeleted = true
		return errUserDeleted
	}
	if err == nil && s.Unproven {
		r.Log.WarnContext(ctx, "Verify is false, so the key was not verified; use the client to try each bucket", "user", s.User)
	}
	return err
}
