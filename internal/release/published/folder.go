package published

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Folder is a release for one account, in a folder of its own. The AWS CLI alone
// deploys it. Nothing in it depends on the day, the machine or the place of the
// checkout: the same commit gives the same bytes.
type Folder struct {
	Source
	// Template writes the published template: Release.Template of the checkout at Root.
	Template func(context.Context, Release) ([]byte, error)

	Root  string   // of the checkout
	Dir   string   // where the folder is written
	SBOMs []string // files: the list of what is in each function
}

// CheckChangelog returns an error unless CHANGELOG.md has a heading for the version: what
// changes for users is written before a version is released.
func (f Folder) CheckChangelog() error {
	text, err := os.ReadFile(filepath.Join(f.Root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if !regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(f.Version) + `( |$)`).Match(text) {
		return fmt.Errorf("CHANGELOG.md has no heading for this version. Write what changes for users below a heading \"## %s\" first", f.Version)
	}
	return nil
}

// Write writes the folder, whole or not at all. A folder that exists with the same files
// is left as it is. One with other files is never written over.
func (f Folder) Write(ctx context.Context) error {
	files, err := f.files(ctx)
	if err != nil {
		return err
	}
	files["SHA256SUMS"] = checksumsOf(files)
	switch _, err := os.Lstat(f.Dir); {
	case err == nil:
		return f.holds(files)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	part := f.Dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	for name, content := range files {
		file := filepath.Join(part, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return os.Rename(part, f.Dir)
}

// holds returns an error unless the folder that exists has these files and no others. It
// reads each of them: a file can be changed without its line in SHA256SUMS.
func (f Folder) holds(files map[string][]byte) error {
	found, err := contents(f.Dir)
	if err != nil {
		return err
	}
	var differences []string
	for name, content := range files {
		switch got, is := found[name]; {
		case !is:
			differences = append(differences, name+" is missing")
		case !bytes.Equal(got, content):
			differences = append(differences, name+" is different")
		}
	}
	for name := range found {
		if _, ours := files[name]; !ours {
			differences = append(differences, name+" does not belong there")
		}
	}
	if len(differences) == 0 {
		return nil
	}
	slices.Sort(differences)
	return fmt.Errorf("%s exists, but not with the files of this commit: %s. If you have given this version to nobody yet, delete the folder. Otherwise release this commit under a new version",
		f.Dir, strings.Join(differences, ", "))
}

// contents are the files of a directory by their names, which have slashes. What is not
// a regular file, such as a link, counts as an empty one.
func contents(dir string) (map[string][]byte, error) {
	found := map[string][]byte{}
	return found, filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		var content []byte
		if entry.Type().IsRegular() {
			if content, err = os.ReadFile(file); err != nil {
				return err
			}
		}
		found[filepath.ToSlash(name)] = content
		return nil
	})
}

// files are those of the folder by their names, which have slashes.
func (f Folder) files(ctx context.Context) (map[string][]byte, error) {
	zips, err := f.Zips()
	if err != nil {
		return nil, err
	}
	release := Release{Version: f.Version, Commit: f.Commit, Zips: Checksums(zips)}
	template, err := f.Template(ctx, release)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"template.yaml": template}
	for code, zip := range zips {
		// So that the folder code, uploaded to cloney-s3-credentials, is what the template names.
		files[path.Join("code", path.Base(release.Zips[code].Key()))] = zip
	}
	// What cfn-lint checks the properties of stacks by.
	schema, err := filepath.Glob(filepath.Join(f.Root, "schema", "*.*"))
	if err != nil {
		return nil, err
	}
	if err := add(files, "schema", schema); err != nil {
		return nil, err
	}
	return files, add(files, "", f.SBOMs)
}

// add adds files of the checkout, in a directory of the folder.
func add(files map[string][]byte, dir string, from []string) error {
	for _, file := range from {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		files[path.Join(dir, filepath.Base(file))] = content
	}
	return nil
}

// checksumsOf is what sha256sum --check reads.
func checksumsOf(files map[string][]byte) []byte {
	var lines []string
	for name, content := range files {
		lines = append(lines, fmt.Sprintf("%v  %s\n", ChecksumOf(content), name))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[sha256.Size*2:], b[sha256.Size*2:]) })
	return []byte(strings.Join(lines, ""))
}
