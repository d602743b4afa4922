package provision_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/reasons"
)

var write = flag.Bool("update", false, "write testdata/refusals.golden anew")

// failures are situations in which an event fails in the flow itself, beside the
// refusals of package plan.
var failures = []struct {
	what string
	fail func(w *world) error
}{
	{"Create: SecretKmsKeyId, whose policy forgets the provider", func(w *world) error {
		w.CloseKMSKey(oldKey, refusals["closed"])
		_, err := w.tryCreate(stack(kmsKey(oldKey)))
		return err
	}},
	{"Create: the same, and the role is not known", func(w *world) error {
		w.provisioner.Role = ""
		w.CloseKMSKey(oldKey, refusals["disabled"])
		_, err := w.tryCreate(stack(kmsKey(oldKey)))
		return err
	}},
	{"Update: to a KMS key that cannot be used", func(w *world) error {
		w.CloseKMSKey(newKey, refusals["closed"])
		return w.after(stack(), stack(kmsKey(newKey)))
	}},
	{"Update: the value stays with a KMS key that cannot be used", func(w *world) error {
		return w.after(stack(kmsKey(oldKey)), stack(kmsKey(newKey)), func() { w.CloseKMSKey(oldKey, refusals["disabled"]) })
	}},
	{"Update: AWS does not take the other KMS key", func(w *world) error {
		w.StuckKMSKeys()
		return w.after(stack(kmsKey(oldKey)), stack(), func() { w.CloseKMSKey(oldKey, refusals["disabled"]) })
	}},
	{"Update: a bucket is added, and the key cannot be read", func(w *world) error {
		return w.after(stack(kmsKey(oldKey)), stack(kmsKey(oldKey), buckets("two")), func() { w.CloseKMSKey(oldKey, refusals["closed"]) })
	}},
	{"Update: a new Serial, and the key cannot be stored", func(w *world) error {
		return w.after(stack(kmsKey(oldKey)), stack(kmsKey(oldKey), serial(2)), func() { w.CloseKMSKey(oldKey, refusals["closed"]) })
	}},
	{"Update: to AWS's own KMS key, which a policy of the organization denies", func(w *world) error {
		return w.after(stack(kmsKey(oldKey)), stack(), func() { w.CloseKMSKey("", refusals["closed"]) })
	}},
	{"Update: a bucket is added, and the key cannot be read, without SecretKmsKeyId", func(w *world) error {
		return w.after(stack(), stack(buckets("two")), func() { w.CloseKMSKey("", refusals["closed"]) })
	}},
	{"Update: another SecretName, and the key cannot be read", func(w *world) error {
		return w.after(stack(kmsKey(oldKey)), stack(secretName("cloney/b")), func() { w.CloseKMSKey(oldKey, refusals["disabled"]) })
	}},
	{"Create: a reader whom AWS does not know", func(w *world) error {
		w.SetReader(alice, false)
		_, err := w.tryCreate(stack(readers(alice)))
		return err
	}},
	{"Create: one of some readers", func(w *world) error {
		w.SetReader(alice, false)
		_, err := w.tryCreate(stack(readers(alice, carol)))
		return err
	}},
	{"Create: readers that AWS takes for the public", func(w *world) error {
		w.failAt("PutResourcePolicy", access.ErrPublic)
		_, err := w.tryCreate(stack(readers(alice)))
		return err
	}},
	{"Create: a user of that name in other capitals", func(w *world) error {
		w.MakeUser("STACK-credentials-USER", nil)
		_, err := w.tryCreate(stack())
		return err
	}},
	{"Create: a policy of that name", func(w *world) error {
		w.MakePolicy(user+"-1", "{}", nil)
		_, err := w.tryCreate(stack())
		return err
	}},
	{"Create: a policy of that name in other capitals", func(w *world) error {
		w.MakePolicy("STACK-credentials-USER-1", "{}", nil)
		_, err := w.tryCreate(stack())
		return err
	}},
	{"Create: somebody takes the secret's name meanwhile", func(w *world) error {
		w.atFirst("CreateSecret", func() error { w.MakeSecret(secret, "theirs", nil); return nil })
		_, err := w.tryCreate(stack())
		return err
	}},
	{"Create: and it cannot be looked at", func(w *world) error {
		w.failAt("CreateSecret", access.ErrExists)
		_, err := w.tryCreate(stack())
		return err
	}},
	{"Update: UserName in other capitals", func(w *world) error {
		return w.after(stack(), stack(userName(strings.ToUpper(user))))
	}},
	{"Update: somebody deletes the user meanwhile", func(w *world) error {
		w.Racing(true)
		return w.after(stack(verify(false)), stack(verify(false), buckets("two")), func() {
			w.atFirst("CreatePolicyVersion", func() error { w.DropUser(user); return nil })
		})
	}},
	{"Update: a later Delete has come", func(w *world) error {
		w.create(stack())
		early := w.event(order.Update)
		w.Tag(user, order.Run{Type: order.Delete, Request: "later", Sent: time.Now().Add(time.Minute), Began: time.Now()}.Begun())
		_, err := w.tryUpdate(stack(), stack(buckets("two"), by(early)))
		return err
	}},
	{"Update: a schedule, and the rotation function does not let itself be invoked", func(w *world) error {
		w.CloseRotator(access.ErrDenied)
		return w.after(stack(), stack(scheduled(monthly)))
	}},
	{"Update: a schedule that Secrets Manager does not take", func(w *world) error {
		w.CloseRotator(access.ErrInvalid)
		return w.after(stack(), stack(scheduled(monthly)))
	}},
	{"Delete: somebody attached a policy elsewhere", func(w *world) error {
		w.create(stack())
		w.AttachElsewhere(user+"-1", "a group")
		return w.tryDelete(target(stack(), user))
	}},
	{"Delete: somebody put the user into groups", func(w *world) error {
		w.create(stack())
		w.PutIntoGroup(user, "admins")
		w.PutIntoGroup(user, "people")
		return w.tryDelete(target(stack(), user))
	}},
	{"Delete: somebody replicated the secret", func(w *world) error {
		w.create(stack())
		w.Replicate(secret, "eu-central-1", "us-east-1")
		return w.tryDelete(target(stack(), user))
	}},
}

// after is an Update, with what happens before it.
func (w *world) after(from, to plan.Desired, meanwhile ...func()) error {
	w.create(from)
	for _, f := range meanwhile {
		f()
	}
	_, err := w.tryUpdate(from, to)
	return err
}

// What a stack owner reads is in testdata/refusals.golden, each sentence of this
// package and of package issue, with the situation that it is for.
func TestWhatAStackOwnerReads(t *testing.T) {
	var text strings.Builder
	for _, c := range failures {
		play(t, func(w *world) {
			w.provisioner.Role = role
			w.ExpectRemoval(user)
			w.Protect("STACK-credentials-USER")
			err := c.fail(w)
			if err == nil {
				t.Errorf("%s: succeeded", c.what)
			}
			fmt.Fprintf(&text, "# %s\n%v\n\n", c.what, err)
		})
	}
	const file = "testdata/refusals.golden"
	if *write {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if diff := cmp.Diff(string(want), text.String()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	reasons.Read(t, file, reasons.Sentences, ".", "../issue")
}
