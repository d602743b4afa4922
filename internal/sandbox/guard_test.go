package sandbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"cloney-s3-credentials/internal/sandbox"
)

// guarded is the provider with everything that an organization may ask for: it puts
// users under the organization's boundary, and back under it. Then its removal: it
// stays as long as users of it exist, works meanwhile, and says how to go on.
func guarded(o *organization) {
	account := o.members(o.unit(o.root), 1)[0]
	config := o.config(account, there)
	stacks, identities := sandbox.StacksOf(config), iam.NewFromConfig(config)
	everyone := aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	org, err := identities.CreatePolicy(ctxOf(o.T), &iam.CreatePolicyInput{PolicyName: aws.String("org"), PolicyDocument: everyone})
	must(o.T, err)
	boundary := aws.ToString(org.Policy.Arn)
	must(o.T, o.s.DeployProviderIn(ctxOf(o.T), account, there,
		"UserPermissionsBoundary="+boundary, "RolePermissionsBoundary="+boundary, "SubnetIds=subnet-0a1b2c3d,subnet-1a1b2c3d",
		"SecurityGroupIds=sg-0a1b2c3d", "LogKmsKeyArn=arn:aws:kms:"+there+":"+account+":key/1234abcd-12ab-34cd-56ef-1234567890ab",
		"SourceCidrs=203.0.113.0/24,2001:db8:1::/48", "BucketAccounts="+account, "BucketOrganizationId=o-a1b2c3d4e5", "SecretKmsKeys=arn:aws:kms:*:444455556666:key/*",
		"UnboundEvents=Refuse", "Invocation=CloudFormationOnly", "RoleUse=OwnFunctionOnly"))
	o.rolesAreBounded(account, boundary)

	use := func(stack, policy, more string) {
		o.Helper()
		file := filepath.Join(o.TempDir(), "stack.yaml")
		template := fmt.Sprintf("Resources:\n  Creds:\n    Type: Custom::CloneyS3Credentials\n    DeletionPolicy: %s\n    Properties: {ServiceToken: 'arn:aws:lambda:%s:%s:function:cloney-s3-credentials', ServiceTimeout: 60, Access: Source, Buckets: any, Verify: false, UserName: %s%s}\n", policy, there, account, stack, more)
		must(o.T, os.WriteFile(file, []byte(template), 0o600))
		must(o.T, stacks.Deploy(ctxOf(o.T), stack, file))
	}
	bound := func(user string) {
		o.Helper()
		found, err := identities.GetUser(ctxOf(o.T), &iam.GetUserInput{UserName: &user})
		must(o.T, err)
		if is := found.User.PermissionsBoundary; is == nil || aws.ToString(is.PermissionsBoundaryArn) != boundary {
			o.Errorf("the user's boundary is %+v", is)
		}
	}
	refused := func(user string) {
		o.Helper()
		err := stacks.DeleteStack(ctxOf(o.T), sandbox.ProviderStack)
		if err == nil {
			o.Fatal("the provider is gone, and its user is not")
		}
		for _, says := range []string{"users of this provider exist (1): " + user + " (Creds of stack " + user + ")", "delete-stack --stack-name cloney-s3-credentials --retain-resources ProviderGuard"} {
			if !strings.Contains(err.Error(), says) {
				o.Errorf("%q is not in %v", says, err)
			}
		}
	}

	use("goes", "Delete", "")
	bound("goes")
	_, err = identities.DeleteUserPermissionsBoundary(ctxOf(o.T), &iam.DeleteUserPermissionsBoundaryInput{UserName: aws.String("goes")})
	must(o.T, err)
	use("goes", "Delete", ", Serial: 2")
	bound("goes")
	refused("goes")
	// What the guard needs stands, so that the stack in the way can go.
	must(o.T, stacks.DeleteStack(ctxOf(o.T), "goes"))
	use("stays", "Retain", "")
	must(o.T, stacks.DeleteStack(ctxOf(o.T), "stays"))
	refused("stays")
	use("waits", "Delete", "")
	use("ends", "Delete", "")
	_, err = o.as(account, there).DeleteStack(ctxOf(o.T), &cloudformation.DeleteStackInput{StackName: aws.String(sandbox.ProviderStack), RetainResources: []string{"ProviderGuard"}})
	must(o.T, err)
	if left := o.stacks(account, there); len(left) != 2 {
		o.Errorf("left: %v", left)
	}
	// The users of UserBoundary, if there were any, keep their limits.
	kept, err := identities.ListPolicies(ctxOf(o.T), &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal, PathPrefix: aws.String("/cloney-boundary/")})
	if must(o.T, err); len(kept.Policies) != 1 {
		o.Errorf("%d boundaries are left", len(kept.Policies))
	}
	o.providerDeletedFirst(account, stacks, identities, "ends", "waits")
	o.withoutUsers(account)
}

// providerDeletedFirst tries the two ways out that docs/operations.md names, when no
// function answers the stacks: one stack ends and its user is retained, the other one
// waits until the provider is deployed again.
func (o *organization) providerDeletedFirst(account string, stacks sandbox.Stacks, identities *iam.Client, ends, waits string) {
	o.Helper()
	for _, stack := range []string{ends, waits} {
		if err := stacks.DeleteStack(ctxOf(o.T), stack); err == nil {
			o.Fatalf("stack %s was deleted, and no provider took its user", stack)
		}
	}
	_, err := o.as(account, there).DeleteStack(ctxOf(o.T), &cloudformation.DeleteStackInput{StackName: &ends, RetainResources: []string{"Creds"}})
	must(o.T, err)
	must(o.T, o.s.DeployProviderIn(ctxOf(o.T), account, there))
	must(o.T, stacks.DeleteStack(ctxOf(o.T), waits))
	if left := o.stacks(account, there); len(left) != 1 {
		o.Errorf("left next to the provider: %v", left)
	}
	for user, exists := range map[string]bool{ends: true, waits: false} {
		if _, err := identities.GetUser(ctxOf(o.T), &iam.GetUserInput{UserName: &user}); (err == nil) != exists {
			o.Errorf("user %s exists: %t", user, !exists)
		}
	}
}

// withoutUsers: a provider that nobody uses any more goes without a word.
func (o *organization) withoutUsers(account string) {
	o.Helper()
	config := o.config(account, "eu-central-1")
	must(o.T, o.s.DeployProviderIn(ctxOf(o.T), account, config.Region))
	must(o.T, sandbox.StacksOf(config).DeleteStack(ctxOf(o.T), sandbox.ProviderStack))
}

// rolesAreBounded looks at the boundaries of the functions' roles.
func (o *organization) rolesAreBounded(account, boundary string) {
	o.Helper()
	client := iam.NewFromConfig(o.config(account, there))
	roles, err := client.ListRoles(ctxOf(o.T), &iam.ListRolesInput{PathPrefix: aws.String("/cloney-provider/")})
	if must(o.T, err); len(roles.Roles) != 2 {
		o.Fatalf("%d roles", len(roles.Roles))
	}
	for _, listed := range roles.Roles {
		role, err := client.GetRole(ctxOf(o.T), &iam.GetRoleInput{RoleName: listed.RoleName})
		must(o.T, err)
		if bound := role.Role.PermissionsBoundary; bound == nil || aws.ToString(bound.PermissionsBoundaryArn) != boundary {
			o.Errorf("the boundary of %s is %+v", aws.ToString(listed.RoleName), bound)
		}
	}
}
