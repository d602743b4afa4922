package provision_test

import (
	"slices"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
)

const (
	second       = "stack-Credentials-replacing"
	secondSecret = name.SecretPrefix + second
)

func TestReplacement(t *testing.T) {
	play(t, func(w *world) {
		former, next := stack(), stack(userName(second))
		first := w.create(former).AccessKeyID
		w.Protect(user, user+"-1", secret)
		replaced := w.update(former, next).AccessKeyID
		w.left(accesstest.Inventory{
			Users: []string{second, user}, Policies: []string{second + "-1", user + "-1"},
			Keys: []string{second + "/" + replaced, user + "/" + first}, Secrets: []string{secondSecret, secret},
		})
		w.Unprotect()
		w.remove(former)
		w.left(accesstest.Inventory{
			Users: []string{second}, Policies: []string{second + "-1"}, Keys: []string{second + "/" + replaced}, Secrets: []string{secondSecret},
		})
		w.remove(next)
		w.empty()
	})
}

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

// The answer of a replacement never came: CloudFormation rolls back, and knows
// nothing of the new user.
func TestTheRollbackOfAReplacementTakesTheNewUserAway(t *testing.T) {
	for secrets, shared := range map[string]bool{"its own secret": false, "the same secret": true} {
		t.Run(secrets, func(t *testing.T) {
			play(t, func(w *world) {
				former, next := stack(), stack(userName(second))
				if shared {
					next.Spec.SecretName = secret
				}
				first := w.create(former).AccessKeyID
				w.update(former, next)
				w.ExpectRemoval(second)
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

func TestASecretPassesToTheNewUser(t *testing.T) {
	play(t, func(w *world) {
		former, next := stack(secretName("cloney/shared")), stack(userName(second), secretName("cloney/shared"))
		first := w.create(former).AccessKeyID
		replaced := w.update(former, next).AccessKeyID
		if w.Labelled("cloney/shared", access.Previous) != first || !slices.Contains(w.LiveKeys(user), first) {
			t.Errorf("the former key is AWSPREVIOUS no more, or dead: %v", w.Inventory())
		}
		w.remove(former)
		w.left(accesstest.Inventory{
			Users: []string{second}, Policies: []string{second + "-1"}, Keys: []string{second + "/" + replaced}, Secrets: []string{"cloney/shared"},
		})
		w.Forget()
		w.update(next, next)
		w.quiet()
		w.remove(next)
		w.empty()
	})
}

// The stack fails after the replacement, and the rollback passes the secret
// back. CloudFormation sends the new user's Delete in the cleanup.
func TestARollbackPassesTheSecretBack(t *testing.T) {
	play(t, func(w *world) {
		former, next := stack(secretName("cloney/shared")), stack(userName(second), secretName("cloney/shared"))
		first := w.create(former).AccessKeyID
		w.update(former, next)
		w.ExpectRemoval(second)
		// It is an Update from next's properties, under the new user's id.
		if result := w.update(next, former); result.AccessKeyID != first {
			t.Errorf("key %s became %s", first, result.AccessKeyID)
		}
		w.remove(next)
		w.left(accesstest.Inventory{
			Users: []string{user}, Policies: []string{user + "-1"}, Keys: []string{user + "/" + first}, Secrets: []string{"cloney/shared"},
		})
		w.remove(former)
		w.empty()
	})
}

func TestUserAndSecretNameChangeAtOnce(t *testing.T) {
	play(t, func(w *world) {
		former, next := stack(secretName("cloney/one")), stack(userName(second), secretName("cloney/two"))
		w.create(former)
		w.update(former, next)
		w.remove(former)
		if got := w.Inventory().Secrets; !slices.Equal(got, []string{"cloney/two"}) {
			t.Errorf("secrets: %v", got)
		}
		w.remove(next)
		w.empty()
	})
}

func TestAUserNameThatChangesInCapitalsOnlyIsRefused(t *testing.T) {
	play(t, func(w *world) {
		former := stack(userName("Copier"), secretName(secret))
		w.create(former)
		w.Forget()
		_, err := w.tryUpdate(former, stack(userName("copier"), secretName(secret)))
		w.refused(err, "capitals")
		w.quiet()
		w.remove(former)
		w.empty()
	})
}
