// Package probe is the edge to STS and S3: it uses a freshly made key the way
// Cloney will, and says what stands in the way.
//
// It leaves nothing behind: it lists, reads an object that does not exist, and
// begins and aborts a multipart upload. It never uses the function's own
// credentials, and reads no object of anyone.
package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/access"
)

const (
	// patience is how long a new key may take until AWS knows it everywhere.
	patience = 90 * time.Second
	// successes in a row are asked for: one place that knows the key does not
	// mean that the next one does.
	successes = 3
	between   = 500 * time.Millisecond
	mostWait  = 5 * time.Second
	// atOnce is how many buckets are asked side by side.
	atOnce = 10
)

// Prober proves keys.
type Prober struct{ cfg aws.Config }

// New returns the edge. Of the configuration it uses the region, the endpoint
// and the HTTP client, never the credentials.
func New(cfg aws.Config) *Prober { return &Prober{cfg: cfg} }

// Prove returns nil once the key authenticates and every bucket answers as its
// role needs, or an error that names each bucket that does not, after at most
// 90 seconds.
func (p *Prober) Prove(ctx context.Context, key access.Credentials, scope access.Scope) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cfg := p.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(key.KeyID, key.Secret.Reveal(), "")
	// Repeating is ours: what the SDK takes for final is "not yet" here.
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	if err := authenticates(ctx, cfg, key.KeyID); err != nil {
		return err
	}
	return p.buckets(ctx, cfg, scope)
}

// authenticates waits until the key authenticates several times in a row.
// GetCallerIdentity needs no permission.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func authenticates(ctx context.Context, cfg aws.Config, keyID string) error {
	client := sts.NewFromConfig(cfg)
	for inARow, wait := 0, between; ; {
		_, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err == nil {
			inARow, wait = inARow+1, between
		} else {
			inARow, wait = 0, min(wait*2, mostWait)
		}
		if inARow == successes {
			return nil
		}
		if sleep(ctx, wait) != nil {
			return fmt.Errorf("key %s did not authenticate within %d seconds (%s); try again, IAM may be slow today", keyID, int(patience.Seconds()), said(err))
		}
	}
}

// buckets asks every bucket, ten side by side, and collects what fails.
func (p *Prober) buckets(ctx context.Context, cfg aws.Config, scope access.Scope) error {
	found := make([]error, len(scope.Places))
	places := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, place := range scope.Places {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			b := bucket{cfg: cfg, name: place.Bucket(), pathStyle: cfg.BaseEndpoint != nil}
			found[i] = b.answers(ctx, scope)
		})
	}
	wait.Wait()
	return failure(found)
}

// failure is the error of those buckets that failed, as far as fits an answer.
func failure(found []error) error {
	const mostBytes = 2400
	var text strings.Builder
	failed, shown := 0, 0
	for _, err := range found {
		if err == nil {
			continue
		}
		failed++
		if text.Len()+len(err.Error()) > mostBytes {
			continue
		}
		if shown++; shown > 1 {
			text.WriteString("; ")
		}
		text.WriteString(err.Error())
	}
	if failed == 0 {
		return nil
	}
	if failed > shown {
		fmt.Fprintf(&text, "; and %d more", failed-shown)
	}
	return fmt.Errorf("%d of %d buckets cannot be used: %s", failed, len(found), text.String())
}

// bucket is one bucket, asked with the new key.
type bucket struct {
	cfg       aws.Config
	name      string
	pathStyle bool
	begun     *s3.AbortMultipartUploadInput // an upload that is still to be aborted
}

func (b *bucket) client() *s3.Client {
	return s3.NewFromConfig(b.cfg, func(o *s3.Options) { o.UsePathStyle = b.pathStyle })
}

// answers waits until the bucket allows what its role needs, or fails for good.
func (b *bucket) answers(ctx context.Context, scope access.Scope) error {
	checks := []check{{"list it", b.list}}
	if scope.Source {
		checks = append(checks, check{"read from it", b.read})
	}
	if scope.Destination {
		checks = append(checks, check{"write to it", b.write})
	}
	for _, check := range checks {
		if err := b.wait(ctx, check); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

type check struct {
	purpose string
	call    func(context.Context) error
}

// wait repeats a check until it succeeds, is refused for good, or time is up.
func (b *bucket) wait(ctx context.Context, c check) error {
	for wait := between; ; wait = min(wait*2, mostWait) {
		err := c.call(ctx)
		if err == nil {
			return nil
		}
		switch a := classify(err); a.kind {
		case elsewhere:
			// Not at once: two places that point at each other would be asked
			// without a pause.
			b.cfg.Region = a.region
		case final:
			return errors.New(a.sentence)
		}
		if sleep(ctx, wait) != nil {
			return fmt.Errorf("the key may not %s: %s", c.purpose, classify(err).sentence)
		}
	}
}

func (b *bucket) list(ctx context.Context) error {
	_, err := b.client().ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.name, MaxKeys: aws.Int32(1)})
	return err
}

// read reads a key that no one has. With the right to list as well, S3 says
// 404 where reading is allowed and 403 where it is not.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (b *bucket) read(ctx context.Context) error {
	_, err := b.client().GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: absent()})
	if classify(err).kind == noKey {
		return nil
	}
	return err
}

// write begins a multipart upload and aborts it: no object, no version, no
// event comes of it. The abort is repeated before another one is begun. A
// crash between the two leaves an upload without parts, which costs nothing
// and which a lifecycle rule clears away.
func (b *bucket) write(ctx context.Context) error {
	if b.begun == nil {
		key := absent()
		out, err := b.client().CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &b.name, Key: key})
		if err != nil {
			return err
		}
		b.begun = &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: key, UploadId: out.UploadId}
	}
	// The upload is aborted even when time is up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mostWait)
	defer cancel()
	_, err := b.client().AbortMultipartUpload(ctx, b.begun)
	if classify(err).kind == noUpload {
		return nil // an abort whose answer was lost
	}
	return err
}

// absent returns an object key that nobody has.
func absent() *string { return aws.String("cloney-verification-" + rand.Text()) }

// sleep waits, or returns the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
