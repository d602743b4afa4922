package provision_test

import (
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
)

const (
	second       = "stack-Credentials-replacing"
	secondSecret = name.SecretPrefix + second
)

func TestAReplacementThatFailsIsUndone(t *testing.T) {
	for secrets, shared := range map[string]bool{"its own secret": false, "the same secret": true} {
		t.Run(secrets, func(t *testing.T) {
			play(t, func(w *world) {
				former, next := stack(), stack(userName(second), buckets("gone"))
				if shared {
					next.Spec.SecretName = secret
				}
				first := w.create(former).AccessKeyID
				w.ExpectRemoval(second)
				_, err := w.tryUpdate(former, next)
				w.refused(err, "bucket gone")
				w.one()
				if current := w.Labelled(secret, access.Current); current != first {
					t.Errorf("AWSCURRENT is %s, not %s", current, first)
				}
				if !owner.OwnsAs(user, w.Tags(secret)) {
					t.Errorf("the secret carries %v", w.Tags(secret))
				}
				if result := w.rollback(next, former); result.AccessKeyID != first {
					t.Errorf("key %s became %s", first, result.AccessKeyID)
				}
				w.one()
				w.remove(former)
				w.empty()
			})
		})
	}
}

func TestAUserNameThatChangesInCapitalsOnlyIsRefused(t *testing.T) {
	play(t, func(w *world) {
		former := stack(userName("Copier"), secretName(secret))
		w.create(former)
		w.Forget()
		_, err := w.tryUpdate(former, stack(userName("copier"), secretName(secret)))
		w.refused(err, "upper and lower case")
		w.quiet()
		w.remove(former)
		w.empty()
	})
}
