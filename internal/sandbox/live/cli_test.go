package live_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// cli runs the pinned AWS CLI on AWS, for services whose SDK nothing else here needs.
func (a *account) cli(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(ctxOf(t), filepath.Join(root, ".tools/venv/bin/aws"), append(arguments, "--region", a.config.Region)...)
	command.Env = append(os.Environ(), "AWS_PAGER=", "AWS_DEFAULT_OUTPUT=json")
	var refused strings.Builder
	command.Stderr = &refused
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("aws %s %s: %w: %s", arguments[0], arguments[1], err, strings.TrimSpace(refused.String()))
	}
	return string(out), nil
}

// invoke invokes a function with the caller's rights, and decodes its response.
func (a *account) invoke(t *testing.T, function string, event, into any, options ...string) error {
	t.Helper()
	payload, err := json.Marshal(event)
	must(t, err)
	file := filepath.Join(t.TempDir(), "answer.json")
	if _, err := a.cli(t, append([]string{"lambda", "invoke", "--function-name", function, "--payload", string(payload), file}, options...)...); err != nil {
		return err
	}
	if into == nil {
		return nil
	}
	answer, err := os.ReadFile(file)
	must(t, err)
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s answers %s: %w", function, answer, err)
	}
	return nil
}
