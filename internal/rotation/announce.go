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

// about returns a notice about the secret and its user.
func (s seen) about(kind notice.Kind) notice.Notice {
	return notice.Notice{
		Kind: kind, ID: keyring.Digest(string(kind), s.secret.ARN, s.token),
		StackID: s.owner.Stack.ID, LogicalID: s.owner.Logical, UserName: s.userName(), SecretName: s.secret.Name, SecretARN: s.secret.ARN,
		AccessKeyID: keyring.KeyID(s.current()),
	}
}

// announceRotated announces that the rotation's key is current, and when the previous key
// will be deactivated.
func (r *run) announceRotated(ctx context.Context, s seen) error {
	v := s.pending()
	if v.Has(access.Pending) {
		// A crash after this leaves no version with AWSPENDING, as every rotation does.
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
	if key, there := s.ring().Find(keyring.KeyID(previous)); there && key.Active {
		use, err := r.lastUse(ctx, key.ID)
		if err != nil {
			return err
		}
		n.FormerAccessKeyID, n.LastUse, n.RetireAfter = key.ID, use, name.Since(v.Labels).Add(name.Grace(s.secret.Tags))
	}
	// A crash after this: the notice is sent once more, with the same ID.
	if err := r.Announcer.Announce(ctx, n); err != nil {
		return fmt.Errorf("announcing that the key was rotated: %w", err)
	}
	r.ended(false)
	return r.label(ctx, v.ID, announced)
}

const (
	// toldDigits is how many digits of a notice's ID the tag keeps, and mostTold is how many
	// notices it keeps: the value of a tag can have 256 characters.
	toldDigits = 8
	mostTold   = 28
)

// announceFailed announces that the rotation has failed, once: a tag of the secret remembers
// the notice.
func (r *run) announceFailed(ctx context.Context, s seen, why Refused) error {
	n := s.about(notice.Failed)
	n.Reason, n.Next = why.Reason, why.Next
	told := strings.Fields(s.secret.Tags[name.TagTold])
	if slices.Contains(told, n.ID[:toldDigits]) {
		return nil
	}
	// A crash after this: the notice is sent once more, with the same ID.
	if err := r.Announcer.Announce(ctx, n); err != nil {
		return fmt.Errorf("announcing that the rotation failed: %w", err)
	}
	r.ended(true)
	told = append(told, n.ID[:toldDigits])
	set := map[string]string{name.TagTold: strings.Join(told[max(0, len(told)-mostTold):], " ")}
	// This write needs no turn: nobody else writes that tag while the user exists.
	err := patience.Nothing.Do(ctx, func() error { return r.Secrets.TagSecret(ctx, r.secret, set, nil) })
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return fmt.Errorf("recording that the failure was announced: %w", err)
	}
	return nil
}

func (r *run) ended(failed bool) {
	if r.Ended != nil {
		r.Ended(failed)
	}
}
