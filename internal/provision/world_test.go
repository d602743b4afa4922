package provision_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/spec"
)

// world is an account and the provisioner that works in it. Its time is
// synctest's: waiting costs none.
type world struct {
	*testing.T
	*accesstest.Account
	provisioner *provision.Provisioner
	log         *syncBuffer
}

type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// play runs a test in a world of its own. At its end no secret half may be in
// the log.
func play(t *testing.T, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(w)
		if w.Leaked(w.log.String()) {
			t.Errorf("a secret half is in the log:\n%s", w.log)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", w.log)
		}
	})
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, Account: accesstest.New(t, "one", "two", "three"), log: &syncBuffer{}}
	w.provisioner = w.provisionerIn(accesstest.Region)
	return w
}

// provisionerIn is one that works in a region of the account.
func (w *world) provisionerIn(region string) *provision.Provisioner {
	account := w.In(region)
	return &provision.Provisioner{
		Users: account, Keys: account, Policies: account, Attachments: account, Secrets: account, Keeping: account,
		Versions: account, Readers: account, Rotations: account, Prober: account,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

const user = "stack-Credentials-user"

const secret = name.SecretPrefix + user

func ownerOf(logical string) name.Owner {
	stack, err := name.ParseStackID("arn:aws:cloudformation:" + accesstest.Region + ":" + accesstest.ID + ":stack/stack/51af3dc0-da77-11e4-872e-1234567db123")
	if err != nil {
		panic(err)
	}
	return name.Owner{Stack: stack, Logical: logical}
}

var owner = ownerOf("Credentials")

// change is one property other than in the usual stack.
type change func(*plan.Desired)

func buckets(names ...access.Place) change {
	return func(d *plan.Desired) { d.Spec.Scope.Places = access.Fold(names) }
}

func serial(n int) change { return func(d *plan.Desired) { d.Spec.Serial = n } }

// monthly is a schedule.
const monthly = "rate(30 days)"

func scheduled(by string) change { return func(d *plan.Desired) { d.Spec.Schedule = by } }

func graced(days int) change { return func(d *plan.Desired) { d.Spec.GraceDays = days } }

func kmsKey(key string) change { return func(d *plan.Desired) { d.Spec.KMSKey = key } }

func tags(pairs map[string]string) change { return func(d *plan.Desired) { d.Spec.Tags = pairs } }

func secretName(secret string) change { return func(d *plan.Desired) { d.Spec.SecretName = secret } }

// by says which event it is, so that it can be delivered more than once.
func by(event order.Run) change { return func(d *plan.Desired) { d.Run = event } }

func verify(verify bool) change { return func(d *plan.Desired) { d.Spec.Verify = verify } }

func destination(d *plan.Desired) { d.Spec.Scope.Source, d.Spec.Scope.Destination = false, true }

func bothRoles(d *plan.Desired) { d.Spec.Scope.Source, d.Spec.Scope.Destination = true, true }

// userName names user and secret, as a stack does that sets no SecretName.
func userName(user string) change {
	return func(d *plan.Desired) { d.Spec.UserName, d.Spec.SecretName = user, name.Secret(user) }
}

// stack returns what the usual stack declares, with changes.
func stack(changes ...change) plan.Desired {
	d := plan.Desired{Owner: owner, Spec: spec.Spec{
		Scope:    access.Scope{Source: true, Places: []access.Place{"one"}},
		UserName: user, SecretName: secret, Serial: 1, GraceDays: name.DefaultGraceDays, Verify: true,
	}}
	for _, change := range changes {
		change(&d)
	}
	return d
}

// target is what the properties lead to under a physical id.
func target(d plan.Desired, physicalID string) plan.Target {
	return plan.Target{Owner: d.Owner, PhysicalID: physicalID, UserName: d.Spec.UserName, SecretName: d.Spec.SecretName}
}

// An event is sent so long after what has happened so far, and so long under way:
// no two deliveries begin at the very same moment. All of it is synctest's time.
const (
	apart    = time.Second
	delivery = time.Millisecond
)

// event is a new one.
func (w *world) event(kind order.Type) order.Run {
	time.Sleep(apart)
	return order.Run{Type: kind, Request: fmt.Sprint(kind, " at ", time.Now()), Sent: time.Now()}
}

// delivered is an event as it arrives now: a new one, if none is given.
func (w *world) delivered(event order.Run, kind order.Type) order.Run {
	if event.Request == "" {
		event = w.event(kind)
	}
	time.Sleep(delivery)
	event.Began = time.Now()
	return event
}

type result = provision.Result

// lambda is the time that the function has.
const lambda = 5 * time.Minute

func (w *world) tryCreate(want plan.Desired) (provision.Result, error) {
	w.Helper()
	want.Run = w.delivered(want.Run, order.Create)
	ctx, cancel := context.WithTimeout(w.Context(), lambda)
	defer cancel()
	result, err := w.provisioner.Create(ctx, want)
	w.discreet(err)
	return result, err
}

// tryUpdate is an Update of the resource that answered with the id of from.
func (w *world) tryUpdate(from, to plan.Desired) (provision.Result, error) {
	w.Helper()
	return w.tryRollback(from, to, from.Spec.UserName)
}

// tryRollback is an Update whose physical id is not the one that its
// OldResourceProperties lead to.
func (w *world) tryRollback(from, to plan.Desired, physicalID string) (provision.Result, error) {
	w.Helper()
	to = updated(from, to, physicalID)
	to.Run = w.delivered(to.Run, order.Update)
	ctx, cancel := context.WithTimeout(w.Context(), lambda)
	defer cancel()
	result, err := w.provisioner.Update(ctx, to)
	w.discreet(err)
	return result, err
}

// updated is what an Update from one to the other wants.
func updated(from, to plan.Desired, physicalID string) plan.Desired {
	to.PhysicalID, to.Unchanged = physicalID, reflect.DeepEqual(from.Spec, to.Spec)
	to.Old = plan.Old{
		UserName: from.Spec.UserName, SecretName: from.Spec.SecretName, TagKeys: slices.Sorted(maps.Keys(from.Spec.Tags)), Readers: from.Spec.Readers,
	}
	return to
}

func (w *world) tryDelete(t plan.Target) error {
	w.Helper()
	t.Run = w.delivered(t.Run, order.Delete)
	ctx, cancel := context.WithTimeout(w.Context(), lambda)
	defer cancel()
	w.ExpectRemoval(t.PhysicalID)
	err := w.provisioner.Delete(ctx, t)
	w.discreet(err)
	return err
}

func (w *world) discreet(err error) {
	w.Helper()
	if err != nil && w.Leaked(err.Error()) {
		w.Errorf("a secret half is in the error: %v", err)
	}
}

// create, update, rollback and remove are events that have to succeed, and
// leave the account as it has to be.

func (w *world) create(want plan.Desired) provision.Result {
	w.Helper()
	result, err := w.tryCreate(want)
	w.done(want, result, err)
	return result
}

func (w *world) update(from, to plan.Desired) provision.Result {
	w.Helper()
	result, err := w.tryUpdate(from, to)
	w.done(to, result, err)
	return result
}

func (w *world) rollback(from, to plan.Desired) provision.Result {
	w.Helper()
	result, err := w.tryRollback(from, to, to.Spec.UserName)
	w.done(to, result, err)
	return result
}

func (w *world) remove(d plan.Desired) {
	w.Helper()
	if err := w.tryDelete(target(d, d.Spec.UserName)); err != nil {
		w.Fatalf("Delete failed: %v", err)
	}
	w.Check()
}

// done asks for what a success promises: the credentials in the secret work.
func (w *world) done(want plan.Desired, result provision.Result, err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("failed: %v\nlog:\n%s", err, w.log)
	}
	w.Check()
	user, secret := want.Spec.UserName, want.Spec.SecretName
	current := w.Labelled(secret, access.Current)
	if result.UserName != user || result.SecretName != secret || result.AccessKeyID != current || current == "" {
		w.Errorf("answered %+v; AWSCURRENT is %q", result, current)
	}
	if version := w.CurrentVersion(secret); result.SecretVersionID != version {
		w.Errorf("answered with version %q; AWSCURRENT is %q", result.SecretVersionID, version)
	}
	if !slices.Contains(w.LiveKeys(user), current) {
		w.Errorf("AWSCURRENT is %s, but %s has %v", current, user, w.LiveKeys(user))
	}
	if !w.MayUse(user, want.Spec.Scope) {
		w.Errorf("%s may not do what the stack declares", user)
	}
	if !strings.HasSuffix(result.UserARN, "/"+user) || !strings.Contains(result.SecretARN, ":"+secret) || len(result.PolicyARNs) == 0 {
		w.Errorf("answered with ARNs %+v", result)
	}
	if is := w.Rotation(secret); !is.Holds(want.Spec.Schedule) {
		w.Errorf("the stack declares the schedule %q, and %s is rotated so: %+v", want.Spec.Schedule, secret, is)
	}
	var policies []string
	for _, p := range w.Inventory().Policies {
		if strings.HasPrefix(p, user+"-") {
			policies = append(policies, p)
		}
	}
	if len(policies) != len(result.PolicyARNs) {
		w.Errorf("answered with %v, but there are %v", result.PolicyARNs, policies)
	}
}

// refused asks for a failure that says all of the texts.
func (w *world) refused(err error, texts ...string) {
	w.Helper()
	if err == nil {
		w.Fatal("succeeded")
	}
	saysAll(w.T, err, texts...)
	w.Check()
}

// quiet asks that nothing was written and nothing proven since Forget.
func (w *world) quiet() {
	w.Helper()
	if diff := cmp.Diff(map[string]int{}, w.Writes()); diff != "" {
		w.Errorf("written (-want +got):\n%s", diff)
	}
	if proofs := w.Proofs(); len(proofs) > 0 {
		w.Errorf("proven: %v", proofs)
	}
}

// marks asks that nothing was written since Forget but so many marks of events.
func (w *world) marks(n int) {
	w.Helper()
	if diff := cmp.Diff(map[string]int{"TagUser": n}, w.Writes()); diff != "" {
		w.Errorf("written (-want +got):\n%s", diff)
	}
}

// left asks for exactly this to be in the account.
func (w *world) left(want accesstest.Inventory) {
	w.Helper()
	if diff := cmp.Diff(want, w.Inventory()); diff != "" {
		w.Errorf("left in the account (-want +got):\n%s", diff)
	}
}

// empty asks for an empty account.
func (w *world) empty() {
	w.Helper()
	w.left(accesstest.Inventory{})
}

// one asks for one user, one live key, one secret whose AWSCURRENT is that key.
func (w *world) one() {
	w.Helper()
	w.left(accesstest.Inventory{
		Users:    []string{user},
		Policies: []string{user + "-1"},
		Keys:     []string{user + "/" + w.Labelled(secret, access.Current)},
		Secrets:  []string{secret},
	})
}

func saysAll(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}
