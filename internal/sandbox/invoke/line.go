package main

import (
	"os"
	"strings"

	"cloney-s3-credentials/internal/sandbox"
)

// sam is the SAM CLI that make tools has installed.
const sam = ".tools/venv/bin/sam"

// samLine is what runs the event. It says everything itself, so that it means
// the same in any shell: with --template-file SAM reads no samconfig.toml, and
// what it finds of a real account it would hand to the function.
func samLine(arch string, aws account, e *event, options []string) []string {
	line := []string{"env", "-u", "AWS_PROFILE", "-u", "AWS_DEFAULT_PROFILE", "-u", "AWS_SESSION_TOKEN",
		"AWS_ENDPOINT_URL=" + aws.endpoint, // SAM asks STS whose account it is
		"AWS_ACCESS_KEY_ID=" + aws.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + aws.key.SecretAccessKey, "SAM_CLI_TELEMETRY=0"}
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		line = append(line, "DOCKER_HOST="+host)
	}
	if proxied() {
		line = append(line, "no_proxy=localhost,127.0.0.1") // SAM asks its container there
	}
	line = append(line, sam, "local", "invoke", e.function, "--template-file", local(arch)+"/template.yaml",
		"--parameter-overrides", "Architecture="+arch, "--region", e.stack.Region,
		"--add-host", "host.docker.internal:host-gateway", "--env-vars", e.env, "--event", e.path)
	return append(line, options...)
}

// local is where make build-container leaves the bootstrap for an architecture.
func local(arch string) string { return ".aws-sam/local/" + arch }

func proxied() bool {
	for _, variable := range []string{"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"} {
		if os.Getenv(variable) != "" {
			return true
		}
	}
	return false
}

func shell(line []string) string {
	words := make([]string, len(line))
	for i, word := range line {
		words[i] = sandbox.Quoted(word)
	}
	return strings.Join(words, " ")
}

// failures passes on what SAM prints of the function's answer to Lambda, and
// notes whether it is an error.
type failures struct {
	text     strings.Builder
	function bool
}

func (f *failures) Write(b []byte) (int, error) {
	f.text.Write(b)
	f.function = strings.Contains(f.text.String(), `"errorType"`)
	return os.Stderr.Write(b)
}
