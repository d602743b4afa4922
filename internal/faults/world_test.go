package faults_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
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
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
	"cloney-s3-credentials/internal/spec"
	"cloney-s3-credentials/internal/traces"
)

const (
	stackID     = "arn:aws:cloudformation:" + accesstest.Region + ":" + accesstest.ID + ":stack/migration/51af3dc0-da77-11e4-872e-1234567db123"
	responses   = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com"
	responseURL = responses + "/arn%3Aaws%7CSource"
	logical     = "Source"
)

type properties = traces.Properties

// lastMoment is how long before the deadline the response must have arrived.
const lastMoment = time.Second

// These belong to another resource of the same stack, and must never change.
const (
	neighbour       = "neighbour"
	neighbourSecret = "cloney/neighbour"
)

// world is an account, the provider in it, and the records of a case. Each case has a world
// of its own.
type world struct {
	*recorder
	*accesstest.Account
	provisioner *provision.Provisioner
	logger      *slog.Logger
	log         *buffer

	limits spec.Limits
	gone   []string // readers that are deleted

	noting  sync.Mutex // two events of a sequence may be under way at once
	slowest time.Duration
	trace   []string // nil: not kept
}

// recorder is a testing.TB that keeps what goes wrong.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	problems []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}
func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.problems) > 0
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

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// buckets are the buckets that exist. They are enough for three policies.
var buckets = func() []string {
	names := []string{"one", "two", "three"}
	for n := range 70 {
		names = append(names, fmt.Sprintf("bucket-%02d-%s", n, strings.Repeat("x", 53)))
	}
	return names
}()

// play runs f in a world of its own and returns what broke.
func play(t *testing.T, lag accesstest.Lag, f func(*world)) (problems []string, slowest time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{recorder: &recorder{TB: t}, log: &buffer{}}
		w.open(lag)
		f(w)
		if w.Leaked(w.log.text.String()) {
			w.Errorf("a secret half is in the log")
		}
		problems, slowest = w.problems, w.slowest
	})
	return problems, slowest
}

// heard records something for the trace.
func (w *world) heard(format string, args ...any) {
	w.noting.Lock()
	defer w.noting.Unlock()
	if w.trace != nil {
		w.trace = append(w.trace, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
}

// took records how long a response took.
func (w *world) took(d time.Duration) {
	w.noting.Lock()
	defer w.noting.Unlock()
	w.slowest = max(w.slowest, d)
}

// open creates the account, the neighbor in it, and the provider.
func (w *world) open(lag accesstest.Lag) {
	w.Account = accesstest.New(w.recorder, buckets...)
	w.Account.Before, w.Account.After, w.Account.Lag = before, after, lag
	theirs := ownerOf("Other").Tags(neighbour)
	key := w.MakeUser(neighbour, theirs)
	w.MakeSecret(neighbourSecret, fmt.Sprintf(`{"AccessKeyId":%q}`, key), theirs)
	w.MakePolicy(neighbour+"-1", "{}", theirs)
	w.Protect(neighbour, neighbourSecret, neighbour+"-1")
	w.logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.provisioner = &provision.Provisioner{
		Users: w.Account, Keys: w.Account, Policies: w.Account, Attachments: w.Account, Secrets: w.Account, Keeping: w.Account,
		Versions: w.Account, Readers: w.Account, Rotations: w.Account, Prober: w.Account, Log: w.logger,
	}
}

// run runs the function once, in a process that has not begun.
func (w *world) run(p *process, raw []byte) {
	w.Helper()
	ctx := p.begin(w.Context())
	handler := resource.Handler{Provisioner: w.provisioner, Sender: p, Log: w.logger, LogStream: "stream", Rotates: true, Limits: w.limits}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		err := handler.Handle(ctx, raw)
		// Lambda may repeat an event that has ended in an error.
		if err != nil && p.answer != nil && p.fault.kind != lostReply && p.fault.kind != hangsDone {
			w.Errorf("answered, and returned %v", err)
		}
	}()
	select {
	case <-returned:
	case <-ctx.Done(): // Lambda stops what still runs
	}
	p.end()
	<-returned
	w.answers(p)
}

// answers checks the response of every delivery.
func (w *world) answers(p *process) {
	w.Helper()
	switch {
	case p.sent > 1:
		w.Errorf("answered %d times", p.sent)
	case p.sent == 0 && !p.killed:
		w.Errorf("not answered")
	}
	if p.sent > 0 && p.answered > lambda-lastMoment {
		w.Errorf("answered after %v", p.answered)
	}
	if p.twice {
		w.Errorf("asked for a key again before it has looked what the call before made")
	}
	w.took(p.answered)
	if p.answer == nil {
		return
	}
	if body := p.answer.Encode(); len(body) > reply.MaxBytes || w.Leaked(string(body)) {
		w.Errorf("the answer is too long or holds a secret half: %s", body)
	}
}

var parsedStack = func() name.Stack {
	stack, err := name.ParseStackID(stackID)
	if err != nil {
		panic(err)
	}
	return stack
}()

// ownerOf is a resource of the stack.
func ownerOf(logical string) name.Owner { return name.Owner{Stack: parsedStack, Logical: logical} }

// asDelivered returns the properties as an event contains them.
func asDelivered(props properties) (delivered map[string]any) {
	raw, err := json.Marshal(props)
	if err == nil {
		err = json.Unmarshal(raw, &delivered)
	}
	if err != nil {
		panic(err)
	}
	return delivered
}

// userOf returns the name of the user by the properties.
func userOf(props properties) string {
	return spec.Peek(map[string]any{"UserName": props["UserName"]}, ownerOf(logical)).UserName
}

// true checks that a response is true about key and user.
func (w *world) true(answer *reply.Response) {
	w.Helper()
	user, secret, key := answer.Data["UserName"], answer.Data["SecretName"], answer.Data["AccessKeyId"]
	if current := w.Labelled(secret, access.Current); key != current || key == "" {
		w.Errorf("answered with key %q, and AWSCURRENT of %s names %q", key, secret, current)
	}
	if version := w.CurrentVersion(secret); answer.Data["SecretVersionId"] != version {
		w.Errorf("answered with version %q, and AWSCURRENT of %s is %q", answer.Data["SecretVersionId"], secret, version)
	}
	if !slices.Contains(w.LiveKeys(user), key) {
		w.Errorf("%s has %v, and was answered to have %s", user, w.LiveKeys(user), key)
	}
	if user != answer.PhysicalResourceID {
		w.Errorf("answered with user %s and id %s", user, answer.PhysicalResourceID)
	}
}

// notRotated is the log line of a rollback that succeeds although Secrets Manager refuses
// its schedule.
const notRotated = "the secret is not rotated as the stack declares"

// as checks that user and secret are as a resource declares.
func (w *world) as(logical string, props properties) (declared spec.Spec) {
	w.Helper()
	declared, err := spec.Parse(asDelivered(props), spec.Rules{Owner: ownerOf(logical), Rotates: true})
	if err != nil {
		w.Errorf("the properties: %v", err)
		return declared
	}
	if is := w.Rotation(declared.SecretName); !is.Holds(declared.Schedule) && !strings.Contains(w.log.String(), notRotated) {
		w.Errorf("the stack declares the schedule %q, and %s is rotated so: %+v", declared.Schedule, declared.SecretName, is)
	}
	isGone := func(reader string) bool { return slices.Contains(w.gone, reader) }
	isID := func(reader string) bool { return !strings.HasPrefix(reader, "arn:") } // of one who is gone
	readers := slices.DeleteFunc(declared.Readers, isGone)
	if read := slices.DeleteFunc(w.Readers(declared.SecretName), isID); !slices.Equal(read, readers) {
		w.Errorf("%s is read by %v, and the stack declares %v", declared.SecretName, read, readers)
	}
	if !w.MayUse(declared.UserName, declared.Scope) {
		w.Errorf("%s may not do what the stack declares", declared.UserName)
	}
	if boundary := w.BoundaryOf(declared.UserName); boundary != accesstest.Boundary {
		w.Errorf("%s is under the boundary %q", declared.UserName, boundary)
	}
	if excess := w.Excess(declared.UserName, declared.Scope); excess != "" {
		w.Errorf("%s may do what the stack does not declare: %s", declared.UserName, excess)
	}
	return declared
}

// holds checks what a SUCCESS promises.
func (c *cloudFormation) holds(answer *reply.Response) {
	c.Helper()
	c.Check()
	c.true(answer)
	c.key = answer.Data["AccessKeyId"]
	delete(c.going, answer.PhysicalResourceID)
	c.ExpectNoRemoval(answer.PhysicalResourceID)
	c.as(c.logical, c.props)
}

// empty checks that the account has nothing of ours.
func (w *world) empty() {
	w.Helper()
	got := w.Inventory()
	got.Keys = slices.DeleteFunc(got.Keys, func(k string) bool { return strings.HasPrefix(k, neighbour+"/") })
	// A secret in its recovery window was there before.
	got.Secrets = slices.DeleteFunc(got.Secrets, func(s string) bool { return strings.HasSuffix(s, " (deleted)") })
	want := accesstest.Inventory{Users: []string{neighbour}, Policies: []string{neighbour + "-1"}, Secrets: []string{neighbourSecret}, Keys: []string{}}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("left in the account (-want +got):\n%s", diff)
	}
}
