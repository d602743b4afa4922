package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
)

// Stacks deploys stacks: in the sandbox, or in an account. It speaks to
// CloudFormation through the SDK, because a call of the AWS CLI costs most of a
// second of CPU; the demo deploys by the CLI, as a user does.
type Stacks struct{ client *cloudformation.Client }

// StacksOf are those of the account and region that the configuration names.
func StacksOf(cfg aws.Config) Stacks { return Stacks{cloudformation.NewFromConfig(cfg)} }

// Deploy creates or updates a stack from a template's file, with parameters of
// the form NAME=VALUE. When it fails, the error is what the stack's events say.
func (s Stacks) Deploy(ctx context.Context, stack, template string, parameters ...string) error {
	body, err := os.ReadFile(template)
	if err != nil {
		return fmt.Errorf("deploying %s: %w", stack, err)
	}
	var values []types.Parameter
	for _, parameter := range parameters {
		name, value, _ := strings.Cut(parameter, "=")
		values = append(values, types.Parameter{ParameterKey: &name, ParameterValue: &value})
	}
	text, capabilities := aws.String(string(body)), []types.Capability{types.CapabilityCapabilityIam}
	if _, err := s.describe(ctx, stack); err == nil {
		_, err = s.client.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: &stack, TemplateBody: text, Parameters: values, Capabilities: capabilities})
		if refused(err, "No updates are to be performed") {
			return nil
		}
		if err != nil {
			return fmt.Errorf("updating %s: %w", stack, err)
		}
	} else if _, err := s.client.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: &stack, TemplateBody: text, Parameters: values, Capabilities: capabilities}); err != nil {
		return fmt.Errorf("creating %s: %w", stack, err)
	}
	status, err := s.atRest(ctx, stack)
	if err != nil {
		return err
	}
	if status != types.StackStatusCreateComplete && status != types.StackStatusUpdateComplete {
		return fmt.Errorf("%s is %s: %s", stack, status, s.Failures(ctx, stack))
	}
	return nil
}

// DeleteStack deletes a stack and waits until it is deleted. One that does not exist
// is deleted.
func (s Stacks) DeleteStack(ctx context.Context, stack string) error {
	found, err := s.describe(ctx, stack)
	if refused(err, "does not exist") {
		return nil
	}
	if err != nil {
		return err
	}
	// By its id, under which it is found when it is deleted.
	id := aws.ToString(found.StackId)
	if _, err := s.client.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &id}); err != nil {
		return fmt.Errorf("deleting %s: %w", stack, err)
	}
	if _, err := s.atRest(ctx, id); err != nil {
		return err
	}
	if found, err = s.describe(ctx, id); err != nil {
		return err
	}
	if found.StackStatus != types.StackStatusDeleteComplete {
		// One whose export is in use is what it was before, and only it says why.
		return fmt.Errorf("%s is %s: %s\n%s", stack, found.StackStatus, aws.ToString(found.StackStatusReason), s.Failures(ctx, id))
	}
	return nil
}

// Outputs returns a stack's outputs by name.
func (s Stacks) Outputs(ctx context.Context, stack string) (map[string]string, error) {
	found, err := s.describe(ctx, stack)
	if err != nil {
		return nil, err
	}
	outputs := map[string]string{}
	for _, output := range found.Outputs {
		outputs[aws.ToString(output.OutputKey)] = aws.ToString(output.OutputValue)
	}
	return outputs, nil
}

// Parameters returns a stack's parameters by name.
func (s Stacks) Parameters(ctx context.Context, stack string) (map[string]string, error) {
	found, err := s.describe(ctx, stack)
	if err != nil {
		return nil, err
	}
	parameters := map[string]string{}
	for _, parameter := range found.Parameters {
		parameters[aws.ToString(parameter.ParameterKey)] = aws.ToString(parameter.ParameterValue)
	}
	return parameters, nil
}

// Status returns a stack's status, such as UPDATE_ROLLBACK_COMPLETE.
func (s Stacks) Status(ctx context.Context, stack string) (string, error) {
	found, err := s.describe(ctx, stack)
	return string(found.StackStatus), err
}

// Failures is what a stack's events say of resources that failed, the last one
// first.
func (s Stacks) Failures(ctx context.Context, stack string) string {
	events, err := s.Events(ctx, stack)
	if err != nil {
		return err.Error()
	}
	var reasons []string
	for _, event := range events {
		if strings.HasSuffix(string(event.ResourceStatus), "_FAILED") {
			reasons = append(reasons, aws.ToString(event.LogicalResourceId)+"\t"+aws.ToString(event.ResourceStatusReason))
		}
	}
	return strings.Join(reasons, "\n")
}

// Events are a stack's, the last one first.
func (s Stacks) Events(ctx context.Context, stack string) ([]types.StackEvent, error) {
	var events []types.StackEvent
	pages := cloudformation.NewDescribeStackEventsPaginator(s.client, &cloudformation.DescribeStackEventsInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the events of %s: %w", stack, err)
		}
		events = append(events, page.StackEvents...)
	}
	return events, nil
}

// atRest waits until no operation goes on in a stack. The sandbox's CloudFormation
// answers most requests when that is so (operations.py).
func (s Stacks) atRest(ctx context.Context, stack string) (types.StackStatus, error) {
	for {
		found, err := s.describe(ctx, stack)
		if err != nil || !strings.HasSuffix(string(found.StackStatus), "_IN_PROGRESS") {
			return found.StackStatus, err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%s is %s: %w", stack, found.StackStatus, ctx.Err())
		case <-time.After(5 * time.Second):
		}
	}
}

func (s Stacks) describe(ctx context.Context, stack string) (types.Stack, error) {
	out, err := s.client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return types.Stack{}, fmt.Errorf("describing %s: %w", stack, err)
	}
	return out.Stacks[0], nil
}

// refused is whether CloudFormation refused a call with these words: it has one
// code, ValidationError, for all that it refuses.
func refused(err error, words string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), words)
}
