package probe

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cloney-s3-credentials/internal/name"
)

// What the key may not do, as the sentences say it.
const (
	listing  = "list it"
	locating = "ask for its region"
	reading  = "read from it"
	writing  = "write to it"
	aborting = "abort an upload in it"
)

// need is one thing that the roles need of a place.
type need struct {
	purpose string
	ask     func(context.Context, *place) error
}

// needs are all that the roles need, in the order in which it is asked for.
func (b *bucket) needs() []need {
	needs := []need{{aborting, b.abort}, {listing, b.list}, {locating, b.locate}}
	if b.scope.Source {
		needs = append(needs, need{reading, b.read})
	}
	if b.scope.Destination {
		needs = append(needs, need{writing, b.write})
	}
	return needs
}

// attempt asks for all that the roles need, and returns what fails, in order.
// From the first look that may be the last one on, a denial does not end it:
// its owner shall read of all that is in the way, and not try again for each.
func (b *bucket) attempt(ctx context.Context, p *place) (failures []answer) {
	p.doubts = nil
	for _, n := range b.needs() {
		err := n.ask(ctx, p)
		if err == nil {
			continue
		}
		a := classify(err)
		a.purpose = n.purpose
		if n.purpose == writing {
			a.cure = p.cure
		}
		if n.purpose == writing && p.begun != nil {
			a.purpose = aborting
		}
		switch {
		case a.cause == unknown:
			a.region = b.movedTo
		case a.code == misnamed && b.mayBeOld():
			a.cause, a.region = elsewhere, oldNames
		}
		failures = append(failures, a)
		if !a.leavesOthers() || p.looks < fewestLooks {
			break
		}
	}
	return failures
}

// oldNames is the region that made buckets until March 2018 of names that no other
// region takes. They live on there.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
const oldNames = "us-east-1"

// mayBeOld reports whether a name that a region does not take is to be asked for
// where such buckets are. That is once: what was followed before leads nowhere.
func (b *bucket) mayBeOld() bool {
	return b.movedTo == "" && b.cfg.Region != oldNames && name.Partition(b.cfg.Region) == name.Partition(oldNames) && legacy(b.name)
}

// list asks for a handful of keys of the place. Who may list a prefix alone is
// denied any shorter one. The keys come encoded: they may hold characters that
// XML may not.
func (b *bucket) list(ctx context.Context, p *place) error {
	in := &s3.ListObjectsV2Input{Bucket: &b.name, MaxKeys: aws.Int32(handful), EncodingType: types.EncodingTypeUrl, ExpectedBucketOwner: b.owner()}
	if prefix := p.name.Prefix(); prefix != "" {
		in.Prefix = &prefix
	}
	out, err := b.client().ListObjectsV2(ctx, in)
	p.listed, p.unlisted = nil, err != nil
	if err != nil {
		return err
	}
	for _, object := range out.Contents {
		if key, err := url.QueryUnescape(aws.ToString(object.Key)); err == nil {
			p.listed = append(p.listed, key)
		}
	}
	return nil
}

// locate asks for the bucket's region, until it was told once: it is the same
// for all places. It follows a list, which has found the region: elsewhere the
// bucket's policy does not apply.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
//
// Not at the first look: of many buckets more get their two looks in time.
func (b *bucket) locate(ctx context.Context, p *place) error {
	if b.located || p.inARow == 0 && p.looks < fewestLooks {
		return nil
	}
	in := &s3.GetBucketLocationInput{Bucket: &b.name, ExpectedBucketOwner: b.owner()}
	_, err := b.client().GetBucketLocation(ctx, in, func(o *s3.Options) { o.APIOptions = append(o.APIOptions, closeAnswer) })
	b.located = err == nil
	return err
}

// write begins a multipart upload and aborts it: no object, no version, no
// event comes of it.
func (b *bucket) write(ctx context.Context, p *place) error {
	if p.begun != nil {
		return nil // it is to be aborted first, and its failure is told
	}
	err := b.upload(ctx, p, p.header)
	denial := classify(err)
	// Not at every look: a new policy is the likelier reason at first. What S3
	// tells of the KMS key no header cures: the bucket's policy has let it through.
	if p.header == (header{}) && denial.cause == denied && !denial.aboutKey() && p.begun == nil && p.looks%doubtful == 0 {
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

// abort aborts what was begun, if anything was.
func (b *bucket) abort(ctx context.Context, p *place) error {
	if p.begun == nil {
		return nil
	}
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
		if b.abort(ctx, p) != nil && p.state == works {
			p.note(slog.LevelWarn, "one upload is left begun there, without data; a lifecycle rule for incomplete multipart uploads clears it away")
		}
	}
}
