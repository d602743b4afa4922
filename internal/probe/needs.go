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

// need is one thing that the roles need a place to allow.
type need struct {
	purpose string
	ask     func(context.Context, *place) error
}

// needs are all that the roles need, in the order of the requests.
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

// attempt asks for all that the roles need, and returns what fails, in order. From the
// first look that may be the last, a denial does not end it: the error then names
// everything that is in the way, so that one correction is enough.
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

// oldNames is the region where buckets got names until March 2018 that no other region
// takes. Such buckets still exist there.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
const oldNames = "us-east-1"

// mayBeOld reports whether to look for a name that a region does not take in the region
// of old names. It does so once: after one redirect there is nothing more to follow.
func (b *bucket) mayBeOld() bool {
	return b.movedTo == "" && b.cfg.Region != oldNames && name.Partition(b.cfg.Region) == name.Partition(oldNames) && legacy(b.name)
}

// list asks for a handful of keys of the place. A user that may list only a prefix is
// denied any shorter one. The keys are URL-encoded: they may hold characters that XML
// may not.
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

// locate asks for the bucket's region until it gets one answer, which is the same for all
// places. It comes after list, which has found the region: in another region the
// bucket's policy does not apply.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
//
// Not at the first look: so more of many buckets get their two looks in time.
func (b *bucket) locate(ctx context.Context, p *place) error {
	if b.located || p.inARow == 0 && p.looks < fewestLooks {
		return nil
	}
	in := &s3.GetBucketLocationInput{Bucket: &b.name, ExpectedBucketOwner: b.owner()}
	_, err := b.client().GetBucketLocation(ctx, in, func(o *s3.Options) { o.APIOptions = append(o.APIOptions, closeAnswer) })
	b.located = err == nil
	return err
}

// write begins a multipart upload and aborts it, which makes no object, no version and
// no event.
func (b *bucket) write(ctx context.Context, p *place) error {
	if p.begun != nil {
		return nil // the earlier upload has to be aborted first, and that failure is reported
	}
	err := b.upload(ctx, p, p.header)
	denial := classify(err)
	// Not at every look: at first the policy is most likely too new. If S3 says that the
	// KMS key is in the way, no header helps: the bucket's policy has allowed the upload.
	if p.header == (header{}) && denial.cause == denied && !denial.aboutKey() && p.begun == nil && p.looks%doubtful == 0 {
		return b.tryHeaders(ctx, p, err)
	}
	return err
}

// upload begins an upload and aborts it. A crash between the two, or a lost answer,
// leaves an upload without parts, which costs nothing. A lifecycle rule removes it.
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

// abort aborts the upload that was begun, if there is one.
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

// clear tries to abort what the places have left. For a place that failed, its sentence
// says what is left.
func (b *bucket) clear(ctx context.Context) {
	for _, p := range b.places {
		if b.abort(ctx, p) != nil && p.state == works {
			p.note(slog.LevelWarn, "one multipart upload without data is left there; a lifecycle rule for incomplete multipart uploads removes it")
		}
	}
}
