package iamtest

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// These are elements in addition to characters.
const (
	star rune = -1 - iota // any characters
	any1                  // any one character
	none                  // invalid UTF-8, which equals nothing
)

// glob is a text of a policy, ready to be compared.
type glob struct {
	literal  string // if it is that alone
	elements []rune // otherwise, unless it has variables
	parts    []part // if it has variables
}

// part is characters and wildcards, or a variable.
type part struct {
	elements   []rune
	key        string // lower-case; empty: no variable
	fallback   string
	isFallback bool
}

// compile reads a text. With wild, * and ? are wildcards. With variables, ${…} is a
// variable or one of the three escapes, as in Version 2012-10-17.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func compile(text string, wild, variables bool) (glob, error) {
	var parts []part
	var elements []rune
	for text != "" {
		if variables && strings.HasPrefix(text, "${") {
			end := strings.IndexByte(text, '}')
			if end < 0 {
				return glob{}, refuse("a variable that does not end: %q", text)
			}
			inside := text[2:end]
			text = text[end+1:]
			if inside == "*" || inside == "?" || inside == "$" {
				elements = append(elements, rune(inside[0]))
				continue
			}
			variable, err := readVariable(inside)
			if err != nil {
				return glob{}, err
			}
			parts = append(parts, part{elements: elements}, variable)
			elements = nil
			continue
		}
		c, size := utf8.DecodeRuneInString(text)
		switch {
		case wild && c == '*':
			c = star
		case wild && c == '?':
			c = any1
		}
		elements = append(elements, c)
		text = text[size:]
	}
	if parts != nil {
		return glob{parts: append(parts, part{elements: elements})}, nil
	}
	return simple(elements), nil
}

// simple keeps a text without wildcards as a string, which is faster.
func simple(elements []rune) glob {
	for _, c := range elements {
		if c < 0 {
			return glob{elements: elements}
		}
	}
	return glob{literal: string(elements)}
}

// readVariable reads key, or: key, 'default'.
func readVariable(inside string) (part, error) {
	key, fallback, isFallback := strings.Cut(inside, ", ")
	kind, known := keyOf(key)
	if !known {
		return part{}, refuse("variable ${%s}: it is not known", inside)
	}
	if kind == many {
		return part{}, refuse("variable ${%s}: the key has many values", inside)
	}
	if isFallback {
		quoted := fallback
		if fallback = strings.TrimSuffix(strings.TrimPrefix(quoted, "'"), "'"); len(quoted) != len(fallback)+2 || strings.ContainsAny(fallback, "'*?$") {
			return part{}, refuse("the default value of ${%s}", inside)
		}
	}
	return part{key: strings.ToLower(key), fallback: fallback, isFallback: isFallback}, nil
}

// resolve replaces variables by their values. If one is missing, the text equals nothing.
func (g *glob) resolve(variables map[string][]string) (glob, bool) {
	var elements []rune
	for i := range g.parts {
		p := &g.parts[i]
		elements = append(elements, p.elements...)
		if p.key == "" {
			continue
		}
		value := p.fallback
		if values := lookUp(variables, p.key, one); len(values) > 0 {
			value = values[0]
		} else if !p.isFallback {
			return glob{}, false
		}
		// AWS does not document whether it would be a wildcard.
		if strings.ContainsAny(value, "*?$") || !utf8.ValidString(value) {
			panic(refuse("variable ${%s} with the value %q", p.key, value))
		}
		elements = append(elements, []rune(value)...)
	}
	return simple(elements), true
}

// match compares a whole text; with fold it ignores case.
func (g *glob) match(text string, fold bool, variables map[string][]string) bool {
	switch {
	case g.parts != nil:
		resolved, ok := g.resolve(variables)
		return ok && resolved.match(text, fold, nil)
	case g.elements != nil:
		return matchElements(g.elements, text, fold)
	}
	return g.literal == text || fold && strings.EqualFold(g.literal, text)
}

// needed returns the keys of a text's variables that have no default.
func needed(text string) (keys []string) {
	for _, found := range variableForm.FindAllStringSubmatch(text, -1) {
		if _, known := keyOf(found[1]); known {
			keys = append(keys, strings.ToLower(found[1]))
		}
	}
	return keys
}

var variableForm = regexp.MustCompile(`\$\{([^},]+)\}`)

func matchElements(elements []rune, text string, fold bool) bool {
	at, from := 0, -1 // where to go on after the last star, if it takes one more
	rest := text
	var held string
	for rest != "" {
		c, size := utf8.DecodeRuneInString(rest)
		if c == utf8.RuneError && size == 1 {
			c = none
		}
		switch {
		case at < len(elements) && elements[at] == star:
			at++
			from, held = at, rest
		case at < len(elements) && (elements[at] == any1 || elements[at] == c || fold && lower(elements[at]) == lower(c)):
			at++
			rest = rest[size:]
		case from >= 0:
			_, size := utf8.DecodeRuneInString(held)
			held = held[size:]
			at, rest = from, held
		default:
			return false
		}
	}
	for at < len(elements) && elements[at] == star {
		at++
	}
	return at == len(elements)
}

// lower converts the characters of actions to lower case.
func lower(c rune) rune {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
