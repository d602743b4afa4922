package policy_test

import (
	"fmt"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/name"
	"cloney-s3-credentials/internal/policy"
)

func BenchmarkDocuments(b *testing.B) {
	for _, n := range []int{1, 10, 300} {
		scope := access.Scope{Source: true, Places: ofLength(n, 20)}
		b.Run(fmt.Sprintf("buckets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := policy.Documents(name.MaxPolicies, scope, "aws", nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
