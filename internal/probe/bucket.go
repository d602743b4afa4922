package probe

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/patience"
)

// bucket is one bucket with its places, asked with the new key.
type bucket struct {
	cfg       aws.Config
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
// the context ends.
func (b *bucket) settle(ctx context.Context, slots chan struct{}, until time.Time) {
	for wait := between; ; wait = min(max(wait, between)*2, mostWait) {
		pending, passed := b.round(ctx, slots, until)
		if !pending {
			return
		}
		if passed {
			wait = between
		}
		// The last look is at the very end.
		if left := time.Until(until); left > 0 {
			wait = min(wait, left)
		}
		if patience.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// holding gives the slot back, whatever becomes of do.
func holding(slots chan struct{}, do func()) {
	defer func() { <-slots }()
	do()
}

// round looks at each open place once. Nobody waits while holding a slot. It
// reports whether a place is still open, and whether one of those passed.
func (b *bucket) round(ctx context.Context, slots chan struct{}, until time.Time) (pending, passed bool) {
	for _, p := range b.places {
		if p.state != open {
			continue
		}
		select {
		case <-ctx.Done():
			return true, false
		case slots <- struct{}{}:
		}
		holding(slots, func() { b.look(ctx, p) })
		// One whose last look passed is looked at once more, also after the end:
		// then it works, or has failed.
		if p.state == open && p.inARow == 0 && p.looks >= fewestLooks && !time.Now().Before(until) {
			p.state = fails
		}
		pending = pending || p.state == open
		passed = passed || p.state == open && p.inARow > 0
	}
	return pending, passed
}

// look goes through all that the roles need in the place, once.
func (b *bucket) look(ctx context.Context, p *place) {
	p.looks++
	failures := b.attempt(ctx, p)
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
		b.passed(ctx, p)
		return
	}
	p.inARow = 0
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
	case last.cause == elsewhere:
		// Not asked there at once: two regions that point at each other would
		// be asked without a pause.
		b.cfg.Region, b.movedTo = last.region, last.region
	// A bucket that was made a moment ago is not known to each host of S3.
	case last.final() && p.looks >= doubtful:
		for _, other := range b.places {
			other.failures, other.state = []answer{last}, fails
		}
	}
}

// passed counts a look that was good. S3 learns of a policy host by host: one
// look does not mean that the next one passes.
func (b *bucket) passed(ctx context.Context, p *place) {
	if p.inARow++; p.inARow < passes {
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
