package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/order"
	"cloney-s3-credentials/internal/plan"
	"cloney-s3-credentials/internal/probe"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/rotation"
	"cloney-s3-credentials/internal/screen"
	"cloney-s3-credentials/internal/spec"
)

const (
	user   = "stack-Credentials-user"
	secret = name.SecretPrefix + user
)

// verified is what verify prints of a credential in an account in memory, whose proof
// logs these records.
func verified(t *testing.T, account *accesstest.Account, prove func(*slog.Logger) error) (printed string, err error) {
	t.Helper()
	seen := &findings{says: map[string]string{}}
	var out bytes.Buffer
	err = verify(t.Context(), secret, &screen.Screen{Out: &out, Width: 80}, seen, &rotation.Rotator{
		Users: account, Keys: account, Policies: account, Secrets: account, Log: slog.New(seen),
		Versions: func(access.Secret) rotation.Versions { return account },
		Prober:   prober(func() error { return prove(slog.New(seen)) }),
	})
	if account.Leaked(out.String()) {
		t.Errorf("it printed the secret half:\n%s", out.String())
	}
	return out.String(), err
}

type prober func() error

func (p prober) Prove(context.Context, access.Credentials, access.Scope, access.Subject) error {
	return p()
}

// credential has the provider make one, to read two places.
func credential(t *testing.T) *accesstest.Account {
	t.Helper()
	account := accesstest.New(t, "one", "two")
	stack, err := name.ParseStackID("arn:aws:cloudformation:" + accesstest.Region + ":" + accesstest.ID + ":stack/stack/51af3dc0-da77-11e4-872e-1234567db123")
	if err != nil {
		t.Fatal(err)
	}
	p := &provision.Provisioner{
		Users: account, Keys: account, Policies: account, Attachments: account, Secrets: account, Keeping: account,
		Versions: account, Readers: account, Rotations: account, Prober: account, Log: slog.New(slog.DiscardHandler),
	}
	if _, err := p.Create(t.Context(), plan.Desired{
		Owner: name.Owner{Stack: stack, Logical: "Credentials"}, Run: order.Run{Type: order.Create, Request: "r", Sent: time.Now(), Began: time.Now()},
		Spec: spec.Spec{Scope: access.Scope{Source: true, Places: []access.Place{"one", "two/in/"}}, UserName: user, SecretName: secret, Serial: 1, GraceDays: name.DefaultGraceDays, Verify: true},
	}); err != nil {
		t.Fatal(err)
	}
	account.Forget()
	return account
}

func TestVerify(t *testing.T) {
	failure := errors.New("1 of 2 buckets cannot be used: one: there is no such bucket")
	for what, c := range map[string]struct {
		prove     func(*slog.Logger) error
		says, not []string
	}{
		"all works": {func(log *slog.Logger) error {
			log.Info("verification", "outcome", "summary", "places", 2)
			return nil
		}, []string{"to read (Source)", "✓ works  one\n", "✓ works  two/in/\n"}, []string{"fails", "not asked"}},
		"one fails": {func(log *slog.Logger) error {
			log.Info("verification", "place", access.Place("one"), "outcome", "failed", "says", "there is no such bucket")
			log.Warn("verification", "place", access.Place("two/in/"), "outcome", "note", "note", "the bucket is empty")
			log.Info("verification", "outcome", "summary")
			return failure
		}, []string{"✗ fails  one: there is no such bucket\n", "✓ works  two/in/\n", "note: two/in/: the bucket is empty\n"}, []string{"works  one"}},
		"the buckets are not asked": {func(log *slog.Logger) error {
			log.Warn("verification", "outcome", "authenticated", "note", "SourceIps is set")
			return nil
		}, []string{"note: SourceIps is set", "buckets were not asked"}, []string{"works", "fails"}},
		"the key does not authenticate": {func(*slog.Logger) error { return failure }, nil, []string{"works", "not asked"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			account := credential(t)
			printed, err := verified(t, account, c.prove)
			if strings.Contains(what, "fails") != errors.Is(err, failure) && !strings.Contains(what, "authenticate") {
				t.Errorf("%s: %v", what, err)
			}
			for _, want := range c.says {
				if !strings.Contains(printed, want) {
					t.Errorf("%s: it does not print %q:\n%s", what, want, printed)
				}
			}
			for _, unwanted := range c.not {
				if strings.Contains(printed, unwanted) {
					t.Errorf("%s: it prints %q:\n%s", what, unwanted, printed)
				}
			}
			if writes := account.Writes(); len(writes) > 0 {
				t.Errorf("%s: it wrote: %v", what, writes)
			}
		})
	}
}

// s3 is an STS that knows the key, and an S3 in which bucket one does not exist, and
// bucket two is empty.
type s3 struct{}

func (s3) Do(r *http.Request) (*http.Response, error) {
	status, body := 200, ""
	switch path := r.URL.Path; {
	case r.Method == http.MethodPost:
		body = `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/u</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`
	case strings.HasPrefix(path, "/one"):
		status, body = 404, `<Error><Code>NoSuchBucket</Code><Message>x</Message></Error>`
	case r.URL.Query().Has("list-type"):
		body = `<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>`
	case r.URL.Query().Has("location"):
		body = `<LocationConstraint>eu-west-1</LocationConstraint>`
	default:
		status, body = 404, `<Error><Code>NoSuchKey</Code><Message>x</Message></Error>`
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// What the real proof logs is what verify reads.
func TestVerifyReadsTheLogOfTheProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := credential(t)
		cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String("http://aws.example"), HTTPClient: s3{}}
		printed, err := verified(t, account, func(log *slog.Logger) error {
			return probe.New(cfg, log, probe.Options{}).Prove(t.Context(), access.Credentials{KeyID: "AKIAEXAMPLE", Secret: access.NewSecret("x")},
				access.Scope{Source: true, Places: []access.Place{"one", "two/in/"}}, access.Subject{})
		})
		if err == nil || !strings.Contains(err.Error(), "one") {
			t.Error(err)
		}
		for _, want := range []string{"✗ fails  one: ", "✓ works  two/in/\n", "note: two/in/: "} {
			if !strings.Contains(printed, want) {
				t.Errorf("it does not print %q:\n%s", want, printed)
			}
		}
	})
}
