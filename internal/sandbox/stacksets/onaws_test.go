//go:build stacksets

package stacksets_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/pages"
)

// organizationOnAWS is an organization in which somebody has followed docs/stacksets.md up
// to "Read all keys". The environment has the page's own variables, and the profiles
// management and hub are the user's.
func organizationOnAWS(t *testing.T) *life {
	t.Helper()
	named := func(variable string) string {
		value := os.Getenv(variable)
		if value == "" {
			t.Fatalf("%s is not set. Set HUB, NEW, ROOT and AWS_DEFAULT_REGION as docs/stacksets.md says.", variable)
		}
		return value
	}
	o := &organization{hub: named("HUB"), joiner: named("NEW"), root: named("ROOT")}
	regions = []string{named("AWS_DEFAULT_REGION")}
	profile := func(name, region string) aws.Config {
		cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile(name), config.WithRegion(region))
		must(t, err)
		return cfg
	}
	o.onAWS = func(t *testing.T, account, region string) aws.Config {
		if account == o.hub {
			return profile("hub", region)
		}
		cfg := profile("management", region)
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), "arn:aws:iam::"+account+":role/OrganizationAccountAccessRole"))
		return cfg
	}
	checkout, err := filepath.Abs(root)
	must(t, err)
	l := &life{organization: o, checkout: checkout}
	env := environmentOf(os.Environ(), copyOfConfig(t), filepath.Join(checkout, ".tools/venv/bin"))
	l.shell = pages.NewShell(t, t.Context(), checkout, append(env, "AWS_PROFILE=hub", "AWS_DEFAULT_REGION="+regions[0], "AWS_PAGER="))
	return l
}

// copyOfConfig copies the user's configuration: the page adds profiles to it.
func copyOfConfig(t *testing.T) string {
	t.Helper()
	file := os.Getenv("AWS_CONFIG_FILE")
	if file == "" {
		home, err := os.UserHomeDir()
		must(t, err)
		file = filepath.Join(home, ".aws/config")
	}
	text, err := os.ReadFile(file)
	must(t, err)
	copied := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(copied, text, 0o600))
	return copied
}

// define gives the shell the page's definitions for its commands. It may run twice.
func (l *life) define(t *testing.T) {
	t.Helper()
	definitions := []string{"sets()", "settled()", "hub()", "READER=", "in_account()", "aws configure set profile.reader"}
	defined := map[string]bool{}
	for _, s := range thePage(t) {
		for _, c := range s.Commands {
			for _, begin := range definitions {
				if strings.HasPrefix(c.Text, begin) {
					l.sh(t, c.Text)
					defined[begin] = true
				}
			}
		}
	}
	if len(defined) != len(definitions) {
		t.Fatalf("of %v the page defines only %v", definitions, defined)
	}
}

// sh runs a command in the shell and returns what it prints.
func (l *life) sh(t *testing.T, text string) string {
	t.Helper()
	output, err := l.shell.Run(text)
	if err != nil {
		t.Fatalf("$ %s: %v", text, err)
	}
	return strings.TrimSpace(output)
}

// await looks until nothing is wrong any more. On AWS a policy, or the effect of a move,
// takes minutes. The sandbox has completed it when it answers: one look decides.
func (l *life) await(t *testing.T, look func() (wrong string)) {
	t.Helper()
	latest := time.Now()
	if l.onAWS != nil {
		latest = latest.Add(30 * time.Minute)
	}
	for wrong := look(); wrong != ""; wrong = look() {
		if !time.Now().Before(latest) {
			t.Fatal(wrong)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(wrong)
		case <-time.After(15 * time.Second):
		}
	}
}
