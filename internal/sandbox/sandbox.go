// Package sandbox is a local AWS for the demo, the end-to-end tests, and for
// trying the provider by hand: moto's server plays IAM, STS, S3, Secrets
// Manager and CloudFormation, Lambda's own runtime emulator runs the bootstrap
// that `sam build` built, and a server in Python closes the gap between them
// (server.py says which).
//
// It needs no container, no account and no network. It listens on 127.0.0.1, and for
// `sam local invoke` on Docker's bridge (package bridge), which no other machine can
// reach. Package accesstest keeps those of AWS's rules that moto does not keep.
// docs/local.md lists what differs from AWS.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"cloney-s3-credentials/internal/sandbox/bridge"
)

// Port is the one that events/ and events/env.json name, and `make sandbox` uses
// unless it is given another one.
const Port = 4599

// Region and Account of the sandbox. The account is moto's default.
const (
	Region  = "us-east-1"
	Account = "123456789012"
)

// Boundary is the permissions boundary that users are created with, before the
// provider's stack makes its own. moto limits nobody by it.
const (
	Boundary     = "arn:aws:iam::" + Account + ":policy" + boundaryPath + boundaryName
	boundaryPath = "/cloney-boundary/"
	boundaryName = "cloney-s3-credentials-UserBoundary-1A2B3C4D5E6F"
)

// Options of a sandbox.
type Options struct {
	Root string // of the checkout
	Port int    // of the endpoint; 0: any free one
	// ShellFiles, if any, has the functions' logs.
	ShellFiles *ShellFiles
	// TimeoutSeconds of the functions; 0: the template's 300 of the provider's.
	TimeoutSeconds int
	// WithoutFunction starts no function: the runtime emulator needs Linux.
	WithoutFunction bool
	// OwnFunctions has each Lambda function run in a process of its own, of the
	// very zip that its stack names, as its own role. FunctionLog has what it
	// prints; Log, Seen and TimeoutSeconds are for the functions of the others.
	OwnFunctions bool
	// Seen, if any, is called for every call to AWS that the function of that name makes,
	// and AWS's reply. It may be called from several at once.
	Seen func(function string, r *http.Request, body []byte, reply *Reply)
}

// Sandbox is one running local AWS.
type Sandbox struct {
	Stacks
	Endpoint  string // of every service: AWS_ENDPOINT_URL
	Responses string // where CloudFormation's response bucket listens
	root      string
	build     string // our own copy of what make build-local made
	functions string // where functions of their own have code and logs
	keyID     string // of the administrator; empty while nothing is enforced
	secret    string
	lambdas   map[string]*function // by logical id; empty: none runs here

	moto    *process
	aws     string     // the AWS CLI that was loaded; empty: none was
	cli     *CLI       // after LoadCLI: ours to close
	one     sync.Mutex // one call of all proxies at a time
	seen    func(string, *http.Request, []byte, *Reply)
	closing []func()
}

// Start starts the sandbox and deploys nothing. Close it.
//
// A port that is free when it is chosen may be another program's when it is
// used. Then Start tries again, with others.
func Start(ctx context.Context, o Options) (*Sandbox, error) {
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		s, err := start(ctx, root, o)
		if err == nil || attempt == 3 || !errors.Is(err, errEnded) {
			return s, err
		}
	}
}

func start(ctx context.Context, root string, o Options) (*Sandbox, error) {
	ports, err := freePorts(2 + 2*len(functionNames))
	if err != nil {
		return nil, err
	}
	if o.Port != 0 {
		ports[0] = o.Port
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
		if err != nil {
			return nil, unusable(o.Port, err)
		}
		_ = listener.Close()
	}
	if o.TimeoutSeconds == 0 {
		o.TimeoutSeconds = 300
	}
	s := &Sandbox{
		Endpoint:  local(ports[0]),
		Responses: local(ports[1]),
		root:      root,
		lambdas:   map[string]*function{},
		seen:      o.Seen,
		// moto takes any key while nothing is enforced.
		keyID: "AKIASANDBOX000000000", secret: "sandbox",
	}
	if s.build, err = takeBuild(root); err != nil {
		return nil, err
	}
	arguments := []string{filepath.Join(root, "internal/sandbox/server.py"), "--stdin-guard",
		"--port", strconv.Itoa(ports[0]), "--response-port", strconv.Itoa(ports[1])}
	if o.OwnFunctions {
		own, err := s.ownFunctions()
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		arguments = append(arguments, own...)
	} else if !o.WithoutFunction {
		for logical, name := range functionNames {
			own := ports[2+2*len(s.lambdas):]
			f := &function{name: name, address: hostOf(local(own[0])), api: hostOf(local(own[1]))}
			s.lambdas[logical] = f
			arguments = append(arguments, "--emulator", name+"="+f.url())
		}
	}
	s.moto, err = launch(s.tool("python"), arguments...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting moto: %w", err), s.Close())
	}
	if err := s.moto.waitFor(ctx, "ready"); err != nil {
		return nil, errors.Join(fmt.Errorf("starting moto: %w", err), s.Close())
	}
	if err := s.administrator(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Stacks = StacksOf(s.Config())
	for logical, f := range s.lambdas {
		if err := s.startFunction(ctx, o, logical, f); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Sandbox) emulatorPath() (string, error) {
	found, _ := filepath.Glob(filepath.Join(s.root, ".tools/venv/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-"+Arch()))
	if len(found) == 0 || runtime.GOOS != "linux" {
		return "", fmt.Errorf("the runtime emulator runs on Linux, on x86_64 and arm64; this is %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	return found[0], nil
}

// tool returns the path of a program that make tools has installed.
func (s *Sandbox) tool(name string) string { return tool(s.root, name) }

func tool(root, name string) string { return filepath.Join(root, ".tools/venv/bin", name) }

// Env is the environment in which the AWS CLI and every SDK speak to the
// sandbox as its administrator.
func (s *Sandbox) Env() []string {
	return append(inherited(),
		"AWS_ENDPOINT_URL="+s.Endpoint,
		"AWS_REGION="+Region, "AWS_DEFAULT_REGION="+Region,
		"AWS_ACCESS_KEY_ID="+s.keyID, "AWS_SECRET_ACCESS_KEY="+s.secret,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "SAM_CLI_TELEMETRY=0",
	)
}

// inherited is this process's environment without anything of AWS's: a real
// account's credentials must never reach the sandbox.
func inherited() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "AWS_") && !strings.HasPrefix(strings.ToLower(variable), "http") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// Config is the SDK's configuration for the sandbox's administrator.
func (s *Sandbox) Config() aws.Config { return s.ConfigFor(s.keyID, s.secret) }

// ConfigFor is the SDK's configuration for a key.
func (s *Sandbox) ConfigFor(keyID, secret string) aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(s.Endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider(keyID, secret, ""),
	}
}

// AWS runs the real AWS CLI against the sandbox and returns what it prints.
func (s *Sandbox) AWS(ctx context.Context, arguments ...string) (string, error) {
	return s.AWSWith(ctx, nil, arguments...)
}

// AWSWith runs the real AWS CLI with more environment.
func (s *Sandbox) AWSWith(ctx context.Context, env []string, arguments ...string) (string, error) {
	return run(ctx, s.root, append(s.Env(), env...), s.CLI(), arguments...)
}

// Log is what the function that answers CloudFormation has printed so far.
func (s *Sandbox) Log() string { return s.lambdas["ProviderFunction"].process.printed() }

// RotatorLog is what the rotator has printed so far.
func (s *Sandbox) RotatorLog() string { return s.lambdas["RotatorFunction"].process.printed() }

// LogSince is what the function has printed behind the first bytes, once that
// holds the text n times. What was printed may arrive after the answer.
func (s *Sandbox) LogSince(ctx context.Context, bytes int, text string, n int) (string, error) {
	for {
		log := s.Log()[bytes:]
		if strings.Count(log, text) >= n {
			return log, nil
		}
		select {
		case <-ctx.Done():
			return log, fmt.Errorf("the log has %q not %d times: %w", text, n, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close stops everything.
func (s *Sandbox) Close() error {
	if s == nil {
		return nil
	}
	for _, end := range s.closing {
		end()
	}
	errs := []error{s.cli.Close()}
	for _, f := range s.lambdas {
		errs = append(errs, f.process.stop())
		if f.proxy != nil {
			defer f.proxy.Close()
		}
	}
	return errors.Join(append(errs, s.moto.stop(), os.RemoveAll(s.build))...)
}

// LetContainersIn has containers of Docker's default bridge, and no other
// machine, reach the sandbox until it is closed. Say is called with whether they do.
func (s *Sandbox) LetContainersIn(say func(format string, about ...any)) error {
	_, port, err := net.SplitHostPort(hostOf(s.Endpoint))
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var relaying sync.WaitGroup
	relaying.Go(func() { bridge.Relay{Device: bridge.Docker, Port: number, Say: say}.Run(ctx) })
	s.closing = append(s.closing, func() { cancel(); relaying.Wait() })
	return nil
}

// unusable says why a port cannot be used, and names the next one where another
// program uses it.
func unusable(port int, err error) error {
	failed := fmt.Errorf("port %d cannot be used: %w", port, bare(err))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w. Choose another one, such as make sandbox PORT=%d", failed, max(1024, (port+1)%(1<<16)))
	}
	return failed
}

// bare is the cause of an error of the network, without the address.
func bare(err error) error {
	var cause syscall.Errno
	if errors.As(err, &cause) {
		return cause
	}
	return err
}

func local(port int) string { return "http://127.0.0.1:" + strconv.Itoa(port) }

func hostOf(url string) string { return strings.TrimPrefix(url, "http://") }

// freePorts finds ports that are free now. They are below those that systems
// give to outgoing connections, of which there are many.
func freePorts(n int) (ports []int, err error) {
	for range 1000 {
		port := 16000 + rand.IntN(16000)
		listener, failed := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if failed != nil {
			err = failed
			continue
		}
		defer listener.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("finding a free port: %w", err)
}

// post sends a body to an endpoint of moto's own or the launcher's.
func post(ctx context.Context, url, body string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/plain")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return fmt.Errorf("%s answered %s: %s", url, response.Status, text)
	}
	return nil
}
