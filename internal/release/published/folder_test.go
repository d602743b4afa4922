package published_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloney-s3-credentials/internal/release/published"
)

// folder is a release of made-up bootstraps into a directory that does not exist yet.
func folder(t *testing.T) published.Folder {
	t.Helper()
	dir := t.TempDir()
	built := map[string]string{"arm64": filepath.Join(dir, "arm64"), "x86_64": filepath.Join(dir, "x86_64")}
	for _, code := range published.Codes() {
		bootstrap := filepath.Join(built[code.Architecture], code.Function, "bootstrap")
		if err := errors.Join(os.MkdirAll(filepath.Dir(bootstrap), 0o755), os.WriteFile(bootstrap, []byte(fmt.Sprint(code)), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	sbom := filepath.Join(dir, "provider.cdx.json")
	if err := os.WriteFile(sbom, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	return published.Folder{
		Source: published.Source{Version: release.Version, Commit: release.Commit, ARM64: built["arm64"], X86: built["x86_64"]},
		Template: func(_ context.Context, r published.Release) ([]byte, error) {
			return fmt.Appendf(nil, "%s %s %v\n", r.Version, r.Commit, r.Zips), nil
		},
		Root: root, Dir: filepath.Join(dir, "dist", release.Version), SBOMs: []string{sbom},
	}
}

// read is what a folder holds, by the names in it.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		name, _ := filepath.Rel(dir, file)
		files[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The folder is enough for a deployment: each zip is where the template looks for it
// after code/ is uploaded to cloney-s3-credentials/ of the bucket that CodeBucket names.
func TestTheFolderIsAllThatADeploymentNeeds(t *testing.T) {
	f := folder(t)
	f.Template = templateOf
	if err := f.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	files := read(t, f.Dir)
	template := parsed(t)(published.JSON(t.Context(), root, []byte(files["template.yaml"])))
	named := map[string]bool{}
	for _, function := range published.Functions {
		want := object{"S3Bucket": object{"Ref": "CodeBucket"}, "S3Key": ofTheArchitecture(function, "Key")}
		if diff := cmp.Diff(want, at(template, "Resources", function, "Properties", "Code")); diff != "" {
			t.Error(function, diff)
		}
		for architecture, code := range at(template, "Mappings", function+"Code").(object) {
			key := at(code, "Key").(string)
			named[strings.Replace(key, "cloney-s3-credentials/", "code/", 1)] = true
			if files["code/"+filepath.Base(key)] == "" {
				t.Errorf("the folder has no code of %s for %s", function, architecture)
			}
		}
	}
	for name := range files {
		if strings.HasPrefix(name, "code/") && !named[name] {
			t.Errorf("the template does not name %s", name)
		}
	}
	parameters := at(template, "Parameters").(object)
	if parameters["CodeBucket"] == nil || parameters["CodeAccountId"] != nil || parameters["CodeBucketPrefix"] != nil {
		t.Errorf("the parameters are %v", slices.Sorted(maps.Keys(parameters)))
	}
	if files["provider.cdx.json"] != "{}" {
		t.Errorf("there is no SBOM: %v", slices.Sorted(maps.Keys(files)))
	}
	// Each file but the list itself.
	if lines := strings.Count(files["SHA256SUMS"], "\n"); lines != len(files)-1 {
		t.Errorf("%d files, and these checksums:\n%s", len(files), files["SHA256SUMS"])
	}
	for line := range strings.Lines(files["SHA256SUMS"]) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got := fmt.Sprint(published.ChecksumOf([]byte(files[name]))); got != sum {
			t.Errorf("%s has the checksum %s: %s", name, got, line)
		}
	}
}

func TestTheSameReleaseGivesTheSameFolder(t *testing.T) {
	first, again := folder(t), folder(t)
	if err := errors.Join(first.Write(t.Context()), again.Write(t.Context()), first.Write(t.Context())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(t, first.Dir), read(t, again.Dir)); diff != "" {
		t.Error(diff)
	}
}

// A version has the same bytes on Monday and on Friday. The checksums in the folder do not
// decide whether it has: they may be those of files that were changed later.
func TestAFolderIsNeverWrittenOver(t *testing.T) {
	for label, c := range map[string]struct {
		change func(published.Folder) error
		says   []string
	}{
		"another commit": {func(f published.Folder) error {
			return os.WriteFile(filepath.Join(f.ARM64, "ProviderFunction", "bootstrap"), []byte("other"), 0o755)
		}, []string{"SHA256SUMS is different", "template.yaml is different", ".zip is missing", ".zip does not belong there"}},
		"a changed file": {func(f published.Folder) error {
			return os.WriteFile(filepath.Join(f.Dir, "template.yaml"), []byte("other"), 0o644)
		}, []string{": template.yaml is different. "}},
		"a missing file": {func(f published.Folder) error {
			return os.Remove(filepath.Join(f.Dir, "provider.cdx.json"))
		}, []string{": provider.cdx.json is missing. "}},
		"a file too many": {func(f published.Folder) error {
			return os.WriteFile(filepath.Join(f.Dir, "code", "more.zip"), nil, 0o644)
		}, []string{": code/more.zip does not belong there. "}},
		"a link": {func(f published.Folder) error {
			file := filepath.Join(f.Dir, "template.yaml")
			return errors.Join(os.Rename(file, f.Dir+".yaml"), os.Symlink(f.Dir+".yaml", file))
		}, []string{": template.yaml is different. "}},
		"no checksums": {func(f published.Folder) error {
			return os.Remove(filepath.Join(f.Dir, "SHA256SUMS"))
		}, []string{": SHA256SUMS is missing. "}},
	} {
		t.Run(label, func(t *testing.T) {
			f := folder(t)
			if err := errors.Join(f.Write(t.Context()), c.change(f)); err != nil {
				t.Fatal(err)
			}
			before := read(t, f.Dir)
			err := f.Write(t.Context())
			for _, says := range append(c.says, "exists, but not with the files of this commit", "release this commit under a new version") {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("want %q, got %v", says, err)
				}
			}
			if diff := cmp.Diff(before, read(t, f.Dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAVersionThatTheChangelogDoesNotHave(t *testing.T) {
	f := folder(t)
	f.Root = t.TempDir()
	log := "# Changelog\n\n## Unreleased\n\n## 1.2.0 (2026-12-01)\n\n### 1.2\n\n## 1.1\n"
	if err := os.WriteFile(filepath.Join(f.Root, "CHANGELOG.md"), []byte(log), 0o644); err != nil {
		t.Fatal(err)
	}
	for version, known := range map[string]bool{"1.2.0": true, "1.1": true, "1.2": false, "1.1.0": false, "1x1": false, "2.0.0": false} {
		f.Version = version
		err := f.CheckChangelog()
		if (err == nil) != known || err != nil && !strings.Contains(err.Error(), `"## `+version+`" first`) {
			t.Errorf("%s: %v", version, err)
		}
	}
}
