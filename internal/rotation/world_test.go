package rotation_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/notice"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/rotation"
	"cloney-s3-credentials/internal/spec"
)

const (
	user   = "stack-Credentials-user"
	secret = name.SecretPrefix + user
	arn    = "arn:aws:secretsmanager:" + accesstest.Region + ":" + accesstest.ID + ":secret:" + secret + "-AbCdEf"
	// rotationToken must not be in any log.
	rotationToken = "RotationTokenLetNobodySeeThis"
)

var owner = func() name.Owner {
	stack, err := name.ParseStackID("arn:aws:cloudformation:" + accesstest.Region + ":" + accesstest.ID + ":stack/stack/51af3dc0-da77-11e4-872e-1234567db123")
	if err != nil {
		panic(err)
	}
	return name.Owner{Stack: stack, Logical: "Credentials"}
}()

// world is an account in which the provider has created a resource with a rotation.
type world struct {
	*testing.T
	*accesstest.Account
	rotator *rotation.Rotator
	stack   *provision.Provisioner
	want    plan.Desired
	log     *buffer
	told    []notice.Notice
	deaf    error // what the announcer answers
	ended   []bool
	tokens  []string // RotationTokens that values were stored with
	first   string   // the key that the Create has made
}

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// versions record the RotationToken with which each value is stored.
type versions struct {
	*accesstest.Account
	world *world
	token access.Secret
}

func (v versions) PutVersion(ctx context.Context, secret, token string, value access.Secret, labels []string) error {
	v.world.tokens = append(v.world.tokens, v.token.Reveal())
	return v.Account.PutVersion(ctx, secret, token, value, labels)
}

// Announce keeps the notices.
func (w *world) Announce(_ context.Context, n notice.Notice) error {
	if w.deaf == nil {
		w.told = append(w.told, n)
	}
	return w.deaf
}

// play runs f in a world of its own.
func play(t *testing.T, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, Account: accesstest.New(t, "one", "two"), log: &buffer{}}
		log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w.rotator = &rotation.Rotator{
			Users: w.Account, Keys: w.Account, Policies: w.Account, Secrets: w.Account, Prober: w.Account, Announcer: w, Log: log,
			Versions: func(token access.Secret) rotation.Versions { return versions{w.Account, w, token} },
			Function: accesstest.Rotator, Ended: func(failed bool) { w.ended = append(w.ended, failed) },
		}
		w.stack = &provision.Provisioner{
			Users: w.Account, Keys: w.Account, Policies: w.Account, Attachments: w.Account, Secrets: w.Account, Keeping: w.Account,
			Versions: w.Account, Readers: w.Account, Rotations: w.Account, Prober: w.Account, Log: log,
		}
		w.want = plan.Desired{Owner: owner, Spec: spec.Spec{
			Scope: access.Scope{Source: true, Places: []access.Place{"one"}}, UserName: user, SecretName: secret, Serial: 3,
			GraceDays: name.DefaultGraceDays, Schedule: "rate(30 days)", Verify: true,
		}}
		w.want.Run = w.event(order.Create)
		made, err := w.stack.Create(t.Context(), w.want)
		if err != nil {
			t.Fatal(err)
		}
		w.first = made.AccessKeyID
		w.want.PhysicalID, w.want.Old = user, plan.Old{UserName: user, SecretName: secret}
		time.Sleep(30 * 24 * time.Hour)
		w.Forget()
		f(w)
		if text := w.log.text.String(); w.Leaked(text) || strings.Contains(text, rotationToken) {
			t.Errorf("a secret is in the log:\n%s", text)
		}
		w.Check()
	})
}

func (w *world) event(of order.Type) order.Run {
	return order.Run{Type: of, Request: fmt.Sprint(of, time.Now().UnixNano()), Sent: time.Now(), Began: time.Now()}
}

// update sends an Update of the stack.
func (w *world) update(change func(*spec.Spec)) error {
	if change != nil {
		change(&w.want.Spec)
	}
	w.want.Run = w.event(order.Update)
	_, err := w.stack.Update(w.Context(), w.want)
	return err
}

func token(n int) string { return name.Token("rotation", fmt.Sprint(n)) }

func (w *world) ask(step rotation.Step, token string) rotation.Event {
	return rotation.Event{Step: step, SecretID: arn, Token: token, RotationToken: access.NewSecret(rotationToken)}
}

// step carries out one step.
func (w *world) step(step rotation.Step, token string) error {
	return w.rotator.Step(w.Context(), w.ask(step, token))
}

var steps = []rotation.Step{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret}

// begin begins a rotation, as Secrets Manager does.
func (w *world) begin(token string) {
	w.Helper()
	if _, err := w.BeginRotation(secret, token); err != nil {
		w.Fatal(err)
	}
}

// rotate runs a rotation, as Secrets Manager does, up to the first error.
func (w *world) rotate(token string) error {
	w.Helper()
	w.begin(token)
	return w.steps(token)
}

func (w *world) steps(token string) error {
	for _, step := range steps {
		if err := w.step(step, token); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return nil
}

// current is the current key.
func (w *world) current() string { return w.Labelled(secret, access.Current) }
