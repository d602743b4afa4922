package sandbox_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"cloney-s3-credentials/internal/iamtest"
	"cloney-s3-credentials/internal/sandbox"
)

const examples = "../../examples/"

// example is a file of examples/: the parameters that it is deployed with, and what
// has to hold while its stack stands.
type example struct {
	parameters []string
	holds      func(t *testing.T, stack string, outputs map[string]string)
}

// deployed are the files of examples/ but two-regions.yaml, which TestStackSets deploys
// in two regions.
var deployed = map[string]example{
	"source.yaml":                  {parameters: []string{"BucketNames=" + sandbox.SourceBucket + "," + sandbox.SecondBucket}},
	"destination.yaml":             {},
	"narrow.yaml":                  {parameters: []string{"BucketName=" + sandbox.DestinationBucket, "CloneyAddresses=203.0.113.7,198.51.100.0/24", "Until=2999-12-31T23:00:00+01:00"}},
	"migration.yaml":               {parameters: []string{"SourceBucketNames=" + sandbox.SourceBucket, "DestinationBucketNames=" + sandbox.DestinationBucket}},
	"dynamic-reference.yaml":       {parameters: []string{"BucketNames=" + sandbox.SourceBucket}, holds: followsANewKey},
	"bucket-policy.yaml":           {parameters: []string{"UserName=" + namedUser, "ObjectsRoleArn=" + objectsRole}, holds: lastsLongerThanTheUser},
	"retain-except-on-create.yaml": {parameters: []string{"BucketNames=" + sandbox.SourceBucket}},
	"same-stack-bucket.yaml":       {holds: reachesItsOwnBucket},
	"rotation.yaml":                {parameters: []string{"BucketNames=" + sandbox.SourceBucket}, holds: rotatesLater},
	"notices.yaml":                 {parameters: []string{"Email=somebody@example.com"}},
	"parameters.yaml":              {parameters: required, holds: takesWhatIsGiven},
}

// Every file in examples/ is deployed as it stands, and leaves nothing.
func TestExamples(t *testing.T) {
	ownFirst(t)
	files, err := filepath.Glob(examples + "*")
	must(t, err)
	if len(files) != len(deployed)+1 {
		t.Errorf("%d examples are run, and two-regions.yaml; examples/ has %d files", len(deployed), len(files))
	}
	for file, example := range deployed {
		t.Run(file, func(t *testing.T) {
			stack := "example-" + strings.TrimSuffix(file, ".yaml")
			must(t, account(t).Deploy(ctxOf(t), stack, examples+file, example.parameters...))
			made := outputs(t, stack)
			for name, value := range made {
				if value == "" || value == "None" {
					t.Errorf("output %s is empty", name)
				}
			}
			if example.holds != nil {
				example.holds(t, stack, made)
			}
			if file == "retain-except-on-create.yaml" {
				retains(t, stack, made)
				return
			}
			remove(t, stack)
			empty(t)
		})
	}
}

// rotatesLater: the secret has its schedule, and the key that was made is current.
func rotatesLater(t *testing.T, stack string, made map[string]string) {
	r := rotated{t, stack, "", made["SecretName"]}
	if tested := r.last(); tested.Error != "" || len(tested.Steps) != 1 {
		t.Errorf("switched on, it ran %+v", tested)
	}
	if d := r.described(); aws.ToString(d.RotationRules.ScheduleExpression) != "rate(30 days)" || len(d.VersionIdsToStages) != 1 {
		t.Errorf("it rotates by %+v, and is labelled %v", d.RotationRules, d.VersionIdsToStages)
	}
}

// valueOf is what a secret holds.
func valueOf(t *testing.T, secret string) string {
	t.Helper()
	found, err := secretsmanager.NewFromConfig(account(t).Config()).GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: &secret})
	must(t, err)
	return aws.ToString(found.SecretString)
}

// halves are both halves of the key that a secret of ours holds.
func halves(t *testing.T, secret string) (keyID, key string) {
	t.Helper()
	var stored struct{ AccessKeyId, SecretAccessKey string }
	must(t, json.Unmarshal([]byte(valueOf(t, secret)), &stored))
	return stored.AccessKeyId, stored.SecretAccessKey
}

// A new key reaches the file in the same update, and the former one comes back with
// the rollback of an update that fails later. A reference by SecretArn alone would
// keep the former key: AWS reads a secret again only if the text of the reference is
// another one.
func followsANewKey(t *testing.T, stack string, made map[string]string) {
	template, err := os.ReadFile(examples + "dynamic-reference.yaml")
	must(t, err)
	const version = "::${Credentials.SecretVersionId}"
	if strings.Count(string(template), version) != 1 {
		t.Fatal("the example does not name the version once")
	}
	// Beside the example's own file: one that names no version, nor anything else that changes.
	const byARN = `
  KeyByARNAlone:
    Type: AWS::SecretsManager::Secret
    Properties:
      SecretString: !Sub "{{resolve:secretsmanager:${Credentials.SecretArn}:SecretString:SecretAccessKey}}"
`
	before, after, _ := strings.Cut(string(template), "\nOutputs:")
	both := before + byARN + "\nOutputs:\n  ByARNAlone: {Value: !Ref KeyByARNAlone}\n  SecretName: {Value: !GetAtt Credentials.SecretName}" + after
	fails := strings.Replace(both, "\nOutputs:", "  Fails: {Type: Custom::Any, DependsOn: CredentialsFile, Properties: {ServiceToken: !ImportValue nobody-exports-this}}\n\nOutputs:", 1)
	file := filepath.Join(t.TempDir(), "stack.yaml")
	deploy := func(text, serial string) (map[string]string, error) {
		must(t, os.WriteFile(file, []byte(text), 0o600))
		err := account(t).Deploy(ctxOf(t), stack, file, "BucketNames="+sandbox.SourceBucket, "Serial="+serial)
		return outputs(t, stack), err
	}
	inFile := func(keyID, key string) {
		t.Helper()
		if got, want := valueOf(t, made["CredentialsFileArn"]), "[default]\naws_access_key_id = "+keyID+"\naws_secret_access_key = "+key+"\n"; got != want {
			t.Errorf("the file does not hold key %s", keyID)
		}
	}
	now, err := deploy(both, "1")
	must(t, err)
	firstID, first := halves(t, now["SecretName"])
	inFile(firstID, first)
	if _, err := deploy(fails, "2"); err == nil {
		t.Error("the update that cannot be done is done")
	}
	inFile(firstID, first)
	now, err = deploy(both, "2")
	must(t, err)
	secondID, second := halves(t, now["SecretName"])
	inFile(secondID, second)
	if first == second || valueOf(t, now["ByARNAlone"]) != first {
		t.Error("a reference by ARN alone was read again: the sandbox is not as AWS is")
	}
}

const (
	namedUser   = "reader-of-archive"
	objectsRole = "arn:aws:iam::" + sandbox.Account + ":role/app/Objects"
)

// The policy lets the user and the role through, and nobody else. It names the user by
// text, and no principal by an ARN, for which AWS would put an id that goes with the user.
func lastsLongerThanTheUser(t *testing.T, _ string, made map[string]string) {
	client := s3.NewFromConfig(account(t).Config(), func(o *s3.Options) { o.UsePathStyle = true })
	found, err := client.GetBucketPolicy(ctxOf(t), &s3.GetBucketPolicyInput{Bucket: aws.String(made["BucketName"])})
	must(t, err)
	policy, err := iamtest.Parse(aws.ToString(found.Policy))
	must(t, err)
	var document struct {
		Statement []struct{ Effect, Principal string }
	}
	must(t, json.Unmarshal([]byte(aws.ToString(found.Policy)), &document))
	for _, statement := range document.Statement {
		if statement.Effect != "Deny" || statement.Principal != "*" {
			t.Errorf("the policy has another statement than a Deny for all: %+v", statement)
		}
	}
	// May principal, who may do everything elsewhere, do this?
	may := func(principal, action, key string) bool {
		asked := iamtest.Request{Action: action, Resource: "arn:aws:s3:::" + made["BucketName"] + key, Context: map[string][]string{"aws:PrincipalArn": {principal}}}
		everything := iamtest.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
		who := iamtest.Account{Identity: []*iamtest.Policy{everything}, Resource: policy, Principal: principal, Owner: sandbox.Account}
		return iamtest.Evaluate(who, asked).Outcome == iamtest.Allowed
	}
	const administrator = "arn:aws:iam::" + sandbox.Account + ":role/Administrator"
	for principal, through := range map[string]bool{
		made["UserArn"]: true,
		objectsRole:     true,
		administrator:   false,
		"arn:aws:iam::" + sandbox.Account + ":user/cloney/us-east-1/other": false,
		"arn:aws:iam::" + sandbox.Account + ":user/" + namedUser:           false,
	} {
		for action, key := range map[string]string{
			"s3:GetObject": "/key", "s3:GetObjectVersion": "/key", "s3:PutObject": "/key", "s3:DeleteObjectVersion": "/key",
			"s3:AbortMultipartUpload": "/key", "s3:ListMultipartUploadParts": "/key", "s3:ListBucket": "", "s3:ListBucketVersions": "",
		} {
			if may(principal, action, key) != through {
				t.Errorf("%s may %s: %t", principal, action, !through)
			}
		}
	}
	if !may(administrator, "s3:PutBucketPolicy", "") || !may(administrator, "s3:DeleteBucket", "") {
		t.Error("whoever is kept from the objects can no longer mend the policy")
	}
}

// The writer has the prefix, the reader the bucket.
func reachesItsOwnBucket(t *testing.T, stack string, made map[string]string) {
	for secret, place := range map[string]string{"WriterSecretName": "/incoming/*", "ReaderSecretName": "/*"} {
		documents, err := account(t).Documents(ctxOf(t), strings.TrimPrefix(made[secret], "cloney/"))
		must(t, err)
		if text := strings.Join(documents, ""); !strings.Contains(text, `"arn:aws:s3:::`+made["BucketName"]+place+`"`) {
			t.Errorf("%s does not reach %s%s: %s", secret, made["BucketName"], place, text)
		}
	}
}

// required are the parameters that parameters.yaml has no default for.
var required = []string{"Access=Source,Destination", "BucketNames=" + sandbox.SourceBucket + "," + sandbox.SecondBucket}

// Without its other parameters the example has no condition; with them it has each;
// leaving them out again takes the conditions away.
func takesWhatIsGiven(t *testing.T, stack string, made map[string]string) {
	user := strings.TrimPrefix(made["SecretName"], "cloney/")
	narrow := []string{"aws:SourceIp", "aws:CurrentTime", "kms:Decrypt"}
	has := func(want bool) {
		t.Helper()
		documents, err := account(t).Documents(ctxOf(t), user)
		must(t, err)
		for _, part := range narrow {
			if strings.Contains(strings.Join(documents, ""), part) != want {
				t.Errorf("the policies hold %s: %t", part, !want)
			}
		}
	}
	has(false)
	with := func(more ...string) {
		must(t, account(t).Deploy(ctxOf(t), stack, examples+"parameters.yaml", slices.Concat(required, more)...))
	}
	with("CloneyAddresses=203.0.113.7, 198.51.100.0/24", "Until=2999-12-31T23:00:00Z",
		"KmsKeyArns=arn:aws:kms:us-east-1:"+sandbox.Account+":key/11111111-2222-3333-4444-555555555555")
	has(true)
	with("CloneyAddresses=", "Until=", "KmsKeyArns=")
	has(false)
}

// A creation that fails leaves nothing; a stack that is deleted leaves the key at work;
// the commands of docs/operations.md take away what is left.
func retains(t *testing.T, stack string, made map[string]string) {
	template, err := os.ReadFile(examples + "retain-except-on-create.yaml")
	must(t, err)
	const buckets = "BucketNames=" + sandbox.SourceBucket
	must(t, account(t).Deploy(ctxOf(t), stack, examples+"retain-except-on-create.yaml", buckets+","+sandbox.SecondBucket))
	keys := having(t, "key ")
	remove(t, stack)
	one(t)
	if left := having(t, "key "); !slices.Equal(left, keys) {
		t.Errorf("the stack had %v, and leaves %v", keys, left)
	}
	if keyID, _ := halves(t, made["SecretName"]); !strings.Contains(keys[0], keyID) {
		t.Errorf("the secret that is left names %s", keyID)
	}
	commands := blockOf(t, "docs/operations.md", "take away what is left:", "sh")
	for placeholder, value := range map[string]string{"USER": made["UserName"], "SECRET": made["SecretName"]} {
		commands = strings.ReplaceAll(commands, "="+placeholder+"\n", "="+value+"\n")
	}
	if did := shell(t, loadCLI(t).Directory, account(t).Env(), "set -e\n"+commands); did.Status != 0 {
		t.Errorf("the commands of docs/operations.md: %s", did.Err)
	}
	empty(t)

	file := filepath.Join(t.TempDir(), "stack.yaml")
	const fails = "  Fails: {Type: Custom::Any, DependsOn: Credentials, Properties: {ServiceToken: !ImportValue nobody-exports-this}}\n"
	must(t, os.WriteFile(file, []byte(strings.Replace(string(template), "\nOutputs:", fails+"\nOutputs:", 1)), 0o600))
	if err := account(t).Deploy(ctxOf(t), stack, file, buckets); err == nil || !strings.Contains(err.Error(), "nobody-exports-this") {
		t.Errorf("the stack that cannot be made: %v", err)
	}
	empty(t)
	remove(t, stack)
}

// The same template in two regions of one account makes two users. Without the region
// in its name the second one is refused, and the first one stays as it is.
func twoRegions(o *organization) {
	account := o.members(o.unit(o.root), 1)[0]
	client := s3.NewFromConfig(o.config(account, here), func(o *s3.Options) { o.UsePathStyle = true })
	must(o.T, sandbox.MakeBucket(ctxOf(o.T), client, "two-regions"))
	template, err := os.ReadFile(examples + "two-regions.yaml")
	must(o.T, err)
	oneName := filepath.Join(o.T.TempDir(), "stack.yaml")
	must(o.T, os.WriteFile(oneName, []byte(strings.Replace(string(template), "!Sub ${Project}-${AWS::Region}", "archive-"+here, 1)), 0o600))
	deploy := func(region, file string) (map[string]string, error) {
		stacks := sandbox.StacksOf(o.config(account, region))
		if err := stacks.Deploy(ctxOf(o.T), "archive", file, "Project=archive", "BucketNames=two-regions"); err != nil {
			return nil, errors.Join(err, stacks.DeleteStack(ctxOf(o.T), "archive"))
		}
		return stacks.Outputs(ctxOf(o.T), "archive")
	}
	for _, region := range []string{here, there} {
		must(o.T, o.s.DeployProviderIn(ctxOf(o.T), account, region))
	}
	first, err := deploy(here, examples+"two-regions.yaml")
	must(o.T, err)
	before := o.inventory(account)
	if _, err := deploy(there, oneName); err == nil || !strings.Contains(err.Error(), "UserName: ") {
		o.Errorf("the same user in a second region: %v", err)
	}
	if after := o.inventory(account); !slices.Equal(before, after) {
		o.Errorf("the account had %v, and has %v", before, after)
	}
	second, err := deploy(there, examples+"two-regions.yaml")
	must(o.T, err)
	if first["UserName"] != "archive-"+here || second["UserName"] != "archive-"+there {
		o.Errorf("the users are %v and %v", first, second)
	}
	for _, region := range []string{here, there} {
		must(o.T, sandbox.StacksOf(o.config(account, region)).DeleteStack(ctxOf(o.T), "archive"))
	}
	if left := o.inventory(account); len(left) > 0 {
		o.Errorf("left in the account: %v", left)
	}
}

// blockOf returns the block of a page that follows the line that ends with these words.
func blockOf(t *testing.T, page, line, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + page)
	must(t, err)
	_, after, found := strings.Cut(string(text), line+"\n\n```"+language+"\n")
	block, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatalf("%s has no block after %q", page, line)
	}
	return block
}
