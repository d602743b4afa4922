//go:build stacksets

package stacksets_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cloney-s3-credentials/internal/sandbox"
)

// organization is a local AWS with an organization. The root has the management account,
// the hub and an account that will join. The OU canary has one account. The OU workloads
// has one, and one more in an OU below it.
type organization struct {
	*sandbox.Sandbox
	hub, canary, app, deep, joiner string // accounts
	root, canaryOU, workloads      string
	// onAWS returns the configuration for an account of a real organization; nil in the
	// sandbox.
	onAWS func(t *testing.T, account, region string) aws.Config
}

// regions are the members' regions. The sets are in the first one.
var regions = []string{"eu-west-1", "us-east-1"}

// secretName is the name that credentials.yaml gives everywhere.
const secretName = "cloney/migration/source"

func newOrganization(t *testing.T, ctx context.Context) *organization {
	t.Helper()
	s, err := sandbox.Start(ctx, sandbox.Options{Root: root, OwnFunctions: true})
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, s.LoadCLI(ctx))
	o := &organization{Sandbox: s}
	ask := func(arguments ...string) string {
		out, err := s.AWS(ctx, append([]string{"organizations", "--output", "text"}, arguments...)...)
		must(t, err)
		return strings.TrimSpace(out)
	}
	ask("create-organization")
	o.root = ask("list-roots", "--query", "Roots[0].Id")
	under := func(parent, name string) string {
		return ask("create-organizational-unit", "--parent-id", parent, "--name", name, "--query", "OrganizationalUnit.Id")
	}
	o.canaryOU, o.workloads = under(o.root, "canary"), under(o.root, "workloads")
	below := under(o.workloads, "below")
	for _, member := range []struct {
		id   *string
		name string
		ou   string
	}{{&o.hub, "hub", ""}, {&o.canary, "canary", o.canaryOU}, {&o.app, "app", o.workloads}, {&o.deep, "deep", below}, {&o.joiner, "joiner", ""}} {
		*member.id = ask("create-account", "--account-name", member.name, "--email", member.name+"@example.com", "--query", "CreateAccountStatus.AccountId")
		if member.ou != "" {
			ask("move-account", "--account-id", *member.id, "--source-parent-id", o.root, "--destination-parent-id", member.ou)
		}
	}
	// The joiner has no bucket yet.
	for _, account := range []string{o.canary, o.app, o.deep} {
		for _, region := range regions {
			o.makeBucket(t, ctx, account, region, "data")
		}
	}
	return o
}

// members are the accounts of the sets, without the joiner.
func (o *organization) members() []string { return []string{o.canary, o.app, o.deep} }

// all are all accounts.
func (o *organization) all() []string {
	return []string{sandbox.Account, o.hub, o.canary, o.app, o.deep, o.joiner}
}

// in returns the configuration of an administrator of an account, in a region.
func (o *organization) in(t *testing.T, account, region string) aws.Config {
	t.Helper()
	if o.onAWS != nil {
		return o.onAWS(t, account, region)
	}
	cfg, err := o.ConfigIn(t.Context(), account, region)
	must(t, err)
	return cfg
}

// person is the role of the person who pastes the keys into Cloney.
func (o *organization) person() string { return "arn:aws:iam::" + o.hub + ":role/MigrationTeam" }

// log returns the log of the function of an account and region.
func (o *organization) log(t *testing.T, account, region string) string {
	t.Helper()
	text, err := o.FunctionLog(account, region)
	must(t, err)
	return text
}

func bucketOf(prefix, account, region string) string { return prefix + "-" + account + "-" + region }

func (o *organization) s3(t *testing.T, account, region string) *s3.Client {
	return o.s3As(o.in(t, account, region))
}

func (o *organization) s3As(who aws.Config) *s3.Client {
	return s3.NewFromConfig(who, func(options *s3.Options) { options.UsePathStyle = o.onAWS == nil })
}

func (o *organization) makeBucket(t *testing.T, ctx context.Context, account, region, prefix string) {
	t.Helper()
	must(t, sandbox.MakeBucket(ctx, o.s3(t, account, region), bucketOf(prefix, account, region)))
}

// environment is that of a reader, with the profiles of the page.
func (o *organization) environment(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	var text strings.Builder
	person := o.in(t, o.hub, regions[0])
	person.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(person), o.person())
	for name, config := range map[string]aws.Config{"management": o.in(t, sandbox.Account, regions[0]), "hub": o.in(t, o.hub, regions[0]), "person": person} {
		credentials, err := config.Credentials.Retrieve(t.Context())
		must(t, err)
		fmt.Fprintf(&text, "[profile %s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, credentials.AccessKeyID, credentials.SecretAccessKey)
		if credentials.SessionToken != "" {
			fmt.Fprintf(&text, "aws_session_token = %s\n", credentials.SessionToken)
		}
	}
	must(t, os.WriteFile(file, []byte(text.String()), 0o600))
	return environmentOf(o.Env(), file, filepath.Dir(o.CLI()))
}

// environmentOf returns an environment in which the AWS CLI of a directory gets its
// identity only from the profiles of a file.
func environmentOf(former []string, file, cli string) (env []string) {
	for _, variable := range former {
		key, _, _ := strings.Cut(variable, "=")
		switch key {
		case "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "PATH":
		default:
			env = append(env, variable)
		}
	}
	return append(env, "AWS_CONFIG_FILE="+file, "PATH="+cli+":"+os.Getenv("PATH"))
}

// holding is what an account has of ours: the regions with a provider, the name of the
// provider's stack, and the regions with credentials of the set cloney-source.
type holding struct {
	provider    string
	providerIn  []string
	credentials []string
}

// both is a provider and credentials in all regions.
func both(set string) holding { return holding{set, regions, regions} }

// entries are the holding as an inventory shows it.
func (h holding) entries() (entries []string) {
	for _, region := range h.providerIn {
		entries = append(entries, region+" stack "+h.provider, "policy /cloney-boundary/", "role /cloney-provider/", "role /cloney-provider/")
	}
	for _, region := range h.credentials {
		path := "/cloney/" + region + "/"
		entries = append(entries, region+" stack StackSet-cloney-source", region+" secret "+secretName, "user "+path, "policy "+path, "active key of a user "+path)
	}
	slices.Sort(entries)
	return entries
}

// inventory lists what an account has from stacks and the provider, without generated ids.
func (o *organization) inventory(t *testing.T, account string) (entries []string) {
	t.Helper()
	ctx := t.Context()
	outputs := map[string]bool{}
	for _, region := range regions {
		for _, stack := range o.stacks(t, account, region) {
			entries = append(entries, region+" stack "+setOf(aws.ToString(stack.StackName)))
			for _, output := range stack.Outputs {
				outputs[aws.ToString(output.OutputValue)] = true
			}
		}
		secrets, err := secretsmanager.NewFromConfig(o.in(t, account, region)).ListSecrets(ctx, &secretsmanager.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)})
		must(t, err)
		for _, secret := range secrets.SecretList {
			entries = append(entries, region+" secret "+aws.ToString(secret.Name))
		}
	}
	client := iam.NewFromConfig(o.in(t, account, regions[0]))
	users, err := client.ListUsers(ctx, &iam.ListUsersInput{PathPrefix: aws.String("/cloney")})
	must(t, err)
	for _, user := range users.Users {
		entries = append(entries, "user "+aws.ToString(user.Path))
		keys, err := client.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: user.UserName})
		must(t, err)
		for _, key := range keys.AccessKeyMetadata {
			entries = append(entries, strings.ToLower(string(key.Status))+" key of a user "+aws.ToString(user.Path))
		}
	}
	policies, err := client.ListPolicies(ctx, &iam.ListPoliciesInput{Scope: iamtypes.PolicyScopeTypeLocal, PathPrefix: aws.String("/cloney")})
	must(t, err)
	for _, policy := range policies.Policies {
		// A deleted provider leaves its UserBoundary, and nothing else.
		if arn := aws.ToString(policy.Arn); aws.ToString(policy.Path) == "/cloney-boundary/" && !outputs[arn] {
			continue
		}
		entries = append(entries, "policy "+aws.ToString(policy.Path))
	}
	roles, err := client.ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/cloney")})
	must(t, err)
	for _, role := range roles.Roles {
		entries = append(entries, "role "+aws.ToString(role.Path))
	}
	slices.Sort(entries)
	return entries
}

// holds compares the inventories of all accounts with the expected ones. An account that is
// not named must hold nothing.
func (o *organization) holds(t *testing.T, want map[string]holding) {
	t.Helper()
	for _, account := range o.all() {
		got := o.inventory(t, account)
		if account == o.hub {
			got = slices.DeleteFunc(got, func(entry string) bool { return strings.Contains(entry, " stack cloney-") })
		}
		if expected := want[account].entries(); !slices.Equal(got, expected) {
			t.Errorf("account %s holds\n  %s\nnot\n  %s", account, strings.Join(got, "\n  "), strings.Join(expected, "\n  "))
		}
	}
}

// stacks returns an account's stacks in a region.
func (o *organization) stacks(t *testing.T, account, region string) []types.Stack {
	t.Helper()
	found, err := cloudformation.NewFromConfig(o.in(t, account, region)).DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
	must(t, err)
	return found.Stacks
}

// setOf returns a stack's name without the id that StackSets adds.
func setOf(stack string) string {
	if strings.HasPrefix(stack, "StackSet-") && len(stack) > 37 {
		return stack[:len(stack)-37]
	}
	return stack
}

// made returns the physical ids of everything that the members' stacks have created, by
// account, region and logical id.
func (o *organization) made(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, account := range append(o.members(), o.joiner) {
		for _, region := range regions {
			for _, stack := range o.stacks(t, account, region) {
				found, err := cloudformation.NewFromConfig(o.in(t, account, region)).DescribeStackResources(t.Context(), &cloudformation.DescribeStackResourcesInput{StackName: stack.StackId})
				must(t, err)
				for _, resource := range found.StackResources {
					ids[strings.Join([]string{account, region, setOf(aws.ToString(stack.StackName)), aws.ToString(resource.LogicalResourceId)}, " ")] = aws.ToString(resource.PhysicalResourceId)
				}
			}
		}
	}
	return ids
}

// key is an access key as its secret holds it.
type key struct{ AccessKeyId, SecretAccessKey string }

// keys returns the keys in the members' secrets, by account and region.
func (o *organization) keys(t *testing.T) map[string]key {
	t.Helper()
	keys := map[string]key{}
	for _, account := range append(o.members(), o.joiner) {
		for _, region := range regions {
			client := secretsmanager.NewFromConfig(o.in(t, account, region))
			listed, err := client.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
			must(t, err)
			for _, secret := range listed.SecretList {
				value, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: secret.ARN})
				must(t, err)
				keys[account+" "+region] = decode(t, aws.ToString(value.SecretString))
			}
		}
	}
	return keys
}

// same fails if something has changed. It names what has changed, without a value.
func same[V comparable](t *testing.T, what string, before, after map[string]V) {
	t.Helper()
	if len(before) == 0 {
		t.Errorf("there are no %s to compare", what)
	}
	for name := range maps.Keys(before) {
		if before[name] != after[name] {
			t.Errorf("%s: %s has changed", what, name)
		}
	}
}

// sets returns a client for StackSets, as the hub uses it.
func (o *organization) sets(t *testing.T) *cloudformation.Client {
	return cloudformation.NewFromConfig(o.in(t, o.hub, regions[0]))
}

// instances returns a set's instances, as "ACCOUNT REGION" → "STATUS DETAILED", and the
// reasons.
func (o *organization) instances(t *testing.T, set string) (states, reasons map[string]string) {
	t.Helper()
	states, reasons = map[string]string{}, map[string]string{}
	pages := cloudformation.NewListStackInstancesPaginator(o.sets(t), &cloudformation.ListStackInstancesInput{StackSetName: &set, CallAs: types.CallAsDelegatedAdmin})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, i := range page.Summaries {
			where := aws.ToString(i.Account) + " " + aws.ToString(i.Region)
			states[where] = fmt.Sprintf("%s %s", i.Status, i.StackInstanceStatus.DetailedStatus)
			reasons[where] = aws.ToString(i.StatusReason)
		}
	}
	return states, reasons
}
