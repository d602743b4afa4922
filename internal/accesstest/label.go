package accesstest

import (
	"context"

	"cloney-s3-credentials/internal/access"
)

// Label puts a staging label of ours on a version.
func (a *Account) Label(ctx context.Context, name, id, label string) error {
	return a.call(on(ctx, name), "UpdateSecretVersionStage", func() error {
		s, err := a.open(name)
		if err != nil {
			return err
		}
		a.ours("secret "+name, s.tags)
		v := s.version(id)
		switch {
		case v == nil:
			return access.ErrNotFound
		case v.has(label):
			return nil
		case len(v.labels) >= mostLabels:
			return access.ErrLimit
		}
		s.move(label, v)
		return nil
	})
}
