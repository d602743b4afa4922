package sweep

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
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/patience"
)

// lostSecrets tells of secrets whose user is gone. A Delete takes the user before the
// secret, so it waits until no call of one can be under way, and looks again.
func (r *round) lostSecrets(ctx context.Context) {
	var lost []access.SecretInfo
	for _, secrets := range r.secrets {
		for _, secret := range secrets {
			if !r.listed[secret.Tags[name.TagPhysical]] {
				lost = append(lost, secret)
			}
		}
	}
	if len(lost) == 0 || patience.Sleep(ctx, order.InFlight) != nil {
		return
	}
	slices.SortFunc(lost, func(a, b access.SecretInfo) int { return strings.Compare(a.Name, b.Name) })
	for _, secret := range lost {
		if err := r.lostSecret(ctx, secret.Name); err != nil {
			r.Log.WarnContext(ctx, "a secret whose user is gone could not be told of; the next sweep tries again", "secret", secret.Name, "error", err.Error())
		}
	}
}

func (r *round) lostSecret(ctx context.Context, called string) error {
	secret, err := question(ctx, "looking at the secret", func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, called) })
	if errors.Is(err, access.ErrNotFound) || err == nil && !secret.Deleted.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	user := secret.Tags[name.TagPhysical]
	_, err = question(ctx, "looking for its user", func() (access.User, error) { return r.iam.User(ctx, user) })
	if !errors.Is(err, access.ErrNotFound) {
		return err
	}
	told, err := r.tell(ctx, secret.Tags[name.TagTold], report{findings: []notice.Notice{lostSecret(secret)}})
	set, unset := noted(secret.Tags[name.TagTold], told)
	if len(set)+len(unset) == 0 {
		return err
	}
	return errors.Join(err, patience.Nothing.Do(ctx, func() error { return r.Secrets.TagSecret(ctx, called, set, unset) }))
}

// lostSecret is the finding that a secret's user is gone.
func lostSecret(secret access.SecretInfo) notice.Notice {
	owner, _ := ownerOf(secret.Tags)
	user := secret.Tags[name.TagPhysical]
	current, _ := secret.Labelled(access.Current)
	next := "Delete it in Secrets Manager if nobody needs it"
	return notice.Notice{
		Kind: notice.Orphan, ID: name.Token(string(notice.Orphan), secret.ARN, user), StackID: owner.Stack.ID, LogicalID: owner.Logical,
		UserName: user, SecretName: secret.Name, SecretARN: secret.ARN, AccessKeyID: keyring.KeyID(current),
		Reason: fmt.Sprintf("Secret %s is there, but its user %s is not: somebody has deleted the user, or a Delete was stopped. The keys in the secret open nothing any more", secret.Name, user),
		Next:   next + "; if its stack stands, deleting or updating that puts it right",
	}
}
