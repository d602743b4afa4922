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

// orphanedSecrets reports secrets whose user does not exist. A Delete deletes the user before
// the secret. So orphanedSecrets first waits until no such Delete can still be at work, and
// looks again.
func (r *round) orphanedSecrets(ctx context.Context) {
	var orphaned []access.SecretInfo
	for _, secrets := range r.secrets {
		for _, secret := range secrets {
			if !r.listed[secret.Tags[name.TagPhysical]] {
				orphaned = append(orphaned, secret)
			}
		}
	}
	if len(orphaned) == 0 || patience.Sleep(ctx, order.InFlight) != nil {
		return
	}
	slices.SortFunc(orphaned, func(a, b access.SecretInfo) int { return strings.Compare(a.Name, b.Name) })
	for _, secret := range orphaned {
		if err := r.orphanedSecret(ctx, secret.Name); err != nil {
			r.Log.WarnContext(ctx, "a secret without its user could not be reported; the next sweep tries again", "secret", secret.Name, "error", err.Error())
		}
	}
}

func (r *round) orphanedSecret(ctx context.Context, called string) error {
	secret, err := question(ctx, "reading the secret", func() (access.SecretInfo, error) { return r.Secrets.Secret(ctx, called) })
	if errors.Is(err, access.ErrNotFound) || err == nil && !secret.Deleted.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	user := secret.Tags[name.TagPhysical]
	_, err = question(ctx, "reading its user", func() (access.User, error) { return r.iam.User(ctx, user) })
	if !errors.Is(err, access.ErrNotFound) {
		return err
	}
	told, err := r.announce(ctx, secret.Tags[name.TagTold], report{findings: []notice.Notice{withoutUser(secret)}})
	set, unset := changeOfTag(secret.Tags[name.TagTold], told)
	if len(set)+len(unset) == 0 {
		return err
	}
	return errors.Join(err, patience.Nothing.Do(ctx, func() error { return r.Secrets.TagSecret(ctx, called, set, unset) }))
}

// withoutUser is the finding that the user of a secret does not exist.
func withoutUser(secret access.SecretInfo) notice.Notice {
	owner, _ := ownerOf(secret.Tags)
	user := secret.Tags[name.TagPhysical]
	current, _ := secret.Labelled(access.Current)
	return notice.Notice{
		Kind: notice.Orphan, ID: name.Token(string(notice.Orphan), secret.ARN, user), StackID: owner.Stack.ID, LogicalID: owner.Logical,
		UserName: user, SecretName: secret.Name, SecretARN: secret.ARN, AccessKeyID: keyring.KeyID(current),
		Reason: fmt.Sprintf("Secret %s exists, but its user %s does not: somebody deleted the user, or a Delete was stopped. The keys in the secret do not work any more", secret.Name, user),
		Next:   "If its stack exists, update or delete the stack: that puts it right. Otherwise delete the secret in Secrets Manager if nobody needs it",
	}
}
