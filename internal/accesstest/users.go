package accesstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
)

type user struct {
	id        string
	created   time.Time
	name      string
	path      string
	tags      map[string]string
	attached  []string        // names of policies under our path
	hung      map[string]bool // kinds of what someone hung on it by hand
	groups    []string        // that someone put it into
	unseen    int             // calls that do not find it yet
	detaching int             // deletions that still find something attached
	boundary  string          // ARN of its permissions boundary; empty: none
	limited   bool            // by that boundary, on purpose
	unbounded int             // calls that do not see that it is the provider's yet
}

func (u *user) public() access.User {
	return access.User{ID: u.id, Name: u.name, ARN: "arn:aws:iam::" + ID + ":user" + u.path + u.name, Tags: maps.Clone(u.tags), Boundary: access.Boundary{ARN: u.boundary, Ours: Boundary}}
}

// add adds a user to the account, with a unique id.
func (a *Account) add(u *user) *user {
	a.born++
	u.created = time.Now().Add(-a.Behind)
	u.boundary = Boundary
	u.id, u.hung = fmt.Sprintf("AIDAUSER%013d", a.born), map[string]bool{}
	a.users[strings.ToLower(u.name)] = u
	return u
}

// find returns the user as IAM shows it.
func (a *Account) find(name string) (*user, error) {
	u := a.users[strings.ToLower(name)]
	if u == nil || u.name != name {
		return nil, access.ErrNotFound
	}
	if u.unseen > 0 {
		u.unseen--
		return nil, access.ErrNotFound
	}
	return u, nil
}

// User returns the user with its tags.
func (a *Account) User(ctx context.Context, name string) (found access.User, err error) {
	err = a.call(on(ctx, name), "GetUser", func() error {
		u, err := a.find(name)
		if err == nil {
			found = u.public()
		}
		return err
	})
	return found, err
}

// CreateUser creates a user, unless a user has that name in any capitals.
func (a *Account) CreateUser(ctx context.Context, name string, tags map[string]string) (made access.User, err error) {
	var created access.User
	err = a.call(on(ctx, name), "CreateUser", func() error {
		if a.users[strings.ToLower(name)] != nil {
			return access.ErrExists
		}
		after, err := tagged(nil, tags, nil)
		if err != nil || !userName.MatchString(name) {
			return access.ErrInvalid
		}
		a.ours("user "+name, tags)
		u := a.add(&user{name: name, path: a.path(), tags: after, unseen: a.Lag.Users})
		created = u.public()
		return nil
	})
	if err == nil {
		made = created
	}
	return made, err
}

// TagUser removes tags, then sets others: two calls.
func (a *Account) TagUser(ctx context.Context, name string, set map[string]string, unset []string) error {
	return a.tag(on(ctx, name), "User", set, unset, func(set map[string]string, unset []string) error {
		u, err := a.find(name)
		if err != nil {
			return err
		}
		after, err := tagged(u.tags, set, unset)
		if err != nil {
			return err
		}
		if u.path != a.path() || !onlyTold(set, unset) {
			a.ours("user "+name, u.tags)
			a.ours("user "+name, after)
		}
		u.tags = after
		return nil
	})
}

// PutBoundary puts the provider's permissions boundary on a user.
func (a *Account) PutBoundary(ctx context.Context, name string) error {
	return a.call(on(ctx, name), "PutUserPermissionsBoundary", func() error {
		u, err := a.find(name)
		if err != nil {
			return err
		}
		a.ours("user "+name, u.tags)
		if u.limited {
			a.shout("the boundary %s is taken off user %s, which somebody limits it by", u.boundary, name)
		}
		u.boundary, u.unbounded = Boundary, a.Lag.Boundary
		return nil
	})
}

// bounded answers like IAM to calls that the provider's role may only make for users under
// the provider's boundary.
func (u *user) bounded() error {
	if u.boundary != Boundary {
		return access.ErrDenied
	}
	if u.unbounded > 0 {
		u.unbounded--
		return access.ErrDenied
	}
	return nil
}

// tag makes up to two calls, like AWS: one removes tags, one sets tags.
func (a *Account) tag(ctx context.Context, what string, set map[string]string, unset []string, change func(map[string]string, []string) error) error {
	if len(unset) > 0 {
		if err := a.call(ctx, "Untag"+what, func() error { return change(nil, unset) }); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	return a.call(ctx, "Tag"+what, func() error { return change(set, nil) })
}

// DeleteUser deletes the user. Before that it removes everything attached to it, call by
// call. It is not an error if the user does not exist. Package users does the same.
func (a *Account) DeleteUser(ctx context.Context, name string) error {
	err := a.deleteUser(ctx, name)
	if !errors.Is(err, access.ErrConflict) {
		return err
	}
	if err := a.strip(ctx, name); err != nil {
		return err
	}
	if err = a.deleteUser(ctx, name); !errors.Is(err, access.ErrConflict) {
		return err
	}
	return a.call(on(ctx, name), "ListGroupsForUser", func() error {
		if u, notFound := a.find(name); notFound == nil && len(u.groups) > 0 {
			return access.InGroups{Groups: slices.Clone(u.groups)}
		}
		return err
	})
}

func (a *Account) deleteUser(ctx context.Context, name string) error {
	return a.call(on(ctx, name), "DeleteUser", func() error {
		u, err := a.find(name)
		if err != nil {
			return orAbsent(err)
		}
		a.ours("user "+name, u.tags)
		if len(a.keysOf(name))+len(u.attached)+len(u.hung)+len(u.groups) > 0 {
			return access.ErrConflict
		}
		if u.detaching > 0 {
			u.detaching--
			return access.ErrConflict
		}
		delete(a.users, strings.ToLower(name))
		delete(a.expected, name)
		return nil
	})
}

// kinds are the things that prevent IAM from deleting a user, in addition to access keys,
// policies under our path, and groups. Each has the call that removes it.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html
var kinds = map[string]string{
	"login profile":      "DeleteLoginProfile",
	"service credential": "DeleteServiceSpecificCredential",
	"certificate":        "DeleteSigningCertificate",
	"SSH key":            "DeleteSSHPublicKey",
	"foreign policy":     "DetachUserPolicy",
	"inline policy":      "DeleteUserPolicy",
	"MFA device":         "DeactivateMFADevice",
}

// Kinds returns what HangOn can attach to a user.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

func (a *Account) strip(ctx context.Context, name string) error {
	listed, err := a.Keys(ctx, name)
	if err != nil {
		return orAbsent(err)
	}
	for _, key := range listed {
		if err := a.DeleteKey(ctx, name, key.ID); err != nil {
			return err
		}
	}
	for _, kind := range Kinds() {
		if !a.hangs(name, kind) {
			continue
		}
		if err := a.call(on(ctx, name), kinds[kind], func() error {
			if u, err := a.find(name); err == nil {
				delete(u.hung, kind)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	attached, err := a.Attached(ctx, name)
	for _, policy := range attached {
		if err := a.DetachPolicy(ctx, name, policy); err != nil {
			return err
		}
	}
	return err
}

func (a *Account) hangs(name, kind string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.users[strings.ToLower(name)]
	return u != nil && u.hung[kind]
}
