package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// takeBuild copies what make build-local has built, so that another build during a
// running sandbox does not change the program that it runs.
func takeBuild(root string) (string, error) {
	// Where make clean finds what a killed process has left.
	copied, err := os.MkdirTemp(filepath.Join(root, ".tools"), "sandbox-build-")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(root, ".aws-sam/local", Arch()))); err != nil {
		return "", errors.Join(fmt.Errorf("the bootstrap does not exist; run make build-local: %w", err), os.RemoveAll(copied))
	}
	return copied, nil
}

// template is ours, as `sam build` has left it.
func (s *Sandbox) template() string { return filepath.Join(s.build, "template.yaml") }

// Arch is this machine's architecture, in Lambda's words.
func Arch() string {
	return map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
}
