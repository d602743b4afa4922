package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// engine is the container engine that SAM uses, asked by SAM's own client.
type engine struct {
	Name, Version string
	Arch          string // as AWS writes it: x86_64, arm64
	Base          string // the image that SAM builds on
	Present       string // it, or what SAM made of it earlier; empty: neither is here
	Whole         bool   // the base itself is here
}

// hung ends engine.py where it does not end by itself. The engine's own time for
// an answer is in there.
const hung = 5 * time.Minute

func findEngine(ctx context.Context) (*engine, error) {
	ctx, cancel := context.WithTimeout(ctx, hung)
	defer cancel()
	text, err := ask(ctx, "look")
	if err != nil {
		return nil, fmt.Errorf(`no container engine: %w
SAM asks the engine at DOCKER_HOST (%s), or else at /var/run/docker.sock. If docker version shows a server, you may not
use that socket, or it is another: export DOCKER_HOST=$(docker context inspect --format '{{.Endpoints.docker.Host}}')`, err, orNone(os.Getenv("DOCKER_HOST")))
	}
	e := &engine{}
	return e, json.Unmarshal([]byte(text), e)
}

// image sees to it that the base image is here.
func (e *engine) image(ctx context.Context, skip bool) error {
	say("%s %s on %s, image %s.", e.Name, e.Version, e.Arch, e.Base)
	if e.Whole || skip && e.Present != "" {
		return nil
	}
	if skip {
		return fmt.Errorf("the image %s is not here, and %s forbids to pull it. Leave that out once", e.Base, skipPull)
	}
	say("It is not here, and is pulled now, once: less than 40 MB, says AWS.")
	if _, err := ask(ctx, "pull", e.Base, e.Arch); err != nil {
		return fmt.Errorf("pulling %s: %w", e.Base, err)
	}
	e.Present = e.Base
	return nil
}

// reaches asks for the sandbox from within a container, as the function will.
func (e *engine) reaches(ctx context.Context, aws account) error {
	directory, err := filepath.Abs(local(e.Arch) + ".reach")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, hung)
	defer cancel()
	if _, err := ask(ctx, "reach", e.Present, directory, aws.host()); err != nil {
		_, port, _ := strings.Cut(aws.host(), ":")
		return fmt.Errorf(`this machine reaches the sandbox, and a container does not: %w
The shell of make sandbox says whether it lets containers in. If it does, a firewall of this machine may be in the way:
with ufw, sudo ufw allow in on docker0 proto tcp to any port %s`, err, port)
	}
	return nil
}

// ask runs engine.py. Its complaint is one sentence; what it pulls it shows.
func ask(ctx context.Context, question ...string) (string, error) {
	command := exec.CommandContext(ctx, ".tools/venv/bin/python", append([]string{"internal/sandbox/invoke/engine.py"}, question...)...)
	// It takes its container away when it is interrupted.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	var complaint strings.Builder
	command.Stderr = &complaint
	if question[0] == "pull" {
		command.Stdout = os.Stderr
		return "", sentence(command.Run(), &complaint)
	}
	text, err := command.Output()
	return string(text), sentence(err, &complaint)
}

func sentence(err error, complaint *strings.Builder) error {
	if text := strings.TrimSpace(complaint.String()); err != nil && text != "" {
		return errors.New(text)
	}
	return err
}

func orNone(s string) string {
	if s == "" {
		return "which is not set"
	}
	return s
}
