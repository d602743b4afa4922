// Command inspect shows what the provider would do, and what it has done. It changes no
// key, secret, user or policy:
//
//	inspect policy FILE ["NAME=VALUE NAME=VALUE..."]
//	inspect verify SECRET
//
// policy prints, offline, the policies that properties make. verify proves the current
// key of a secret, with the caller's own AWS credentials. Both run the code that the
// functions run. It is a program for people, and no part of the functions.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"cloney-s3-credentials/internal/screen"
)

var errUsage = errors.New(`usage: make policy PROPERTIES=FILE [PARAMETERS="NAME=VALUE ..."]
       make verify SECRET=NAME`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err == nil {
		return
	}
	if errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, err)
	} else {
		screen.New(os.Stderr).Line(screen.Red, "", err.Error())
	}
	stop()
	os.Exit(1)
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) < 2 || arguments[1] == "" {
		return errUsage
	}
	switch command, name, rest := arguments[0], arguments[1], arguments[2:]; {
	case command == "policy":
		text, err := readAll(name)
		if err != nil {
			return err
		}
		return writePolicies(text, assignments(strings.Join(rest, " ")), screen.New(os.Stdout), screen.New(os.Stderr))
	case command == "verify" && len(rest) == 0:
		return verifyOnAWS(ctx, name, screen.New(os.Stdout))
	}
	return errUsage
}

// readAll reads a file; "-" is standard input.
func readAll(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && len(strings.Fields(name)) > 1 {
		return nil, fmt.Errorf("PROPERTIES is the name of one file, and there is no file %q; run make policy for each file", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the properties: %w", err)
	}
	return text, nil
}
