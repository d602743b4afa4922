package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"cloney-s3-credentials/internal/sandbox"
)

// itsPolicy is a stack that keeps direct invocations away, while it is asked to.
const itsPolicy = `
Parameters: {Asked: {Type: String}}
Conditions: {IsAsked: !Equals [!Ref Asked, "yes"]}
Resources:
  Invocation:
    Type: AWS::Lambda::ResourcePolicy
    Condition: IsAsked
    Properties:
      ResourceArn: %[1]s
      PolicyDocument:
        Statement: [{Effect: Deny, Principal: "*", Action: "lambda:InvokeFunction", Resource: %[1]s, Condition: {%[2]s: {"aws:CalledViaLast": cloudformation.amazonaws.com}}}]
  None: {Type: AWS::SSM::Parameter, Properties: {Name: /none, Type: String, Value: none}}
`

// A function is invoked by whoever has the right to, and while its own policy keeps to
// CloudFormation, by nobody else.
func TestWhoMayInvoke(t *testing.T) {
	own(t)
	s, ctx := account(t), ctxOf(t)
	arn := "arn:aws:lambda:" + sandbox.Region + ":" + sandbox.Account + ":function:" + sandbox.ProviderStack
	put := func(stack, operator, asked string) error {
		file := filepath.Join(t.TempDir(), "stack.yaml")
		must(t, os.WriteFile(file, fmt.Appendf(nil, itsPolicy, arn, operator), 0o600))
		return s.Deploy(ctx, stack, file, "Asked="+asked)
	}
	user := func(name, actions string) []string {
		client := iam.NewFromConfig(s.Config())
		_, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: &name})
		must(t, err)
		_, err = client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("own"),
			PolicyDocument: aws.String(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "` + actions + `", "Resource": "` + arn + `"}]}`)})
		must(t, err)
		key, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
		must(t, err)
		t.Cleanup(func() {
			for _, arguments := range [][]string{{"delete-access-key", "--access-key-id", *key.AccessKey.AccessKeyId}, {"delete-user-policy", "--policy-name", "own"}, {"delete-user"}} {
				_, err := s.AWS(context.Background(), append([]string{"iam", arguments[0], "--user-name", name}, arguments[1:]...)...)
				must(t, err)
			}
		})
		return []string{"AWS_ACCESS_KEY_ID=" + *key.AccessKey.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + *key.AccessKey.SecretAccessKey}
	}
	hears := func(who []string, words string) {
		t.Helper()
		// An event that is refused before anything is done.
		_, err := s.AWSWith(ctx, who, "lambda", "invoke", "--function-name", arn, "--payload", "{}", os.DevNull)
		if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), "(AccessDeniedException)") || !strings.Contains(err.Error(), words)) {
			t.Errorf("the AWS CLI says %v", err)
		}
	}
	may, mayNot := user("may-invoke", "lambda:InvokeFunction"), user("may-not", "lambda:GetFunction")
	hears(may, "")
	hears(mayNot, "is not authorized to perform: lambda:InvokeFunction on resource: "+arn+" because no identity-based policy allows the lambda:InvokeFunction action")

	must(t, put("policy", "StringNotEquals", "yes"))
	hears(may, "with an explicit deny in a resource-based policy")
	hears(nil, "with an explicit deny in a resource-based policy")
	must(t, deploy(t, "through", "Access: Source, Verify: false, Buckets: ["+sandbox.SourceBucket+"]"))
	if err := put("second", "StringNotEquals", "yes"); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a second policy of the function: %v", err)
	}
	if err := put("policy", "StringNotLike", "yes"); err == nil || !strings.Contains(err.Error(), "does not judge StringNotLike") {
		t.Errorf("a policy that the sandbox does not understand: %v", err)
	}
	must(t, put("policy", "StringNotEquals", "no"))
	hears(may, "")
	must(t, put("policy", "StringEquals", "yes"))
	if err := deploy(t, "kept-out", "Access: Source, Verify: false, Buckets: ["+sandbox.SourceBucket+"]"); err == nil || !strings.Contains(err.Error(), "explicit deny in a resource-based policy") {
		t.Errorf("a stack, where CloudFormation is kept out: %v", err)
	}
	for _, stack := range []string{"policy", "second", "kept-out", "through"} {
		remove(t, stack)
	}
}
