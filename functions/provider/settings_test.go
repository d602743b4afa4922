package main

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
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
	got := slices.Concat(handler.AllowedBuckets, handler.AllowedReaders, handler.Home.Accounts, handler.ResponseHosts)
	want := []string{"set-by-ALLOWED_BUCKETS", "set-by-ALLOWED_READERS", "set-by-STACK_ACCOUNTS", "set-by-RESPONSE_HOSTS"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
