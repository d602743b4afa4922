package probe

import (
	"context"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// handful is how many keys of a place are listed, and asked for where a key
// that no one has is denied: one of them may not be scanned yet.
const handful = 5

// read reads a key that no one has. With the right to list as well, S3 says
// 404 where reading is allowed and 403 where it is not.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
//
// Two kinds of 403 are about that key alone, so keys that are there are asked
// for too: a Deny about tags on objects also denies an object that has none;
// and who may list a prefix alone is not told that a key is missing.
func (b *bucket) read(ctx context.Context, p *place) error {
	err := b.get(ctx, p.absent(), nil)
	denial := classify(err)
	switch denial.cause {
	case noKey:
		return nil
	case denied:
		return b.readListed(ctx, p, denial, err)
	}
	return err
}

// readListed asks for keys that are there, on a condition that no object meets:
// S3 says 412 where reading is allowed, and sends nothing of the object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html
func (b *bucket) readListed(ctx context.Context, p *place, denial answer, err error) error {
	asked := false
	for _, key := range p.listed {
		listed := b.get(ctx, &key, aws.String(`"no-object-has-this"`))
		switch classify(listed).cause {
		case unread:
			if asked || p.name.Prefix() == "" || denial.aboutReading() {
				p.doubts = append(p.doubts, note{slog.LevelWarn, "S3 denies reading some keys and allows one that is there: most likely the bucket's policy has a Deny about tags on objects, such as those of a malware scan; the client reads an object as soon as its tags pass"})
			}
			return nil
		case noKey: // it was deleted since
		case denied:
			asked, err = true, listed
		default:
			return listed
		}
	}
	if asked || !b.hides(p, denial) {
		return err
	}
	return b.unproven(p, err)
}

// hides reports whether a denial of a missing key may say no more than that it
// is missing. What AWS says may make sure of a denial, and never takes one away.
func (b *bucket) hides(p *place, denial answer) bool {
	return (p.unlisted || p.name.Prefix() != "") && !denial.aboutReading()
}

// unproven is what a denial that says nothing of reading comes to. Where
// listing is denied, that is what fails.
func (b *bucket) unproven(p *place, denial error) error {
	switch {
	case p.unlisted:
		return nil
	case p.looks < doubtful: // the policy may not be in force yet
		return denial
	}
	p.doubts = append(p.doubts, note{slog.LevelWarn, "whether the key may read there is not proven: no object is there yet, and S3 denies asking for one that is missing; have the client read one as soon as it is there"})
	return nil
}

func (b *bucket) get(ctx context.Context, key, match *string) error {
	out, err := b.client().GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: key, IfMatch: match, ExpectedBucketOwner: b.owner()})
	if err == nil {
		_ = out.Body.Close()
	}
	return err
}
