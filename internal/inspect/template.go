package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"cloney-s3-credentials/internal/name"
)

// resourceType is the type of our resources in a template.
const resourceType = "Custom::CloneyS3Credentials"

// generalType is the type that a custom resource of any kind may have.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
const generalType = "AWS::CloudFormation::CustomResource"

// declared is one resource of ours, with its properties as CloudFormation sends them.
type declared struct {
	logical    string
	properties map[string]any
}

// template is what the functions of CloudFormation refer to, and what cannot be read.
type template struct {
	// By the name that a function uses: Name, Resource.Attribute, AWS::StackName.
	values     map[string]string
	conditions map[string]*yaml.Node
	truths     map[string]truth // of the conditions that have been read

	resource string   // the resource that is read, for the sentences
	missing  []string // names without a value, once each
	wrong    []error
}

// readProperties reads JSON or YAML: the properties of one resource, or a template. given
// are values of the template's parameters, NAME=VALUE. The error has all that is wrong.
func readProperties(text []byte, given []string) ([]declared, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("the file is neither JSON nor YAML: %w", err)
	}
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("the file holds no properties: write properties of %s, or a template", resourceType)
	}
	if err := refuseAliases(&root); err != nil {
		return nil, err
	}
	top := fields(root.Content[0])
	t, err := references(top, given)
	if err != nil {
		return nil, err
	}
	var found []declared
	if resources, isTemplate := top["Resources"]; isTemplate {
		found = t.ours(fields(resources))
	} else {
		found = []declared{{"Credentials", t.mapping("", root.Content[0])}}
	}
	if err := t.problems(); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, noneOfOurs(fields(top["Resources"]))
	}
	return found, nil
}

// noneOfOurs says why a template has nothing to read.
func noneOfOurs(resources map[string]*yaml.Node) error {
	for _, logical := range slices.Sorted(maps.Keys(resources)) {
		if kind := fields(resources[logical])["Type"]; kind != nil && kind.Value == generalType {
			return fmt.Errorf("%s: the Type is %s; for credentials, write Type: %s", logical, generalType, resourceType)
		}
	}
	return fmt.Errorf("the template has no resource of type %s, or the Condition of each is false", resourceType)
}

// refuseAliases refuses what CloudFormation does not read. An alias can also stand in the
// value that it stands for, which has no end.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
func refuseAliases(node *yaml.Node) error {
	if node.Kind == yaml.AliasNode || node.Tag == "!!merge" {
		return fmt.Errorf("line %d: CloudFormation does not support the aliases (*) and merge keys (<<) of YAML; write the value itself", node.Line)
	}
	for _, child := range node.Content {
		if err := refuseAliases(child); err != nil {
			return err
		}
	}
	return nil
}

// references reads what functions refer to: the conditions, the defaults of parameters, and
// what is given, NAME=VALUE. NAME is a parameter, a resource, or RESOURCE.ATTRIBUTE. If the
// file has properties alone, it is any name.
func references(top map[string]*yaml.Node, given []string) (*template, error) {
	t := &template{conditions: fields(top["Conditions"]), truths: map[string]truth{}, values: map[string]string{
		"AWS::StackName": "example", "AWS::AccountId": exampleAccount, "AWS::Region": region(), "AWS::Partition": name.Partition(region()),
	}}
	declared := fields(top["Parameters"])
	for name, parameter := range declared {
		if value := fields(parameter)["Default"]; value != nil {
			t.values[name] = value.Value
		}
	}
	maps.Copy(declared, fields(top["Resources"]))
	for _, assignment := range given {
		name, value, ok := strings.Cut(assignment, "=")
		logical, _, _ := strings.Cut(name, ".")
		known := len(declared) == 0 || declared[logical] != nil || strings.HasPrefix(name, "AWS::")
		if !ok || !known {
			return nil, fmt.Errorf("PARAMETERS: %q does not begin with the name of a parameter or a resource of the template and =; the template has %s",
				assignment, strings.Join(slices.Sorted(maps.Keys(declared)), ", "))
		}
		t.values[name] = value
	}
	return t, nil
}

// newAssignment is where the next NAME= begins.
var newAssignment = regexp.MustCompile(`\s+([A-Za-z0-9.:]+=)`)

// assignments splits NAME=VALUE NAME=VALUE. A value ends at a space that NAME= follows, so
// that it may have other spaces.
func assignments(text string) (found []string) {
	for line := range strings.Lines(newAssignment.ReplaceAllString(text, "\n$1")) {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	return found
}

// ours are our resources, by their names, without those whose Condition is false.
func (t *template) ours(resources map[string]*yaml.Node) (found []declared) {
	for _, logical := range slices.Sorted(maps.Keys(resources)) {
		resource := fields(resources[logical])
		if resource["Type"] == nil || resource["Type"].Value != resourceType {
			continue
		}
		t.resource = logical
		if condition := resource["Condition"]; condition != nil && t.named("Condition", condition.Value) == no {
			continue
		}
		d := declared{logical: logical, properties: map[string]any{}}
		if properties := resource["Properties"]; properties != nil {
			d.properties = t.mapping("", properties)
		}
		found = append(found, d)
	}
	return found
}

// fields are the values of a mapping, by key.
func fields(node *yaml.Node) map[string]*yaml.Node {
	found := map[string]*yaml.Node{}
	if node != nil && node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			found[node.Content[i].Value] = node.Content[i+1]
		}
	}
	return found
}

// absent is the value of a property that AWS::NoValue takes away, and of one that cannot be
// read.
type absent struct{}

// mapping reads a mapping as CloudFormation sends it. property is where it stands.
func (t *template) mapping(property string, node *yaml.Node) map[string]any {
	found := map[string]any{}
	values := fields(node)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		place := key
		if property != "" {
			place = property + "." + key
		}
		if read := t.value(place, values[key]); read != (absent{}) {
			found[key] = read
		}
	}
	return found
}

// value reads a value as CloudFormation sends it: every scalar as a string.
func (t *template) value(property string, node *yaml.Node) any {
	if function, argument, ok := intrinsic(node); ok {
		return t.resolve(property, function, argument)
	}
	switch node.Kind {
	case yaml.MappingNode:
		return t.mapping(property, node)
	case yaml.SequenceNode:
		list := []any{}
		for i, element := range node.Content {
			if read := t.value(property+"["+strconv.Itoa(i)+"]", element); read != (absent{}) {
				list = append(list, read)
			}
		}
		return list
	}
	if node.Tag == "!!null" {
		return t.refuse(property, "is null, which CloudFormation refuses; write a value, or leave the property out")
	}
	return node.Value
}

// refuse keeps what is wrong with a property.
func (t *template) refuse(property, format string, about ...any) absent {
	place := strings.TrimPrefix(t.resource+": "+property, ": ")
	t.wrong = append(t.wrong, fmt.Errorf("%s: "+format, append([]any{place}, about...)...))
	return absent{}
}

// lookUp returns the value of a name, and keeps a name that has none.
func (t *template) lookUp(name string) (value string, known bool) {
	if value, known = t.values[name]; !known && !slices.Contains(t.missing, name) {
		t.missing = append(t.missing, name)
	}
	return value, known
}

// problems are all that is wrong, and all names without a value.
func (t *template) problems() error {
	wrong := slices.Clone(t.wrong)
	if len(t.missing) > 0 {
		wrong = append(wrong, fmt.Errorf("only a deployment knows these values: %s. Give them by PARAMETERS=\"%s=VALUE\"",
			strings.Join(t.missing, ", "), strings.Join(t.missing, "=VALUE ")))
	}
	return errors.Join(wrong...)
}
