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
	lag       *lag
	name      string
	scope     access.Scope
	places    []*place
	movedTo   string // the region that S3 told; empty: the function's own
	located   bool   // its region was asked for, and told
	pays      bool   // the owner has the requester pay: requests agree to that
	askedACLs bool
}

func (b *bucket) client() *s3.Client {
	return s3.NewFromConfig(b.cfg, func(o *s3.Options) {
		o.UsePathStyle = b.cfg.BaseEndpoint != nil
		o.APIOptions = append(o.APIOptions, tellRegion)
		if b.pays {
			o.APIOptions = append(o.APIOptions, agreeToPay)
		}
	})
}

// owner is the account whose the bucket has to be, if one is named. S3 denies
// the request otherwise.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
func (b *bucket) owner() *string {
	if b.scope.Owner == "" {
		return nil
	}
	return &b.scope.Owner
}

// settle looks at the places, again and again, until each works or fails, or
// the context ends. Nobody waits while holding a slot.
func (b *bucket) settle(ctx context.Context, slots chan struct{}, authenticated <-chan struct{}) {
	until := b.lag.started.Add(settling)
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
		// The last look is at the very end. One that passed then is looked at once
		// more all the same: then the place works, or has failed.
		switch left := time.Until(until); {
		case p.state != open || p.inARow > 0:
		case left > 0:
			p.again = earlier(p.again, until)
		case p.looks >= fewestLooks:
			p.state = fails
		}
	}
}

// next is the open place that is due first; nil: none is open. One that waits for the
// key to authenticate keeps no other waiting.
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

func (b *bucket) due(p *place) time.Time { return p.due(passes, b.lag.span()) }

// await waits until the place is due. The look that it may pass by comes after all
// proofs that the key authenticates: what they show of the lag counts for it too.
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

// holding gives the slot back, whatever becomes of do.
func holding(slots chan struct{}, do func()) {
	defer func() { <-slots }()
	do()
}

// look goes through all that the roles need in the place, once, over a connection
// of its own: a connection leads to one host, and S3 itself advises to repeat over
// another one. It costs a handshake, about a millisecond of the processor.
// https://docs.aws.amazon.com/whitepapers/latest/s3-optimizing-performance-best-practices/timeouts-and-retries-for-latency-sensitive-applications.html
//
// Its calls follow each other. Side by side they would be over sooner, and the look
// that follows would wait for longer: two looks have to lie apart all the same.
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
		return // time is up; what was seen before counts
	}
	p.failures = failures
	if len(failures) == 0 {
		b.passed(ctx, p, began)
		return
	}
	b.lag.failed()
	p.failed()
	b.failed(p, failures[len(failures)-1])
}

// failed draws what can be drawn from a look that failed. An answer that is
// about the whole bucket is the last one of its look.
func (b *bucket) failed(p *place, last answer) {
	switch {
	case last.cause == denied && b.scope.Expired(time.Now()):
		p.state = works
		p.note(slog.LevelInfo, "access ended while it was verified")
	case last.cause == payer: // all else was allowed
		p.state = fails
	// Not asked there at once: two regions that point at each other would be
	// asked without a pause.
	case b.follow(p.failures):
	// A bucket that was made a moment ago is not known to each host of S3.
	case last.final() && p.looks >= doubtful:
		for _, other := range b.places {
			other.failures, other.state = []answer{last}, fails
		}
	}
}

// follow has the bucket be asked in the region that S3 told, if it told one.
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

// passed counts a look that was good. S3 learns of a policy host by host: one
// look does not mean that the next one passes.
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
	// What cannot be aborted now is aborted at the end, see clear.
	p.state = works
}
