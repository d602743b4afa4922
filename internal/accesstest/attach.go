package accesstest

import (
	"context"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
)

// Attached returns the policies under our path that are attached to the user.
func (a *Account) Attached(ctx context.Context, user string) (names []string, err error) {
	err = a.call(ctx, "ListAttachedUserPolicies", func() error {
		u, err := a.find(user)
		if err == nil {
			names = slices.Clone(u.attached)
		}
		return err
	})
	return names, err
}

// AttachPolicy attaches, up to ten policies.
func (a *Account) AttachPolicy(ctx context.Context, user, name string) error {
	return a.call(ctx, "AttachUserPolicy", func() error {
		u, err := a.find(user)
		if err != nil {
			return err
		}
		p, err := a.findPolicy(name)
		if err != nil {
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

// DeletePolicy detaches the policy and deletes it, version by version. It
// stays, detached, while it is attached to something else as well.
func (a *Account) DeletePolicy(ctx context.Context, user, name string) error {
	if err := a.detach(ctx, user, name); err != nil {
		return err
	}
	for range a.oldVersions(name) {
		if err := a.dropVersion(ctx, name); err != nil {
			return err
		}
	}
	return a.call(ctx, "DeletePolicy", func() error {
		p, err := a.findPolicy(name)
		if err != nil {
			return gone(err)
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

func (a *Account) detach(ctx context.Context, user, name string) error {
	return a.call(ctx, "DetachUserPolicy", func() error {
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
