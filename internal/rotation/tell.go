package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/keyring"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/patience"
)

// about is a notice of what was seen.
func (s seen) about(kind notice.Kind) notice.Notice {
	return notice.Notice{
		Kind: kind, ID: keyring.Digest(string(kind), s.secret.ARN, s.token),
		StackID: s.owner.Stack.ID, LogicalID: s.owner.Logical, UserName: s.userName(), SecretName: s.secret.Name, SecretARN: s.secret.ARN,
		AccessKeyID: keyring.KeyID(s.current()),
	}
}

// tellRotated tells that the rotation's key is current, and what becomes of the former
// one.
func (r *run) tellRotated(ctx context.Context, s seen) error {
	v := s.pending()
	if v.Has(access.Pending) {
		// A crash after this: AWSPENDING is nowhere, as after every rotation.
		if err := r.unlabel(ctx, v.ID, access.Pending); err != nil {
			return err
		}
	}
	announced := name.AnnouncedLabel(keyring.KeyID(v))
	if v.Has(announced) {
		return nil
	}
	n := s.about(notice.Rotated)
	previous, _ := s.secret.Labelled(access.Previous)
	if former, there := s.ring().Find(keyring.KeyID(previous)); there && former.Active {
		use, err := r.lastUse(ctx, former.ID)
		if err != nil {
			return err
		}
		n.FormerAccessKeyID, n.LastUse, n.RetireAfter = former.ID, use, name.Since(v.Labels).Add(name.Grace(s.secret.Tags))
	}
	// A crash after this: it is told once more, with the same id.
	if err := r.Announcer.Announce(ctx, n); err != nil {
		return fmt.Errorf("telling that the key was rotated: %w", err)
	}
	r.ended(false)
	return r.label(ctx, v.ID, announced)
}

const (
	// toldDigits are those that a tag remembers of a rotation, and mostTold how many of
	// them it holds: the value of a tag has 256 characters.
	toldDigits = 8
	mostTold   = 28
)

// tellFailed tells that the rotation has failed, once: the secret's tag remembers it.
func (r *run) tellFailed(ctx context.Context, s seen, why Refused) error {
	n := s.about(notice.Failed)
	n.Reason, n.Next = why.Reason, why.Next
	told := strings.Fields(s.secret.Tags[name.TagTold])
	if slices.Contains(told, n.ID[:toldDigits]) {
		return nil
	}
	// A crash after this: it is told once more, with the same id.
	if err := r.Announcer.Announce(ctx, n); err != nil {
		return fmt.Errorf("telling that the rotation failed: %w", err)
	}
	r.ended(true)
	told = append(told, n.ID[:toldDigits])
	set := map[string]string{name.TagTold: strings.Join(told[max(0, len(told)-mostTold):], " ")}
	// It needs no turn: nobody else writes that tag of a secret whose user is there.
	err := patience.Nothing.Do(ctx, func() error { return r.Secrets.TagSecret(ctx, r.secret, set, nil) })
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return fmt.Errorf("noting that the failed rotation was told: %w", err)
	}
	return nil
}

func (r *run) ended(failed bool) {
	if r.Ended != nil {
		r.Ended(failed)
	}
}
