package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

// A secret is the one thing that passes from user to user, and Secrets Manager
// has no "delete it if it is still this user's". So a run that deletes looks
// whose it is, and has to be through within reading. One that takes a secret
// over notes when, and believes that it has it once passing is over: who saw
// the former tags has deleted it by then, or never will.
const (
	reading = 10 * time.Second
	passing = 2 * reading // AWS may carry out late what we gave up waiting for
)

// pass makes the secret another user's, by its tags.
func (p *Provisioner) pass(ctx context.Context, secret string, set map[string]string, unset []string) error {
	return settle(ctx, false, func() error {
		now := maps.Clone(set)
		now[name.TagPassed] = time.Now().UTC().Format(time.RFC3339)
		return p.Secrets.TagSecret(ctx, secret, now, unset)
	})
}

// waitForPassing returns when no one can delete the secret any more who saw it
// before it passed to the user.
func (r *run) waitForPassing(ctx context.Context) error {
	if left := passing - time.Since(r.passed); left > 0 {
		return sleep(ctx, left)
	}
	return nil
}

// deleteSecret deletes the secret, unless it has passed to another user since
// that was planned. Each attempt asks anew.
func (r *run) deleteSecret(ctx context.Context, secret string) error {
	return settle(ctx, false, func() error {
		brief, cancel := context.WithTimeout(ctx, reading)
		defer cancel()
		info, err := r.Secrets.Secret(brief, secret)
		switch {
		case err == nil && !r.want.Owner.OwnsAs(r.want.Spec.UserName, info.Tags):
			r.Log.InfoContext(ctx, "left: the secret has passed to another user", "secret", secret)
			return nil
		case err == nil:
			err = r.Secrets.DeleteSecret(brief, secret)
		}
		switch {
		case errors.Is(err, access.ErrNotFound):
			return nil
		case err != nil && brief.Err() != nil && ctx.Err() == nil:
			return fmt.Errorf("%w: %w", access.ErrBusy, err)
		}
		return err
	})
}
