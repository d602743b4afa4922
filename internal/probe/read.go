package probe

import (
	"context"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// handful is how many keys of a place are listed. They are requested if the request for a
// missing object is denied: one of them may not be scanned for malware yet.
const handful = 5

// read requests an object that does not exist. If the user may list, S3 answers 404 where
// reading is allowed, and 403 where it is not.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
//
// Two kinds of 403 are about that object alone, so objects that exist are requested too:
// a Deny about tags on objects also denies an object without tags; and S3 does not tell
// a user that may list only a prefix that an object is missing.
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

// readListed requests objects that exist, on a condition that no object meets: S3 answers
// 412 where reading is allowed, and sends nothing of the object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html
func (b *bucket) readListed(ctx context.Context, p *place, denial answer, err error) error {
	asked := false
	for _, key := range p.listed {
		listed := b.get(ctx, &key, aws.String(`"no-object-has-this"`))
		switch classify(listed).cause {
		case unread:
			if asked || p.name.Prefix() == "" || denial.aboutReading() {
				p.doubts = append(p.doubts, note{slog.LevelWarn, "S3 denies reading some objects and allows another: most likely the bucket's policy has a Deny about tags on objects, such as those of a malware scan; the client can read an object as soon as it has the right tags"})
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

// hides reports whether the denial of a missing object may mean only that it is missing.
// The words of AWS can make a denial certain; they never turn it into a success.
func (b *bucket) hides(p *place, denial answer) bool {
	return (p.unlisted || p.name.Prefix() != "") && !denial.aboutReading()
}

// unproven is the result of a denial that says nothing about reading. If listing is
// denied, that is what fails.
func (b *bucket) unproven(p *place, denial error) error {
	switch {
	case p.unlisted:
		return nil
	case p.looks < doubtful: // the policy may not be in force yet
		return denial
	}
	p.doubts = append(p.doubts, note{slog.LevelWarn, "it is not proven that the key may read there: there is no object yet, and S3 denies requests for a missing one; let the client read an object as soon as there is one"})
	return nil
}

func (b *bucket) get(ctx context.Context, key, match *string) error {
	out, err := b.client().GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: key, IfMatch: match, ExpectedBucketOwner: b.owner()})
	if err == nil {
		_ = out.Body.Close()
	}
	return err
}
