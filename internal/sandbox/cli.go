package sandbox

import (
	"cmp"
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

// LoadCLI has all that follows run an AWS CLI that is loaded once, and closed with
// the sandbox.
func (s *Sandbox) LoadCLI(ctx context.Context) (err error) {
	if s.cli, err = StartCLI(ctx, s.root); err == nil {
		s.UseCLI(s.cli)
	}
	return err
}

// UseCLI has all that follows run this AWS CLI, which other sandboxes may use too.
func (s *Sandbox) UseCLI(c *CLI) { s.aws = filepath.Join(c.Directory, "aws") }

// CLI is the path of the AWS CLI that the sandbox uses.
func (s *Sandbox) CLI() string { return cmp.Or(s.aws, s.tool("aws")) }
