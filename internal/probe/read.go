package probe

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// read reads a key that no one has. With the right to list as well, S3 says
// 404 where reading is allowed and 403 where it is not.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (b *bucket) read(ctx context.Context, p *place) error {
	err := b.get(ctx, p.absent(), nil)
	switch cause := classify(err).cause; {
	case cause == noKey:
		return nil
	case cause == denied && p.name.Prefix() != "":
		return b.readListed(ctx, p, err)
	}
	return err
}

// readListed is for a place whose key may list a prefix alone: S3 does not say
// whether it then tells that a key is missing, or denies. A key that is there
// is asked for on a condition that no object meets: S3 says 412 where reading
// is allowed, and sends nothing of the object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html
func (b *bucket) readListed(ctx context.Context, p *place, denial error) error {
	if p.listed == nil {
		if p.looks < doubtful {
			return denial
		}
		p.note("whether the key may read there is not proven: no object is there yet, and S3 denies asking for one that is missing")
		return nil
	}
	err := b.get(ctx, p.listed, aws.String(`"no-object-has-this"`))
	switch classify(err).cause {
	case unread:
		return nil
	case noKey: // it was deleted since
		return denial
	}
	return err
}

func (b *bucket) get(ctx context.Context, key, match *string) error {
	out, err := b.client().GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: key, IfMatch: match, ExpectedBucketOwner: b.owner()})
	if err == nil {
		_ = out.Body.Close()
	}
	return err
}
