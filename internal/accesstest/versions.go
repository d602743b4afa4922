package accesstest

import (
	"context"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
	naming "cloney-s3-credentials/internal/name"
)

type version struct {
	id, value string
	key       string // the id of the key in the value; empty: there is none
	kmsKey    string // that it is encrypted with
	labels    []string
	replaced  time.Time // when AWSCURRENT last left it
	copied    bool      // its key was replaced before it was copied here
}

func newVersion(id, value string, labels ...string) *version {
	return &version{id: id, value: value, key: keyIn(value), labels: labels}
}

// encrypted returns a version as encrypted by the secret's KMS key.
func (a *Account) encrypted(s *secret, v *version) *version {
	v.kmsKey = s.kmsKey
	return v
}

func (v *version) has(label string) bool { return slices.Contains(v.labels, label) }

// records reports whether a label says that the version holds the key.
func (v *version) records(keyID string) bool {
	return slices.ContainsFunc(v.labels, func(l string) bool {
		_, key, ours := naming.ParseKeyLabel(l)
		return ours && key == keyID
	})
}

func (s *secret) version(id string) *version {
	i := slices.IndexFunc(s.versions, func(v *version) bool { return v.id == id })
	if i < 0 {
		return nil
	}
	return s.versions[i]
}

func (s *secret) labelled(label string) (*version, bool) {
	i := slices.IndexFunc(s.versions, func(v *version) bool { return v.has(label) })
	if i < 0 {
		return nil, false
	}
	return s.versions[i], true
}

// move moves a label to a version. A label is on at most one version, and AWSPREVIOUS
// follows AWSCURRENT.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func (s *secret) move(label string, to *version) {
	former, had := s.labelled(label)
	if had && former == to {
		return
	}
	if had {
		s.drop(label, former)
	}
	to.labels = append(to.labels, label)
	if had && label == access.Current {
		if !former.copied {
			former.replaced = time.Now()
		}
		s.move(access.Previous, former)
	}
}

func (s *secret) drop(label string, from *version) {
	from.labels = slices.DeleteFunc(from.labels, func(l string) bool { return l == label })
}

// PutVersion stores a value under a token, with labels.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func (a *Account) PutVersion(ctx context.Context, name, id string, value access.Secret, labels []string) error {
	return a.call(on(ctx, name), "PutSecretValue", func() error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		a.ours("secret "+name, s.tags)
		if !token.MatchString(id) || len(value.Reveal()) > mostSecretSize || len(labels) > mostLabels ||
			slices.ContainsFunc(labels, func(l string) bool { return !label.MatchString(l) }) {
			return access.ErrInvalid
		}
		empty := s.version(id) // which Secrets Manager has registered for a rotation
		if there := empty; there != nil && there.value != "" {
			if there.value != value.Reveal() {
				return access.ErrExists
			}
			return nil // the request is ignored, labels and all
		}
		if err := a.kms[s.kmsKey]; err != nil {
			return err
		}
		v := a.encrypted(s, newVersion(id, value.Reveal()))
		// The first version becomes AWSCURRENT, and so does one without labels.
		if len(s.versions) == 0 || len(labels) == 0 {
			labels = append(slices.Clone(labels), access.Current)
		}
		if slices.Contains(labels, access.Current) {
			// An inactive key may move here from another secret.
			if a.key(v.key) == nil {
				a.becomesCurrent(s, v)
			}
		}
		if empty != nil {
			empty.value, empty.key, empty.kmsKey = v.value, v.key, v.kmsKey
			v = empty
		} else {
			s.versions = append(s.versions, v)
		}
		for _, l := range labels {
			s.move(l, v)
		}
		a.replacedBefore(s, v)
		return nil
	})
}

// replacedBefore records that a version is a copy of a version that is not current any more
// in another secret. AWSCURRENT also passes over such copies one after the other.
func (a *Account) replacedBefore(s *secret, v *version) {
	for _, other := range a.everySecret() {
		for _, original := range other.versions {
			if other != s && v.key != "" && original.key == v.key && !original.has(access.Current) {
				v.copied, v.replaced = true, original.replaced
			}
		}
	}
}

// becomesCurrent shouts when AWSCURRENT moves to a key that is deleted or inactive. A copy
// of the current version of another secret is permitted, because it makes nothing worse.
func (a *Account) becomesCurrent(s *secret, v *version) {
	if a.alive(v.key) || a.racing || a.expected[s.tags[naming.TagPhysical]] {
		return // a Delete takes keys away at once, whoever is at work
	}
	for _, other := range a.everySecret() {
		if current, ok := other.labelled(access.Current); ok && other != s && current.value == v.value {
			return
		}
	}
	a.shout("AWSCURRENT of %s is made to name key %s, which is dead", s.name, v.key)
}

// Value returns the value of one version.
func (a *Account) Value(ctx context.Context, name, id string) (value access.Secret, err error) {
	err = a.call(on(ctx, name), "GetSecretValue", func() error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		v := s.version(id)
		if v == nil || v.value == "" {
			return access.ErrNotFound
		}
		if err := a.kms[v.kmsKey]; err != nil {
			return err
		}
		value = access.NewSecret(v.value)
		return nil
	})
	return value, err
}

// Promote moves AWSCURRENT. Like in package secrets, it is not an error if AWSCURRENT is
// there already: an attempt with a lost answer may have moved it.
func (a *Account) Promote(ctx context.Context, name, id, from string) error {
	return a.call(on(ctx, name), "UpdateSecretVersionStage", func() error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		a.ours("secret "+name, s.tags)
		to := s.version(id)
		if to == nil {
			return access.ErrNotFound
		}
		current, has := s.labelled(access.Current)
		switch {
		case has && current == to:
			return nil
		case has && current.id != from:
			return access.ErrMoved
		case len(to.labels) >= mostLabels:
			return access.ErrLimit
		}
		a.becomesCurrent(s, to)
		to.copied = false
		a.promotes(s, to)
		s.move(access.Current, to)
		return nil
	})
}

// Unlabel removes a label from a version. AWSCURRENT can only be moved.
func (a *Account) Unlabel(ctx context.Context, name, id, label string) error {
	return a.call(on(ctx, name), "UpdateSecretVersionStage", func() error {
		s, err := a.open(name)
		if err != nil {
			return orAbsent(err)
		}
		a.ours("secret "+name, s.tags)
		if label == access.Current {
			a.shout("AWSCURRENT of %s is to be taken away", name)
			return access.ErrInvalid
		}
		if v := s.version(id); v != nil {
			s.drop(label, v)
		}
		return nil
	})
}
