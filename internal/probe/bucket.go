package probe

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/patience"
)

// bucket is one bucket with its places, asked with the new key.
type bucket struct {
	cfg       aws.Config
	clock     *clock
	name      string
	scope     access.Scope
	places    []*place
	movedTo   string // the region that S3 named; empty: the function's own
	located   bool   // GetBucketLocation has worked
	pays      bool   // it is a Requester Pays bucket: requests agree to pay
	askedACLs bool
}

func (b *bucket) client() *s3.Client {
	return s3.NewFromConfig(b.cfg, func(o *s3.Options) {
		o.UsePathStyle = b.cfg.BaseEndpoint != nil
		o.APIOptions = append(o.APIOptions, keepRegion)
		if b.pays {
			o.APIOptions = append(o.APIOptions, agreeToPay)
		}
	})
}

// owner is the account that has to own the bucket, if BucketOwner names one. If another
// account owns it, S3 denies the request.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
func (b *bucket) owner() *string {
	if b.scope.Owner == "" {
		return nil
	}
	return &b.scope.Owner
}

// poll looks at the places again and again, until each works or has failed, or the
// context ends. It holds no slot while it waits.
func (b *bucket) poll(ctx context.Context, slots chan struct{}, authenticated <-chan struct{}) {
	for p := b.next(authenticated); p != nil; p = b.next(authenticated) {
		if b.await(ctx, p, authenticated) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		holding(slots, func() { b.look(ctx, p) })
		// The last look is at the very end. If the place passes then, it gets one more
		// look: after that it works, or has failed.
		switch end := b.clock.end(); {
		case p.state != open || p.inARow > 0:
		case time.Now().Before(end):
			p.again = earlier(p.again, end)
		case p.looks >= fewestLooks:
			p.state = fails
		}
	}
}

// next is the open place that is due first; nil: none is open. A place that waits until
// the key has authenticated comes after the others.
func (b *bucket) next(authenticated <-chan struct{}) (first *place) {
	waits := func(p *place) bool { return p.inARow > 0 && !closed(authenticated) }
	for _, p := range b.places {
		switch {
		case p.state != open:
		case first == nil, waits(first) && !waits(p), waits(first) == waits(p) && b.due(p).Before(b.due(first)):
			first = p
		}
	}
	return first
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (b *bucket) due(p *place) time.Time { return p.due(passes, b.clock.span()) }

// await waits until the place is due. The look by which the place may pass comes after
// all proofs that the key authenticates: a delay that they show counts for it too.
func (b *bucket) await(ctx context.Context, p *place, authenticated <-chan struct{}) error {
	if p.inARow > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-authenticated:
		}
	}
	return patience.Sleep(ctx, time.Until(b.due(p)))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// holding gives the slot back after do, even if that panics.
func holding(slots chan struct{}, do func()) {
	defer func() { <-slots }()
	do()
}

// look asks the place once for all that the roles need, over a new connection: a
// connection leads to one host, and AWS advises to retry over another one. That costs a
// handshake, about a millisecond of the processor.
// https://docs.aws.amazon.com/whitepapers/latest/s3-optimizing-performance-best-practices/timeouts-and-retries-for-latency-sensitive-applications.html
//
// Its calls follow each other. Side by side they would end sooner, but the next look
// would wait longer: there has to be time between two looks.
func (b *bucket) look(ctx context.Context, p *place) {
	kept := b.cfg.HTTPClient
	fresh, leave := edge.Closing(b.cfg)
	b.cfg.HTTPClient = fresh.HTTPClient
	defer func() {
		leave()
		b.cfg.HTTPClient = kept
	}()
	began := time.Now()
	p.looks++
	failures := b.attempt(ctx, p)
	if b.movedTo == "" && b.follow(failures) {
		failures = b.attempt(ctx, p)
	}
	if len(failures) > 0 && p.mayBePayer(failures) {
		failures = b.tryPayer(ctx, p, failures)
	}
	if b.pays {
		failures = append([]answer{{cause: payer}}, failures...)
	}
	if len(failures) > 0 && ctx.Err() != nil {
		return // time is up; the answers of the look before count
	}
	p.failures = failures
	if len(failures) == 0 {
		b.passed(ctx, p, began)
		return
	}
	b.clock.failed()
	p.failed()
	b.failed(p, failures[len(failures)-1])
}

// failed decides what a look that failed means for the place. An answer about the whole
// bucket is the last one of its look.
func (b *bucket) failed(p *place, last answer) {
	switch {
	case last.cause == denied && b.scope.Expired(time.Now()):
		p.state = works
		p.note(slog.LevelInfo, "access ended while it was verified")
	case last.cause == payer: // everything else was allowed
		p.state = fails
		b.clock.lose()
	// Not at once: two regions that point at each other would be asked without a
	// pause.
	case b.follow(p.failures):
	// Not sooner: some hosts of S3 may not know a bucket that was just created.
	case last.final() && p.looks >= doubtful:
		for _, other := range b.places {
			other.failures, other.state = []answer{last}, fails
		}
		b.clock.lose()
	}
}

// follow directs further requests to the region that S3 named, if it named one.
func (b *bucket) follow(failures []answer) bool {
	if len(failures) == 0 {
		return false
	}
	last := failures[len(failures)-1]
	if last.cause != elsewhere {
		return false
	}
	b.cfg.Region, b.movedTo = last.region, last.region
	return true
}

// passed counts a look that passed. S3 learns of a policy host by host: if one look
// passes, the next one may fail.
func (b *bucket) passed(ctx context.Context, p *place, began time.Time) {
	if p.succeeded(began); p.inARow < passes {
		return
	}
	if b.scope.Destination {
		b.askACLs(ctx, p)
	}
	if b.scope.Source {
		p.noteEmpty()
	}
	for _, doubt := range p.doubts {
		p.note(doubt.level, doubt.text)
	}
	// An upload that could not be aborted is aborted at the end, see clear.
	p.state = works
}
