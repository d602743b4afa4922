package iamtest

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// deepest is the deepest nesting of JSON that could be a policy.
const deepest = 8

// readJSON reads one value. Package json alone would accept the last of two equal names,
// and names in any capitals.
func readJSON(text string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	tree, err := readValue(decoder, deepest)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse("something after the policy")
	}
	return tree, nil
}

func readValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, refuse("this JSON: %v", err)
	}
	delimiter, nested := token.(json.Delim)
	switch {
	case !nested:
		return token, nil
	case depth == 0:
		return nil, refuse("JSON nested so deep")
	case delimiter == '[':
		return readList(decoder, depth-1)
	}
	return readObject(decoder, depth-1)
}

func readList(decoder *json.Decoder, depth int) (any, error) {
	list := []any{}
	for decoder.More() {
		value, err := readValue(decoder, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, closed(decoder)
}

func readObject(decoder *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, refuse("this JSON: %v", err)
		}
		if _, twice := object[name]; twice {
			return nil, refuse("%q twice", name)
		}
		if object[name], err = readValue(decoder, depth); err != nil {
			return nil, err
		}
	}
	return object, closed(decoder)
}

func closed(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return refuse("this JSON: %v", err)
	}
	return nil
}

// object returns a tree as an object. If names are given, it refuses others.
func object(tree any, what string, names ...string) (map[string]any, error) {
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, refuse("%s that is not an object", what)
	}
	for name := range object {
		if len(names) > 0 && !slices.Contains(names, name) {
			return nil, refuse("%q in %s", name, what)
		}
	}
	return object, nil
}

// list reads a string or a list of strings.
func list(tree any, what string) ([]string, error) {
	values, isList := tree.([]any)
	if !isList {
		values = []any{tree}
	}
	texts := make([]string, len(values))
	for i, value := range values {
		var ok bool
		if texts[i], ok = value.(string); !ok {
			return nil, refuse("%s of %v", what, value)
		}
	}
	if len(texts) == 0 {
		return nil, refuse("%s without a value", what)
	}
	return texts, nil
}

// scalars is like list, and also reads numbers and booleans as they are written.
func scalars(tree any, what string) ([]string, error) {
	values, isList := tree.([]any)
	if !isList {
		values = []any{tree}
	}
	written := make([]any, len(values))
	for i, value := range values {
		switch value := value.(type) {
		case json.Number:
			written[i] = value.String()
		case bool:
			written[i] = strconv.FormatBool(value)
		default:
			written[i] = value
		}
	}
	return list(written, what)
}

func sorted(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
