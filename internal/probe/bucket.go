package probe

import (
	"context"
	"crypto/rand"
	"slices"
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
	askedACLs bool
}

// place is what has been seen of one place.
type place struct {
	name   access.Place
	looks  int
	inARow int    // looks that it passed, up to now
	last   answer // what the last look came to
	state  state
	header header   // what its uploads have to carry
	cure   header   // what would make a denied upload work
	listed *string  // a key that is there; nil: none is. It goes back to S3 alone
	notes  []string // what is no failure
	begun  *s3.AbortMultipartUploadInput
}

type state int

const (
	open state = iota
	works
	fails
)

func (p *place) note(text string) {
	if !slices.Contains(p.notes, text) {
		p.notes = append(p.notes, text)
	}
}

// absent returns an object key of the place that nobody has.
func (p *place) absent() *string {
	return aws.String(p.name.Prefix() + "cloney-verification-" + rand.Text())
}

func (b *bucket) client() *s3.Client {
	return s3.NewFromConfig(b.cfg, func(o *s3.Options) {
		o.UsePathStyle = b.cfg.BaseEndpoint != nil
		o.APIOptions = append(o.APIOptions, tellRegion)
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
	purpose, err := b.attempt(ctx, p)
	if err != nil && ctx.Err() != nil {
		return // time is up; what was seen before counts
	}
	p.last = classify(err)
	p.last.purpose = purpose
	if p.last.cause == unknown {
		p.last.region = b.movedTo
	}
	switch {
	case err == nil:
		b.passed(ctx, p)
		return
	case p.last.cause == denied && b.scope.Expired(time.Now()):
		p.state = works
		p.note("access ended while it was verified")
	case p.last.cause == elsewhere:
		// Not asked there at once: two regions that point at each other would
		// be asked without a pause.
		b.cfg.Region, b.movedTo = p.last.region, p.last.region
	// A bucket that was made a moment ago is not known to each host of S3.
	case p.last.final() && p.looks >= doubtful:
		for _, other := range b.places {
			other.last, other.state = p.last, fails
		}
	}
	p.inARow = 0
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
	// What cannot be aborted now is aborted at the end, see clear.
	p.state = works
}

// attempt returns what the key may not do, and S3's error.
func (b *bucket) attempt(ctx context.Context, p *place) (purpose string, err error) {
	if p.begun != nil {
		if err := b.abort(ctx, p); err != nil {
			return aborting, err
		}
	}
	if err := b.list(ctx, p); err != nil {
		return listing, err
	}
	if b.scope.Source {
		if err := b.read(ctx, p); err != nil {
			return "read from it", err
		}
	}
	if b.scope.Destination {
		if err := b.write(ctx, p); err != nil && p.begun != nil {
			return aborting, err
		} else if err != nil {
			return writing, err
		}
	}
	return "", nil
}

const (
	listing  = "list it"
	writing  = "write to it"
	aborting = "abort an upload in it"
)

// list asks for one key of the place. Who may list a prefix alone is denied
// any shorter one.
func (b *bucket) list(ctx context.Context, p *place) error {
	in := &s3.ListObjectsV2Input{Bucket: &b.name, MaxKeys: aws.Int32(1), ExpectedBucketOwner: b.owner()}
	if prefix := p.name.Prefix(); prefix != "" {
		in.Prefix = &prefix
	}
	out, err := b.client().ListObjectsV2(ctx, in)
	if err != nil {
		return err
	}
	p.listed = nil
	if len(out.Contents) > 0 {
		p.listed = out.Contents[0].Key
	}
	return nil
}

// write begins a multipart upload and aborts it: no object, no version, no
// event comes of it.
func (b *bucket) write(ctx context.Context, p *place) error {
	err := b.upload(ctx, p, p.header)
	// Not at every look: a new policy is the likelier reason at first.
	if p.header == (header{}) && classify(err).cause == denied && p.begun == nil && p.looks%doubtful == 0 {
		return b.tryHeaders(ctx, p, err)
	}
	return err
}

// upload begins an upload and aborts it. A crash between the two, or an answer
// that is lost, leaves an upload without parts, which costs nothing and which
// a lifecycle rule clears away.
func (b *bucket) upload(ctx context.Context, p *place, h header) error {
	in := &s3.CreateMultipartUploadInput{Bucket: &b.name, Key: p.absent(), ExpectedBucketOwner: b.owner()}
	h.set(in)
	out, err := b.client().CreateMultipartUpload(ctx, in)
	if err != nil {
		return err
	}
	p.begun = &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: in.Key, UploadId: out.UploadId, ExpectedBucketOwner: b.owner()}
	return b.abort(ctx, p)
}

// abort aborts what was begun.
func (b *bucket) abort(ctx context.Context, p *place) error {
	_, err := b.client().AbortMultipartUpload(ctx, p.begun)
	if err != nil && classify(err).cause != noUpload { // an abort whose answer was lost
		return err
	}
	p.begun = nil
	return nil
}

// clear aborts what a place has left, as well as it can. Of one that failed the
// sentence says so (left).
func (b *bucket) clear(ctx context.Context) {
	for _, p := range b.places {
		if p.begun != nil && b.abort(ctx, p) != nil && p.state == works {
			p.note("one upload is left begun there, without data; a lifecycle rule for incomplete multipart uploads clears it away")
		}
	}
}
