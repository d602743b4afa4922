package accesstest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
)

// Attached returns the policies under our path that are attached to the user.
func (a *Account) Attached(ctx context.Context, user string) (names []string, err error) {
	err = a.call(on(ctx, user), "ListAttachedUserPolicies", func() error {
		u, err := a.find(user)
		if err == nil {
			names = slices.DeleteFunc(slices.Clone(u.attached), func(name string) bool {
				return a.policies[strings.ToLower(name)].path != a.path()
			})
		}
		return err
	})
	return names, err
}

// AttachPolicy attaches a policy. A user can have ten.
func (a *Account) AttachPolicy(ctx context.Context, user, name string) error {
	return a.call(on(ctx, name), "AttachUserPolicy", func() error {
		u, err := a.find(user)
		if err != nil {
			return err
		}
		p, err := a.findPolicy(name)
		if err != nil {
			return err
		}
		if err := u.bounded(); err != nil {
			return err
		}
		a.ours("user "+user, u.tags)
		a.ours("policy "+name, p.tags)
		if slices.Contains(u.attached, name) {
			return nil
		}
		if attached := len(u.attached); attached >= mostAttached || u.hung["foreign policy"] && attached+1 >= mostAttached {
			return access.ErrLimit
		}
		u.attached = append(u.attached, name)
		return nil
	})
}

// DetachPolicy detaches the policy.
func (a *Account) DetachPolicy(ctx context.Context, user, name string) error {
	return a.call(on(ctx, name), "DetachUserPolicy", func() error {
		u, err := a.find(user)
		if err != nil || !slices.Contains(u.attached, name) {
			return nil
		}
		a.ours("user "+user, u.tags)
		u.attached = slices.DeleteFunc(u.attached, func(other string) bool { return other == name })
		u.detaching = a.Lag.Detach
		if p := a.policies[strings.ToLower(name)]; p != nil {
			p.detaching = a.Lag.Detach
		}
		a.checkKept()
		return nil
	})
}

// DeletePolicy deletes the policy, and before that its old versions one by one. It does not
// delete an attached policy. Package users does the same.
func (a *Account) DeletePolicy(ctx context.Context, name string) error {
	err := a.deletePolicy(ctx, name)
	if !errors.Is(err, access.ErrConflict) {
		return err
	}
	for range a.oldVersions(name) {
		if err := a.dropVersion(ctx, name); err != nil {
			return err
		}
	}
	return a.deletePolicy(ctx, name)
}

func (a *Account) deletePolicy(ctx context.Context, name string) error {
	return a.call(on(ctx, name), "DeletePolicy", func() error {
		p, err := a.findPolicy(name)
		if err != nil {
			return orAbsent(err)
		}
		a.ours("policy "+name, p.tags)
		if len(p.elsewhere) > 0 || len(p.versions) > 1 || a.attachedTo(name) {
			return access.ErrConflict
		}
		if p.detaching > 0 {
			p.detaching--
			return access.ErrConflict
		}
		delete(a.policies, strings.ToLower(name))
		return nil
	})
}

func (a *Account) oldVersions(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.policies[strings.ToLower(name)]; p != nil {
		return len(p.versions) - 1
	}
	return 0
}

func (a *Account) attachedTo(name string) bool {
	for _, u := range a.users {
		if slices.Contains(u.attached, name) {
			return true
		}
	}
	return false
}
