package accesstest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

type policy struct {
	name      string
	path      string
	versions  []string // texts, the oldest first; the last one is in force
	tags      map[string]string
	elsewhere []string // groups, roles and users that someone attached it to
	unseen    int
	detaching int
}

func (p *policy) text() string { return p.versions[len(p.versions)-1] }

func (p *policy) public() access.Policy {
	return access.Policy{Name: p.name, ARN: "arn:aws:iam::" + ID + ":policy" + p.path + p.name, Document: p.text(), Tags: maps.Clone(p.tags)}
}

// findPolicy returns a policy by its ARN, which has the region's path.
func (a *Account) findPolicy(name string) (*policy, error) {
	p := a.policies[strings.ToLower(name)]
	if p == nil || p.name != name || p.path != a.path() {
		return nil, access.ErrNotFound
	}
	if p.unseen > 0 {
		p.unseen--
		return nil, access.ErrNotFound
	}
	return p, nil
}

// oursPolicy is the check ours for a policy. A policy without its tags is still ours if it
// is attached to a user of ours.
func (a *Account) oursPolicy(p *policy) {
	a.t.Helper()
	tags := maps.Clone(p.tags)
	for _, u := range a.users {
		for _, tag := range []string{name.TagStack, name.TagLogical, name.TagPhysical} {
			if slices.Contains(u.attached, p.name) && tags[tag] == "" {
				tags[tag] = u.tags[tag]
			}
		}
	}
	a.ours("policy "+p.name, tags)
}

// Policy returns a policy with its text and tags.
func (a *Account) Policy(ctx context.Context, name string) (found access.Policy, err error) {
	for _, verb := range []string{"GetPolicy", "GetPolicyVersion"} {
		err = a.call(on(ctx, name), verb, func() error {
			p, err := a.findPolicy(name)
			if err == nil {
				found = p.public()
			}
			return err
		})
		if err != nil {
			return access.Policy{}, err
		}
	}
	return found, nil
}

// valid returns AWS's answer to a document.
func valid(text string) error {
	if !json.Valid([]byte(text)) {
		return access.ErrInvalid
	}
	if size(text) > mostPolicySize {
		return access.ErrLimit
	}
	return nil
}

// CreatePolicy creates a policy, unless a policy has that name in any capitals.
func (a *Account) CreatePolicy(ctx context.Context, name, text string, tags map[string]string) (made access.Policy, err error) {
	err = a.call(on(ctx, name), "CreatePolicy", func() error {
		if a.policies[strings.ToLower(name)] != nil {
			return access.ErrExists
		}
		after, err := tagged(nil, tags, nil)
		if err != nil || !policyName.MatchString(name) {
			return access.ErrInvalid
		}
		if err := valid(text); err != nil {
			return err
		}
		a.ours("policy "+name, tags)
		p := &policy{name: name, path: a.path(), versions: []string{text}, tags: after, unseen: a.Lag.Policies}
		a.policies[strings.ToLower(name)] = p
		made = p.public()
		return nil
	})
	if err != nil {
		return access.Policy{}, err
	}
	return made, nil
}

// UpdatePolicy makes a new version the default. If there are five versions, it deletes the
// oldest one first, like package users.
func (a *Account) UpdatePolicy(ctx context.Context, name, text string) error {
	err := a.newVersion(ctx, name, text)
	if !errors.Is(err, access.ErrLimit) {
		return err
	}
	if err := a.dropVersion(ctx, name); err != nil {
		return err
	}
	return a.newVersion(ctx, name, text)
}

func (a *Account) newVersion(ctx context.Context, name, text string) error {
	return a.call(on(ctx, name), "CreatePolicyVersion", func() error {
		p, err := a.findPolicy(name)
		if err != nil {
			return err
		}
		a.oursPolicy(p)
		if err := valid(text); err != nil {
			return err
		}
		if len(p.versions) >= mostVersions {
			return access.ErrLimit
		}
		p.versions = append(p.versions, text)
		a.checkKept()
		return nil
	})
}

// dropVersion deletes the oldest version that is not the default.
func (a *Account) dropVersion(ctx context.Context, name string) error {
	return a.call(on(ctx, name), "DeletePolicyVersion", func() error {
		p, err := a.findPolicy(name)
		if err != nil {
			return orAbsent(err)
		}
		a.oursPolicy(p)
		if len(p.versions) > 1 {
			p.versions = p.versions[1:]
		}
		return nil
	})
}

// TagPolicy sets tags, then removes others.
func (a *Account) TagPolicy(ctx context.Context, name string, set map[string]string, unset []string) error {
	return a.tag(on(ctx, name), "Policy", set, unset, func(set map[string]string, unset []string) error {
		p, err := a.findPolicy(name)
		if err != nil {
			return err
		}
		a.oursPolicy(p)
		after, err := tagged(p.tags, set, unset)
		if err != nil {
			return err
		}
		a.ours("policy "+name, after)
		p.tags = after
		return nil
	})
}
