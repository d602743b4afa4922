package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Stacks deploys stacks by the real AWS CLI: in the sandbox, or in an account.
type Stacks struct {
	// Run runs the AWS CLI and returns what it prints.
	Run func(ctx context.Context, arguments ...string) (string, error)
}

// InAccount deploys to the AWS account and region that the environment names to
// the AWS CLI. Root is that of the checkout.
func InAccount(root string) (Stacks, error) {
	root, err := filepath.Abs(root)
	return Stacks{Run: func(ctx context.Context, arguments ...string) (string, error) {
		return run(ctx, root, append(os.Environ(), "AWS_PAGER="), tool(root, "aws"), arguments...)
	}}, err
}

// patience, in seconds, is how long the CLI waits for one answer: the sandbox's
// CloudFormation answers when the stack is done.
const patience = "600"

// Deploy creates or updates a stack by the real `aws cloudformation deploy`.
// When it fails, the error is what the stack's events say.
func (s Stacks) Deploy(ctx context.Context, stack, template string, arguments ...string) error {
	_, err := s.Run(ctx, append([]string{"cloudformation", "deploy", "--no-fail-on-empty-changeset", "--cli-read-timeout", patience,
		"--stack-name", stack, "--template-file", template}, arguments...)...)
	if err == nil {
		return nil
	}
	reasons, look := s.Run(ctx, "cloudformation", "describe-stack-events", "--stack-name", stack, "--output", "text",
		"--query", "StackEvents[?ends_with(ResourceStatus, '_FAILED')].[LogicalResourceId, ResourceStatusReason]")
	if look != nil {
		return err
	}
	return fmt.Errorf("%s: %w", strings.TrimSpace(reasons), err)
}

// DeleteStack deletes a stack and waits until it is gone.
func (s Stacks) DeleteStack(ctx context.Context, stack string) error {
	if _, err := s.Run(ctx, "cloudformation", "delete-stack", "--cli-read-timeout", patience, "--stack-name", stack); err != nil {
		return err
	}
	_, err := s.Run(ctx, "cloudformation", "wait", "stack-delete-complete", "--stack-name", stack)
	return err
}

// Outputs returns a stack's outputs by name.
func (s Stacks) Outputs(ctx context.Context, stack string) (map[string]string, error) {
	text, err := s.Run(ctx, "cloudformation", "describe-stacks", "--stack-name", stack, "--output", "text", "--query", "Stacks[0].Outputs[].[OutputKey, OutputValue]")
	if err != nil {
		return nil, err
	}
	outputs := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			outputs[key] = value
		}
	}
	return outputs, nil
}
