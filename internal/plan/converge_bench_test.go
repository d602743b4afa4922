package plan_test

import (
	"fmt"
	"testing"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/plan"
)

// BenchmarkConverge is the plan of a Create, the texts of its policies included.
func BenchmarkConverge(b *testing.B) {
	for _, n := range []int{1, 10, 300} {
		want := create(func(d *plan.Desired) {
			d.Spec.Scope.Places = nil
			for i := range n {
				d.Spec.Scope.Places = append(d.Spec.Scope.Places, access.Place(fmt.Sprintf("bucket-%013d", i)))
			}
		})
		b.Run(fmt.Sprintf("buckets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plan.Converge(want, plan.Observed{}, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
