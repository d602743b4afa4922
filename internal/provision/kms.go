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

// A secret's KMS key belongs to somebody else: its policy may forget the
// provider, and it may be disabled or gone. Secrets Manager notices when it stores
// or reads a value, and tells the causes apart by little: a denial may be the key
// policy's, or of the function's own role.

// ofKMS reports whether a refusal to store or read a value may be about the KMS key.
func ofKMS(err error) bool {
	return errors.Is(err, access.ErrKMS) || errors.Is(err, access.ErrDenied) || errors.Is(err, access.ErrInvalid)
}

// errLocked: a secret's values cannot be stored or read. The run plans once more
// without them.
var errLocked = errors.New("the secret is locked")

// lock notes that the secret's values cannot be stored or read.
func (r *run) lock(secret string, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locked[secret] = r.presentKMSKey(secret, err).Error()
	return fmt.Errorf("%w: %w", errLocked, err)
}

// newKMSKey says what a refusal of SecretKmsKeyId means, at the secret that it is
// for first.
func (r *run) newKMSKey(key string, err error) error {
	if !saysKMS(err) && (key == "" || !errors.Is(err, access.ErrInvalid)) {
		return err
	}
	if key == "" {
		return told("SecretKmsKeyId: Secrets Manager cannot use %s, whose key policy lets every user and role of the account in. Likeliest, a policy of the organization denies KMS to %s. Have that put right, or set SecretKmsKeyId to a key that it may use: %w", kmsKeyName(key), r.role(), err)
	}
	return told("SecretKmsKeyId: Secrets Manager cannot use %s. %s; or the key does not exist in this account and region, or is disabled. Put that right, or set SecretKmsKeyId to another key: %w", key, r.forgets("its key policy"), err)
}

// presentKMSKey says what a refusal to store or read a value means.
func (r *run) presentKMSKey(secret string, err error) error {
	if !saysKMS(err) {
		return err
	}
	if r.declared(secret) == "" {
		return told("SecretKmsKeyId: Secrets Manager cannot use the KMS key of secret %s, and the stack sets none. Likeliest, somebody set one on the secret by hand, or a policy of the organization denies KMS to %s. Put that right, or raise Serial and set SecretName to another name in the same update: a new access key in a new secret needs nothing of the former one: %w", secret, r.role(), err)
	}
	return told("SecretKmsKeyId: Secrets Manager cannot use the KMS key of secret %s. %s; or the key is disabled or about to be deleted. Put that right, or set SecretKmsKeyId to another key and raise Serial in the same update: a new access key needs nothing of the former value: %w", secret, r.forgets("its key policy"), err)
}

// declared is the KMS key that the stack sets, or has set, for a secret; empty: none.
func (r *run) declared(secret string) string {
	if secret == r.want.Spec.SecretName {
		return r.want.Spec.KMSKey
	}
	for _, former := range r.seen.Formers {
		if former.Name == secret {
			return former.Tags[name.TagKMSKey]
		}
	}
	return ""
}

// saysKMS chooses a sentence, and nothing else: of what AWS denies, its own text
// says whether the KMS key was in the way.
func saysKMS(err error) bool {
	return errors.Is(err, access.ErrKMS) || ofKMS(err) && strings.Contains(err.Error(), "KMS")
}

// role is how a sentence calls the function's role.
func (r *run) role() string {
	return cmp.Or(r.Role, "the provider's role (output ProviderRoleArn of its stack)")
}

// forgets is the likeliest cause.
func (r *run) forgets(policy string) string {
	return "Likeliest, " + policy + " does not let " + r.role() + " use it through Secrets Manager (kms:Decrypt, kms:Encrypt and kms:GenerateDataKey)"
}

func (r *run) goesOnWith(ctx context.Context, secret string, err error) {
	r.Log.WarnContext(ctx, "SecretKmsKeyId: the secret goes on with another key; the one that the stack sets was accepted before and does not work now. Make it usable, or set another one; each update tries again", "secret", secret, "error", err.Error())
}

// rekeySecret encrypts with another key, and makes sure that it can be used. If
// one that the stack goes back to is gone since, the secret goes on with the key
// that it has: a rollback goes through.
func (r *run) rekeySecret(ctx context.Context, s plan.RekeySecret) error {
	// A crash from here on: no stack wants the key that the tag names, so that the
	// next run, whichever key it wants, does all of this again.
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
		return nil // the next key can be stored; the former KMS key is what does not work
	}
	// AWS may have taken the key all the same.
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

// tagKMSKey notes which key the secret is under; empty: AWS's own.
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
		which := "the new or the former key"
		if s.KMSKey == "" {
			which = "the former key" // nobody can change the policy of AWS's own
		}
		return told("SecretKmsKeyId: Secrets Manager cannot change the KMS key of secret %s to %s. %s; or %s is disabled or gone. Put that right; if the former key is gone for good, set SecretName to another name too and raise Serial in the same update: %w", s.Name, kmsKeyName(s.KMSKey), r.forgets("the policy of "+which), which, err)
	}
	// AWS takes a key without a word that it may not use. Hence a value is stored.
	token := name.Token("tried", s.Name, s.KMSKey, time.Now().String())
	if err := r.write(ctx, func(ctx context.Context) error { return r.Keeping.TryKey(ctx, s.Name, token, name.LabelTried) }); err != nil {
		return r.newKMSKey(s.KMSKey, err)
	}
	return nil
}

// readRekeyed reads the value in force: AWS keeps it under the former key where it
// cannot decrypt it.
func (r *run) readRekeyed(ctx context.Context, s plan.RekeySecret) error {
	if s.Read == "" {
		return nil
	}
	_, err := patience.Ask(ctx, patience.Nothing, func() (access.Secret, error) { return r.Versions.Value(ctx, s.Name, s.Read) })
	if ofKMS(err) {
		return told("SecretKmsKeyId: the value of secret %s is encrypted with the former KMS key, which Secrets Manager cannot use any more. Make that key usable, or raise Serial in the same update: a new access key needs nothing of the former value: %w", s.Name, err)
	}
	return err
}

// kmsKeyName is how a sentence calls a KMS key.
func kmsKeyName(key string) string { return cmp.Or(key, "aws/secretsmanager") }

// unstored says why a key could not be stored, where the KMS key may be why.
func (r *run) unstored(secret string, err error) error {
	var unstored issue.Unstored
	if errors.As(err, &unstored) {
		return r.presentKMSKey(secret, err)
	}
	return err
}
