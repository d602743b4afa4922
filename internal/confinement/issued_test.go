package confinement_test

import (
	"maps"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/confinement"
	"cloney-s3-credentials/internal/iamtest"
)

// withIssuedKey are attacks with an issued key after its user's policy was edited to allow
// everything.
func withIssuedKey(s setup) []attack {
	s3 := func(resource string) string { return "arn:" + s.Partition + ":s3:::" + resource }
	bucketOf := confinement.Bucket(s.Place)
	plain, session := merged(bucketOf, key("aws:SecureTransport", "false")), merged(bucketOf, key("aws:TokenIssueTime", "2026-11-27T00:00:00Z"))
	uses := []string{"kms:Decrypt", "kms:GenerateDataKey"}
	give := func(action, resource string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + s.ours() + `"},"Action":"` + action + `","Resource":"` + resource + `"}]}`
	}
	all := []attack{
		{what: "Delete objects or buckets", outright: true, requests: append(each(s3("data-in/key"), bucketOf, "s3:DeleteObject", "s3:DeleteObjectVersion"), each(s3("data-in"), bucketOf, "s3:DeleteBucket")...)},
		{what: "Delete objects where a bucket policy names the user", resource: give("s3:*", s3("data-in/*")), outright: true, requests: each(s3("data-in/key"), bucketOf, "s3:DeleteObject")},
		{what: "Change a bucket's policy, ACL, encryption or replication", outright: true, requests: each(s3("data-in"), bucketOf, "s3:PutBucketPolicy", "s3:PutBucketAcl", "s3:PutEncryptionConfiguration", "s3:PutReplicationConfiguration")},
		{what: "List buckets, or versions of objects", outright: true, requests: []iamtest.Request{request("s3:ListAllMyBuckets", "*", key("aws:SourceIp", confinement.Address)), request("s3:ListBucketVersions", s3("data-in"), bucketOf)}},
		{what: "Anything in IAM, also on itself", outright: true, requests: append(each(s.ours(), nil, "iam:CreateAccessKey", "iam:DeleteUserPermissionsBoundary", "iam:PutUserPolicy", "iam:GetUser"), each(s.policy(), nil, "iam:CreatePolicyVersion")...)},
		{what: "Assume a role whose trust policy names the user", outright: true, requests: each(s.ARN("role/admin"), nil, "sts:AssumeRole")},
		{what: "Read a secret, also its own, where the secret's policy names the user", outright: true, requests: each(secretARN(s.Place, secret), nil, "secretsmanager:GetSecretValue")},
		{what: "Invoke functions, send messages, start machines", outright: true, requests: []iamtest.Request{
			request("lambda:InvokeFunction", s.RegionalARN("lambda", "function:cloney-s3-credentials")),
			request("sqs:SendMessage", s.RegionalARN("sqs", "queue")), request("ec2:RunInstances", s.RegionalARN("ec2", "instance/*"))}},
		{what: "S3 over plain HTTP", outright: true, requests: append(each(s3("data-in/key"), plain, "s3:GetObject", "s3:PutObject"), each(s3("data-in"), plain, "s3:ListBucket")...)},
		{what: "Use a KMS key directly, or through another service than S3, where the key's policy names the user", outright: true, requests: append(
			each(s.KeyARN(), nil, uses...), each(s.KeyARN(), confinement.ViaService("secretsmanager", s.Place), uses...)...)},
		{what: "Any other use of a KMS key", outright: true, requests: each(s.KeyARN(), confinement.ViaService("s3", s.Place), "kms:Encrypt", "kms:CreateGrant", "kms:ReEncryptFrom")},
		{what: "Read or write through an access point, where its policy names the user", outright: true, requests: each(s.RegionalARN("s3", "accesspoint/data/object/key"), bucketOf, "s3:GetObject", "s3:PutObject")},
		{what: "Read through an access point of several regions", outright: true, oursAlone: true, requests: each("arn:"+s.Partition+":s3::"+s.Account+":accesspoint/data.mrap/object/key", bucketOf, "s3:GetObject")},
		{what: "Anything in S3 by a session made from the key, which would outlive it", outright: true, requests: append(
			each(s3("data-in/key"), session, "s3:GetObject", "s3:PutObject", "s3:PutObjectAcl"), each(s3("data-in"), session, "s3:ListBucket", "s3:GetBucketLocation")...)},
		{what: "Encrypt objects by a key that only the attacker has (SSE-C)", outright: true, requests: each(s3("data-in/key"), merged(bucketOf, key("s3:x-amz-server-side-encryption-customer-algorithm", "AES256")), "s3:PutObject")},
	}
	if s.ownBoundary {
		return nil // that one says what a key can do
	}
	add := func(is bool, more ...attack) {
		if is {
			all = append(all, more...)
		}
	}
	var closed []iamtest.Request
	for _, pattern := range closedByDefault() {
		name := strings.Replace(pattern, "*", "data", 1)
		closed = slices.Concat(closed, each(s3(name), bucketOf, "s3:ListBucket", "s3:GetBucketLocation"), each(s3(name+"/key"), bucketOf, "s3:GetObject", "s3:PutObject"))
	}
	add(!s.open, attack{what: "Reach a bucket that deployments read their code from (`ClosedBuckets`), also where `AllowedBuckets` is `*`", outright: true, requests: closed})
	add(s.named,
		attack{what: "Reach a bucket outside of AllowedBuckets", outright: true, requests: append(append(
			each(s3("other"), bucketOf, "s3:ListBucket", "s3:GetBucketLocation"), each(s3("other/key"), bucketOf, "s3:GetObject", "s3:PutObject")...),
			each(s3("archive-2/key"), bucketOf, "s3:GetObject", "s3:PutObject")...)},
		attack{what: "Reach such a bucket where its policy names the user", resource: give("s3:GetObject", s3("other/*")), outright: true, requests: each(s3("other/data-in/key"), bucketOf, "s3:GetObject")},
	)
	foreignKey := func(whose string, value ...string) []iamtest.Request {
		return each(s.KeyARN(), merged(confinement.ViaService("s3", s.Place), key(whose, value...)), uses...)
	}
	add(s.accounts, attack{what: "Encrypt objects by a KMS key of an account that is not in `BucketAccounts`", outright: true, requests: foreignKey("aws:ResourceAccount", "999999999999")})
	add(s.organization, attack{what: "Encrypt objects by a KMS key outside of `BucketOrganizationId`", outright: true, requests: foreignKey("aws:ResourceOrgID", "o-z9y8x7w6v5")})
	add(s.accounts, attack{what: "Reach a bucket of an account that is not in `BucketAccounts`, or of no account that is known", outright: true, requests: append(
		each(s3("data-in/key"), merged(bucketOf, key("aws:ResourceAccount", "999999999999")), "s3:GetObject", "s3:PutObject"),
		each(s3("data-in/key"), without(bucketOf, "aws:ResourceAccount"), "s3:PutObject")...)})
	add(s.organization, attack{what: "Reach a bucket outside of `BucketOrganizationId`, or of no organization", outright: true, requests: append(
		each(s3("data-in/key"), merged(bucketOf, key("aws:ResourceOrgID", "o-z9y8x7w6v5")), "s3:GetObject", "s3:PutObject"),
		each(s3("data-in/key"), without(bucketOf, "aws:ResourceOrgID"), "s3:PutObject")...)})
	add(s.addresses, attack{what: "Use the key from outside of `SourceCidrs`, or through a VPC endpoint", outright: true, requests: append(
		each(s3("data-in/key"), merged(bucketOf, key("aws:SourceIp", "198.51.100.1")), "s3:GetObject", "s3:PutObject"),
		each(s3("data-in"), without(bucketOf, "aws:SourceIp"), "s3:ListBucket")...)})
	for i := range all {
		all[i].by = issued
	}
	return all
}

// closedByDefault are the patterns of ClosedBuckets.
func closedByDefault() []string {
	template, err := template()
	if err != nil {
		panic(err)
	}
	return strings.Split(template.Parameters["ClosedBuckets"].Default.(string), ",")
}

// without returns the context without a key.
func without(context map[string][]string, name string) map[string][]string {
	context = maps.Clone(context)
	delete(context, name)
	return context
}
