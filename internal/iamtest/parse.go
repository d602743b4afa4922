package iamtest

import (
	"strings"
	"unicode/utf8"
)

// Parse reads a policy document. It returns a Refusal that names what it does not know.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func Parse(text string) (*Policy, error) {
	if !utf8.ValidString(text) {
		return nil, refuse("a policy that is not UTF-8")
	}
	tree, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	document, err := object(tree, "a policy", "Version", "Id", "Statement")
	if err != nil {
		return nil, err
	}
	variables, err := version(document)
	if err != nil {
		return nil, err
	}
	statements, isList := document["Statement"].([]any)
	if !isList {
		statements = []any{document["Statement"]}
	}
	return newPolicy(statements, variables)
}

// MustParse is Parse for policies that a test has written itself.
func MustParse(text string) *Policy {
	p, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return p
}

// version reports whether the document's language has variables. Without Version it has
// none.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
func version(document map[string]any) (variables bool, err error) {
	if id, given := document["Id"]; given {
		if _, ok := id.(string); !ok {
			return false, refuse("Id %v", id)
		}
	}
	switch v, given := document["Version"]; {
	case v == "2012-10-17":
		return true, nil
	case v == "2008-10-17", !given:
		return false, nil
	default:
		return false, refuse("Version %v", v)
	}
}

func newPolicy(statements []any, variables bool) (*Policy, error) {
	if len(statements) == 0 {
		return nil, refuse("a policy without statements")
	}
	p := &Policy{statements: make([]statement, len(statements))}
	sids := map[string]bool{}
	for i, tree := range statements {
		s := &p.statements[i]
		if err := s.read(tree, variables); err != nil {
			return nil, err
		}
		if sids[s.sid] && s.sid != "" {
			return nil, refuse("Sid %q twice", s.sid)
		}
		sids[s.sid] = true
		p.named = s.hasPrincipal
		if s.hasPrincipal != p.statements[0].hasPrincipal {
			return nil, refuse("a policy of which some statements have a Principal")
		}
	}
	return p, nil
}

func (s *statement) read(tree any, variables bool) error {
	elements, err := object(tree, "a statement", "Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition")
	if err != nil {
		return err
	}
	if sid, given := elements["Sid"]; given {
		var ok bool
		if s.sid, ok = sid.(string); !ok {
			return refuse("Sid %v", sid)
		}
	}
	switch elements["Effect"] {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		return refuse("Effect %v", elements["Effect"])
	}
	if principal, given := elements["Principal"]; given {
		s.hasPrincipal = true
		if s.principals, err = readPrincipal(principal); err != nil {
			return err
		}
	}
	if err := s.readActions(elements); err != nil {
		return err
	}
	if err := s.readResources(elements, variables); err != nil {
		return err
	}
	if condition, given := elements["Condition"]; given {
		err = s.readConditions(condition, variables)
	}
	return err
}

// either returns the values of one of two elements, and whether it is the Not… element.
func either(elements map[string]any, name string) (values []string, not bool, err error) {
	positive, given := elements[name]
	negative, not := elements["Not"+name]
	if given == not {
		return nil, false, refuse("a statement needs %s or Not%s, and not both", name, name)
	}
	if not {
		positive = negative
	}
	values, err = list(positive, name)
	return values, not, err
}

func (s *statement) readActions(elements map[string]any) error {
	actions, not, err := either(elements, "Action")
	if err != nil {
		return err
	}
	s.notAction = not
	for _, action := range actions {
		vendor, name, _ := strings.Cut(action, ":")
		if action != "*" && !(isWord(vendor, "-") && isWord(name, "*?")) {
			return refuse("action %q", action)
		}
		compiled, err := compile(action, true, false)
		if err != nil {
			return err
		}
		s.actions = append(s.actions, compiled)
	}
	return nil
}

func (s *statement) readResources(elements map[string]any, variables bool) error {
	resources, not, err := either(elements, "Resource")
	if err != nil {
		return err
	}
	s.notResource = not
	for _, resource := range resources {
		if resource == "*" {
			s.resources = append(s.resources, arnGlob{all: true})
			continue
		}
		compiled, err := compileARN(resource, variables, false)
		if err != nil {
			return err
		}
		s.resources = append(s.resources, compiled)
		s.need(resource, variables)
	}
	return nil
}

// readPrincipal reads the principals of IAM. It ignores services.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func readPrincipal(tree any) ([]string, error) {
	if tree == "*" {
		return []string{"*"}, nil
	}
	kinds, err := object(tree, "Principal", "AWS", "Service")
	if err != nil || len(kinds) == 0 {
		return nil, refuse("Principal %v", tree)
	}
	if services, given := kinds["Service"]; given {
		if _, err := list(services, "Service"); err != nil {
			return nil, err
		}
	}
	if _, given := kinds["AWS"]; !given {
		return nil, nil
	}
	principals, err := list(kinds["AWS"], "Principal")
	for i, p := range principals {
		segments, isARN := splitARN(p)
		switch {
		case p == "*":
		case isAccount(p):
		case isARN && segments[2] == "iam" && segments[5] == "root" && isAccount(segments[4]):
			principals[i] = segments[4]
		case isARN && segments[2] == "iam" && isEntity(segments[5]) && !strings.ContainsAny(p, "*?$"):
		default:
			return nil, refuse("Principal %q", p)
		}
	}
	return principals, err
}

func isEntity(resource string) bool {
	return strings.HasPrefix(resource, "user/") || strings.HasPrefix(resource, "role/")
}

func (s *statement) need(text string, variables bool) {
	if variables {
		s.needs = append(s.needs, needed(text)...)
	}
}

func (s *statement) readConditions(tree any, variables bool) error {
	operators, err := object(tree, "Condition")
	if err != nil {
		return err
	}
	for _, operator := range sorted(operators) {
		keys, err := object(operators[operator], operator)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, key := range sorted(keys) {
			if seen[strings.ToLower(key)] {
				return refuse("key %q twice under %s", key, operator)
			}
			seen[strings.ToLower(key)] = true
			if err := s.readCondition(operator, key, keys[key], variables); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *statement) readCondition(operator, key string, tree any, variables bool) error {
	values, err := scalars(tree, key)
	if err != nil {
		return err
	}
	c, err := newCondition(operator, key, values, variables)
	if err != nil {
		return err
	}
	s.conditions = append(s.conditions, c)
	for _, value := range values {
		s.need(value, variables)
	}
	return nil
}
