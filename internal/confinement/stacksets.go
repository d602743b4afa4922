package confinement

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed stacksets.py
var plainTemplates string

// ReadStackSets reads the templates in stacksets/ of the checkout at root, by
// their names without .yaml.
func ReadStackSets(root string) (map[string]*Template, error) {
	command := exec.Command(filepath.Join(root, ".tools/venv/bin/python"), "-c", plainTemplates, filepath.Join(root, "stacksets"))
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("reading the templates of stack sets, with what make tools installs: %w", err)
	}
	var templates map[string]*Template
	return templates, json.Unmarshal(out, &templates)
}
