// Command vulndb writes Go's vulnerability database in the form in which govulncheck
// reads it from a directory. So the search for known vulnerabilities needs no network,
// and uses the database that internal/release/tools.mod pins.
//
//	vulndb OSV-DIRECTORY OUT-DIRECTORY
//
// https://go.dev/doc/security/vuln/database
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// report is the part of an OSV entry that the index holds.
type report struct {
	ID       string
	Modified time.Time
	Affected []struct{ Package struct{ Name string } }
}

// module is a line of the index.
type module struct {
	Path  string          `json:"path"`
	Vulns []vulnerability `json:"vulns"`
}

type vulnerability struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
}

// fewest is how many reports the database must have: with an empty one, everything
// would pass.
const fewest = 4000

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: vulndb OSV-DIRECTORY OUT-DIRECTORY")
		os.Exit(2)
	}
	if err := layOut(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}

func layOut(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "*.json"))
	if err != nil {
		return err
	}
	if len(files) < fewest {
		return fmt.Errorf("%d reports in %s, and there are more than %d", len(files), from, fewest)
	}
	for _, dir := range []string{"ID", "index"} {
		if err := os.MkdirAll(filepath.Join(to, dir), 0o755); err != nil {
			return err
		}
	}
	modules := map[string]*module{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(to, "ID", r.ID+".json"), text, 0o644); err != nil {
			return err
		}
		r.index(modules)
	}
	return writeIndex(to, modules)
}

// index adds the report to the modules that it is about, once each.
func (r report) index(modules map[string]*module) {
	for _, affected := range r.Affected {
		path := affected.Package.Name
		if modules[path] == nil {
			modules[path] = &module{Path: path}
		}
		m := modules[path]
		if !slices.Contains(m.Vulns, vulnerability{r.ID, r.Modified}) {
			m.Vulns = append(m.Vulns, vulnerability{r.ID, r.Modified})
		}
	}
}

func writeIndex(to string, modules map[string]*module) error {
	var sorted []*module
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		sorted = append(sorted, modules[path])
	}
	for name, value := range map[string]any{"modules.json": sorted, "db.json": map[string]time.Time{"modified": time.Now().UTC()}} {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, "index", name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
