package resource_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"cloney-s3-credentials/internal/accesstest"
	"cloney-s3-credentials/internal/provision"
	"cloney-s3-credentials/internal/reply"
	"cloney-s3-credentials/internal/resource"
)

// answered encodes what it is to send.
type answered struct{ reply.Response }

func (a *answered) Send(_ context.Context, _ reply.Address, response reply.Response) error {
	a.Response = response
	_ = response.Encode()
	return nil
}

// named are the names of so many buckets.
func named(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("bucket-%013d", i)
	}
	return names
}

// BenchmarkHandle is a Create without what the provisioner does: decode, log, answer.
func BenchmarkHandle(b *testing.B) {
	for _, n := range []int{1, 10, 300} {
		raw := event(b, "Create", map[string]any{"ResourceProperties": properties(map[string]any{"Buckets": named(n)})})
		b.Run(fmt.Sprintf("buckets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var a answered
				handler := resource.Handler{Provisioner: &world{}, Sender: &a, Log: slog.New(slog.DiscardHandler), LogStream: logStream}
				if err := handler.Handle(b.Context(), raw); err != nil || a.Status != reply.Success {
					b.Fatal(err, a)
				}
			}
		})
	}
}

// BenchmarkCreate is a whole Create without Verify, in an account in memory: an upper
// bound of our own time, for the account checks each call by AWS's rules, and that
// counts too.
func BenchmarkCreate(b *testing.B) {
	for _, n := range []int{1, 10, 300} {
		raw := event(b, "Create", map[string]any{"ResourceProperties": properties(map[string]any{"Buckets": named(n), "Verify": "False"})})
		b.Run(fmt.Sprintf("buckets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				account, log := accesstest.New(b, named(n)...), slog.New(slog.DiscardHandler)
				var a answered
				handler := resource.Handler{
					Provisioner: &provision.Provisioner{
						Users: account, Keys: account, Policies: account, Attachments: account, Secrets: account,
						Keeping: account, Versions: account, Readers: account, Rotations: account, Prober: account, Log: log,
					},
					Sender: &a, Log: log, LogStream: logStream,
				}
				b.StartTimer()
				if err := handler.Handle(b.Context(), raw); err != nil || a.Status != reply.Success {
					b.Fatal(err, a)
				}
			}
		})
	}
}
