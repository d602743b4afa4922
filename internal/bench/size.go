package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"cloney-s3-credentials/internal/release/published"
)

// zipLimit is the most bytes that a function's zip may have: 4 MB.
const zipLimit = 4_000_000

// size is how large a function is, in bytes.
type size struct {
	name           string
	bootstrap, zip int
	samZip         int // as `sam deploy` and `sam package` make it
}

// released are the functions as `make build` and `make build-x86_64` have left them.
var released = []struct{ name, path string }{
	{"provider, arm64", ".aws-sam/release/ProviderFunction/bootstrap"},
	{"provider, x86_64", ".aws-sam/release-x86_64/ProviderFunction/bootstrap"},
	{"rotator, arm64", ".aws-sam/release/RotatorFunction/bootstrap"},
	{"rotator, x86_64", ".aws-sam/release-x86_64/RotatorFunction/bootstrap"},
}

// sizes are those of what is released, and of what they are compared with.
func (b *bench) sizes(ctx context.Context) (found []size, err error) {
	for _, function := range released {
		s, err := b.size(ctx, function.name, function.path)
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

func (b *bench) size(ctx context.Context, name, path string) (size, error) {
	file := filepath.Join(b.root, path)
	program, err := os.ReadFile(file)
	if err != nil {
		return size{}, fmt.Errorf("the size of %s: %w", name, err)
	}
	packed, err := published.Zip(program)
	if err != nil {
		return size{}, err
	}
	bySAM, err := b.samZip(ctx, file)
	if err != nil {
		return size{}, fmt.Errorf("the size of %s: %w", name, err)
	}
	return size{name, len(program), len(packed), bySAM}, nil
}

// deflated packs a file as SAM does: with zipfile's own level.
// https://github.com/aws/aws-sam-cli/blob/develop/samcli/lib/package/utils.py
const deflated = `import io, sys, zipfile
out = io.BytesIO()
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
    packed.write(sys.argv[1], "bootstrap")
print(len(out.getvalue()))`

func (b *bench) samZip(ctx context.Context, file string) (int, error) {
	printed, err := exec.CommandContext(ctx, filepath.Join(b.root, ".tools/venv/bin/python"), "-c", deflated, file).Output()
	if err != nil {
		return 0, fmt.Errorf("packing it as SAM does: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(printed)))
}

// tooLarge reports which of our zips are too large. It does not judge the zips that SAM
// packs, because their size depends on the machine's Python.
func tooLarge(sizes []size) (wrong []error) {
	for _, s := range sizes {
		if s.zip > zipLimit {
			wrong = append(wrong, fmt.Errorf("%s: the zip has %d bytes, more than %d", s.name, s.zip, zipLimit))
		}
	}
	return wrong
}
