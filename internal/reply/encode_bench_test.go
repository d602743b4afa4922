package reply_test

import (
	"testing"

	"cloney-s3-credentials/internal/reply"
)

func BenchmarkEncode(b *testing.B) {
	success := reply.Response{
		Status: reply.Success, PhysicalResourceID: "m-Source-4kqgyhwxv6wn", LogicalResourceID: "Source", Where: where,
		StackID:   "arn:aws:cloudformation:eu-west-1:123456789012:stack/m/51af3dc0-da77-11e4-872e-1234567db123",
		RequestID: "0c8ec1a3-1d8b-4a8a-b5c1-51f8c3a40cf5",
		Data: map[string]string{
			"UserName": "m-Source-4kqgyhwxv6wn", "UserArn": "arn:aws:iam::123456789012:user/cloney/eu-west-1/m-Source-4kqgyhwxv6wn",
			"SecretName": "cloney/m-Source-4kqgyhwxv6wn", "SecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cloney/m-Source-4kqgyhwxv6wn-AbCdEf",
			"AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
		},
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = success.Encode()
	}
}
