package confinement_test

import (
	"maps"
	"testing"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// codeBucket is the policy of the bucket with the functions' code.
func codeBucket(t *testing.T, p confinement.Place) ruling {
	t.Helper()
	p = in(p, hub)
	bucket := "cloney-code-" + hub + "-" + p.Region + "-an"
	arn := "arn:" + p.Partition + ":s3:::" + bucket
	deployer := role(p, member, "deployment/Pipeline")
	made := map[string]string{"CodeBucket": bucket, "CodeBucket.Arn": arn}
	held := resolved(t, "code-bucket", "CodeBucketPolicy", p, map[string]string{"OrganizationId": organization, "MoreReaders": deployer.arn}, made)
	r := ruling{"code bucket", p, iamtest.Resource, held["PolicyDocument"].(map[string]any), nil}

	const zip, published = "/cloney-s3-credentials/5f2c.zip", "/cloney-s3-credentials/provider-1.0.0.yaml"
	http := key("aws:SecureTransport", "false")
	add := func(what string, by caller, action, object string, may bool, context ...map[string][]string) {
		asked := row{what: what, by: by, action: "s3:" + action, resource: arn + object, owner: hub, may: may}
		for _, c := range context {
			asked.context = c
		}
		r.rows = append(r.rows, asked)
	}
	execution := role(p, member, "stacksets-exec-0123456789abcdef")
	selfManaged := role(p, member, "AWSCloudFormationStackSetExecutionRole")
	admin := role(p, hub, "Admin")
	for _, by := range []caller{execution, selfManaged, deployer} {
		add("a role that deploys reads the code, "+by.arn, by, "GetObject", zip, true)
		add("the same over plain HTTP", by, "GetObject", zip, false, http)
	}
	add("a role that deploys reads the template", execution, "GetObject", published, true)
	add("a role that deploys reads something else", execution, "GetObject", "/other/5f2c.zip", false)
	add("a role that deploys lists", execution, "ListBucket", "", false)
	for _, action := range []string{"PutObject", "PutObjectAcl", "DeleteObject", "DeleteObjectVersion", "AbortMultipartUpload"} {
		add("a role that deploys writes", execution, action, zip, false)
	}
	add("a role that deploys changes the policy", execution, "PutBucketPolicy", "", false)
	for _, name := range []string{"Application", "app/stacksets-exec-1", "app/AWSCloudFormationStackSetExecutionRole", "deployment/Other"} {
		add("another role of a member, "+name, role(p, member, name), "GetObject", zip, false)
	}
	user := role(p, member, "")
	user.arn = in(p, member).ARN("user/stacksets-exec-1")
	add("a user of that name", user, "GetObject", zip, false)
	add("another organization's role that deploys", role(p, outsider, "stacksets-exec-0123456789abcdef"), "GetObject", zip, false)
	alone := role(p, outsider, "stacksets-exec-0123456789abcdef")
	alone.organization = ""
	add("that of an account without organization", alone, "GetObject", zip, false)

	add("who publishes asks what is there", admin, "GetObject", zip, true)
	add("the same over plain HTTP", admin, "GetObject", zip, false, http)
	add("the bucket over plain HTTP", admin, "ListBucket", "", false, http)
	anew := key("s3:if-none-match", "*")
	for _, object := range []string{zip, published} {
		add("who publishes adds an object", admin, "PutObject", object, true, both(whole, anew))
		add("who publishes writes over one", admin, "PutObject", object, false, whole)
	}
	add("who publishes begins a multipart upload", admin, "PutObject", zip, true, key("s3:ObjectCreationOperation", "false"))
	add("another object of the bucket is written over", admin, "PutObject", "/other/5f2c.zip", true, whole)
	for _, action := range []string{"DeleteObject", "DeleteObjectVersion"} {
		add("who publishes deletes", admin, action, zip, false)
		add("another object of the bucket is deleted", admin, action, "/other/5f2c.zip", true)
	}
	return r
}

// whole is a request that creates an object, and not a part of a multipart upload.
var whole = key("s3:ObjectCreationOperation", "true")

// both joins the context keys of two requests.
func both(a, b map[string][]string) map[string][]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
