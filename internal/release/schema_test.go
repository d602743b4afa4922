package release_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/pages"
)

// functions are properties whose values only a deployment knows, or a parameter's default.
const functions = `
Parameters:
  Role: {Type: String, Default: Source}
  Bucket: {Type: String}
  Buckets: {Type: CommaDelimitedList, Default: "data,archive/in/"}
  Days: {Type: Number, Default: 7}
Conditions:
  IsSource: !Equals [!Ref Role, Source]
Resources:
  Lists:
    Type: Custom::CloneyS3Credentials
    Properties:
      ServiceToken: here
      Access: [!Ref Role, Destination]
      Buckets: [data/*, "arn:aws:s3:::logs/a,b*c/", Old_Bucket/in]
      SourceIps: [!Ref Bucket, 203.0.113.7, "2001:db8::/32"]
      ExpiresAt: 2030-01-31T18:00:00+01:00
      SecretReaders: [111122223333, arn:aws:iam::111122223333:role/a/b]
  ByRef:
    Type: Custom::CloneyS3Credentials
    Properties:
      ServiceToken: !ImportValue cloney-s3-credentials-ServiceToken
      ServiceTimeout: "330"
      Access: !Ref Role
      Buckets: !Ref Buckets
      UserName: !Sub ${AWS::StackName}-source
      SecretName: !Sub cloney/${AWS::StackName}
      RotationGraceDays: !Ref Days
      Verify: !If [IsSource, true, "false"]
  ByOthers:
    Type: Custom::CloneyS3Credentials
    Properties:
      ServiceToken: !Sub arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:cloney-s3-credentials
      ServiceTimeout: 330
      Access: Source, Destination
      Buckets: [!Ref Bucket, !Sub "arn:${AWS::Partition}:s3:::${Bucket}/in/", !GetAtt ByRef.UserName]
      KmsKeyArns: [!ImportValue key]
      BucketOwner: !Ref AWS::AccountId
      SourceIps: 203.0.113.7,203.0.113.0/24
      ExpiresAt: "2030-01-31 18:00:00+01:00"
      SecretReaders: !If [IsSource, !Ref AWS::NoValue, ["111122223333"]]
      SecretKmsKeyId: alias/secrets
      RotationSchedule: cron(0 16 1 * ? *)
      Tags: [{Key: team, Value: data}, !If [IsSource, {Key: role, Value: source}, !Ref AWS::NoValue]]
`

// mistakes are each a property, and the one thing that cfn-lint says of it.
var mistakes = []struct{ property, says string }{
	{"Acces: Source", "'Acces' was unexpected. Did you mean 'Access'?"},
	{"Access: source", "'source' is not a value of Access. The roles of the credential: write Source"},
	{"Access: [Source, ReadOnly]", "'ReadOnly' is not a value of Access. "},
	{"Buckets: s3://data/in", "'s3://data/in' is not a value of Buckets. "},
	{"Buckets: ['data-*']", "'data-*' is not a value of Buckets. "},
	{"Buckets: [data/in/*]", "'data/in/*' is not a value of Buckets. "},
	{"Buckets: data/in/*, logs", "is not a value of Buckets. "},
	{"SourceIps: 10.0.0.1", "'10.0.0.1' is not a value of SourceIps. "},
	{"SourceIps: [203.0.113.7, 172.31.0.0/16]", "'172.31.0.0/16' is not a value of SourceIps. "},
	{"SecretReaders: ['*']", "'*' is not a value of SecretReaders. "},
	{"SecretReaders: 111122223333, *", "'111122223333, *' is not a value of SecretReaders. "},
	{"ExpiresAt: 2030-01-31", "'2030-01-31' is not a value of ExpiresAt. "},
	{"Buckets: []", "expected minimum item count: 1, found: 0"},
	{"Serial: 0", "0 is less than the minimum of 1"},
	{"ServiceTimeout: 4000", "4000 is greater than the maximum of 3600"},
	{"RotationGraceDays: 366", "366 is greater than the maximum of 365"},
	{"Verify: maybe", "'maybe' is not of type 'boolean'"},
	{"SecretName: migration", "'migration' is not a value of SecretName. "},
	{"BucketOwner: '1234'", "'1234' is not a value of BucketOwner. "},
	{"KmsKeyArns: alias/mine, arn", "'alias/mine, arn' is not a value of KmsKeyArns. "},
	{"KmsKeyArns: [alias/mine]", "'alias/mine' is not a value of KmsKeyArns. "},
	{"RotationSchedule: daily", "'daily' is not a value of RotationSchedule. "},
	{"Tags: {team: data}", "is not of type 'array'"},
	{"Tags: [{Key: team, Value: data, Name: team}]", "'Name' was unexpected"},
}

// What cfn-lint finds is found before a deployment. What the provider accepts passes, or
// people would switch the rule off.
func TestCfnLintKnowsTheProperties(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var wrong strings.Builder
	wrong.WriteString("Resources:\n")
	for i, m := range mistakes {
		fmt.Fprintf(&wrong, "  R%d:\n    Type: Custom::CloneyS3Credentials\n    Properties:\n      ServiceToken: here\n      %s\n", i, m.property)
		for _, needed := range []string{"Access: Source", "Buckets: [data]"} {
			given, _, _ := strings.Cut(m.property, ":") // Acces stands for Access
			if name, _, _ := strings.Cut(needed, ":"); given != name && given+"s" != name {
				wrong.WriteString("      " + needed + "\n")
			}
		}
	}
	said := lint(t, write("functions.yaml", functions), write("accepted.json", accepted(t)), write("wrong.yaml", wrong.String()))
	for resource, says := range said {
		if !regexp.MustCompile(`^R\d+$`).MatchString(resource) {
			t.Errorf("%s is valid, and cfn-lint says %q", resource, says)
		}
	}
	for i, m := range mistakes {
		got := said[fmt.Sprintf("R%d", i)]
		if len(got) != 1 || !strings.HasPrefix(got[0], "E9100 ") || !strings.Contains(got[0], m.says) {
			t.Errorf("%s: want %q, got %q", m.property, m.says, got)
		}
	}
}

// accepted is a template of all properties that the tests of package policy accept.
func accepted(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../policy/testdata/*/properties.json")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	resources := map[string]any{}
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var properties map[string]any
		if err := json.Unmarshal(text, &properties); err != nil {
			t.Fatal(file, err)
		}
		properties["ServiceToken"] = "here"
		resources[fmt.Sprintf("Accepted%d", i)] = map[string]any{"Type": "Custom::CloneyS3Credentials", "Properties": properties}
	}
	text, err := json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// lint is what cfn-lint says of each resource of the templates, with the rule's id, by the
// command of docs/releases.md. The template of the page is linted with them, and is valid.
func lint(t *testing.T, templates ...string) map[string][]string {
	t.Helper()
	commands, err := pages.Commands("../../docs/releases.md")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(commands, func(c pages.Command) bool { return strings.HasPrefix(c.Text, "cfn-lint ") })
	if i < 0 {
		t.Fatal("docs/releases.md has no command of cfn-lint")
	}
	text := strings.Replace(strings.TrimSpace(commands[i].Text), "cfn-lint ", ".tools/venv/bin/cfn-lint --format json ", 1) + ` "$@"`
	command := exec.CommandContext(t.Context(), "bash", append([]string{"-c", text, "bash"}, templates...)...)
	command.Dir = "../.." // where the page has its reader
	command.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1")
	out, _ := command.Output() // its status tells that something is said
	var found []struct {
		Rule     struct{ ID string }
		Message  string
		Location struct{ Path []any }
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%s: %v: %s", text, err, out)
	}
	said := map[string][]string{}
	for _, one := range found {
		resource := fmt.Sprint(one.Location.Path[1])
		said[resource] = append(said[resource], one.Rule.ID+" "+one.Message)
	}
	return said
}
