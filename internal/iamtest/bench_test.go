package iamtest_test

import (
	"os"
	"testing"

	"cloney-s3-credentials/internal/iamtest"
)

func BenchmarkEvaluate(b *testing.B) {
	text, err := os.ReadFile("../policy/testdata/both-three/policy.json")
	if err != nil {
		b.Fatal(err)
	}
	account := iamtest.Account{Identity: []*iamtest.Policy{iamtest.MustParse(string(text))}, Boundary: iamtest.MustParse(boundary)}
	plain := iamtest.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::data-lake/deep/key"}
	conditional := iamtest.Request{Action: "s3:ListBucket", Resource: "arn:aws:s3:::data", Context: map[string][]string{
		"s3:prefix": {"in*/2026"}, "aws:SourceIp": {"203.0.113.7"}, "aws:CurrentTime": {"2026-11-25T00:00:00Z"},
		"aws:ResourceAccount": {"123456789012"}, "aws:SecureTransport": {"true"},
	}}
	limited := account
	limited.Identity = []*iamtest.Policy{iamtest.MustParse(narrow)}
	b.Run("plain", func(b *testing.B) { judge(b, account, plain) })
	b.Run("conditions", func(b *testing.B) { judge(b, limited, conditional) })
}

func judge(b *testing.B, account iamtest.Account, request iamtest.Request) {
	b.ReportAllocs()
	for b.Loop() {
		if d := iamtest.Evaluate(account, request); d.Outcome != iamtest.Allowed {
			b.Fatal(d)
		}
	}
}

// boundary has the form of the template's.
const boundary = `{"Version":"2012-10-17","Statement":[
	{"Sid":"AtMostTheTwoRoles","Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:GetBucketLocation","s3:GetObject","s3:GetObjectVersion","s3:ListBucket","s3:ListMultipartUploadParts","s3:PutObject","s3:PutObjectAcl"],"Resource":"arn:aws:s3:::*"},
	{"Sid":"NothingElse","Effect":"Deny","NotAction":["s3:AbortMultipartUpload","s3:GetBucketLocation","s3:GetObject","s3:GetObjectVersion","s3:ListBucket","s3:ListMultipartUploadParts","s3:PutObject","s3:PutObjectAcl"],"Resource":"*"}]}`

// narrow has every optional narrowing.
const narrow = `{"Version":"2012-10-17","Statement":[{"Sid":"Bucket","Effect":"Allow","Action":["s3:GetBucketLocation","s3:ListBucket"],"Resource":["arn:aws:s3:::data"],
	"Condition":{"StringLike":{"s3:prefix":["in${*}/","in${*}/*"]},"IpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:db8::/32"]},
	"DateLessThan":{"aws:CurrentTime":"2027-01-01T00:00:00Z"},"StringEquals":{"aws:ResourceAccount":"123456789012"}}}]}`
