// Package stacks is the edge to CloudFormation: it looks whether a stack still has a
// resource. It changes nothing.
package stacks

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/name"
)

// Client is CloudFormation of one region.
type Client struct{ api *cloudformation.Client }

// New returns the edge.
func New(cfg aws.Config) *Client { return &Client{cloudformation.NewFromConfig(cfg)} }

// outcomes of CloudFormation's own errors. It has one code, ValidationError, for a stack
// that does not exist, for a resource that the stack has not, and for a request that is
// malformed. Ours is not: package name has read the stack's id and the tags are those
// of an event of CloudFormation's. So it says that there is nothing.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResource.html
var outcomes = map[string]error{"ValidationError": access.ErrNotFound, "StackNotFoundException": access.ErrNotFound}

// gone are the states of what a stack no longer has: it was deleted, or left behind by
// its DeletionPolicy. CloudFormation tells of a deleted stack for 90 days.
var gone = []types.ResourceStatus{types.ResourceStatusDeleteComplete, types.ResourceStatusDeleteSkipped}

// Resource returns the physical id of a stack's resource; empty: it has none yet, or is
// being changed. access.ErrNotFound: the stack or the resource is gone.
// access.ErrDenied: it cannot be told.
func (c *Client) Resource(ctx context.Context, owner name.Owner) (physicalID string, err error) {
	out, err := c.api.DescribeStackResource(ctx, &cloudformation.DescribeStackResourceInput{StackName: &owner.Stack.ID, LogicalResourceId: &owner.Logical})
	if err != nil {
		return "", edge.Outcome(err, outcomes)
	}
	resource := out.StackResourceDetail
	switch {
	case slices.Contains(gone, resource.ResourceStatus):
		return "", access.ErrNotFound
	case strings.HasSuffix(string(resource.ResourceStatus), "_IN_PROGRESS"):
		return "", nil
	}
	return aws.ToString(resource.PhysicalResourceId), nil
}
