package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/policy"
	"cloney-s3-credentials/internal/screen"
)

// policies are what writePolicies prints of a file: the documents, and what it says.
func policies(t *testing.T, file string, given ...string) (documents []string, about string, err error) {
	t.Helper()
	t.Setenv("AWS_REGION", "eu-west-1")
	var out, said bytes.Buffer
	err = writePolicies([]byte(file), given, &screen.Screen{Out: &out, Width: 200}, &screen.Screen{Out: &said, Width: 200})
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var document json.RawMessage
		if err := decoder.Decode(&document); err != nil {
			t.Fatalf("it printed what is not JSON: %v", err)
		}
		documents = append(documents, string(document))
	}
	return documents, said.String(), err
}

const aTemplate = `
Parameters:
  Names: {Type: CommaDelimitedList, Default: "one,two/in/"}
  Owner: {Type: String}
Resources:
  Bucket: {Type: AWS::S3::Bucket}
  Writer:
    Type: Custom::CloneyS3Credentials
    Properties:
      ServiceToken: !ImportValue cloney-s3-credentials-ServiceToken
      Access: Destination
      Buckets: [!Ref Bucket, !Sub "${Bucket}-${Owner}", !GetAtt Bucket.Arn]
      Serial: 2
  Reader:
    Type: Custom::CloneyS3Credentials
    Properties:
      ServiceToken: {"Fn::ImportValue": x}
      Access: Source
      Buckets: {"Ref": Names}
      BucketOwner: !Ref Owner
      ExpiresAt: !Ref AWS::NoValue
`

// What is printed is what the provider would write: it reads back as the scope.
func TestPolicies(t *testing.T) {
	source := access.Scope{Source: true, Places: []access.Place{"one", "two/in/"}}
	owned := source
	owned.Owner = "123456789012"
	written := access.Scope{Destination: true, Places: []access.Place{"own", "own-123456789012"}}
	for what, c := range map[string]struct {
		file  string
		given []string
		want  []access.Scope
	}{
		"properties in YAML":              {"Access: Source\nBuckets:\n- one\n- two/in/\nVerify: true\n", nil, []access.Scope{source}},
		"properties in JSON":              {`{"ServiceToken": "arn:aws:lambda:eu-west-1:111122223333:function:f", "Access": ["Source"], "Buckets": "one, two/in/"}`, nil, []access.Scope{source}},
		"a reference in properties alone": {`{"Access": "Source", "Buckets": ["one", {"Fn::GetAtt": ["Two", "Path"]}]}`, []string{"Two.Path=two/in/"}, []access.Scope{source}},
		"a template":                      {aTemplate, []string{"Owner=123456789012", "Bucket=own", "Bucket.Arn=arn:aws:s3:::own"}, []access.Scope{owned, written}},
	} {
		documents, _, err := policies(t, c.file, c.given...)
		if err != nil || len(documents) != len(c.want) {
			t.Errorf("%s: %d policies: %v", what, len(documents), err)
			continue
		}
		for i, document := range documents {
			if got, ok := policy.Read([]string{document}); !ok || cmp.Diff(c.want[i], got) != "" {
				t.Errorf("%s: %v %s", what, ok, cmp.Diff(c.want[i], got))
			}
		}
	}
}

// onCondition is a template with a resource R that reads bucket yes, or bucket no if
// condition C is false.
func onCondition(condition string) string {
	return `
Conditions:
  C: ` + condition + `
  True: !Equals [a, a]
  False: {"Fn::Not": [{"Condition": True}]}
Parameters:
  Empty: {Type: String, Default: ""}
Resources:
  R:
    Type: Custom::CloneyS3Credentials
    Properties: {Access: Source, Buckets: !If [C, a-yes, b-no], ExpiresAt: {"Fn::If": [C, !Ref AWS::NoValue, 2999-01-01T00:00:00Z]}}`
}

func TestConditions(t *testing.T) {
	for condition, want := range map[string]bool{
		`!Equals [!Ref AWS::URLSuffix, amazonaws.com]`:                        true,
		`!Equals [!Ref Empty, ""]`:                                            true,
		`!Equals [!Sub "${!Empty}", "${Empty}"]`:                              true,
		`!Equals [!Sub ["${A}-${Empty}", {A: !Ref AWS::Region}], eu-west-1-]`: true,
		`!Equals [1, 2]`:                           false,
		`!Condition False`:                         false,
		`{"Condition": True}`:                      true,
		`!Not [!Condition False]`:                  true,
		`!And [!Condition True, !Condition True]`:  true,
		`!And [!Condition True, !Condition False]`: false,
		`!Or [!Condition False, !Condition True]`:  true,
		`!Or [!Condition False, !Condition False]`: false,
	} {
		documents, _, err := policies(t, onCondition(condition), "AWS::URLSuffix=amazonaws.com")
		if err != nil || len(documents) != 1 || strings.Contains(documents[0], "a-yes") != want || strings.Contains(documents[0], "2999") == want {
			t.Errorf("%s: %s: %v", condition, documents, err)
		}
	}
}

// Every template of ours can be read, once it has values for what only a deployment knows.
func TestPoliciesOfTheExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	templates := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		templates[file] = string(text)
	}
	blocks, err := pages.Blocks("../../docs/other-accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks {
		if strings.Contains(block.Text, "Type: "+resourceType) {
			templates[fmt.Sprintf("other-accounts.md:%d", block.Line)] = block.Text
		}
	}
	values := map[string]string{
		"Access": "Source", "Bucket": "one", "BucketName": "one", "BucketNames": "one,two", "SourceBucketNames": "one", "DestinationBucketNames": "two",
		"DestinationBucket": "two", "BucketAccountId": "123456789012", "UserName": "u", "Project": "p", "Prefix": "in/", "CloneyAddresses": "198.51.100.7/32",
		"Until": "2999-01-31T18:00:00Z",
	}
	for file, text := range templates {
		if !strings.Contains(text, "Type: "+resourceType) {
			continue // such as notices.yaml, which has none
		}
		declares, _, _ := strings.Cut(text, "\nOutputs:")
		var given []string
		for name, value := range values {
			if strings.Contains(declares, "\n  "+name+":") {
				given = append(given, name+"="+value)
			}
		}
		if documents, _, err := policies(t, text, given...); err != nil || len(documents) == 0 {
			t.Errorf("%s: %d policies: %v", file, len(documents), err)
		}
	}
}

func TestAssignments(t *testing.T) {
	for text, want := range map[string][]string{
		"":                    nil,
		"A=1":                 {"A=1"},
		" A=1  Bucket.Arn=* ": {"A=1", "Bucket.Arn=*"},
		"Until=2030-01-31 18:00 Name=a=b AWS::Region=x": {"Until=2030-01-31 18:00", "Name=a=b", "AWS::Region=x"},
		"Owner": {"Owner"},
		"A= B=": {"A=", "B="},
	} {
		if got := assignments(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestPoliciesAreRefused(t *testing.T) {
	for what, c := range map[string]struct {
		file  string
		given []string
		says  []string
	}{
		"not YAML":             {"a: [", nil, []string{"neither JSON nor YAML"}},
		"a list":               {"- a", nil, []string{"no properties"}},
		"empty":                {"", nil, []string{"no properties"}},
		"a wrong property":     {"Acces: Source\nBuckets: [b-1]", nil, []string{"Access", `"Acces"`}},
		"a reference":          {aTemplate, []string{"Owner=123456789012"}, []string{"these values: Bucket, Bucket.Arn. ", `PARAMETERS="Bucket=VALUE Bucket.Arn=VALUE"`}},
		"another function":     {"Access: Source\nBuckets: !Split [',', a]", nil, []string{"Buckets: ", "Fn::Split"}},
		"a parameter too many": {aTemplate, []string{"Ownr=1"}, []string{`"Ownr=1"`, "Owner"}},
		"no value":             {aTemplate, []string{"Owner"}, []string{`"Owner"`}},
		"no such resource":     {"Resources: {B: {Type: AWS::S3::Bucket}}", nil, []string{"no resource of type Custom::CloneyS3Credentials"}},
		"the general type":     {"Resources: {B: {Type: AWS::S3::Bucket}, C: {Type: AWS::CloudFormation::CustomResource}}", nil, []string{"C: the Type is AWS::CloudFormation::CustomResource", "write Type: Custom::CloneyS3Credentials"}},
		"an endless alias":     {"Access: Source\nBuckets: &a [*a]", nil, []string{"line 2: ", "aliases"}},
		"a merge key":          {"Access: Source\n<<: {Buckets: [b-1]}", nil, []string{"line 2: ", "merge keys"}},
		"no such condition":    {"Access: Source\nBuckets: !If [X, a, b]", nil, []string{`Buckets: condition "X" is not in Conditions`}},
		"two at once":          {"Access: !Split [',', a]\nBuckets: [!Ref X, !Sub '${Y}-${X}']", nil, []string{"Access: make policy does not read Fn::Split", "these values: X, Y. "}},
		"a circle":             {onCondition("!Not [!Condition C]"), nil, []string{`R: Buckets: condition "C"`, "refers to itself"}},
		"another condition":    {onCondition("!Equals [!FindInMap [a, b, c], d]"), nil, []string{"R: Buckets: ", "Fn::FindInMap"}},
		"a missing operand":    {onCondition("!Equals [!Ref R2, d]"), nil, []string{"these values: R2. "}},
		"no text":              {onCondition("!Equals [[a], d]"), nil, []string{"R: Buckets: an argument of Fn::Equals is not a text"}},
		"a list in a text":     {"Access: Source\nBuckets: !Sub ['${A}', {A: [a]}]", nil, []string{"Buckets: an argument of Fn::Sub is not a text"}},
		"not a condition":      {onCondition("true"), nil, []string{"R: Buckets: the condition at line 3 is not a function"}},
		"all are left out":     {onCondition("!Equals [a, b]\n") + "\n    Condition: C\n", nil, []string{"or the Condition of each is false"}},
		"null":                 {"Access: Source\nBuckets: [b-1]\nExpiresAt:\n", nil, []string{"ExpiresAt: ", "null"}},
	} {
		documents, _, err := policies(t, c.file, c.given...)
		if err == nil || len(documents) > 0 {
			t.Errorf("%s: %d policies and %v", what, len(documents), err)
			continue
		}
		for _, want := range c.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", what, err, want)
			}
		}
	}
}

func TestPropertiesAreOneFile(t *testing.T) {
	if _, err := readAll("a.json b.json"); err == nil || !strings.Contains(err.Error(), `PROPERTIES is the name of one file, and there is no file "a.json b.json"`) {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "with a space.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := readAll(file); err != nil || string(text) != "{}" {
		t.Errorf("%q, %v", text, err)
	}
}

// A key of KMS is judged by the region that the environment names, and a wildcard in a
// prefix is pointed out.
func TestPoliciesAreJudgedForTheRegion(t *testing.T) {
	const file = "Access: Source\nBuckets: ['one/a?b/']\nSecretKmsKeyId: arn:aws:kms:eu-west-1:111122223333:alias/mine\n"
	if _, about, err := policies(t, file); err != nil || !strings.Contains(about, "one/a?b/: a prefix has no wildcards") || !strings.Contains(about, "policy 1 of 1") {
		t.Errorf("%v: %s", err, about)
	}
	if _, _, err := policies(t, strings.Replace(file, "eu-west-1", "eu-west-2", 1)); err == nil || !strings.Contains(err.Error(), "SecretKmsKeyId") {
		t.Error(err)
	}
}
