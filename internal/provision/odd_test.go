package provision_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
)

// asked is the account, and the names that it was asked for.
type asked struct {
	*accesstest.Account
	names []string
}

func (a *asked) User(ctx context.Context, name string) (access.User, error) {
	a.names = append(a.names, name)
	return a.Account.User(ctx, name)
}

func (a *asked) Keys(ctx context.Context, user string) ([]access.Key, error) {
	a.names = append(a.names, user)
	return a.Account.Keys(ctx, user)
}

func (a *asked) Policy(ctx context.Context, name string) (access.Policy, error) {
	a.names = append(a.names, name)
	return a.Account.Policy(ctx, name)
}

func (a *asked) Secret(ctx context.Context, name string) (access.SecretInfo, error) {
	a.names = append(a.names, name)
	return a.Account.Secret(ctx, name)
}

// An id that no user could have is asked for nowhere: what is looked for is
// what the properties lead to, and nothing is written.
func TestDeleteOfAnIDThatNoUserCouldHave(t *testing.T) {
	for _, odd := range []string{"2026/11/02/[$LATEST]4f1c", "a\nb", "\x00", "*", "../other", "é", "arn:aws:iam::1:user/x", strings.Repeat("x", 65)} {
		play(t, func(w *world) {
			names := &asked{Account: w.Account}
			w.provisioner.Users, w.provisioner.Keys, w.provisioner.Policies, w.provisioner.Secrets = names, names, names, names
			if err := w.tryDelete(target(stack(), odd)); err != nil {
				t.Error(err)
			}
			for _, name := range names.names {
				if strings.Contains(name, odd) {
					t.Errorf("%q was asked for: %q", odd, name)
				}
			}
			if len(names.names) == 0 {
				t.Error("nothing was looked for")
			}
			w.quiet()
			if strings.Contains(w.log.String(), odd) {
				t.Errorf("%q is in the log:\n%s", odd, w.log)
			}
		})
	}
}

// What someone deleted by hand, the next Update makes anew: the user, who keeps
// the name and gets another key, or the secret, whose key nobody knows any more.
func TestWhatWasDeletedByHandIsMadeAnew(t *testing.T) {
	for label, remove := range map[string]func(*world) error{
		"user": func(w *world) error {
			key := w.LiveKeys(user)[0]
			return errors.Join(w.DeleteKey(w.Context(), user, key), w.DeletePolicy(w.Context(), user, user+"-1"), w.DeleteUser(w.Context(), user))
		},
		"secret": func(w *world) error { return w.DeleteSecret(w.Context(), secret) },
	} {
		t.Run(label, func(t *testing.T) {
			play(t, func(w *world) {
				former := w.create(stack()).AccessKeyID
				w.ExpectRemoval(user)
				if err := remove(w); err != nil {
					t.Fatal(err)
				}
				if result := w.update(stack(), stack(buckets("two"))); result.AccessKeyID == former {
					t.Errorf("the key is still %s", former)
				}
				w.one()
				w.remove(stack())
				w.empty()
			})
		})
	}
}
