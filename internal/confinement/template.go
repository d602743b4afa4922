package confinement

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloney-s3-credentials/internal/release/published"
)

// Documents are the policies of the provider's stack.
type Documents struct {
	Roles    map[Function]map[string]any
	Boundary map[string]any // of every user
	// Invocation is the provider function's own policy; nil: it has none.
	Invocation map[string]any
}

// With returns the documents with another one for a function's role.
func (d Documents) With(f Function, role map[string]any) Documents {
	d.Roles = maps.Clone(d.Roles)
	d.Roles[f] = role
	return d
}

// Template is the provider's template as plain CloudFormation.
type Template struct {
	Parameters map[string]parameter
	Rules      map[string]rule
	Conditions map[string]any
	Resources  map[string]struct {
		Type                string
		Condition           string
		Properties          map[string]any
		DependsOn           any
		DeletionPolicy      string
		UpdateReplacePolicy string
	}
	Outputs   map[string]struct{ Value any }
	Transform any
}

// ReadTemplate reads the published template of the checkout at root: the very
// text that `make publish` would write.
func ReadTemplate(root string) (*Template, error) {
	ctx := context.Background()
	release := published.Release{Version: "0.0.0", Commit: "unknown", Account: "111122223333", Prefix: "cloney-code"}
	text, err := release.Template(ctx, root)
	if err != nil {
		return nil, err
	}
	return read(published.JSON(ctx, root, text))
}

// ReadTranslated reads template.yaml of the checkout at root, as SAM deploys it.
func ReadTranslated(root string) (*Template, error) {
	return read(published.Translate(context.Background(), root))
}

func read(text []byte, err error) (*Template, error) {
	if err != nil {
		return nil, err
	}
	var t Template
	return &t, json.Unmarshal(text, &t)
}

// At returns the policies of a stack in a place, with these parameters.
func (t *Template) At(p Place, parameters map[string]string) (d Documents, err error) {
	d.Roles = map[Function]map[string]any{}
	for _, f := range Functions {
		if d.Roles[f], err = t.role(f.Role(), p, parameters); err != nil {
			return d, err
		}
	}
	boundary, err := t.Resolved("UserBoundary", p, parameters, nil)
	if err != nil {
		return d, err
	}
	if path := fmt.Sprint(boundary["Path"]); !strings.Contains(p.BoundaryARN(), ":policy"+path+"cloney-") {
		return d, fmt.Errorf("the boundary has the path %s, and %s is judged", path, p.BoundaryARN())
	}
	d.Boundary = boundary["PolicyDocument"].(map[string]any)
	const invocation = "ProviderInvocation"
	switch made, err := t.made(invocation, p, parameters); {
	case err != nil:
		return d, err
	case made:
		resolved, err := t.Resolved(invocation, p, parameters, nil)
		if err != nil {
			return d, err
		}
		d.Invocation = resolved["PolicyDocument"].(map[string]any)
	}
	return d, nil
}

// made reports whether a stack has the resource.
func (t *Template) made(resource string, p Place, parameters map[string]string) (bool, error) {
	condition := t.Resources[resource].Condition
	if condition == "" {
		return true, nil
	}
	value, err := t.Value(map[string]any{"it": map[string]any{"Condition": condition}}, p, parameters, nil)
	if err != nil {
		return false, err
	}
	return value.(map[string]any)["it"].(bool), nil
}

// role returns the one policy of a role.
func (t *Template) role(resource string, p Place, parameters map[string]string) (map[string]any, error) {
	role, err := t.Resolved(resource, p, parameters, nil)
	if err != nil {
		return nil, err
	}
	if managed, given := role["ManagedPolicyArns"]; given {
		return nil, fmt.Errorf("%s has managed policies %v, which are not judged", resource, managed)
	}
	policies, _ := role["Policies"].([]any)
	if len(policies) != 1 {
		return nil, fmt.Errorf("%s has %d policies, and 1 is judged", resource, len(policies))
	}
	return policies[0].(map[string]any)["PolicyDocument"].(map[string]any), nil
}

// Resolved returns a resource's properties in a place, as CloudFormation gives them to AWS.
// made has the values of other resources: under Bucket the value of !Ref Bucket, and under
// Bucket.Arn the value of !GetAtt Bucket.Arn.
func (t *Template) Resolved(resource string, p Place, parameters, made map[string]string) (map[string]any, error) {
	declared, known := t.Resources[resource]
	if !known {
		return nil, fmt.Errorf("the template has no resource %s", resource)
	}
	properties, err := t.Value(declared.Properties, p, parameters, made)
	if err != nil {
		return nil, err
	}
	return properties.(map[string]any), nil
}

// Value is Resolved for a part of the template.
func (t *Template) Value(tree any, p Place, parameters, made map[string]string) (value any, err error) {
	defer func() {
		if refused, ok := recover().(refusal); ok {
			err = fmt.Errorf("the template: %s", string(refused))
		}
	}()
	r := resolver{template: t, place: p, parameters: parameters, made: made}
	return r.value(tree), nil
}

// Text is a policy as IAM gets it.
func Text(document map[string]any) string {
	text, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// refusal names what is unknown in a template.
type refusal string

// resolver evaluates a template's functions like CloudFormation.
type resolver struct {
	template   *Template
	place      Place
	parameters map[string]string
	made       map[string]string
}

// absent is AWS::NoValue.
type absent struct{}

// value resolves every function in a tree.
func (r resolver) value(tree any) any {
	switch tree := tree.(type) {
	case map[string]any:
		if name, argument, is := function(tree); is {
			return r.call(name, argument)
		}
		out := map[string]any{}
		for key, value := range tree {
			if value := r.value(value); value != (absent{}) {
				out[key] = value
			}
		}
		return out
	case []any:
		out := []any{}
		for _, value := range tree {
			if value := r.value(value); value != (absent{}) {
				out = append(out, value)
			}
		}
		return out
	}
	return tree
}

// function reports whether an object is a call of a function.
func function(tree map[string]any) (name string, argument any, is bool) {
	for name, argument := range tree {
		// Condition is a function only among conditions; in a policy it is an element.
		if _, named := argument.(string); name == "Ref" || name == "Condition" && named || strings.HasPrefix(name, "Fn::") {
			return name, argument, len(tree) == 1
		}
	}
	return "", nil, false
}

func (r resolver) call(name string, argument any) any {
	list, _ := argument.([]any)
	switch name {
	case "Ref":
		return r.ref(argument.(string))
	case "Condition":
		return r.condition(argument.(string))
	case "Fn::GetAtt":
		return r.attribute(strings.Join(strs(list), "."))
	case "Fn::Sub":
		return r.sub(argument)
	case "Fn::If":
		if r.condition(list[0].(string)) {
			return r.value(list[1])
		}
		return r.value(list[2])
	case "Fn::Join":
		return strings.Join(strs(r.value(list[1])), list[0].(string))
	case "Fn::Split":
		parts := []any{}
		for _, part := range strings.Split(r.value(list[1]).(string), list[0].(string)) {
			parts = append(parts, part)
		}
		return parts
	case "Fn::Select":
		return r.value(list[1]).([]any)[int(list[0].(float64))]
	case "Fn::Contains":
		return slices.Contains(r.value(list[0]).([]any), r.value(list[1]))
	case "Fn::Equals":
		return r.value(list[0]) == r.value(list[1])
	case "Fn::Not":
		return !r.value(list[0]).(bool)
	case "Fn::And", "Fn::Or":
		// And ends at the first that is false, Or at the first that is true.
		for _, one := range list {
			if r.value(one).(bool) == (name == "Fn::Or") {
				return name == "Fn::Or"
			}
		}
		return name == "Fn::And"
	}
	panic(refusal("function " + name + " is not known"))
}

func (r resolver) condition(name string) bool {
	tree, known := r.template.Conditions[name]
	if !known {
		panic(refusal("there is no condition " + name))
	}
	return r.value(tree).(bool)
}

func (r resolver) ref(name string) any {
	switch name {
	case "AWS::Partition":
		return r.place.Partition
	case "AWS::Region":
		return r.place.Region
	case "AWS::AccountId":
		return r.place.Account
	case "AWS::URLSuffix":
		return r.place.Suffix()
	case "AWS::NoValue":
		return absent{}
	case "UserBoundary":
		return r.place.BoundaryARN()
	}
	if made, known := r.made[name]; known {
		return made
	}
	if strings.Contains(name, ".") { // ${Bucket.Arn} in a Fn::Sub
		return r.attribute(name)
	}
	parameter, known := r.template.Parameters[name]
	if !known {
		panic(refusal("Ref " + name + " is not known"))
	}
	value, given := r.parameters[name]
	if !given && parameter.Default == nil {
		panic(refusal("parameter " + name + " has no default, and no value is given"))
	}
	if !given {
		value = fmt.Sprint(parameter.Default)
	}
	if parameter.Type != "CommaDelimitedList" {
		return value
	}
	list := []any{}
	for part := range strings.SplitSeq(value, ",") {
		list = append(list, strings.TrimSpace(part))
	}
	return list
}

func (r resolver) attribute(name string) any {
	if made, known := r.made[name]; known {
		return made
	}
	switch name {
	case "ProviderLogGroup.Arn":
		return r.place.RegionalARN("logs", "log-group:"+Provider.LogGroup()+":*")
	case "RotatorLogGroup.Arn":
		return r.place.RegionalARN("logs", "log-group:"+Rotator.LogGroup()+":*")
	case "ProviderFunction.Arn":
		return r.place.Lambda(Provider)
	case "RotatorFunction.Arn":
		return r.place.Lambda(Rotator)
	}
	panic(refusal("Fn::GetAtt " + name + " is not known"))
}

func (r resolver) sub(argument any) string {
	text, plain := argument.(string)
	if !plain {
		panic(refusal("Fn::Sub with variables of its own is not known"))
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		value, scalar := r.ref(name).(string)
		if !scalar {
			panic(refusal("${" + name + "} is not a string"))
		}
		out.WriteString(value)
		text = after
	}
}

func strs(tree any) []string {
	var out []string
	for _, value := range tree.([]any) {
		out = append(out, value.(string))
	}
	return out
}
