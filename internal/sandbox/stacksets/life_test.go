//go:build stacksets

// Package stacksets_test runs docs/stacksets.md, command by command, in a local
// AWS with an organization, and looks into every account between its sections.
// `make test-stacksets` runs it.
package stacksets_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/sandbox"
)

const root = "../../.."

// life is the organization at one moment of the page.
type life struct {
	*organization
	checkout string // a copy, of which the page publishes
	shell    *pages.Shell
	keys     map[string]key
	made     map[string]string
	sent     int               // events to custom resources so far
	printed  map[string]string // by the last command of a section
}

// thePage is docs/stacksets.md.
func thePage(t *testing.T) []pages.Section {
	t.Helper()
	sections, err := pages.Sections(filepath.Join(root, "docs/stacksets.md"))
	must(t, err)
	return sections
}

// This plays the page, from nothing to credentials in all accounts and back to nothing. In
// a real organization (make live-stacksets) it plays only what a local AWS cannot show.
func TestThePage(t *testing.T) {
	if os.Getenv("CLONEY_LIVE_ORGANIZATION") != "" {
		onlyAWSShows(t, organizationOnAWS(t))
		return
	}
	o := newOrganization(t, t.Context())
	l := &life{organization: o, checkout: copyOf(t), printed: map[string]string{}}
	l.shell = pages.NewShell(t, t.Context(), l.checkout, o.environment(t))
	values := map[string]string{
		"ORGANIZATION": "o-a1b2c3d4e5", "HUB": o.hub, "NEW": o.joiner, "ROOT": o.root, "CANARY": o.canaryOU, "WORKLOADS": o.workloads,
		"ARCHITECTURE": sandbox.Arch(), "PERSON": o.person(),
		"PAUSE": "0.2", // nothing waits for it: the page looks again until it is so
	}
	type look = func(t *testing.T, l *life)
	before := map[string]look{
		"Upgrade, and back":             nextRelease,
		"A provider that SAM deployed":  deployBySAM,
		"Remove all":                    wrongOrder,
		"Declared, instead of commands": func(t *testing.T, l *life) { l.sent = l.events(t) },
	}
	after := map[string]look{
		"The code, in each region":      codeElsewhere,
		"The provider, canary first":    func(t *testing.T, l *life) { providersBound(t, l); providersAlone(t, l); oneFails(t, l) },
		"The members' credentials":      credentialsEverywhere,
		"Read all keys":                 func(t *testing.T, l *life) { theHubReads(t, l); onlyAWSShows(t, l); l.remember(t) },
		"An account joins":              theJoinerFails,
		"An instance fails":             theJoinerIsMended,
		"An account leaves":             func(t *testing.T, l *life) { hasLeft(t, l); leavesTheOtherWay(t, l) },
		"Upgrade, and back":             upgraded,
		"And back":                      wentBack,
		"A provider that SAM deployed":  adopted,
		"Remove all":                    nothingLeft,
		"Declared, instead of commands": declaredAndDeleted,
	}
	for _, s := range thePage(t) {
		run := func(look map[string]look, t *testing.T) {
			if do := look[s.Title]; do != nil && !t.Failed() {
				do(t, l)
			}
			delete(look, s.Title)
		}
		if !t.Run(s.Title, func(t *testing.T) {
			run(before, t)
			for _, c := range s.Commands {
				output, err := l.shell.Follow(c, c.With(values))
				must(t, err)
				l.printed[s.Title] = output
			}
			run(after, t)
		}) {
			t.FailNow()
		}
	}
	for title := range before {
		t.Errorf("the page has no section %q any more", title)
	}
	for title := range after {
		t.Errorf("the page has no section %q any more", title)
	}
}

// everywhere returns the members, each with provider and credentials.
func (l *life) everywhere() map[string]holding {
	return map[string]holding{l.canary: both("StackSet-cloney-provider-canary"), l.app: both("StackSet-cloney-provider"), l.deep: both("StackSet-cloney-provider")}
}

// remember records the keys, the resources and the events so far.
func (l *life) remember(t *testing.T) {
	t.Helper()
	l.keys, l.made, l.sent = l.organization.keys(t), l.organization.made(t), l.events(t)
}

func (l *life) events(t *testing.T) int {
	t.Helper()
	requests, err := l.Requests(t.Context())
	must(t, err)
	return len(requests)
}

// unchanged fails if a key has changed, or a resource was replaced, since remember.
func (l *life) unchanged(t *testing.T) {
	t.Helper()
	same(t, "keys", l.keys, l.organization.keys(t))
	same(t, "resources", l.made, l.organization.made(t))
}

// providersBound checks that in all accounts only the hub's role may be named as a reader.
func providersBound(t *testing.T, l *life) {
	reader, err := l.shell.Run("hub ReaderRoleArn")
	must(t, err)
	for _, set := range []string{"cloney-provider-canary", "cloney-provider"} {
		described, err := l.sets(t).DescribeStackSet(t.Context(), &cloudformation.DescribeStackSetInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
		must(t, err)
		if !slices.ContainsFunc(described.StackSet.Parameters, func(p types.Parameter) bool {
			return *p.ParameterKey == "AllowedReaders" && *p.ParameterValue == strings.TrimSpace(reader)
		}) {
			t.Errorf("%s lets others than the hub's role read", set)
		}
	}
	l.allAtOnce(t, "cloney-provider")
}

// allAtOnce fails unless the last operation of a set changed all accounts at once, which
// only this mode does.
func (l *life) allAtOnce(t *testing.T, set string) {
	t.Helper()
	operations, err := l.sets(t).ListStackSetOperations(t.Context(), &cloudformation.ListStackSetOperationsInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
	must(t, err)
	how := operations.Summaries[0].OperationPreferences
	if how == nil || how.ConcurrencyMode != types.ConcurrencyModeSoftFailureTolerance || aws.ToInt32(how.MaxConcurrentPercentage) != 100 {
		t.Errorf("the last operation of %s did not take all accounts at once", set)
	}
}

func providersAlone(t *testing.T, l *life) {
	want := map[string]holding{}
	for account, h := range l.everywhere() {
		h.credentials = nil
		want[account] = h
	}
	l.holds(t, want)
}

func credentialsEverywhere(t *testing.T, l *life) {
	l.comesAfterProviders(t)
	l.allAtOnce(t, "cloney-source")
	l.holds(t, l.everywhere())
	if ids := l.organization.keys(t); len(ids) != 6 {
		t.Errorf("there are keys in %d secrets", len(ids))
	}
}

// comesAfterProviders fails unless the set itself says that it comes after the providers.
// Here it was also created after them, and would come after them in any case.
func (l *life) comesAfterProviders(t *testing.T) {
	t.Helper()
	described := func(set string) *types.StackSet {
		found, err := l.sets(t).DescribeStackSet(t.Context(), &cloudformation.DescribeStackSetInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
		must(t, err)
		return found.StackSet
	}
	after := described("cloney-source").AutoDeployment.DependsOn
	for _, set := range []string{"cloney-provider-canary", "cloney-provider"} {
		if !slices.Contains(after, *described(set).StackSetARN) {
			t.Errorf("cloney-source does not depend on %s", set)
		}
	}
}

// The hub sees each key, and each key reaches only the bucket of its own account.
func theHubReads(t *testing.T, l *life) {
	l.remember(t)
	for where, k := range l.keys {
		account, region, _ := strings.Cut(where, " ")
		found := false
		for line := range strings.Lines(l.printed["Read all keys"]) {
			found = found || slices.Equal(strings.Fields(line), []string{account, region, k.AccessKeyId})
		}
		if !found {
			t.Errorf("the hub did not read the key of %s", where)
		}
	}
	must(t, l.EnforceIAM(t.Context(), true))
	defer func() { must(t, l.EnforceIAM(context.Background(), false)) }()
	for where, k := range l.keys {
		for other := range l.keys {
			account, region, _ := strings.Cut(other, " ")
			client := s3.NewFromConfig(l.ConfigFor(k.AccessKeyId, k.SecretAccessKey), func(o *s3.Options) { o.UsePathStyle = true })
			_, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucketOf("data", account, region))})
			if opens := err == nil; opens != (where == other) {
				t.Errorf("the key of %s lists the bucket of %s: %v", where, other, err)
			}
			if err != nil && errorCode(err) != "AccessDenied" {
				t.Errorf("the key of %s, asked for the bucket of %s: %v", where, other, err)
			}
		}
	}
}

// settled waits for a set's last operation, and compares its final status.
func (l *life) settled(t *testing.T, set, status string) {
	t.Helper()
	if _, err := l.shell.Run("settled " + set); err != nil {
		t.Fatal(err)
	}
	operations, err := l.sets(t).ListStackSetOperations(t.Context(), &cloudformation.ListStackSetOperationsInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
	must(t, err)
	if last := operations.Summaries[0]; string(last.Status) != status {
		_, reasons := l.instances(t, set)
		t.Errorf("the last operation of %s is %s: %v", set, last.Status, reasons)
	}
}

// wrongOrder deletes the canary's providers while credentials need them. That is refused,
// and every key continues to work. A platform team then removes the instances from the set,
// and deletes the stacks by hand after the credentials.
func wrongOrder(t *testing.T, l *life) {
	l.remember(t)
	set := "cloney-provider-canary"
	remove := func(retain bool) {
		_, err := l.sets(t).DeleteStackInstances(t.Context(), &cloudformation.DeleteStackInstancesInput{
			StackSetName: &set, CallAs: types.CallAsDelegatedAdmin, Regions: regions, RetainStacks: &retain,
			DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{l.canaryOU}},
		})
		must(t, err)
	}
	remove(false)
	l.settled(t, set, "FAILED")
	_, reasons := l.instances(t, set)
	if reason := reasons[l.canary+" "+regions[0]]; !strings.Contains(reason, "cannot be deleted as it is in use by") {
		t.Errorf("the reason is %q", reason)
	}
	l.unchanged(t)
	l.holds(t, l.everywhere())
	remove(true)
	l.settled(t, set, "SUCCEEDED")
	l.holds(t, l.everywhere())
}

func nothingLeft(t *testing.T, l *life) {
	l.deleteByHand(t, l.canary, "StackSet-cloney-provider-canary")
	l.holds(t, nil)
}

// declaredAndDeleted checks that all credentials were created, and deleted before their
// providers. Otherwise nobody would have answered a Delete. Then the hub is deleted.
func declaredAndDeleted(t *testing.T, l *life) {
	requests, err := l.Requests(t.Context())
	must(t, err)
	answered := map[string]int{}
	for _, r := range requests[l.sent:] {
		var event struct{ RequestType, ResourceType string }
		must(t, json.Unmarshal(r.Event, &event))
		answered[event.RequestType+" "+event.ResourceType+" "+r.Outcome]++
	}
	want := map[string]int{}
	for _, made := range []string{"Custom::CloneyS3Credentials", guard.Type} {
		want["Create "+made+" SUCCESS"], want["Delete "+made+" SUCCESS"] = 6, 6
	}
	if !maps.Equal(answered, want) {
		t.Errorf("the declared sets sent %v", answered)
	}
	l.holds(t, nil)
	for _, region := range regions {
		for _, stack := range []string{"cloney-hub", "cloney-code"} {
			must(t, sandbox.StacksOf(l.in(t, l.hub, region)).DeleteStack(t.Context(), stack))
		}
	}
	if left := l.inventory(t, l.hub); len(left) > 0 {
		t.Errorf("the hub still has %v", left)
	}
}

// copyOf copies the part of the checkout that `make publish` needs, with its times, so that
// nothing is installed again.
func copyOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	absolute, err := filepath.Abs(root)
	must(t, err)
	arguments := []string{"-a"}
	for _, part := range []string{"functions", "internal", "stacksets", "Makefile", "template.yaml", "samconfig.toml", "go.mod", "go.sum"} {
		arguments = append(arguments, filepath.Join(absolute, part))
	}
	out, err := exec.CommandContext(t.Context(), "cp", append(arguments, dir)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, os.Symlink(filepath.Join(absolute, ".tools"), filepath.Join(dir, ".tools")))
	return dir
}

func decode(t *testing.T, secret string) (k key) {
	t.Helper()
	if err := json.Unmarshal([]byte(secret), &k); err != nil || k.AccessKeyId == "" {
		t.Fatal("a secret is not a key")
	}
	return k
}

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
