package main

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/metric"
	"cloney-s3-credentials/internal/provision"
)

// What the owner of the provider's stack allows arrives where it is asked: a
// variable of another name than template.yaml's would allow anything.
func TestTheTemplatesSettingsArrive(t *testing.T) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range regexp.MustCompile(`(?m)^          ([A-Z_]+): `).FindAllSubmatch(template, -1) {
		if variable := string(setting[1]); variable != "AWS_ENDPOINT_URL" {
			t.Setenv(variable, "set-by-"+variable)
		}
	}
	handler := assemble(aws.Config{Region: "eu-west-1"}, slog.New(slog.DiscardHandler))
	provisioner := handler.Provisioner.(*provision.Provisioner)
	got := slices.Concat(handler.AllowedBuckets, handler.AllowedReaders, handler.Home.Accounts, handler.ResponseHosts, []string{provisioner.Role})
	want := []string{"set-by-ALLOWED_BUCKETS", "set-by-ALLOWED_READERS", "set-by-STACK_ACCOUNTS", "set-by-RESPONSE_HOSTS", "set-by-PROVIDER_ROLE_ARN"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !handler.Rotates {
		t.Error("ROTATION_FUNCTION_ARN does not arrive")
	}
}

// What is logged at level WARN is counted, whichever part of the provider says it.
func TestWarningsAreCounted(t *testing.T) {
	handler := assemble(aws.Config{Region: "eu-west-1"}, slog.New(slog.DiscardHandler))
	ctx, tally := metric.Start(t.Context())
	handler.Log.WarnContext(ctx, "x")
	handler.Provisioner.(*provision.Provisioner).Log.WarnContext(ctx, "x")
	if got := tally.Counts().Warnings; got != 2 {
		t.Errorf("%d of 2 warnings", got)
	}
}
