package accesstest

import (
	"context"
	"maps"
	"slices"
	"time"

	"cloney-s3-credentials/internal/access"
)

type secret struct {
	name, kmsKey string
	tags         map[string]string
	versions     []*version // also those without a label, which AWS keeps for a while
	deleted      time.Time  // not zero: in its recovery window
	policy       string     // the resource policy; empty: none
	replicas     []string   // regions
	rotation     access.Rotation
}

func (a *Account) public(s *secret) access.SecretInfo {
	info := access.SecretInfo{
		Name: s.name, ARN: "arn:aws:secretsmanager:" + a.region + ":" + ID + ":secret:" + s.name + "-AbCdEf",
		Tags: maps.Clone(s.tags), Deleted: s.deleted, Replicas: slices.Clone(s.replicas), Rotation: s.rotation,
	}
	info.Rotation.Ours = Rotator
	for _, v := range s.versions {
		// DescribeSecret shows labelled versions only.
		if len(v.labels) > 0 {
			info.Versions = append(info.Versions, access.Version{ID: v.id, Labels: slices.Clone(v.labels)})
		}
	}
	slices.SortFunc(info.Versions, func(a, b access.Version) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return info
}

// open returns a secret that can be read and written.
func (a *Account) open(name string) (*secret, error) {
	s := a.secrets[name]
	if s == nil {
		return nil, access.ErrNotFound
	}
	if !s.deleted.IsZero() {
		return nil, access.ErrInvalid
	}
	return s, nil
}

// Secret describes a secret, also in its recovery window.
func (a *Account) Secret(ctx context.Context, name string) (found access.SecretInfo, err error) {
	err = a.call(on(ctx, name), "DescribeSecret", func() error {
		s := a.secrets[name]
		if s == nil {
			return access.ErrNotFound
		}
		found = a.public(s)
		return nil
	})
	return found, err
}

// CreateSecret creates a secret, with a placeholder if there is a token. Without a token it
// does not use the KMS key.
func (a *Account) CreateSecret(ctx context.Context, name, kmsKey, token string, tags map[string]string) (made access.SecretInfo, err error) {
	err = a.call(on(ctx, name), "CreateSecret", func() error {
		after, err := tagged(nil, tags, nil)
		if err != nil || !secretName.MatchString(name) {
			return access.ErrInvalid
		}
		if arnSuffix.MatchString(name) {
			a.shout("secret %s ends like an ARN does", name)
		}
		if s := a.secrets[name]; s != nil && s.deleted.IsZero() {
			return access.ErrExists
		} else if s != nil {
			return access.ErrBusy
		}
		if a.busy[name] > 0 {
			a.busy[name]--
			return access.ErrBusy
		}
		a.ours("secret "+name, tags)
		s := &secret{name: name, kmsKey: kmsKey, tags: after}
		if token != "" {
			if err := a.kms[kmsKey]; err != nil {
				return err
			}
			s.versions = []*version{a.encrypted(s, newVersion(token, "{}", access.Current))}
		}
		a.secrets[name] = s
		made = a.public(s)
		return nil
	})
	if err != nil {
		return access.SecretInfo{}, err
	}
	return made, nil
}

// RestoreSecret ends the recovery window.
func (a *Account) RestoreSecret(ctx context.Context, name string) error {
	return a.call(on(ctx, name), "RestoreSecret", func() error {
		s := a.secrets[name]
		if s == nil {
			return access.ErrNotFound
		}
		a.ours("secret "+name, s.tags)
		s.deleted = time.Time{}
		return nil
	})
}

// RekeySecret sets the KMS key, and encrypts again what it can decrypt. AWS says that a key
// that cannot be used does not change the versions.
func (a *Account) RekeySecret(ctx context.Context, name, kmsKey string) error {
	return a.call(on(ctx, name), "UpdateSecret", func() error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		a.ours("secret "+name, s.tags)
		if a.stuck {
			for _, key := range []string{kmsKey, s.kmsKey} {
				if err := a.kms[key]; err != nil {
					return err
				}
			}
		}
		s.kmsKey = kmsKey
		for _, v := range s.versions {
			labelled := v.has(access.Current) || v.has(access.Previous) || v.has(access.Pending)
			if labelled && a.kms[kmsKey] == nil && a.kms[v.kmsKey] == nil {
				v.kmsKey = kmsKey
			}
		}
		return nil
	})
}

// TryKey stores a placeholder with a label of ours.
func (a *Account) TryKey(ctx context.Context, name, token, label string) error {
	return a.PutVersion(ctx, name, token, access.NewSecret("{}"), []string{label})
}

// TagSecret sets tags, then removes others.
func (a *Account) TagSecret(ctx context.Context, name string, set map[string]string, unset []string) error {
	return a.tag(on(ctx, name), "Resource", set, unset, func(set map[string]string, unset []string) error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		a.ours("secret "+name, s.tags)
		after, err := tagged(s.tags, set, unset)
		if err != nil {
			return err
		}
		a.ours("secret "+name, after)
		s.tags = after
		return nil
	})
}

// DeleteSecret deletes a secret at once, also in its recovery window.
func (a *Account) DeleteSecret(ctx context.Context, name string) error {
	return a.call(on(ctx, name), "DeleteSecret", func() error {
		s := a.secrets[name]
		if s == nil {
			return nil
		}
		a.ours("secret "+name, s.tags)
		if len(s.replicas) > 0 {
			return access.ErrInvalid
		}
		delete(a.secrets, name)
		a.busy[name] = a.Lag.Secrets
		return nil
	})
}
