package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Profile is the AWS profile of the sandbox's administrator.
const Profile = "sandbox"

// ShellFiles is the directory of what other shells need of a running sandbox.
type ShellFiles struct {
	Directory string
	lock      *os.File
}

// ShellDirectory is the directory that `make sandbox` uses.
func ShellDirectory(root string) string { return filepath.Join(root, ".tools", "sandbox") }

// OpenShellFiles makes the directory, which only one sandbox uses at a time. Close it.
func OpenShellFiles(directory string) (*ShellFiles, error) {
	directory, err := filepath.Abs(directory) // for shells that are elsewhere
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(directory, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// The system unlocks it when this process ends, however that happens.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		noted, _ := io.ReadAll(io.LimitReader(lock, 100))
		_ = lock.Close()
		return nil, fmt.Errorf("a sandbox of this checkout is running already%s. End it first: press Ctrl-C in its shell", noted)
	}
	return &ShellFiles{directory, lock}, nil
}

// Note writes which process holds the directory, and its port, for the process that
// finds it held.
func (s *ShellFiles) Note(port int) error {
	if err := s.lock.Truncate(0); err != nil {
		return err
	}
	_, err := s.lock.WriteAt(fmt.Appendf(nil, ": process %d, port %d", os.Getpid(), port), 0)
	return err
}

// Env is the file that a shell sources.
func (s *ShellFiles) Env() string { return filepath.Join(s.Directory, "env") }

// Config is the configuration file of the AWS CLI and of every SDK.
func (s *ShellFiles) Config() string { return filepath.Join(s.Directory, "config") }

// ProviderLog has what the function that answers CloudFormation prints.
func (s *ShellFiles) ProviderLog() string { return filepath.Join(s.Directory, "provider.log") }

// RotatorLog has what the function that rotates keys prints.
func (s *ShellFiles) RotatorLog() string { return filepath.Join(s.Directory, "rotator.log") }

// logs are those of the functions by their logical ids.
func (s *ShellFiles) logs() map[string]string {
	return map[string]string{"ProviderFunction": s.ProviderLog(), "RotatorFunction": s.RotatorLog()}
}

// The keys are in the profile and not in the environment, where they would win over
// any other profile that the user chooses. Credentials of a real account are left out
// of it all.
const configText = `# The sandbox of this checkout. It is written again at each start of make sandbox.
[profile %s]
region = %s
endpoint_url = %s
aws_access_key_id = %s
aws_secret_access_key = %s
`

// No setting of the caller's stays that leads to another account or endpoint: there is a
// variable for each service (AWS_ENDPOINT_URL_S3). The file is for bash, zsh and sh alike.
const envText = `# source this file: then the AWS CLI and the SDKs call the sandbox as its administrator.
unset $(env | sed -n 's/^\(AWS_[A-Za-z0-9_]*\)=.*/\1/p') AWS_PROFILE
export AWS_CONFIG_FILE=%s AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_PROFILE=%s
export AWS_EC2_METADATA_DISABLED=true AWS_PAGER= SAM_CLI_TELEMETRY=0
export NO_PROXY="127.0.0.1${NO_PROXY:+,$NO_PROXY}" no_proxy="127.0.0.1${no_proxy:+,$no_proxy}"
export PATH=%s:"$PATH"
`

// Write writes what a shell needs to speak to a sandbox.
func (s *ShellFiles) Write(of *Sandbox) error {
	text := fmt.Sprintf(configText, Profile, Region, of.Endpoint, of.keyID, of.secret)
	if err := os.WriteFile(s.Config(), []byte(text), 0o600); err != nil {
		return err
	}
	text = fmt.Sprintf(envText, Quoted(s.Config()), Profile, Quoted(filepath.Dir(of.tool("aws"))))
	return os.WriteFile(s.Env(), []byte(text), 0o600)
}

var plain = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// Quoted is a word as any shell takes it.
func Quoted(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Open makes a sandbox ready for other shells: with buckets, with the provider, and
// with IAM enforced.
func (s *Sandbox) Open(ctx context.Context, files *ShellFiles) error {
	for _, step := range []func() error{
		func() error { return s.MakeBuckets(ctx) },
		func() error { return s.DeployProvider(ctx) },
		func() error { return s.EnforceIAM(ctx, true) },
		func() error { return files.Write(s) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Close removes all but the logs.
func (s *ShellFiles) Close() error {
	return errors.Join(os.RemoveAll(s.Env()), os.RemoveAll(s.Config()), s.lock.Close())
}

// Running is the SDK's configuration for the administrator of the sandbox that runs
// from this checkout.
func Running(ctx context.Context, root string) (aws.Config, error) {
	file := filepath.Join(ShellDirectory(root), "config")
	profile, err := config.LoadSharedConfigProfile(ctx, Profile, func(o *config.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles = []string{file}, []string{}
	})
	if err != nil || profile.BaseEndpoint == "" {
		return aws.Config{}, errors.New("no sandbox runs from this checkout. Run make sandbox in another shell, and wait until it says that it runs")
	}
	key := profile.Credentials
	return (&Sandbox{Endpoint: profile.BaseEndpoint}).ConfigFor(key.AccessKeyID, key.SecretAccessKey), nil
}
