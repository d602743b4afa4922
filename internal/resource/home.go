package resource

import (
	"fmt"
	"slices"

	"cloney-s3-credentials/internal/name"
)

// Home is where the function is and whose stacks it serves. The function's own
// environment says so; an event says of itself what it likes.
type Home struct {
	Region   string   // of the function; empty: any
	Accounts []string // whose stacks are served, the function's own first; empty: any (local runs)
}

// account is the function's own, where users and secrets are; empty: not known.
func (h Home) account() string {
	if len(h.Accounts) == 0 {
		return ""
	}
	return h.Accounts[0]
}

// near refuses a stack of another region. CloudFormation asks for a provider in
// the stack's own region, so no such event is its. With its region the event
// would also choose which response bucket is written to: it cannot be answered,
// unless it is a local run's.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
func (h Home) near(stack name.Stack) error {
	if h.Region == "" || stack.Region == h.Region {
		return nil
	}
	return fmt.Errorf("StackId is of region %s, and this provider serves stacks of %s; use the provider of the stack's own region", stack.Region, h.Region)
}

// serves refuses a stack of an account that is not served. It can be answered,
// for a region has one response bucket for all accounts, and it is for what
// would give: a Delete only takes, and only what carries that very StackId.
// Refused, it would leave a stack that nobody can delete, after a Create that
// was refused as after an account that is no longer trusted, with a live key. An
// Update is answered with what stands, if it asks for nothing else: so the rollback
// of one that was refused goes through, for which CloudFormation has no third way.
func (h Home) serves(stack name.Stack) error {
	if len(h.Accounts) == 0 || slices.Contains(h.Accounts, stack.Account) {
		return nil
	}
	return fmt.Errorf("StackId is of account %s, whose stacks this provider does not serve; deploy a provider in that account, or have this one's owner add it to TrustedAccounts", stack.Account)
}
