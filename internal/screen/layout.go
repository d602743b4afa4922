// Package screen lays text out for a terminal, so that the terminal never has to
// wrap a line: in the middle of a word it would.
package screen

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Wrap breaks a text into lines of at most width characters. The first line begins
// with first, all others with rest. It breaks between words. A word that is longer
// than a line, such as an ARN, is broken after a character that separates its parts.
func Wrap(text, first, rest string, width int) (lines []string) {
	line, empty := first, true
	next := func() {
		lines = append(lines, strings.TrimRight(line, " "))
		line, empty = rest, true
	}
	// A no-break space is part of a word.
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' }) {
		if !empty && length(line)+1+length(word) > width {
			next()
		}
		for length(line)+length(word) > width && empty {
			var part string
			part, word = cutWord(word, max(1, width-length(line)))
			line += part
			next()
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	if !empty || len(lines) == 0 {
		next()
	}
	return lines
}

// cutWord cuts off at most so many characters, after the last separator among them.
func cutWord(word string, most int) (part, left string) {
	runes := []rune(word)
	if len(runes) <= most {
		return word, ""
	}
	at := most
	for i := most; i > most/2; i-- {
		if strings.ContainsRune("/:,=-._", runes[i-1]) {
			at = i
			break
		}
	}
	return string(runes[:at]), string(runes[at:])
}

func length(text string) int { return utf8.RuneCountInString(text) }

// JSON lays a JSON text out: each key of an object has a line of its own, and so has
// each element of a list that does not fit its line. The keys stay in their order.
func JSON(text, indent string, width int) ([]string, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	root, err := read(decoder)
	if err != nil {
		return nil, err
	}
	return root.lines(indent, "", width), nil
}

// node is a JSON value that remembers the order of its keys.
type node struct {
	open, shut string   // "{" and "}", "[" and "]"; empty: a scalar
	scalar     string   // as JSON
	keys       []string // of an object, as JSON
	values     []node
}

func read(decoder *json.Decoder) (node, error) {
	token, err := decoder.Token()
	if err != nil {
		return node{}, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return node{scalar: encode(token)}, nil
	}
	n := node{open: delim.String(), shut: map[json.Delim]string{'{': "}", '[': "]"}[delim]}
	for decoder.More() {
		if delim == '{' {
			key, err := decoder.Token()
			if err != nil {
				return node{}, err
			}
			n.keys = append(n.keys, encode(key))
		}
		value, err := read(decoder)
		if err != nil {
			return node{}, err
		}
		n.values = append(n.values, value)
	}
	_, err = decoder.Token() // the end of it
	return n, err
}

// encode writes <, > and & as they are: an address of a policy is to be read.
func encode(scalar any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(scalar) // a string, a number, true, false or null cannot fail
	return strings.TrimSuffix(text.String(), "\n")
}

// lines are the lines of the value. The first one begins with its indent and key.
func (n node) lines(indent, key string, width int) []string {
	if flat := indent + key + n.flat(); n.open == "" || len(n.values) == 0 || n.isFlat() && length(flat) < width {
		return []string{flat}
	}
	lines := []string{indent + key + n.open}
	for i, value := range n.values {
		key := ""
		if n.keys != nil {
			key = n.keys[i] + ": "
		}
		inner := value.lines(indent+"  ", key, width)
		if i < len(n.values)-1 {
			inner[len(inner)-1] += ","
		}
		lines = append(lines, inner...)
	}
	return append(lines, indent+n.shut)
}

// isFlat reports whether the value is a list of scalars.
func (n node) isFlat() bool {
	return n.open == "[" && !slices.ContainsFunc(n.values, func(value node) bool { return value.open != "" })
}

func (n node) flat() string {
	if n.open == "" {
		return n.scalar
	}
	var parts []string
	for _, value := range n.values {
		parts = append(parts, value.flat())
	}
	return n.open + strings.Join(parts, ", ") + n.shut
}
