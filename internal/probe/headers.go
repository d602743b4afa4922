package probe

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// header is what an upload may carry beside what it has to; zero: nothing.
type header struct {
	acl        types.ObjectCannedACL
	encryption types.ServerSideEncryption
}

func (h header) set(in *s3.CreateMultipartUploadInput) {
	in.ACL, in.ServerSideEncryption = h.acl, h.encryption
}

func (h header) String() string {
	if h.acl != "" {
		return "x-amz-acl: " + string(h.acl)
	}
	return "x-amz-server-side-encryption: " + string(h.encryption)
}

// demanded are the headers that bucket policies ask uploads for.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
var demanded = []header{
	{acl: types.ObjectCannedACLBucketOwnerFullControl},
	{encryption: types.ServerSideEncryptionAes256},
	{encryption: types.ServerSideEncryptionAwsKms},
}

// tryHeaders looks whether an upload that is denied as it stands is allowed
// with a header. It is by what S3 does, not by what it says, that a demand is
// told from another denial:
//
//   - an ACL cures nothing but a policy that demands it: the place works, for
//     clients that send it;
//   - encryption by another key also cures a KMS key that is closed to the
//     user, to whom uploads then are closed too. It stays a denial, which says
//     what was seen, unless S3 has told that the bucket's policy denies it: what
//     a header cures then is that policy.
func (b *bucket) tryHeaders(ctx context.Context, p *place, denial error) error {
	for _, h := range demanded {
		err := b.upload(ctx, p, h)
		if p.begun != nil {
			return denial // it is to be aborted first
		}
		// The policy may let it through now, and the key be what is left.
		if err != nil && (h.acl == "" || !classify(err).aboutKey()) {
			continue
		}
		// Once more as it stands, or what S3 learned in the meantime would be
		// taken for the header's doing.
		again := b.upload(ctx, p, header{})
		if a := classify(again); a.cause != denied || a.aboutKey() {
			return again
		}
		if h.encryption != "" && classify(denial).reason != bucketDenies {
			p.cure = h
			return denial
		}
		b.demands(p, h)
		return err
	}
	return denial
}

// demands has all further uploads to the place carry the header.
func (b *bucket) demands(p *place, h header) {
	p.header = h
	p.note(slog.LevelWarn, fmt.Sprintf("its policy denies uploads without the header %s; have the client send it", h))
}

// askACLs asks, once a bucket, what an ACL on an upload comes to there. That
// is no failure, whatever it is: the role works without.
func (b *bucket) askACLs(ctx context.Context, p *place) {
	if b.askedACLs || p.header.acl != "" {
		return
	}
	b.askedACLs = true
	// Where ACLs are off, this one is refused and bucket-owner-full-control is not.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
	switch classify(b.upload(ctx, p, header{acl: types.ObjectCannedACLPrivate, encryption: p.header.encryption})).cause {
	case noACLs:
		p.note(slog.LevelInfo, "Object Ownership has ACLs switched off: s3:PutObjectAcl does nothing there; have the client send no ACL, or bucket-owner-full-control")
	case denied:
		p.note(slog.LevelInfo, "an upload with an ACL is denied, one without is allowed; have the client send no ACL")
	}
}
