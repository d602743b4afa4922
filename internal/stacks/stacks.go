// Package stacks is the edge to CloudFormation: it asks whether a stack still has a
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

// Client is a client of CloudFormation in one region.
type Client struct{ api *cloudformation.Client }

// New returns the edge.
func New(cfg aws.Config) *Client { return &Client{cloudformation.NewFromConfig(cfg)} }

// outcomes translates CloudFormation's own error codes. It has one code, ValidationError,
// for a stack that does not exist, for a resource that the stack does not have, and for a
// malformed request. Our request is not malformed: package name has read the stack's id, and
// the tags are from an event of CloudFormation. So the code means that there is nothing.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResource.html
var outcomes = map[string]error{"ValidationError": access.ErrNotFound, "StackNotFoundException": access.ErrNotFound}

// removed are the states of a resource that a stack no longer has: it was deleted, or retained
// by its DeletionPolicy. CloudFormation shows a deleted stack for 90 days.
var removed = []types.ResourceStatus{types.ResourceStatusDeleteComplete, types.ResourceStatusDeleteSkipped}

// Resource returns the physical id of a stack's resource; empty: the resource has none yet,
// or is being changed. access.ErrNotFound: the stack or the resource does not exist any
// more. access.ErrDenied: AWS does not say.
func (c *Client) Resource(ctx context.Context, owner name.Owner) (physicalID string, err error) {
	out, err := c.api.DescribeStackResource(ctx, &cloudformation.DescribeStackResourceInput{StackName: &owner.Stack.ID, LogicalResourceId: &owner.Logical})
	if err != nil {
		return "", edge.Outcome(err, outcomes)
	}
	resource := out.StackResourceDetail
	switch {
	case slices.Contains(removed, resource.ResourceStatus):
		return "", access.ErrNotFound
	case strings.HasSuffix(string(resource.ResourceStatus), "_IN_PROGRESS"):
		return "", nil
	}
	return aws.ToString(resource.PhysicalResourceId), nil
}
