package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/plan"
)

// run is one plan being carried out.
type run struct {
	*Provisioner
	want     plan.Desired
	seen     plan.Observed
	result   Result
	user     string                   // its id; empty: there is none yet
	policies map[string]access.Policy // by name: what the user has by now
	justMade bool                     // IAM may not see yet what this run made
	wrote    bool                     // it had something to do

	passed   time.Time          // when the secret passed to the user; zero: it was the user's
	minted   access.Credentials // the key that this run issued
	version  string             // where it is stored; empty: nowhere yet
	promoted bool               // it is AWSCURRENT
}

func (p *Provisioner) begin(want plan.Desired, seen plan.Observed) *run {
	policies := map[string]access.Policy{}
	for _, policy := range seen.Policies {
		policies[policy.Name] = policy
	}
	run := &run{Provisioner: p, want: want, seen: seen, result: result(want, seen), user: seen.UserID(), policies: policies}
	if seen.Secret != nil {
		run.passed, _ = time.Parse(time.RFC3339, seen.Secret.Tags[name.TagPassed])
	}
	return run
}

// finished is the result once all steps are done.
func (r *run) finished() Result {
	r.result.PolicyARNs = policyARNs(r.want.Spec.UserName, slices.Collect(maps.Values(r.policies)))
	return r.result
}

// apply carries the steps out in order and stops at the first that fails. A
// key that it issued and that is not AWSCURRENT by then is deleted again: no
// one has it.
func (r *run) apply(ctx context.Context, steps []plan.Step) error {
	for _, step := range steps {
		started := time.Now()
		r.wrote = true
		err := r.step(ctx, step)
		r.log(ctx, step, started, err)
		if err != nil {
			r.dropMinted(ctx)
			return fmt.Errorf("%s: %w", plan.Describe(step), err)
		}
	}
	return nil
}

func (r *run) log(ctx context.Context, step plan.Step, started time.Time, err error) {
	outcome := "done"
	if err != nil {
		outcome = err.Error()
	}
	verb, entity := step.Effect()
	r.Log.InfoContext(ctx, "effect", "verb", verb, "entity", entity, "outcome", outcome, "milliseconds", time.Since(started).Milliseconds())
}

func (r *run) step(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.CreateUser:
		return r.createUser(ctx, s)
	case plan.TagUser:
		// A crash within: the stack's former tags are gone, those that replace them
		// not there yet, and whose the user is stands; the next run sets them.
		// So it is with a policy and a secret.
		return r.settle(ctx, func() error { return r.Users.TagUser(ctx, s.Name, s.Set, s.Unset) })
	case plan.DeleteUser:
		// A crash after this: at most the secret is left, found by its name.
		return r.settle(ctx, func() error { return r.Users.DeleteUser(ctx, s.Name) })
	case plan.CreatePolicy:
		return r.createPolicy(ctx, s)
	case plan.UpdatePolicy:
		// A crash after this: this policy as desired, others as they were; no
		// bucket is in none, by the order of policy.Documents.
		return r.settle(ctx, func() error { return r.Policies.UpdatePolicy(ctx, s.Name, s.Text) })
	case plan.TagPolicy:
		return r.settle(ctx, func() error { return r.Policies.TagPolicy(ctx, s.Name, s.Set, s.Unset) })
	case plan.DeletePolicy:
		return r.deletePolicy(ctx, s)
	case plan.CreateSecret:
		return r.createSecret(ctx, s)
	case plan.RestoreSecret:
		// A crash after this: the secret is back, with its former values.
		return r.settle(ctx, func() error { return r.Secrets.RestoreSecret(ctx, s.Name) })
	case plan.RekeySecret:
		// A crash after this: the tag still says the former key; done again.
		return r.settle(ctx, func() error { return r.Secrets.RekeySecret(ctx, s.Name, s.KMSKey) })
	case plan.TagSecret:
		if s.Set[name.TagPhysical] != "" {
			err := r.pass(ctx, s.Name, s.Set, s.Unset)
			r.passed = time.Now()
			return err
		}
		return r.settle(ctx, func() error { return r.Secrets.TagSecret(ctx, s.Name, s.Set, s.Unset) })
	case plan.CopyVersions:
		return r.copyVersions(ctx, s)
	case plan.PutResourcePolicy:
		return r.putResourcePolicy(ctx, s)
	case plan.DeleteResourcePolicy:
		return r.deleteResourcePolicy(ctx, s)
	case plan.DeleteSecret:
		return r.deleteSecret(ctx, s.Name)
	case plan.Mint:
		return r.mint(ctx, s)
	case plan.Prove:
		return r.prove(ctx, s)
	case plan.Promote:
		return r.promote(ctx, s)
	case plan.Unlabel:
		return r.settle(ctx, func() error { return r.Secrets.Unlabel(ctx, s.Secret, s.Version, s.Label) })
	case plan.DeleteKey:
		// A crash after this: one key fewer of those that nobody uses.
		return r.settle(ctx, func() error { return r.Keys.DeleteKey(ctx, s.User, s.ID) })
	case plan.Complete:
		return r.complete(ctx, s)
	}
	return fmt.Errorf("no way to carry out a %T", step)
}

func (r *run) settle(ctx context.Context, f func() error) error { return settle(ctx, r.justMade, f) }

func (r *run) createUser(ctx context.Context, s plan.CreateUser) error {
	// A crash after this: a user that can do nothing and carries our tags.
	err := r.settle(ctx, func() error {
		user, err := r.Users.CreateUser(ctx, s.Name, s.Tags)
		r.result.UserARN, r.user = user.ARN, user.ID
		return err
	})
	r.justMade = true
	r.result.reached.made = r.result.reached.made || !access.Definite(err)
	if errors.Is(err, access.ErrExists) {
		return r.lost(ctx, err, func() (map[string]string, error) {
			user, err := r.Users.User(ctx, s.Name)
			return user.Tags, err
		}, fmt.Sprintf("UserName: IAM holds a user %q already (capitals do not count), which is not this resource's; choose another UserName", s.Name))
	}
	return err
}

// lost sorts out a name that was taken since it was looked for: by another run
// of the same event, which is no matter, or by someone else.
func (r *run) lost(ctx context.Context, cause error, tags func() (map[string]string, error), foreign string) error {
	var existing map[string]string
	// What another run has just made may not be seen yet.
	err := settle(ctx, true, func() (err error) {
		existing, err = tags()
		return err
	})
	switch {
	case err == nil && r.want.Owner.Owns(existing):
		return errRaced
	case err == nil, errors.Is(err, access.ErrNotFound), errors.Is(err, access.ErrDenied):
		return fmt.Errorf("%w: %w", plan.Refused(foreign), cause)
	}
	return err
}

func (r *run) createPolicy(ctx context.Context, s plan.CreatePolicy) error {
	// A crash after this: a policy that is attached to nobody and carries our
	// tags. The next run finds it right here, Delete by its number.
	var made access.Policy
	err := r.settle(ctx, func() (err error) {
		made, err = r.Policies.CreatePolicy(ctx, s.Name, s.Text, s.Tags)
		return err
	})
	r.justMade = true
	if errors.Is(err, access.ErrExists) {
		made, err = r.adoptPolicy(ctx, s)
	}
	if err != nil {
		return err
	}
	r.policies[made.Name] = made
	// A crash after this: the user may do what it shall, and has no key yet.
	return r.settle(ctx, func() error { return r.Policies.AttachPolicy(ctx, s.User, s.Name) })
}

// adoptPolicy takes over the policy of that name if it is this user's own.
func (r *run) adoptPolicy(ctx context.Context, s plan.CreatePolicy) (access.Policy, error) {
	var existing access.Policy
	// What another run has just made may not be seen yet.
	err := settle(ctx, true, func() (err error) {
		existing, err = r.Policies.Policy(ctx, s.Name)
		return err
	})
	if err != nil && !errors.Is(err, access.ErrNotFound) && !errors.Is(err, access.ErrDenied) {
		return access.Policy{}, err
	}
	if err != nil || !r.want.Owner.OwnsAs(s.User, existing.Tags) {
		return access.Policy{}, plan.Refused(fmt.Sprintf("a policy %q exists and does not belong to this resource; it was not touched. Choose another UserName, or delete that policy", s.Name))
	}
	if err := r.settle(ctx, func() error { return r.Policies.UpdatePolicy(ctx, s.Name, s.Text) }); err != nil {
		return access.Policy{}, err
	}
	return existing, r.settle(ctx, func() error { return r.Policies.TagPolicy(ctx, s.Name, s.Tags, nil) })
}

func (r *run) deletePolicy(ctx context.Context, s plan.DeletePolicy) error {
	arn := r.policies[s.Name].ARN
	delete(r.policies, s.Name)
	// A crash within: detached but there. Delete looks for it by its number.
	err := r.settle(ctx, func() error { return r.Policies.DeletePolicy(ctx, s.User, s.Name) })
	if errors.Is(err, access.ErrConflict) {
		return fmt.Errorf("the policy is attached to someone else too, whom this provider does not touch; find them (aws iam list-entities-for-policy --policy-arn %s), detach it there, and try again: %w", arn, err)
	}
	return err
}

func (r *run) createSecret(ctx context.Context, s plan.CreateSecret) error {
	// A crash after this: an empty secret with our tags.
	err := r.settle(ctx, func() error {
		secret, err := r.Secrets.CreateSecret(ctx, s.Name, s.KMSKey, s.Tags)
		r.result.SecretARN = secret.ARN
		return err
	})
	if errors.Is(err, access.ErrExists) {
		return r.lost(ctx, err, func() (map[string]string, error) {
			secret, err := r.Secrets.Secret(ctx, s.Name)
			return secret.Tags, err
		}, fmt.Sprintf("SecretName: a secret %q exists and does not belong to this resource; choose another SecretName", s.Name))
	}
	return err
}

func (r *run) copyVersions(ctx context.Context, s plan.CopyVersions) error {
	for _, version := range s.Versions {
		value, err := ask(ctx, func() (access.Secret, error) { return r.Secrets.Value(ctx, s.From, version.ID) })
		if errors.Is(err, access.ErrNotFound) {
			return errRaced // another run of the same event has moved it
		}
		if err != nil {
			return fmt.Errorf("reading version %s: %w", version.ID, err)
		}
		labels := []string{access.Current}
		for _, label := range version.Labels {
			if _, _, ours := name.ParseKeyLabel(label); ours {
				labels = append(labels, label)
			}
		}
		// A crash after this: the next run copies again, which stores nothing
		// twice, and goes on with the version that follows. Until then the
		// former secret stands.
		if err := r.settle(ctx, func() error { return r.Secrets.PutVersion(ctx, s.To, plan.CopiedID(s.To, version.ID), value, labels) }); err != nil {
			return fmt.Errorf("storing version %s: %w", version.ID, err)
		}
		r.result.AccessKeyID = plan.KeyOf(version)
	}
	return nil
}

func (r *run) prove(ctx context.Context, s plan.Prove) error {
	credentials := r.minted
	if s.Version != "" {
		value, err := ask(ctx, func() (access.Secret, error) { return r.Secrets.Value(ctx, s.Secret, s.Version) })
		if err != nil {
			return fmt.Errorf("reading the stored key: %w", err)
		}
		if credentials, err = access.DecodeCredentials(value); err != nil {
			return err
		}
	}
	return r.proven(ctx, credentials)
}

func (r *run) promote(ctx context.Context, s plan.Promote) error {
	version := s.Version
	if version == "" {
		version = r.version
	}
	// A crash after this: the former key counts as replaced though it was not;
	// it is kept for longer than it need be.
	now := map[string]string{name.TagPromoted: time.Now().UTC().Format(time.RFC3339)}
	if err := r.settle(ctx, func() error { return r.Secrets.TagSecret(ctx, s.Secret, now, nil) }); err != nil {
		return fmt.Errorf("noting when: %w", err)
	}
	// A crash after this: the new key is current, the former one lives.
	if err := r.settle(ctx, func() error { return r.Secrets.Promote(ctx, s.Secret, version, s.From) }); err != nil {
		return err
	}
	if s.Version == "" {
		r.promoted = true
		r.result.AccessKeyID = r.minted.KeyID
	} else {
		r.result.AccessKeyID = r.keyOf(version)
	}
	return nil
}

// keyOf returns the key that a version seen at the start holds, in this secret
// or in the one that it was copied from.
func (r *run) keyOf(version string) string {
	for _, secret := range []*access.SecretInfo{r.seen.Secret, r.seen.Former} {
		if secret == nil {
			continue
		}
		i := slices.IndexFunc(secret.Versions, func(v access.Version) bool {
			return v.ID == version || plan.CopiedID(r.want.Spec.SecretName, v.ID) == version
		})
		if i >= 0 {
			return plan.KeyOf(secret.Versions[i])
		}
	}
	return ""
}

func (r *run) complete(ctx context.Context, s plan.Complete) error {
	r.result.reached.completed = true
	mark := map[string]string{name.TagCompleted: plan.Completed(s.Texts, r.result.AccessKeyID, s.Verified)}
	// A crash before this: an unfinished user, which the next run finishes, a
	// Delete under any id takes away. After it: all done but the answer.
	return r.settle(ctx, func() error { return r.Users.TagUser(ctx, s.User, mark, nil) })
}
