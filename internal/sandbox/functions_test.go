package sandbox_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cloney-s3-credentials/internal/sandbox"
)

// oneFunction is the provider with an environment of its own, and a resource that uses it.
const oneFunction = `
Parameters: {Key: {Type: String}, Bucket: {Type: String}, Allowed: {Type: String}, Use: {Type: String, Default: "no"}}
Conditions: {Used: !Equals [!Ref Use, "yes"]}
Mappings: {Of: {us-east-1: {Memory: "256"}, eu-west-1: {Memory: "256"}}}
Resources:
  Role: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}}}
  Boundary:
    Type: AWS::IAM::ManagedPolicy
    Properties: {Path: /cloney-boundary/, PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: one
      Role: !GetAtt Role.Arn
      Runtime: provided.al2023
      Handler: bootstrap
      Timeout: 60
      MemorySize: !FindInMap [Of, !Ref AWS::Region, Memory]
      Code: {S3Bucket: !Ref Bucket, S3Key: !Ref Key}
      Environment: {Variables: {STACK_ACCOUNTS: !Ref AWS::AccountId, ALLOWED_BUCKETS: !Ref Allowed, PERMISSIONS_BOUNDARY_ARN: !Ref Boundary}}
  Credentials:
    Type: Custom::CloneyS3Credentials
    Condition: Used
    Properties: {ServiceToken: !GetAtt Function.Arn, Access: Source, Buckets: mine, Verify: "false", ServiceTimeout: "60"}
`

// ownFunction: a process of its own from the very zip that the stack names, with the
// environment of the template, and a new one when either changes.
func ownFunction(o *organization) {
	account := o.members(o.unit(o.root), 1)[0]
	program, err := os.ReadFile(filepath.Join("../../.aws-sam/local", map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH], "ProviderFunction/bootstrap"))
	must(o.T, err)
	o.upload(there, "code-there", "first.zip", packed(map[string][]byte{"bootstrap": program}))
	o.upload(there, "code-there", "second.zip", packed(map[string][]byte{"bootstrap": []byte("#!/bin/sh\necho the second release\nexec ./program\n"), "program": program}))
	o.upload(here, "code-here", "first.zip", []byte("never read"))

	stack := func(key, bucket, allowed, use string) string {
		client := o.as(account, there)
		input := &cloudformation.CreateStackInput{StackName: aws.String("own"), TemplateBody: aws.String(oneFunction), Capabilities: []types.Capability{types.CapabilityCapabilityIam}}
		for name, value := range map[string]string{"Key": key, "Bucket": bucket, "Allowed": allowed, "Use": use} {
			input.Parameters = append(input.Parameters, types.Parameter{ParameterKey: &name, ParameterValue: &value})
		}
		if len(o.stacks(account, there)) == 0 {
			_, err = client.CreateStack(ctxOf(o.T), input)
		} else {
			_, err = client.UpdateStack(ctxOf(o.T), &cloudformation.UpdateStackInput{StackName: input.StackName, TemplateBody: input.TemplateBody, Parameters: input.Parameters, Capabilities: input.Capabilities})
		}
		must(o.T, err)
		return sandbox.StacksOf(o.config(account, there)).Failures(ctxOf(o.T), "own")
	}

	for bucket, want := range map[string]string{
		"code-here":   "Error occurred while GetObject. S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is in this region: us-east-1. Please use this region to retry the request",
		"code-absent": "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
	} {
		if failure := stack("first.zip", bucket, "mine", "no"); !strings.Contains(failure, want) {
			o.Errorf("code in %s: %s", bucket, failure)
		}
		_, err := o.as(account, there).DeleteStack(ctxOf(o.T), &cloudformation.DeleteStackInput{StackName: aws.String("own")})
		must(o.T, err)
	}

	if failure := stack("first.zip", "code-there", "others", "no"); failure != "" {
		o.Fatal(failure)
	}
	if failure := stack("first.zip", "code-there", "others", "yes"); !strings.Contains(failure, "ALLOWED_BUCKETS") && !strings.Contains(failure, "AllowedBuckets") {
		o.Errorf("a bucket that the function's environment does not allow: %s", failure)
	}
	o.logged(account, false)
	stack("second.zip", "code-there", "mine", "yes")
	o.logged(account, true)
	if made := o.inventory(account); len(made) == 0 {
		o.Error("the second release has made nothing in the function's account")
	}
	_, err = o.as(account, there).DeleteStack(ctxOf(o.T), &cloudformation.DeleteStackInput{StackName: aws.String("own")})
	must(o.T, err)
	if left := o.inventory(account); len(left) > 0 {
		o.Errorf("left in the account: %v", left)
	}
}

// inventory is what an account holds.
func (o *organization) inventory(account string) []string {
	o.Helper()
	found, err := o.s.InventoryIn(ctxOf(o.T), account, there)
	must(o.T, err)
	return found
}

func (o *organization) logged(account string, second bool) {
	o.Helper()
	log, err := o.s.FunctionLog(account, there)
	must(o.T, err)
	if log == "" || strings.Contains(log, "the second release") != second {
		o.Errorf("the function has printed\n%s", log)
	}
}

// upload puts code into a bucket of the management account.
func (o *organization) upload(region, bucket, key string, body []byte) {
	o.Helper()
	client := s3.NewFromConfig(o.config(sandbox.Account, region), func(o *s3.Options) { o.UsePathStyle = true })
	must(o.T, sandbox.MakeBucket(ctxOf(o.T), client, bucket))
	_, err := client.PutObject(ctxOf(o.T), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	must(o.T, err)
}

// packed is a zip of programs.
func packed(files map[string][]byte) []byte {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for name, content := range files {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate}
		header.SetMode(0o755)
		entry, err := archive.CreateHeader(header)
		if err == nil {
			_, err = entry.Write(content)
		}
		if err != nil {
			panic(err) // a buffer takes everything
		}
	}
	if err := archive.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}
