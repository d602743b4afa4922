// Package published makes what a release consists of: the zips of the functions and
// the published template, which is template.yaml as plain CloudFormation with the
// zips' keys in it. `make publish` puts them into the code buckets of an organization;
// `make release` leaves them in a folder, for one account. It sends nothing to AWS.
//
// Equal input gives equal bytes, on every machine. So a zip has its checksum as
// its name, and publishing a version again changes nothing.
package published

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Functions are the functions of template.yaml, by their logical ids, and so by the
// directories that `sam build` makes for them.
var Functions = []string{"ProviderFunction", "RotatorFunction"}

// Code is a function as it is built for one processor.
type Code struct{ Function, Architecture string }

// Codes are those of a release, in the order in which they are written.
func Codes() (codes []Code) {
	for _, function := range Functions {
		for _, architecture := range []string{"arm64", "x86_64"} {
			codes = append(codes, Code{function, architecture})
		}
	}
	return codes
}

// Checksum is the SHA-256 of a zip.
type Checksum [sha256.Size]byte

// ChecksumOf returns that of a content.
func ChecksumOf(content []byte) Checksum { return sha256.Sum256(content) }

// String is the checksum as people compare it.
func (c Checksum) String() string { return hex.EncodeToString(c[:]) }

// Key is where the zip is in each code bucket.
func (c Checksum) Key() string { return "cloney-s3-credentials/" + c.String() + ".zip" }

// TemplateKey is where the published template of a version is in each code bucket.
func TemplateKey(version string) string {
	return "cloney-s3-credentials/provider-" + version + ".yaml"
}

// Bucket is the code bucket of an account in a region. A name of this form is in
// the account's own namespace: nobody else can create a bucket with it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
func Bucket(prefix, account, region string) string {
	return prefix + "-" + account + "-" + region + "-an"
}

// Release is what the published template says of one version.
type Release struct {
	Version string
	Commit  string // that the code is of, or unknown
	Account string // of the code buckets; empty: the parameter CodeBucket names one bucket
	Prefix  string // of the code buckets' names
	Zips    map[Code]Checksum
}

// Template is the published template, from the template.yaml of the checkout at root.
func (r Release) Template(ctx context.Context, root string) ([]byte, error) {
	translated, err := Translate(ctx, root)
	if err != nil {
		return nil, err
	}
	return r.TemplateOf(ctx, root, translated)
}

// TemplateOf is the published template, from what Translate returned.
func (r Release) TemplateOf(ctx context.Context, root string, translated []byte) ([]byte, error) {
	arguments := []string{filepath.Join(root, "internal/release/published/published.py"),
		"--version=" + r.Version, "--commit=" + r.Commit, "--account=" + r.Account, "--prefix=" + r.Prefix}
	for _, code := range Codes() {
		arguments = append(arguments, "--zip="+code.Function+":"+code.Architecture+":"+r.Zips[code].String())
	}
	template, err := python(ctx, root, translated, arguments...)
	if err != nil {
		return nil, fmt.Errorf("writing the published template: %w", err)
	}
	return template, nil
}

// Translate translates template.yaml into plain CloudFormation, as JSON, by SAM's own
// translator. The result does not say where the code is.
func Translate(ctx context.Context, root string) ([]byte, error) {
	translated, err := python(ctx, root, nil, filepath.Join(root, "internal/sandbox/translate.py"), filepath.Join(root, "template.yaml"), "s3://bucket")
	if err != nil {
		return nil, fmt.Errorf("translating template.yaml: %w", err)
	}
	return translated, nil
}

// JSON is a published template as JSON, for tests: Go's own library reads no YAML.
func JSON(ctx context.Context, root string, template []byte) ([]byte, error) {
	return python(ctx, root, template, "-c", "import json, sys; from samcli.yamlhelper import yaml_parse; json.dump(yaml_parse(sys.stdin.read()), sys.stdout)")
}

// python runs the Python of the checkout, with what `make tools` installs.
func python(ctx context.Context, root string, input []byte, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, filepath.Join(root, ".tools/venv/bin/python"), arguments...)
	var said bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(input), &said
	// The translator needs a region, and writes it nowhere.
	command.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1")
	out, err := command.Output()
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("there is no Python with SAM's translator here: run make tools")
	}
	if err != nil {
		return nil, fmt.Errorf("%s (%w)", strings.TrimSpace(said.String()), err)
	}
	return out, nil
}
