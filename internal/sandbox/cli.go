package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// CLI is the real AWS CLI, loaded once for many commands (aws_cli.py). Loading it
// costs as much as two commands of the usual one; a command then costs a tenth.
type CLI struct {
	// Directory has the program aws, and nothing else to run: put it first in PATH.
	Directory string
	process   *process
}

// StartCLI loads the AWS CLI of the checkout. Close it.
func StartCLI(ctx context.Context, root string) (*CLI, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	c := &CLI{}
	// Not in the checkout: the path of a socket has to be short.
	if c.Directory, err = os.MkdirTemp("", "cloney-cli-"); err != nil {
		return nil, err
	}
	c.process, err = launch(tool(root, "python"), filepath.Join(root, "internal/sandbox/aws_cli.py"), c.Directory)
	if err == nil {
		err = c.process.waitFor(ctx, "ready")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("loading the AWS CLI: %w", err), c.Close())
	}
	return c, nil
}

// Close ends it, and the commands that run.
func (c *CLI) Close() error {
	if c == nil {
		return nil
	}
	return errors.Join(c.process.stop(), os.RemoveAll(c.Directory))
}

// LoadCLI has all that follows run the AWS CLI that is loaded once.
func (s *Sandbox) LoadCLI(ctx context.Context) (err error) {
	s.cli, err = StartCLI(ctx, s.root)
	return err
}

// CLI is the path of the AWS CLI that the sandbox uses.
func (s *Sandbox) CLI() string {
	if s.cli != nil {
		return filepath.Join(s.cli.Directory, "aws")
	}
	return s.tool("aws")
}
