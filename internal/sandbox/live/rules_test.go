package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"cloney-s3-credentials/internal/release/published"
)

// ruled is template.yaml without its resources, which would not fit into a call. A resource
// that costs nothing replaces them, and no change set here is ever executed.
func ruled(t *testing.T) string {
	t.Helper()
	text, err := published.Translate(ctxOf(t), root)
	must(t, err)
	var whole struct{ Parameters, Rules any }
	must(t, json.Unmarshal(text, &whole))
	text, err = json.Marshal(tree{
		"AWSTemplateFormatVersion": "2010-09-09", "Parameters": whole.Parameters, "Rules": whole.Rules,
		// Most parameters are for the resources.
		"Metadata":  tree{"cfn-lint": tree{"config": tree{"ignore_checks": []any{"W2001", "W1033"}}}},
		"Resources": tree{"Nothing": tree{"Type": "AWS::CloudFormation::WaitConditionHandle"}},
	})
	must(t, err)
	return string(text)
}

// trusting are parameters that the rule about TrustedAccounts accepts or refuses: AWS's
// page shows Fn::Contains only with a written list, and not with a parameter.
var trusting = []map[string]string{
	{"AllowedBuckets": "data-*"},
	{"AllowedBuckets": "*"},
	{"AllowedBuckets": "data-*,*"},
	{"AllowedBuckets": "data-*", "AllowedReaders": "*"},
}

// rules creates a change set with each, and checks the sentences of the rule for those that
// CloudFormation refuses. moto does not check rules, so there only the accepted ones are
// tried.
func (w *trial) rules(t *testing.T) {
	template := ruled(t)
	for n, given := range trusting {
		given := maps.Clone(given)
		given["TrustedAccounts"] = "444455556666"
		sentences, err := w.provider.Refused(w.place, given)
		must(t, err)
		if refused := n > 0; (len(sentences) > 0) != refused {
			t.Fatalf("by our own reading, the template answers %v to %v", sentences, given)
		}
		if !real && len(sentences) > 0 {
			continue
		}
		answer := w.changeSet(t, fmt.Sprintf("%s-rules-%d", w.stack, n), template, given)
		if len(sentences) == 0 && answer != nil {
			t.Errorf("SEEN: the template refuses %v: %v", given, answer)
		}
		for _, sentence := range sentences {
			if answer == nil || !strings.Contains(answer.Error(), sentence) {
				t.Errorf("SEEN: to %v the template does not answer %q: %v", given, sentence, answer)
			}
		}
	}
	w.seen(t, "the template refuses TrustedAccounts where AllowedBuckets or AllowedReaders has *, and not where it does not")
}

// changeSet creates a change set for a stack that does not exist, and deletes both. It
// returns CloudFormation's error, whether CloudFormation refuses at once or later.
func (w *trial) changeSet(t *testing.T, stack, template string, given map[string]string) error {
	t.Helper()
	t.Cleanup(func() {
		if err := w.DeleteStack(context.Background(), stack); err != nil {
			t.Errorf("delete stack %s by hand: %v", stack, err)
		}
	})
	var parameters []types.Parameter
	for name, value := range given {
		parameters = append(parameters, types.Parameter{ParameterKey: &name, ParameterValue: &value})
	}
	client := cloudformation.NewFromConfig(w.config)
	made, err := client.CreateChangeSet(ctxOf(t), &cloudformation.CreateChangeSetInput{
		StackName: &stack, ChangeSetName: aws.String("rules"), ChangeSetType: types.ChangeSetTypeCreate, TemplateBody: &template, Parameters: parameters,
	})
	if err != nil {
		return err
	}
	var found *cloudformation.DescribeChangeSetOutput
	must(t, w.until(t, func(err error) bool { return err == nil }, func(ctx context.Context) error {
		if found, err = client.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id}); err != nil {
			return err
		}
		if found.Status != types.ChangeSetStatusCreateComplete && found.Status != types.ChangeSetStatusFailed {
			return fmt.Errorf("the change set of %s is %s", stack, found.Status)
		}
		return nil
	}))
	if found.Status == types.ChangeSetStatusFailed {
		return errors.New(aws.ToString(found.StatusReason))
	}
	return nil
}
