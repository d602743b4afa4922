package sandbox_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"cloney-s3-credentials/internal/pages"
	"cloney-s3-credentials/internal/sandbox"
)

// followLocalPage runs what docs/local.md has a reader type, in one shell, with what
// make sandbox writes for it. What make does is tried elsewhere.
func followLocalPage(t *testing.T) {
	t.Helper()
	s := account(t)
	files, err := sandbox.OpenShellFiles(t.TempDir())
	must(t, err)
	defer func() { must(t, files.Close()) }()
	must(t, s.EnforceIAM(ctxOf(t), true))
	defer func() { must(t, s.EnforceIAM(ctxOf(t), false)) }()
	must(t, files.Write(s))
	// A real account's settings are in the shell, and must not be used.
	const closed = "http://127.0.0.1:9"
	shell := pages.NewShell(t, ctxOf(t), "../..", []string{
		"PATH=" + os.Getenv("PATH"), "AWS_ACCESS_KEY_ID=real", "AWS_SECRET_ACCESS_KEY=real", "AWS_DEFAULT_REGION=eu-west-3", "AWS_PROFILE=real",
		"AWS_ENDPOINT_URL_STS=" + closed, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
		"HTTP_PROXY=" + closed, "NO_PROXY=intranet.example",
	})
	commands, err := pages.Commands("../../docs/local.md")
	must(t, err)
	followed := 0
	for _, c := range commands {
		if strings.HasPrefix(c.Text, "make ") {
			continue
		}
		followed++
		command := c.Text
		if strings.TrimSpace(command) == "source .tools/sandbox/env" {
			command = fmt.Sprintf("source %s; PATH=%s:$PATH", sandbox.Quoted(files.Env()), sandbox.Quoted(loadCLI(t).Directory))
		}
		_, err := shell.Follow(c, command)
		must(t, err)
	}
	if followed < 15 {
		t.Errorf("docs/local.md has %d commands", followed)
	}
	const kept = `[ "$NO_PROXY and $no_proxy" = "127.0.0.1,intranet.example and 127.0.0.1" ]`
	if _, err := shell.Run(kept); err != nil {
		t.Errorf("NO_PROXY is overwritten: %v", err)
	}
}
