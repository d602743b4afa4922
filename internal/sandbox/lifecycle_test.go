package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/sandbox"
)

// A life: Create, the same Create again, twelve Updates, one that fails and is
// rolled back, a replacement, Delete, the same Delete again.
func TestLife(t *testing.T) {
	ownFirst(t)
	const stack = "life"
	source := fmt.Sprintf("Access: Source, Buckets: [%s", sandbox.SourceBucket)
	must(t, deploy(t, stack, source+"]"))
	first := outputs(t, stack)
	again(t, "Create")
	one(t)
	key, user := having(t, "key "), having(t, "user ")
	for i := range 12 {
		buckets := []string{"]", ", " + sandbox.SecondBucket + "]", ", " + sandbox.DestinationBucket + "]"}[i%3]
		// Verified now and then: it takes seconds.
		must(t, deploy(t, stack, source+buckets+fmt.Sprintf(", Verify: %t", i%4 == 1)+fmt.Sprintf(", Tags: [{Key: round, Value: '%d'}], SecretReaders: ['%s', 'arn:aws:iam::%[2]s:role/Reader%[1]d']", i, sandbox.Account)))
		one(t)
		if now := having(t, "key "); !slices.Equal(now, key) || !slices.Equal(having(t, "user "), user) {
			t.Fatalf("update %d changed %v to %v", i, key, now)
		}
	}
	again(t, "Update")
	one(t)
	readers := `"Principal":{"AWS":["arn:aws:iam::` + sandbox.Account + `:role/Reader11","arn:aws:iam::` + sandbox.Account + `:root"]}`
	if read := readersOf(t, stack); !strings.Contains(read, readers) {
		t.Errorf("the secret is read by %s", read)
	}

	err := deploy(t, stack, source+", cloney-sandbox-missing]")
	if err == nil || !strings.Contains(err.Error(), "Buckets: 1 of 2 buckets cannot be used: cloney-sandbox-missing: there is no such bucket") {
		t.Errorf("the failed update said: %v", err)
	}
	if status := statusOf(t, stack); status != "UPDATE_ROLLBACK_COMPLETE" {
		t.Errorf("the stack is %s", status)
	}
	one(t)
	if read := readersOf(t, stack); !strings.Contains(read, readers) {
		t.Errorf("rolled back, the secret is read by %s", read)
	}

	must(t, deploy(t, stack, source+"], UserName: another-user"))
	if now := outputs(t, stack); now["UserName"] != "another-user" || now["AccessKeyId"] == first["AccessKeyId"] {
		t.Errorf("the replacement gave %v", now)
	}
	one(t)

	if err := deploy(t, stack, "Access: Source, Buckets: [cloney-sandbox-missing], UserName: third-user"); err == nil {
		t.Error("a replacement without a bucket succeeded")
	}
	one(t)
	if now := outputs(t, stack); now["UserName"] != "another-user" {
		t.Errorf("the rolled back replacement left %v", now)
	}

	remove(t, stack)
	empty(t)
	again(t, "Delete")
	empty(t)
}

// readersOf is the resource policy of the stack's secret.
func readersOf(t *testing.T, stack string) string {
	t.Helper()
	found, err := secretsmanager.NewFromConfig(account(t).Config()).GetResourcePolicy(ctxOf(t), &secretsmanager.GetResourcePolicyInput{SecretId: aws.String(outputs(t, stack)["SecretName"])})
	must(t, err)
	return aws.ToString(found.ResourcePolicy)
}

// one fails unless there is exactly one of each.
func one(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"user ", "key ", "policy ", "secret "} {
		if found := having(t, kind); len(found) != 1 {
			t.Errorf("%d of %q: %v", len(found), kind, found)
		}
	}
}

// again delivers the last event of a kind once more, as Lambda does.
func again(t *testing.T, requestType string) {
	t.Helper()
	requests, err := account(t).Requests(ctxOf(t))
	must(t, err)
	for i := len(requests) - 1; i >= 0; i-- {
		var event struct{ RequestType string }
		must(t, json.Unmarshal(requests[i].Event, &event))
		if event.RequestType != requestType {
			continue
		}
		before := inventory(t)
		if err := account(t).Invoke(ctxOf(t), string(requests[i].Event)); err != nil {
			t.Errorf("delivered again: %v", err)
		}
		if after := inventory(t); strings.Join(after, "\n") != strings.Join(before, "\n") {
			t.Errorf("%s again changed\n%v\nto\n%v", requestType, before, after)
		}
		return
	}
	t.Fatalf("no %s was sent", requestType)
}

func statusOf(t *testing.T, stack string) string {
	t.Helper()
	status, err := account(t).Status(ctxOf(t), stack)
	must(t, err)
	return status
}

// Every request says when it was sent, and gets one answer.
func TestEveryRequestIsAnsweredOnce(t *testing.T) {
	own(t)
	const stack = "answers"
	sent, before := 0, time.Now().Truncate(time.Second)
	must(t, deploy(t, stack, "Access: Source, Buckets: "+sandbox.SourceBucket))
	if err := deploy(t, stack, "Access: Source, Buckets: "+sandbox.SourceBucket+", Serial: 0"); err == nil {
		t.Error("Serial 0 was accepted")
	}
	remove(t, stack)
	requests, err := account(t).Requests(ctxOf(t))
	must(t, err)
	for _, r := range requests {
		if !strings.Contains(string(r.Event), ":stack/"+stack+"/") {
			continue // another test's, which may have delivered it again
		}
		sent++
		if len(r.Answers) != 1 || r.Answers[0].Status != 200 || len(r.Answers[0].Body) > 4096 {
			t.Errorf("answered %d times: %s", len(r.Answers), r.Event)
		}
		at := signedAt(t, r.Event)
		if at.Before(before) || at.After(time.Now()) {
			t.Errorf("sent at %v, after %v: %s", at, before, r.Event)
		}
		before = at
	}
	if sent != 4 {
		t.Errorf("%d requests, not a Create, an Update, its rollback and a Delete", sent)
	}
}

// signedAt is when an event's ResponseURL was signed, for the two hours that
// CloudFormation signs it for.
func signedAt(t *testing.T, event json.RawMessage) time.Time {
	t.Helper()
	var e struct{ ResponseURL string }
	must(t, json.Unmarshal(event, &e))
	address, err := url.Parse(e.ResponseURL)
	must(t, err)
	at, err := time.Parse("20060102T150405Z", address.Query().Get("X-Amz-Date"))
	must(t, err)
	if valid := address.Query().Get("X-Amz-Expires"); valid != "7200" {
		t.Errorf("signed for %s seconds", valid)
	}
	return at
}

// What Create refuses leaves nothing behind, and says why where it is seen.
func TestBadInput(t *testing.T) {
	refused(t, "Acces: Source, Buckets: ['My Bucket', arn:aws:s3:::ok-bucket/*], Serial: x", "did you mean Access?")
}

func TestBadSecretName(t *testing.T) {
	refused(t, "Access: Source, Buckets: ["+sandbox.SourceBucket+"], SecretName: elsewhere", "does not have the form cloney/NAME")
}

func TestNoSuchBucket(t *testing.T) {
	refused(t, "Access: Destination, Buckets: [cloney-sandbox-missing]", `Buckets: "cloney-sandbox-missing" cannot be used: there is no such bucket`)
}

// refused deploys a stack that fails for a reason that says this.
func refused(t *testing.T, properties, says string) {
	t.Helper()
	own(t)
	const stack = "refused"
	err := deploy(t, stack, properties)
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%v does not say %q", err, says)
	}
	if status := statusOf(t, stack); status != "ROLLBACK_COMPLETE" {
		t.Errorf("the stack is %s", status)
	}
	empty(t)
	remove(t, stack)
}

// What is someone else's is neither taken nor touched, also by the Delete that
// follows the refusal.
func TestForeignEntities(t *testing.T) {
	own(t)
	ctx := ctxOf(t)
	users, secrets := iam.NewFromConfig(account(t).Config()), secretsmanager.NewFromConfig(account(t).Config())
	user, secret := aws.String("their-reader-user"), aws.String("cloney/their-secret-value")
	_, err := users.CreateUser(ctx, &iam.CreateUserInput{UserName: user})
	must(t, err)
	_, err = secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: secret, SecretString: aws.String("theirs")})
	must(t, err)
	before := inventory(t)
	for property, properties := range map[string]string{
		"UserName":   "UserName: their-reader-user, SecretName: cloney/ours",
		"SecretName": "SecretName: cloney/their-secret-value",
	} {
		err := deploy(t, "foreign", "Access: Source, Buckets: ["+sandbox.SourceBucket+"], "+properties)
		if err == nil || !strings.Contains(err.Error(), "does not belong to this resource") || !strings.Contains(err.Error(), property) {
			t.Errorf("%s: %v", property, err)
		}
		remove(t, "foreign")
		if after := inventory(t); strings.Join(after, "\n") != strings.Join(before, "\n") {
			t.Errorf("%s: the account was\n%v\nand is\n%v", property, before, after)
		}
	}
	_, err = users.DeleteUser(ctx, &iam.DeleteUserInput{UserName: user})
	must(t, err)
	_, err = secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: secret, ForceDeleteWithoutRecovery: aws.Bool(true)})
	must(t, err)
	empty(t)
}

// Two resources that want one user: the second is refused, the first untouched.
func TestTwoResourcesOneUser(t *testing.T) {
	own(t)
	const stack = "two"
	common := "Access: Source, Buckets: [" + sandbox.SourceBucket + "], UserName: shared-by-two, SecretName: cloney/shared-by-two-"
	first := resource("First", common+"first-key") + "    DependsOn: []\n"
	must(t, deployTemplate(t, stack, "Resources:\n"+first))
	before := inventory(t)
	if err := deployTemplate(t, stack, "Resources:\n"+first+resource("Second", common+"second-key")); err == nil {
		t.Error("the second was accepted")
	}
	if after := inventory(t); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("the account was\n%v\nand is\n%v", before, after)
	}
	remove(t, stack)
	empty(t)
}

// The provider cannot go while a stack uses it: nobody would answer its Delete.
func TestProviderOutlivesItsStacks(t *testing.T) {
	own(t)
	must(t, deploy(t, "user-of-it", "Access: Source, Buckets: "+sandbox.SourceBucket))
	if err := account(t).DeleteStack(ctxOf(t), sandbox.ProviderStack); err == nil || !strings.Contains(err.Error(), "in use by user-of-it") {
		t.Errorf("the provider's stack was deleted: %v", err)
	}
	if status := statusOf(t, sandbox.ProviderStack); status != "CREATE_COMPLETE" && status != "UPDATE_COMPLETE" {
		t.Errorf("the provider's stack is %s", status)
	}
	remove(t, "user-of-it")
	empty(t)
}

// More buckets than one policy holds.
func TestManyBuckets(t *testing.T) {
	own(t)
	const stack = "many"
	list := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("%s-%03d", strings.Repeat("long-bucket-name-", 3), i))
		}
		return strings.Join(names, ",")
	}
	must(t, deploy(t, stack, "Access: Source, Verify: false, Buckets: '"+list(120)+"'"))
	key := outputs(t, stack)["AccessKeyId"]
	if policies := having(t, "policy "); len(policies) < 3 {
		t.Errorf("%d policies", len(policies))
	}
	must(t, deploy(t, stack, "Access: Source, Verify: false, Buckets: '"+list(20)+"'"))
	if policies := having(t, "policy "); len(policies) != 1 {
		t.Errorf("%d policies", len(policies))
	}
	if err := deploy(t, stack, "Access: Source, Verify: false, Buckets: '"+list(600)+"'"); err == nil || !strings.Contains(err.Error(), "600 entries are too many") {
		t.Errorf("600 buckets: %v", err)
	}
	if now := outputs(t, stack)["AccessKeyId"]; now != key {
		t.Errorf("the key was %s and is %s", key, now)
	}
	remove(t, stack)
	empty(t)
}
