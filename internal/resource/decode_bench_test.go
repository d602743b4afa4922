package resource

import (
	"encoding/json"
	"fmt"
	"testing"

	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/spec"
)

// BenchmarkDecode is from the event as it comes to what the stack declares.
func BenchmarkDecode(b *testing.B) {
	const stackID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/migration/51af3dc0-da77-11e4-872e-1234567db123"
	stack, err := name.ParseStackID(stackID)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 10, 300} {
		buckets := make([]string, n)
		for i := range buckets {
			buckets[i] = fmt.Sprintf("bucket-%013d", i)
		}
		raw, err := json.Marshal(map[string]any{
			"RequestType": "Create", "RequestId": "1", "ResponseURL": "https://example.com/", "StackId": stackID,
			"ResourceType": "Custom::CloneyS3Credentials", "LogicalResourceId": "Source",
			"ResourceProperties": map[string]any{"ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:f", "ServiceTimeout": "330", "Access": "Source", "Buckets": buckets},
		})
		if err != nil {
			b.Fatal(err)
		}
		rules := spec.Rules{Owner: name.Owner{Stack: stack, Logical: "Source"}, Account: "123456789012"}
		b.Run(fmt.Sprintf("buckets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e, err := decode(raw)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := spec.Parse(e.ResourceProperties, rules); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
