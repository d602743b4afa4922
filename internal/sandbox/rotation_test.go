package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/sandbox"
)

// rotated is a stack with a RotationSchedule, in an account that asks IAM at every
// call. Its grace is a week: RotationGraceDays as it is by itself.
type rotated struct {
	*testing.T
	stack, user, secret string
}

const scheduled = "Access: Source, Buckets: [" + sandbox.SourceBucket + "], RotationSchedule: rate(30 days)"

// rotating deploys the stack, and removes it at the end: then nothing is left.
func rotating(t *testing.T, stack string) rotated {
	t.Helper()
	must(t, account(t).EnforceIAM(ctxOf(t), true))
	t.Cleanup(func() { must(t, account(t).EnforceIAM(context.Background(), false)) })
	must(t, deploy(t, stack, scheduled))
	made := outputs(t, stack)
	return rotated{t, stack, made["UserName"], made["SecretName"]}
}

// described is what Secrets Manager says of the secret.
func (r rotated) described() *secretsmanager.DescribeSecretOutput {
	r.Helper()
	found, err := secretsmanager.NewFromConfig(account(r.T).Config()).DescribeSecret(ctxOf(r.T), &secretsmanager.DescribeSecretInput{SecretId: &r.secret})
	must(r.T, err)
	return found
}

// labelled is the id of the version with the label; empty: there is none.
func (r rotated) labelled(label string) string {
	r.Helper()
	for id, labels := range r.described().VersionIdsToStages {
		if slices.Contains(labels, label) {
			return id
		}
	}
	return ""
}

// pair is a key as a client holds it.
type pair struct{ AccessKeyId, SecretAccessKey string }

// readKey is the key that AWSCURRENT names, read as a client reads it.
func readKey(ctx context.Context, s *sandbox.Sandbox, secret string) (key pair, err error) {
	value, err := secretsmanager.NewFromConfig(s.Config()).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secret})
	if err != nil {
		return pair{}, err
	}
	return key, json.Unmarshal([]byte(aws.ToString(value.SecretString)), &key)
}

func (r rotated) current() pair {
	r.Helper()
	key, err := readKey(ctxOf(r.T), account(r.T), r.secret)
	must(r.T, err)
	return key
}

// lists lists the bucket with a key.
func lists(ctx context.Context, s *sandbox.Sandbox, key pair) error {
	client := s3.NewFromConfig(s.ConfigFor(key.AccessKeyId, key.SecretAccessKey), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(sandbox.SourceBucket)})
	return err
}

// rotate rotates by the documented command, once what was switched on was tried: AWS
// refuses a rotation while another one is under way. It returns what became of it.
func (r rotated) rotate() sandbox.Rotation {
	r.Helper()
	if _, err := account(r.T).Rotations(ctxOf(r.T)); err != nil {
		r.Fatal(err)
	}
	if _, err := command(r.T, "secretsmanager", "rotate-secret", "--secret-id", r.secret); err != nil {
		r.Fatal(err)
	}
	return r.last()
}

// last is the last rotation, once none is under way.
func (r rotated) last() sandbox.Rotation {
	r.Helper()
	rotations, err := account(r.T).Rotations(ctxOf(r.T))
	must(r.T, err)
	if len(rotations) == 0 {
		r.Fatal("nothing was rotated")
	}
	return rotations[len(rotations)-1]
}

// renewed rotates, and fails unless there is a new key that works.
func (r rotated) renewed() pair {
	r.Helper()
	before := r.current()
	if done := r.rotate(); done.Error != "" || len(done.Steps) != 4 {
		r.Fatalf("the rotation: %+v", done)
	}
	now := r.current()
	if now == before {
		r.Fatalf("%s is current as before", now.AccessKeyId)
	}
	must(r.T, lists(ctxOf(r.T), account(r.T), now))
	if id := r.labelled("AWSPENDING"); id != "" && id != r.labelled("AWSCURRENT") {
		r.Errorf("AWSPENDING is on %s", id)
	}
	return now
}

// keys are the user's keys: whether each is active.
func (r rotated) keys() map[string]bool {
	r.Helper()
	found, err := iam.NewFromConfig(account(r.T).Config()).ListAccessKeys(ctxOf(r.T), &iam.ListAccessKeysInput{UserName: &r.user})
	must(r.T, err)
	keys := map[string]bool{}
	for _, key := range found.AccessKeyMetadata {
		keys[aws.ToString(key.AccessKeyId)] = key.Status == types.StatusTypeActive
	}
	if len(keys) > 2 {
		r.Errorf("the user has %d keys", len(keys))
	}
	return keys
}

// has fails unless the user has these keys: whether each is active.
func (r rotated) has(want map[string]bool) {
	r.Helper()
	if got := r.keys(); fmt.Sprint(got) != fmt.Sprint(want) {
		r.Errorf("the user has the keys %v, not %v", got, want)
	}
}

// sweeps lets days pass, and sweeps.
func (r rotated) sweeps(days int) {
	r.Helper()
	must(r.T, errors.Join(account(r.T).Elapse(ctxOf(r.T), days), account(r.T).Sweep(ctxOf(r.T))))
}

// told fails unless so many events of each type were sent about the stack, to the bus
// and to the topic. It returns the texts of the messages.
func (r rotated) told(want map[string]int) (texts []string) {
	r.Helper()
	told, err := account(r.T).Told(ctxOf(r.T))
	must(r.T, err)
	got := map[string]int{}
	for _, event := range told.Events {
		if strings.Contains(event.Detail, ":stack/"+r.stack+"/") {
			got[event.Type]++
			if event.Source != "cloney.s3-credentials" || !json.Valid([]byte(event.Detail)) {
				r.Errorf("the event is %+v", event)
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.Errorf("the events are %v, not %v", got, want)
	}
	for _, message := range told.Messages {
		if strings.Contains(message.Text, r.user) && message.Topic == sandbox.Topic {
			texts = append(texts, message.Text)
		}
	}
	if len(texts) != sum(want) {
		r.Errorf("%d messages, %d events", len(texts), sum(want))
	}
	return texts
}

// mailed fails unless the topic of examples/notices.yaml has so many messages about the
// user, of these types in this order. None has a placeholder that nothing filled.
func (r rotated) mailed(types ...string) {
	r.Helper()
	told, err := account(r.T).Told(ctxOf(r.T))
	must(r.T, err)
	var mails []string
	for _, message := range told.Messages {
		if message.Topic != sandbox.Topic && strings.Contains(message.Text, r.user) {
			mails = append(mails, message.Text)
		}
	}
	if len(mails) != len(types) {
		r.Fatalf("%d mails: %q", len(mails), mails)
	}
	for i, mail := range mails {
		if !strings.HasPrefix(mail, fmt.Sprintf(`"%s: %s, key AKIA`, types[i], r.user)) || regexp.MustCompile(`<(kind|user|key|next)>`).MatchString(mail) {
			r.Errorf("the mail about %s is %s", types[i], mail)
		}
	}
}

func sum(counts map[string]int) (all int) {
	for _, n := range counts {
		all += n
	}
	return all
}

// clients use the bucket all the time, and count how often, and what failed.
type clients struct {
	running sync.WaitGroup
	mu      sync.Mutex
	calls   int
	failed  []error
}

// use begins to call as one more client. A call that was begun is ended.
func (c *clients) use(ctx context.Context, call func(context.Context) error) {
	c.running.Go(func() {
		// The pace of a client that does something with what it lists.
		for pace := time.NewTicker(250 * time.Millisecond); ctx.Err() == nil; <-pace.C {
			err := call(context.WithoutCancel(ctx))
			c.mu.Lock()
			if c.calls++; err != nil {
				c.failed = append(c.failed, err)
			}
			c.mu.Unlock()
		}
	})
}

// Ten rotations, one a month. A client that reads AWSCURRENT each time sees no failing
// call, nor does one that goes on with the former key for the whole grace.
func TestNoClientNoticesTenRotations(t *testing.T) {
	ownFirst(t)
	s, r := account(t), rotating(t, "ten")
	ctx, stop := context.WithCancel(ctxOf(t))
	defer stop()
	var reader, holder clients
	reader.use(ctx, func(ctx context.Context) error {
		key, err := readKey(ctx, s, r.secret)
		if err != nil {
			return err
		}
		return lists(ctx, s, key)
	})
	var held sync.Mutex
	key := r.current()
	holder.use(ctx, func(ctx context.Context) error {
		held.Lock()
		defer held.Unlock()
		return lists(ctx, s, key)
	})
	for range 10 {
		now := r.renewed()
		held.Lock() // the holder pauses: the sweep finds its last use six days ago
		r.sweeps(6)
		must(t, lists(ctx, s, key))
		key = now
		held.Unlock()
		r.sweeps(24)
	}
	stop()
	reader.running.Wait()
	holder.running.Wait()
	for who, c := range map[string]*clients{"reads AWSCURRENT": &reader, "keeps the former key": &holder} {
		if c.calls < 20 || len(c.failed) > 0 {
			t.Errorf("the client that %s: %d of its %d calls failed: %v", who, len(c.failed), c.calls, errors.Join(c.failed...))
		}
	}
	remove(t, r.stack)
	empty(t)
}

// Switching on rotates nothing. The key that a rotation replaces works until it has
// gone unused for the grace, is deactivated then, and deleted when it has gone unused
// for as long again. Each is told once, and mailed once by examples/notices.yaml.
func TestAReplacedKeyIsRetired(t *testing.T) {
	ownFirst(t)
	must(t, account(t).Deploy(ctxOf(t), "mails", examples+"notices.yaml", "Email=somebody@example.com"))
	r := rotating(t, "retired")
	former := r.current()
	if tested := r.last(); tested.Error != "" || !slices.Equal(tested.Steps, []string{"testSecret"}) {
		t.Fatalf("switched on, it ran %+v", tested)
	}
	if d := r.described(); !aws.ToBool(d.RotationEnabled) || aws.ToString(d.RotationRules.ScheduleExpression) != "rate(30 days)" || r.labelled("AWSPENDING") != "" {
		t.Errorf("the secret rotates by %+v and is labelled %v", d.RotationRules, d.VersionIdsToStages)
	}
	r.has(map[string]bool{former.AccessKeyId: true})
	r.told(map[string]int{})

	now := r.renewed()
	r.has(map[string]bool{former.AccessKeyId: true, now.AccessKeyId: true})
	if texts := r.told(map[string]int{"Credential Rotated": 1}); len(texts) == 1 && (!strings.Contains(texts[0], former.AccessKeyId) || !strings.Contains(texts[0], "get-secret-value")) {
		t.Errorf("people read: %s", texts[0])
	}
	r.sweeps(6)
	must(t, lists(ctxOf(t), account(t), former))
	r.has(map[string]bool{former.AccessKeyId: true, now.AccessKeyId: true})

	r.sweeps(6) // it was used six days ago
	r.has(map[string]bool{former.AccessKeyId: true, now.AccessKeyId: true})
	r.sweeps(2)
	r.has(map[string]bool{former.AccessKeyId: false, now.AccessKeyId: true})
	if err := lists(ctxOf(t), account(t), former); err == nil {
		t.Error("the key that was retired still works")
	}
	must(t, account(t).Sweep(ctxOf(t)))
	r.told(map[string]int{"Credential Rotated": 1, "Old Key Still In Use": 1, "Old Key Retired": 1})
	r.sweeps(8)
	r.has(map[string]bool{now.AccessKeyId: true})
	must(t, lists(ctxOf(t), account(t), now))
	r.told(map[string]int{"Credential Rotated": 1, "Old Key Still In Use": 1, "Old Key Retired": 1})

	must(t, deploy(t, r.stack, strings.Replace(scheduled, "30", "60", 1)))
	if d := r.described(); aws.ToString(d.RotationRules.ScheduleExpression) != "rate(60 days)" {
		t.Errorf("changed, the schedule is %+v", d.RotationRules)
	}
	must(t, deploy(t, r.stack, "Access: Source, Buckets: ["+sandbox.SourceBucket+"]"))
	if aws.ToBool(r.described().RotationEnabled) {
		t.Error("without a schedule it still rotates")
	}
	r.has(map[string]bool{now.AccessKeyId: true})
	if r.current() != now {
		t.Error("a changed schedule changed the key")
	}
	r.mailed("Credential Rotated", "Old Key Still In Use", "Old Key Retired")
	remove(t, r.stack)
	remove(t, "mails")
	empty(t)
}

// A rotation that stands still half done: an Update leaves its key, Secrets Manager
// takes it up again, and a Delete leaves nothing of it.
func TestARotationThatStandsStill(t *testing.T) {
	own(t)
	r := rotating(t, "still")
	former := r.current()
	must(t, account(t).Interrupt(ctxOf(t), "testSecret"))
	if half := r.rotate(); !slices.Equal(half.Steps, []string{"createSecret", "setSecret"}) {
		t.Fatalf("interrupted, it ran %+v", half)
	}
	before := r.keys()
	if len(before) != 2 || r.current() != former {
		t.Errorf("half rotated, the keys are %v", before)
	}
	must(t, deploy(t, r.stack, strings.Replace(scheduled, "]", ", "+sandbox.SecondBucket+"]", 1)))
	r.has(before)
	_, err := command(t, "secretsmanager", "rotate-secret", "--secret-id", r.secret)
	if err == nil || !strings.Contains(err.Error(), "That rotation will be reattempted") {
		t.Errorf("the second one was answered with %v", err)
	}
	if whole := r.last(); whole.Error != "" || r.current() == former {
		t.Errorf("taken up again, it ran %+v", whole)
	}
	r.has(before)

	r.sweeps(8)
	r.sweeps(8)
	must(t, account(t).Interrupt(ctxOf(t), "finishSecret"))
	r.rotate()
	if keys := r.keys(); len(keys) != 2 {
		t.Errorf("half rotated, the keys are %v", keys)
	}
	remove(t, r.stack)
	empty(t)
}

// A key that leaked is ended by the documented command, and neither a rotation nor a
// sweep revives it.
func TestALeakedKeyStaysDead(t *testing.T) {
	own(t)
	r := rotating(t, "leaked")
	leaked := r.current()
	now := r.renewed()
	_, err := command(t, "iam", "update-access-key", "--user-name", r.user, "--access-key-id", leaked.AccessKeyId, "--status", "Inactive")
	must(t, err)
	dead := func(after string) {
		t.Helper()
		if r.keys()[leaked.AccessKeyId] || lists(ctxOf(t), account(t), leaked) == nil {
			t.Errorf("after %s the leaked key works", after)
		}
	}
	dead("the command")
	must(t, account(t).Sweep(ctxOf(t)))
	dead("a sweep")
	must(t, lists(ctxOf(t), account(t), now))
	last := r.renewed()
	dead("a rotation")
	must(t, deploy(t, r.stack, scheduled+", Serial: 1, Tags: [{Key: a, Value: b}]"))
	dead("an update")
	r.sweeps(30)
	dead("a month")
	if r.current() != last {
		t.Error("the sweep changed what is current")
	}
	remove(t, r.stack)
	empty(t)
}
