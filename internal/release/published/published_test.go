package published_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/guard"
	"cloney-s3-credentials/internal/release/published"
)

const root = "../../.."

// The version and the account are such as YAML could take for numbers.
var release = published.Release{
	Version: "1.2", Commit: strings.Repeat("c0ffee", 6) + "0123", Account: "012345678901", Prefix: "cloney-code", Zips: zips(),
}

// zips are checksums of which no two are the same.
func zips() map[published.Code]published.Checksum {
	sums := map[published.Code]published.Checksum{}
	for _, code := range published.Codes() {
		sums[code] = sha256.Sum256([]byte(code.Function + code.Architecture))
	}
	return sums
}

type object = map[string]any

// text is the published template.
func text(t *testing.T) string {
	t.Helper()
	text, err := texts()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var texts = sync.OnceValues(func() ([]byte, error) {
	return release.Template(context.Background(), root)
})

// translations is template.yaml as SAM deploys it: to translate it takes most of a second.
var translations = sync.OnceValues(func() ([]byte, error) {
	return published.Translate(context.Background(), root)
})

// templateOf is the published template of any release.
func templateOf(ctx context.Context, r published.Release) ([]byte, error) {
	translated, err := translations()
	if err != nil {
		return nil, err
	}
	return r.TemplateOf(ctx, root, translated)
}

// template is the published template, parsed.
func template(t *testing.T) object {
	t.Helper()
	return parsed(t)(published.JSON(t.Context(), root, []byte(text(t))))
}

// translated is template.yaml as SAM deploys it.
func translated(t *testing.T) object {
	t.Helper()
	return parsed(t)(translations())
}

func parsed(t *testing.T) func([]byte, error) object {
	return func(text []byte, err error) object {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var out object
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// at walks into a tree.
func at(tree any, path ...string) any {
	for _, name := range path {
		tree = tree.(object)[name]
	}
	return tree
}

// In service-managed stack sets, AWS takes no macro and no nested stack, and the
// capability CAPABILITY_IAM is enough only where nothing of IAM has a name.
func TestNothingButPlainCloudFormation(t *testing.T) {
	template := template(t)
	sections := slices.Sorted(maps.Keys(template))
	if diff := cmp.Diff([]string{"AWSTemplateFormatVersion", "Conditions", "Description", "Mappings", "Metadata", "Outputs", "Parameters", "Resources", "Rules"}, sections); diff != "" {
		t.Error(diff)
	}
	known := []string{"Ref", "Fn::And", "Fn::Contains", "Fn::Equals", "Fn::FindInMap", "Fn::GetAtt", "Fn::If", "Fn::Join", "Fn::Not", "Fn::Or", "Fn::Select", "Fn::Split", "Fn::Sub"}
	long, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	functions := regexp.MustCompile(`"(?:Fn::[A-Za-z:]+|Ref)":`).FindAllString(string(long), -1)
	for _, function := range functions {
		if function = strings.Trim(function, `":`); !slices.Contains(known, function) {
			t.Errorf("%s may need a transform", function)
		}
	}
	if short := regexp.MustCompile(`(?m)(?:^|[ \[])![A-Z][A-Za-z]+(?:\s|$)|Fn::Contains`).FindAllString(text(t), -1); len(short) != len(functions) {
		t.Errorf("%d functions are written, and %d are read", len(short), len(functions))
	}
	for id, resource := range template["Resources"].(object) {
		kind := at(resource, "Type").(string)
		if strings.HasPrefix(kind, "AWS::CloudFormation::") || !strings.HasPrefix(kind, "AWS::") && kind != guard.Type {
			t.Errorf("%s is a %s", id, kind)
		}
		for property := range at(resource, "Properties").(object) {
			if strings.HasPrefix(kind, "AWS::IAM::") && strings.HasSuffix(property, "Name") {
				t.Errorf("%s has a name of its own: %s", id, property)
			}
		}
	}
	// A name stands for one thing.
	for _, section := range []string{"Parameters", "Mappings", "Conditions"} {
		for name := range template[section].(object) {
			if _, too := template["Resources"].(object)[name]; too {
				t.Errorf("%s is a resource, and among the %s", name, section)
			}
		}
	}
	if over := len(text(t)) - 51200; over > 0 {
		t.Errorf("it is %d bytes too long for a request", over)
	}
}

// A provider that SAM deployed is updated to this template. What kept its logical
// id and its properties is not replaced, and what uses it goes on.
func TestAProviderOfSAMIsUpdatedInPlace(t *testing.T) {
	old, new := translated(t), template(t)
	for _, resource := range old["Resources"].(object) {
		delete(resource.(object), "Metadata") // not of the resource: SAM's own notes
	}
	for _, resources := range []any{old["Resources"], new["Resources"]} {
		// The published one is written without white space.
		dashboard := at(resources, "ProviderDashboard", "Properties", "DashboardBody").(object)
		var body any
		if err := json.Unmarshal([]byte(dashboard["Fn::Sub"].(string)), &body); err != nil {
			t.Fatal(err)
		}
		dashboard["Fn::Sub"] = body
		for _, logical := range published.Functions {
			function := at(resources, logical, "Properties").(object)
			delete(function, "Code")
			delete(function, "Tags")
			delete(at(function, "Environment", "Variables").(object), "VERSION")
		}
	}
	for _, section := range []string{"Description", "Resources"} {
		if diff := cmp.Diff(old[section], new[section]); diff != "" {
			t.Errorf("%s: %s", section, diff)
		}
	}
	delete(old["Outputs"].(object), "Version")
	// Of these there are more.
	for _, section := range []string{"Parameters", "Conditions", "Outputs"} {
		for name, was := range old[section].(object) {
			if diff := cmp.Diff(was, at(new, section, name)); diff != "" {
				t.Errorf("%s %s: %s", section, name, diff)
			}
		}
	}
}

// Each region's function gets the code from its own region's bucket, for its own
// processor, and by a key that no parameter can hold back.
func TestWhereTheCodeIs(t *testing.T) {
	template := template(t)
	codes := object{}
	for _, function := range published.Functions {
		want := object{
			"S3Bucket": object{"Fn::Sub": "${CodeBucketPrefix}-${CodeAccountId}-${AWS::Region}-an"},
			"S3Key":    ofTheArchitecture(function, "Key"),
		}
		if diff := cmp.Diff(want, at(template, "Resources", function, "Properties", "Code")); diff != "" {
			t.Error(function, diff)
		}
		codes[function+"Code"] = object{}
	}
	if diff := cmp.Diff(object{"Fn::Equals": []any{object{"Ref": "Architecture"}, "arm64"}}, at(template, "Conditions", "OnArm64")); diff != "" {
		t.Error(diff)
	}
	for code, sum := range release.Zips {
		codes[code.Function+"Code"].(object)[strings.ReplaceAll(code.Architecture, "_", "-")] = object{"Key": sum.Key(), "CodeSha256": base64.StdEncoding.EncodeToString(sum[:])}
	}
	if diff := cmp.Diff(any(codes), template["Mappings"]); diff != "" {
		t.Error(diff)
	}
	for parameter, value := range map[string]string{"CodeAccountId": release.Account, "CodeBucketPrefix": release.Prefix} {
		p := at(template, "Parameters", parameter).(object)
		if p["Type"] != "String" || p["Default"] != value || !regexp.MustCompile(p["AllowedPattern"].(string)).MatchString(value) {
			t.Errorf("%s: %v", parameter, p)
		}
		if groups := fmt.Sprint(at(template, "Metadata", "AWS::CloudFormation::Interface")); !strings.Contains(groups, parameter) {
			t.Errorf("the console shows %s among others: %s", parameter, groups)
		}
	}
	// PyYAML reads an account that begins with 0 and has an 8 or 9 as text, other
	// parsers as a number.
	if !strings.Contains(text(t), "Default: '012345678901'\n") {
		t.Error("the account is not in quotes")
	}
	if name := published.Bucket("cloney-code", "111122223333", "eu-west-1"); name != "cloney-code-111122223333-eu-west-1-an" {
		t.Errorf("the bucket is called %s", name)
	}
}

func ofTheArchitecture(function, name string) object {
	find := func(architecture string) any {
		return object{"Fn::FindInMap": []any{function + "Code", architecture, name}}
	}
	return object{"Fn::If": []any{"OnArm64", find("arm64"), find("x86-64")}}
}

// Which version runs can be seen at the stack, at the function and in the file.
func TestTheVersionIsSeen(t *testing.T) {
	template := template(t)
	if got := at(template, "Outputs", "Version", "Value"); got != release.Version {
		t.Errorf("the output is %v", got)
	}
	tags := []any{object{"Key": "cloney-s3-credentials:version", "Value": release.Version}}
	for function, output := range map[string]string{"ProviderFunction": "CodeSha256", "RotatorFunction": "RotatorCodeSha256"} {
		if diff := cmp.Diff(any(ofTheArchitecture(function, "CodeSha256")), at(template, "Outputs", output, "Value")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(any(tags), at(template, "Resources", function, "Properties", "Tags")); diff != "" {
			t.Error(diff)
		}
		// The function logs it.
		if got := at(template, "Resources", function, "Properties", "Environment", "Variables", "VERSION"); got != release.Version {
			t.Errorf("%s is told of version %v", function, got)
		}
	}
	comment, _, _ := strings.Cut(text(t), "\nAWSTemplateFormatVersion")
	saying := []string{"cloney-s3-credentials 1.2:", release.Commit}
	for code, sum := range release.Zips {
		saying = append(saying, code.Function+" for "+code.Architecture+": "+sum.String())
	}
	for _, said := range saying {
		if !strings.Contains(comment, said) {
			t.Errorf("%s is not said:\n%s", said, comment)
		}
	}
	for line := range strings.Lines(comment) {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("no comment: %s", line)
		}
	}
}

func TestTheSameReleaseGivesTheSameTemplate(t *testing.T) {
	again, err := templateOf(t.Context(), release)
	if err != nil || string(again) != text(t) {
		t.Errorf("another template at the second time: %v", err)
	}
}

func TestTheZip(t *testing.T) {
	packed, err := published.Zip([]byte("the function"))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil || len(archive.File) != 1 {
		t.Fatal(archive, err)
	}
	file, err := archive.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(file)
	f := archive.File[0]
	if f.Name != "bootstrap" || f.Mode() != 0o755 || string(body) != "the function" || err != nil {
		t.Errorf("%s %v %q %v", f.Name, f.Mode(), body, err)
	}
	// Else each day would have another zip, and another key.
	if f.Modified.Unix() != time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC).Unix() {
		t.Errorf("it holds the time %v", f.Modified)
	}
}

func TestATemplateThatIsTooLong(t *testing.T) {
	long := release
	long.Version = strings.Repeat("1", 20000)
	_, err := templateOf(t.Context(), long)
	if err == nil || !strings.Contains(err.Error(), "bytes too long: CloudFormation takes 51200. Shorten template.yaml") {
		t.Error(err)
	}
}
