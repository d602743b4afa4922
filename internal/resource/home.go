package resource

import (
	"fmt"
	"slices"

	"cloney-s3-credentials/internal/name"
)

// Home is where the function is, and whose stacks it serves. It comes from the function's
// own environment, because an event can claim anything.
type Home struct {
	Region   string   // of the function; empty: any
	Accounts []string // whose stacks are served, the function's own first; empty: any (local runs)
}

// account is the function's own account, where users and secrets are; empty: unknown.
func (h Home) account() string {
	if len(h.Accounts) == 0 {
		return ""
	}
	return h.Accounts[0]
}

// near refuses a stack in another region. CloudFormation calls a provider only in the
// stack's own region, so it did not send such an event. The region of the event would
// also choose the response bucket, so the event is not answered, except in a local run.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
func (h Home) near(stack name.Stack) error {
	if h.Region == "" || stack.Region == h.Region {
		return nil
	}
	return fmt.Errorf("StackId is in region %s, and this provider serves stacks in %s; use the provider in the stack's own region", stack.Region, h.Region)
}

// serves refuses a stack in an account that is not served. Such an event can be answered,
// because a region has one response bucket for all accounts.
//
// A Delete is never refused: it gives nothing, and deletes only what has that very
// StackId as a tag. Refused, it would leave a stack that nobody can delete, and a live
// key. An Update that asks for no change succeeds: so the rollback of a refused Update
// succeeds, for which CloudFormation has no third way.
func (h Home) serves(stack name.Stack) error {
	if len(h.Accounts) == 0 || slices.Contains(h.Accounts, stack.Account) {
		return nil
	}
	return fmt.Errorf("StackId is in account %s, whose stacks this provider does not serve; deploy a provider in that account, or ask the owner of this one to add the account to TrustedAccounts", stack.Account)
}
