package probe

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// header is an optional header of an upload; zero: none.
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

// demanded are the headers that bucket policies require of uploads.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
var demanded = []header{
	{acl: types.ObjectCannedACLBucketOwnerFullControl},
	{encryption: types.ServerSideEncryptionAes256},
	{encryption: types.ServerSideEncryptionAwsKms},
}

// tryHeaders finds out whether an upload that is denied without a header is allowed with
// one. What S3 does, not what it says, shows whether the policy requires a header:
//
//   - An upload with an ACL works only because the policy requires the ACL: the place
//     works, for clients that send it.
//   - An upload with another encryption may also work because the user may not use the
//     bucket's KMS key. Then the place stays denied, and the sentence says what was
//     seen; unless S3 has said that the bucket's policy denies the upload: then the
//     header satisfies that policy.
func (b *bucket) tryHeaders(ctx context.Context, p *place, denial error) error {
	for _, h := range demanded {
		err := b.upload(ctx, p, h)
		if p.begun != nil {
			return denial // the upload has to be aborted first
		}
		// The policy may allow it now, and the KMS key may be what is left.
		if err != nil && (h.acl == "" || !classify(err).aboutKey()) {
			continue
		}
		// Once more without the header: S3 may have learned of the policy meanwhile.
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

// demands adds the header to all further uploads to the place.
func (b *bucket) demands(p *place, h header) {
	p.header = h
	p.note(slog.LevelWarn, fmt.Sprintf("the bucket's policy denies uploads without the header %s; let the client send it", h))
}

// askACLs finds out, once for each bucket, what an ACL on an upload does there. The
// answer is never a failure: the role works without an ACL.
func (b *bucket) askACLs(ctx context.Context, p *place) {
	if b.askedACLs || p.header.acl != "" {
		return
	}
	b.askedACLs = true
	// Where ACLs are off, this one is refused and bucket-owner-full-control is not.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
	switch classify(b.upload(ctx, p, header{acl: types.ObjectCannedACLPrivate, encryption: p.header.encryption})).cause {
	case noACLs:
		p.note(slog.LevelInfo, "Object Ownership has ACLs switched off: s3:PutObjectAcl has no effect there; let the client send no ACL, or bucket-owner-full-control")
	case denied:
		p.note(slog.LevelInfo, "an upload with an ACL is denied, one without is allowed; let the client send no ACL")
	}
}
