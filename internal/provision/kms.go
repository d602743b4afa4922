package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/issue"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/patience"
	"cloney-s3-credentials/internal/plan"
)

// A secret's KMS key is not the provider's: its key policy may not name the provider, and
// the key may be disabled or deleted. Secrets Manager reports that when it stores or reads a
// value, and hardly tells the causes apart: a denial may come from the key policy, or from
// the function's own role.

// ofKMS reports whether a refusal to store or read a value may be about the KMS key.
func ofKMS(err error) bool {
	return errors.Is(err, access.ErrKMS) || errors.Is(err, access.ErrDenied) || errors.Is(err, access.ErrInvalid)
}

// errLocked: a secret's values cannot be stored or read. The run plans once more without
// them.
var errLocked = errors.New("the secret is locked")

// lock records that the secret's values cannot be stored or read.
func (r *run) lock(secret string, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locked[secret] = r.presentKMSKey(secret, err).Error()
	return fmt.Errorf("%w: %w", errLocked, err)
}

// newKMSKey explains why a KMS key was refused that SecretKmsKeyId sets now.
func (r *run) newKMSKey(key string, err error) error {
	if !saysKMS(err) && (key == "" || !errors.Is(err, access.ErrInvalid)) {
		return err
	}
	if key == "" {
		return told("SecretKmsKeyId: Secrets Manager cannot use %s. The policy of that key allows all users and roles of the account, so most likely a policy of the organization denies KMS to %s. Have that policy changed, or set SecretKmsKeyId to a key that the provider may use: %w", kmsKeyName(key), r.role(), err)
	}
	return told("SecretKmsKeyId: Secrets Manager cannot use %s. %s; or the key does not exist in this account and region, or is disabled. Correct that, or set SecretKmsKeyId to another key: %w", key, r.forgets("its key policy"), err)
}

// presentKMSKey explains why a value could not be stored or read.
func (r *run) presentKMSKey(secret string, err error) error {
	if !saysKMS(err) {
		return err
	}
	if r.declared(secret) == "" {
		return told("SecretKmsKeyId: Secrets Manager cannot use the KMS key of secret %s, and the stack does not set one. Most likely, somebody set one on the secret by hand, or a policy of the organization denies KMS to %s. Correct that, or raise Serial and change SecretName in the same update: a new access key in a new secret does not need the old secret: %w", secret, r.role(), err)
	}
	return told("SecretKmsKeyId: Secrets Manager cannot use the KMS key of secret %s. %s; or the key is disabled or about to be deleted. Correct that, or set SecretKmsKeyId to another key and raise Serial in the same update: a new access key does not need the old value: %w", secret, r.forgets("its key policy"), err)
}

// declared is the KMS key that the stack sets, or has set, for a secret; empty: none.
func (r *run) declared(secret string) string {
	if secret == r.want.Spec.SecretName {
		return r.want.Spec.KMSKey
	}
	for _, old := range r.seen.OldSecrets {
		if old.Name == secret {
			return old.Tags[name.TagKMSKey]
		}
	}
	return ""
}

// saysKMS only chooses a sentence. AWS's own text of a denial says whether the KMS key was
// the cause.
func saysKMS(err error) bool {
	return errors.Is(err, access.ErrKMS) || ofKMS(err) && strings.Contains(err.Error(), "KMS")
}

// role is how a message names the function's role.
func (r *run) role() string {
	return cmp.Or(r.Role, "the provider's role (output ProviderRoleArn of its stack)")
}

// forgets is the most likely cause.
func (r *run) forgets(policy string) string {
	return "Most likely, " + policy + " does not let " + r.role() + " use it through Secrets Manager (kms:Decrypt, kms:Encrypt and kms:GenerateDataKey)"
}

func (r *run) goesOnWith(ctx context.Context, secret string, err error) {
	r.Log.WarnContext(ctx, "SecretKmsKeyId: the secret keeps another KMS key. The key that the stack sets was accepted before and does not work now. Make it usable, or set another key; each update tries again", "secret", secret, "error", err.Error())
}

// rekeySecret changes the KMS key, and makes sure that Secrets Manager can use it. If a
// rollback goes back to a KMS key that was deleted since, the secret keeps its present one,
// and the rollback succeeds.
func (r *run) rekeySecret(ctx context.Context, s plan.RekeySecret) error {
	// A crash from here on: no stack declares the key that the tag names, so the next run
	// does all of this again, whichever key is declared then.
	if err := r.tagKMSKey(ctx, s.Name, name.KMSKeyChanges); err != nil {
		return err
	}
	err, readable := r.rekey(ctx, s), true
	if err == nil {
		err = r.readRekeyed(ctx, s)
		readable = err == nil
	}
	if err == nil {
		return r.tagKMSKey(ctx, s.Name, s.KMSKey)
	}
	if !s.Tolerant || !access.Definite(err) {
		return err
	}
	r.goesOnWith(ctx, s.Name, err)
	if s.From == name.KMSKeyChanges || !readable {
		return nil // a new key can be stored; only the old KMS key does not work
	}
	// AWS may have changed the KMS key all the same.
	err = r.write(ctx, func(ctx context.Context) error { return r.Keeping.RekeySecret(ctx, s.Name, s.From) })
	if ofKMS(err) {
		r.goesOnWith(ctx, s.Name, err)
		return nil
	}
	if err != nil {
		return err
	}
	return r.tagKMSKey(ctx, s.Name, s.From)
}

// tagKMSKey records the secret's KMS key; empty: aws/secretsmanager.
func (r *run) tagKMSKey(ctx context.Context, secret, key string) error {
	return r.write(ctx, func(ctx context.Context) error {
		if key == "" {
			return r.Secrets.TagSecret(ctx, secret, nil, []string{name.TagKMSKey})
		}
		return r.Secrets.TagSecret(ctx, secret, map[string]string{name.TagKMSKey: key}, nil)
	})
}

func (r *run) rekey(ctx context.Context, s plan.RekeySecret) error {
	if err := r.write(ctx, func(ctx context.Context) error { return r.Keeping.RekeySecret(ctx, s.Name, s.KMSKey) }); err != nil {
		if !saysKMS(err) && !errors.Is(err, access.ErrInvalid) {
			return err
		}
		which := "the new or the old key"
		if s.KMSKey == "" {
			which = "the old key" // nobody can change the policy of AWS's own key
		}
		return told("SecretKmsKeyId: Secrets Manager cannot change the KMS key of secret %s to %s. %s; or %s is disabled or deleted. Correct that; if the old key cannot be restored, also change SecretName and raise Serial in the same update: %w", s.Name, kmsKeyName(s.KMSKey), r.forgets("the policy of "+which), which, err)
	}
	// AWS accepts a KMS key that it may not use, without an error. So a value is stored to
	// try it.
	token := name.Token("tried", s.Name, s.KMSKey, time.Now().String())
	if err := r.write(ctx, func(ctx context.Context) error { return r.Keeping.TryKey(ctx, s.Name, token, name.LabelTried) }); err != nil {
		return r.newKMSKey(s.KMSKey, err)
	}
	return nil
}

// readRekeyed reads the current value: AWS leaves it under the old KMS key if AWS cannot
// decrypt it.
func (r *run) readRekeyed(ctx context.Context, s plan.RekeySecret) error {
	if s.Read == "" {
		return nil
	}
	_, err := patience.Ask(ctx, patience.Nothing, func() (access.Secret, error) { return r.Versions.Value(ctx, s.Name, s.Read) })
	if ofKMS(err) {
		return told("SecretKmsKeyId: the value of secret %s is encrypted with the old KMS key, which Secrets Manager can no longer use. Make that key usable, or raise Serial in the same update: a new access key does not need the old value: %w", s.Name, err)
	}
	return err
}

// kmsKeyName is how a message names a KMS key.
func kmsKeyName(key string) string { return cmp.Or(key, "aws/secretsmanager") }

// unstored explains why a key could not be stored, if the KMS key may be the cause.
func (r *run) unstored(secret string, err error) error {
	var unstored issue.Unstored
	if errors.As(err, &unstored) {
		return r.presentKMSKey(secret, err)
	}
	return err
}
