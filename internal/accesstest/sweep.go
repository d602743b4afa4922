package accesstest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// These are the calls of the sweep: lists, and the calls that retire a key.

// perPage is the most entities on one page of IAM's lists, and pageOfSecrets the most on
// one of Secrets Manager's.
const (
	perPage       = 1000
	pageOfSecrets = 100
)

// pages makes the calls of a list: one for each page.
func (a *Account) pages(ctx context.Context, verb string, most int, list func() (listed int)) error {
	for begun := 0; ; begun += most {
		listed := 0
		if err := a.call(ctx, verb, func() error { listed = list(); return nil }); err != nil {
			return err
		}
		if begun+most >= listed {
			return nil
		}
	}
}

// ListUsers lists the users under the path.
func (a *Account) ListUsers(ctx context.Context) (listed []access.ListedUser, err error) {
	err = a.pages(ctx, "ListUsers", perPage, func() int {
		listed = nil
		for _, u := range a.users {
			if u.path == a.path() && u.unseen == 0 {
				listed = append(listed, access.ListedUser{Name: u.name, ID: u.id, Created: u.created})
			}
		}
		return len(listed)
	})
	slices.SortFunc(listed, func(x, y access.ListedUser) int { return strings.Compare(x.Name, y.Name) })
	return listed, err
}

// ListPolicies lists the policies under the path, with the default version of each.
func (a *Account) ListPolicies(ctx context.Context) (listed map[string]string, err error) {
	err = a.pages(ctx, "ListPolicies", perPage, func() int {
		listed = map[string]string{}
		for _, p := range a.policies {
			if p.path == a.path() {
				listed[p.name] = versionID(p.text())
			}
		}
		return len(listed)
	})
	return listed, err
}

// versionID returns the id of the version with that text.
func versionID(text string) string { return name.Token(text) }

// PolicyText returns the text of one version.
func (a *Account) PolicyText(ctx context.Context, called, version string) (text string, err error) {
	err = a.call(on(ctx, called), "GetPolicyVersion", func() error {
		p, err := a.findPolicy(called)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(p.versions, func(t string) bool { return versionID(t) == version })
		if i < 0 {
			return access.ErrNotFound
		}
		text = p.versions[i]
		return nil
	})
	return text, err
}

// ForeignPolicy is the ARN of the policy that HangOn attaches as a "foreign policy", and
// InlinePolicy is the name of its "inline policy".
const (
	ForeignPolicy = "arn:aws:iam::aws:policy/ReadOnlyAccess"
	InlinePolicy  = "by-hand"
)

// AttachedPolicies returns the policies that are attached: ours by name, others by ARN.
func (a *Account) AttachedPolicies(ctx context.Context, user string) (ours, others []string, err error) {
	if ours, err = a.Attached(ctx, user); err == nil && a.hangs(user, "foreign policy") {
		others = []string{ForeignPolicy}
	}
	return ours, others, err
}

// Inline returns the names of the user's inline policies.
func (a *Account) Inline(ctx context.Context, user string) (names []string, err error) {
	err = a.call(on(ctx, user), "ListUserPolicies", func() error {
		u, err := a.find(user)
		if err == nil && u.hung["inline policy"] {
			names = []string{InlinePolicy}
		}
		return err
	})
	return names, err
}

// ListSecrets lists the secrets, without those in their recovery window.
func (a *Account) ListSecrets(ctx context.Context) (listed []access.SecretInfo, err error) {
	err = a.pages(ctx, "ListSecrets", pageOfSecrets, func() int {
		listed = nil
		for _, s := range a.secrets {
			if s.deleted.IsZero() && strings.HasPrefix(s.name, name.SecretPrefix) {
				listed = append(listed, a.public(s))
			}
		}
		return len(listed)
	})
	slices.SortFunc(listed, func(x, y access.SecretInfo) int { return strings.Compare(x.Name, y.Name) })
	return listed, err
}

// DeactivateKey deactivates a key that nobody uses.
func (a *Account) DeactivateKey(ctx context.Context, user, keyID string) error {
	return a.call(on(ctx, keyID), "UpdateAccessKey", func() error {
		u, err := a.find(user)
		if err != nil {
			return err
		}
		k := a.key(keyID)
		if k == nil || k.user != user {
			return access.ErrNotFound
		}
		a.ours("user "+user, u.tags)
		a.mayDeactivate(k)
		k.active = false
		return nil
	})
}

// mayDeactivate shouts when a current or pending key is deactivated, or a key that was
// replaced or used within the grace, whatever IAM shows about its use.
func (a *Account) mayDeactivate(k *key) {
	for _, s := range a.everySecret() {
		grace := name.Grace(s.tags)
		for _, v := range s.versions {
			switch {
			case v.key != k.id:
			case v.has(access.Current) && s.tags[name.TagLocked] == "" && s.deleted.IsZero():
				a.shout("key %s of %s is deactivated, and AWSCURRENT of %s names it", k.id, k.user, s.name)
			case v.has(access.Pending):
				a.shout("key %s of %s is deactivated, and a rotation of %s holds it", k.id, k.user, s.name)
			case time.Since(k.needed) < grace:
				a.shout("key %s of %s is deactivated %v after it was used", k.id, k.user, time.Since(k.needed))
			case time.Since(v.replaced) < grace:
				a.shout("key %s of %s is deactivated %v after AWSCURRENT of %s left it", k.id, k.user, time.Since(v.replaced), s.name)
			}
		}
	}
}

// Call is a consumer's call to S3 with its key. It reports whether AWS accepted the key.
// IAM shows that use after RecordsLate.
func (a *Account) Call(keyID string) (taken bool) {
	a.byHand(func() {
		k := a.key(keyID)
		if taken = k != nil && k.active; taken {
			k.needed = time.Now()
			k.unnoticed = append(k.unnoticed, access.LastUse{Time: k.needed, Service: "s3", Region: a.region})
		}
	})
	return taken
}

// notice updates the record of the last use.
func (a *Account) notice(k *key) {
	for len(k.unnoticed) > 0 && time.Since(k.unnoticed[0].Time) >= a.RecordsLate {
		if k.unnoticed[0].Time.After(k.used.Time) {
			k.used = k.unnoticed[0]
		}
		k.unnoticed = k.unnoticed[1:]
	}
}

// Activate makes a key active again.
func (a *Account) Activate(keyID string) {
	a.byHand(func() {
		k := a.key(keyID)
		k.active, k.needed = true, time.Now()
	})
}

// Resource returns the physical id of a stack's resource: the user that carries its
// tags, unless a test says otherwise.
func (a *Account) Resource(ctx context.Context, owner name.Owner) (physicalID string, err error) {
	err = a.call(on(ctx, owner.Logical), "DescribeStackResource", func() error {
		if said, ok := a.resources[owner]; ok {
			physicalID = said
		} else {
			for _, u := range a.users {
				if owner.OwnsAs(u.name, u.tags) {
					physicalID = u.name
				}
			}
		}
		switch {
		case a.closed:
			return access.ErrDenied
		case physicalID == "":
			return access.ErrNotFound
		}
		return nil
	})
	return physicalID, err
}

// SetResource says which user a stack's resource has; empty: there is no such resource.
func (a *Account) SetResource(owner name.Owner, physicalID string) {
	a.byHand(func() { a.resources[owner] = physicalID })
}

// CloseStacks says whether CloudFormation denies every question.
func (a *Account) CloseStacks(closed bool) { a.byHand(func() { a.closed = closed }) }

// onlyTold reports whether a change of tags is only about announced notices.
func onlyTold(set map[string]string, unset []string) bool {
	keys := slices.AppendSeq(slices.Clone(unset), maps.Keys(set))
	return !slices.ContainsFunc(keys, func(key string) bool { return key != name.TagTold })
}
