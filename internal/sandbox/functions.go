package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Rotator is the name of the function that rotates and sweeps. That of the one that
// answers CloudFormation is the stack's, ProviderStack.
const Rotator = ProviderStack + "-rotator"

// functionNames are the functions of the provider's stack, by their logical ids, and
// so by the directories that `sam build` makes for them.
var functionNames = map[string]string{"ProviderFunction": ProviderStack, "RotatorFunction": Rotator}

// function is one of them under Lambda's runtime emulator.
type function struct {
	name         string
	address, api string // of the emulator, and of the Runtime API
	process      *process
	proxy        *Proxy // where its calls are to be seen
}

// url is where the emulator takes events.
func (f *function) url() string {
	return "http://" + f.address + "/2015-03-31/functions/function/invocations"
}

// startFunction starts a bootstrap under the emulator that `sam local invoke` uses.
func (s *Sandbox) startFunction(ctx context.Context, o Options, logical string, f *function) error {
	emulator, err := s.emulatorPath()
	if err != nil {
		return err
	}
	env := append(s.functionEnv(f.name), "AWS_LAMBDA_FUNCTION_TIMEOUT="+strconv.Itoa(o.TimeoutSeconds))
	if s.seen != nil {
		f.proxy = s.NewProxy(f.name)
		env = append(env, "AWS_ENDPOINT_URL="+f.proxy.URL)
	}
	log, err := s.logOf(o, logical)
	if err != nil {
		return err
	}
	f.process, err = launchLogged(log, env,
		emulator, "--log-level", "error",
		"--runtime-interface-emulator-address", f.address, "--runtime-api-address", f.api, s.bootstrap(logical))
	if err != nil {
		return fmt.Errorf("starting the runtime emulator: %w", err)
	}
	return f.process.listening(ctx, f.url())
}

// logOf is a function's log in a file; nil: it has none.
func (s *Sandbox) logOf(o Options, logical string) (*os.File, error) {
	if o.ShellFiles == nil {
		return nil, nil
	}
	log, err := os.OpenFile(o.ShellFiles.logs()[logical], os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		s.closing = append(s.closing, func() { _ = log.Close() })
	}
	return log, err
}

// functionEnv is a function's environment: what Lambda sets, where AWS is, and what
// the template says of one function or the other.
func (s *Sandbox) functionEnv(name string) []string {
	return append(s.Env(),
		"RESPONSE_HOSTS="+hostOf(s.Responses)+","+hostOf(s.Endpoint),
		"STACK_ACCOUNTS="+Account,
		"PERMISSIONS_BOUNDARY_ARN="+Boundary,
		"ROTATION_FUNCTION_ARN=arn:aws:lambda:"+Region+":"+Account+":function:"+Rotator,
		"KEY_AGE_DAYS=90",
		"NOTICE_TOPIC_ARN="+Topic,
		"VERSION=development",
		"AWS_LAMBDA_FUNCTION_NAME="+name,
		"AWS_LAMBDA_LOG_STREAM_NAME=sandbox",
		"AWS_LAMBDA_LOG_FORMAT=JSON",
	)
}

// bootstrap is a function's program.
func (s *Sandbox) bootstrap(logical string) string {
	return filepath.Join(s.build, logical, "bootstrap")
}
