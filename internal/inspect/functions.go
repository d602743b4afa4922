package main

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// intrinsic reads a function of CloudFormation: !Ref Name, {"Ref": "Name"}, {"Fn::Sub": …}.
func intrinsic(node *yaml.Node) (function string, argument *yaml.Node, ok bool) {
	if strings.HasPrefix(node.Tag, "!") && !strings.HasPrefix(node.Tag, "!!") {
		return strings.TrimPrefix(node.Tag, "!"), node, true
	}
	if node.Kind != yaml.MappingNode || len(node.Content) != 2 {
		return "", nil, false
	}
	key := node.Content[0].Value
	function, found := strings.CutPrefix(key, "Fn::")
	return function, node.Content[1], found || key == "Ref"
}

// resolve returns what a function gives, as far as the values of what it refers to are
// known. Only a deployment knows the others.
func (t *template) resolve(property, function string, argument *yaml.Node) any {
	switch {
	case property == "ServiceToken":
		return "" // no policy depends on it
	case function == "Ref" && argument.Value == "AWS::NoValue":
		return absent{}
	case function == "Ref":
		return t.referred(argument.Value)
	case function == "GetAtt":
		return t.referred(attribute(argument))
	case function == "Sub" && argument.Kind == yaml.ScalarNode:
		return t.substitute(property, argument.Value, nil)
	case function == "Sub" && len(argument.Content) == 2:
		return t.substitute(property, argument.Content[0].Value, fields(argument.Content[1]))
	case function == "If" && len(argument.Content) == 3:
		switch t.named(property, argument.Content[0].Value) {
		case yes:
			return t.value(property, argument.Content[1])
		case no:
			return t.value(property, argument.Content[2])
		}
		return absent{}
	}
	return t.refuse(property, "make policy does not read Fn::%s; write a value in place of the function", function)
}

func (t *template) referred(name string) any {
	if value, known := t.lookUp(name); known {
		return value
	}
	return absent{}
}

// attribute is what Fn::GetAtt is called with, as RESOURCE.ATTRIBUTE.
func attribute(argument *yaml.Node) string {
	if argument.Kind == yaml.ScalarNode {
		return argument.Value
	}
	var words []string
	for _, part := range argument.Content {
		words = append(words, part.Value)
	}
	return strings.Join(words, ".")
}

// variable is what Fn::Sub replaces: ${Name} by a value, and ${!Name} by ${Name}.
var variable = regexp.MustCompile(`\$\{![^}]*\}|\$\{[A-Za-z0-9.:]+\}`)

// substitute is Fn::Sub. own are the values that stand next to the text.
func (t *template) substitute(property, text string, own map[string]*yaml.Node) any {
	complete := true
	text = variable.ReplaceAllStringFunc(text, func(found string) string {
		name := found[len("${") : len(found)-len("}")]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + literal + "}"
		}
		var value any
		if node := own[name]; node != nil {
			value = t.value(property, node)
		} else {
			value = t.referred(name)
		}
		written, ok := value.(string)
		complete = complete && ok
		return written
	})
	if !complete {
		return t.unread(property, "Fn::Sub")
	}
	return text
}

// truth is the value of a condition. It is unknown if a value that it compares is: what is
// missing or wrong is kept then.
type truth int

const (
	unknown truth = iota
	no
	yes
)

func (v truth) not() truth {
	switch v {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

// named is the value of a condition of the template. property is what depends on it.
func (t *template) named(property, name string) truth {
	if value, read := t.truths[name]; read {
		return value
	}
	condition := t.conditions[name]
	if condition == nil {
		t.refuse(property, "condition %q is not in Conditions of the template, or refers to itself", name)
		return unknown
	}
	t.conditions[name] = nil // while it is read: it may refer to itself
	t.truths[name] = t.condition(property, condition)
	return t.truths[name]
}

// condition reads Equals, Not, And, Or, and the name of another condition.
func (t *template) condition(property string, node *yaml.Node) truth {
	if other := fields(node)["Condition"]; other != nil {
		return t.named(property, other.Value)
	}
	function, argument, ok := intrinsic(node)
	switch {
	case function == "Condition":
		return t.named(property, argument.Value)
	case function == "Equals" && len(argument.Content) == 2:
		return t.equal(property, argument.Content[0], argument.Content[1])
	case function == "Not" && len(argument.Content) == 1:
		return t.condition(property, argument.Content[0]).not()
	case function == "And" && len(argument.Content) > 0:
		return t.all(property, argument.Content, yes)
	case function == "Or" && len(argument.Content) > 0:
		return t.all(property, argument.Content, no)
	case ok:
		t.refuse(property, "make policy cannot read Fn::%s in the condition, at line %d; write a value in place of Fn::If", function, node.Line)
	default:
		t.refuse(property, "the condition at line %d is not a function", node.Line)
	}
	return unknown
}

// all returns value if all of the conditions have it, and the opposite if one has the
// opposite. And is true if all are true. Or is false if all are false.
func (t *template) all(property string, conditions []*yaml.Node, value truth) truth {
	result := value
	for _, condition := range conditions {
		switch t.condition(property, condition) {
		case value.not():
			return value.not()
		case unknown:
			result = unknown
		}
	}
	return result
}

func (t *template) equal(property string, a, b *yaml.Node) truth {
	first, isText := t.value(property, a).(string)
	second, areTexts := t.value(property, b).(string)
	switch {
	case !isText || !areTexts:
		t.unread(property, "Fn::Equals")
		return unknown
	case first == second:
		return yes
	}
	return no
}

// unread keeps that an argument of a function is not a text, if nothing else is wrong.
func (t *template) unread(property, function string) absent {
	if t.problems() == nil {
		t.refuse(property, "an argument of %s is not a text", function)
	}
	return absent{}
}
