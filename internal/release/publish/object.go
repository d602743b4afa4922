package main

import (
	"crypto/sha256"
	"encoding/base64"

	"cloney-s3-credentials/internal/release/published"
)

// object is a file of the release, as every code bucket gets it.
type object struct {
	key, contentType string
	body             []byte
	// differs says what it means if another object has the key, and what to do.
	differs string
}

// checksum is the object's, as S3 writes it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (o object) checksum() string {
	sum := sha256.Sum256(o.body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// objects are the release, the template last.
func objects(r published.Release, zips map[published.Code][]byte, template []byte) (objects []object) {
	zip := func(sum published.Checksum, body []byte) object {
		return object{
			key: sum.Key(), contentType: "application/zip", body: body,
			differs: "its name is the checksum of other content, so somebody else wrote it. Find out who did before you deploy anything from this bucket",
		}
	}
	for _, code := range published.Codes() {
		objects = append(objects, zip(r.Zips[code], zips[code]))
	}
	return append(objects, object{
		key: published.TemplateKey(r.Version), contentType: "application/yaml", body: template,
		differs: "version " + r.Version + " was published with other bytes. Publish under a new version, or publish the commit that it was built from",
	})
}
