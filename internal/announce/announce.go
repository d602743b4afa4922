// Package announce sends notices to EventBridge's default bus, and to an SNS topic if there
// is one. Package notice has their words.
//
// No secret value passes through this package: a notice has no field for one.
package announce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"

	"cloney-s3-credentials/internal/access"
	"cloney-s3-credentials/internal/edge"
	"cloney-s3-credentials/internal/notice"
)

// Client sends notices to the account's default event bus, and to a topic.
type Client struct {
	bus   *eventbridge.Client
	topic *sns.Client
	arn   string // of the topic; empty: there is no topic
	log   *slog.Logger
}

// New returns the client. With an empty ARN nothing is sent to SNS.
func New(cfg aws.Config, topicARN string, log *slog.Logger) *Client {
	return &Client{bus: eventbridge.NewFromConfig(cfg), topic: sns.NewFromConfig(cfg), arn: topicARN, log: log}
}

// outcomes maps both services' own errors.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
var outcomes = map[string]error{
	"NotFound":                            access.ErrNotFound,
	"AuthorizationError":                  access.ErrDenied,
	"NotAuthorizedForSourceException":     access.ErrDenied,
	"NotAuthorizedForDetailTypeException": access.ErrDenied,
	"InvalidParameter":                    access.ErrInvalid,
	"ParameterValueInvalid":               access.ErrInvalid,
	"InvalidArgument":                     access.ErrInvalid,
	"MalformedDetail":                     access.ErrInvalid,
	"KMSAccessDenied":                     access.ErrKMS,
	"KMSDisabled":                         access.ErrKMS,
	"KMSInvalidState":                     access.ErrKMS,
	"KMSNotFound":                         access.ErrKMS,
	"KMSOptInRequired":                    access.ErrKMS,
	"KMSThrottling":                       access.ErrThrottled,
}

func outcome(err error) error { return edge.Outcome(err, outcomes) }

// Announce sends a notice: first as an event, then as a paragraph. After an error, send it
// again: then a recipient may get it twice, with the same ID.
//
// A topic that refuses the notice is not an error, but a warning in the log: the event
// was sent, and a rotation must not fail because a topic was deleted.
func (c *Client) Announce(ctx context.Context, n notice.Notice) error {
	if err := c.putEvent(ctx, n); err != nil {
		return fmt.Errorf("putting an event on the default event bus: %w", err)
	}
	if c.arn == "" {
		return nil
	}
	// A crash here: the notice is sent again, and the event is there twice.
	err := c.publish(ctx, n)
	if err != nil && (!access.Definite(err) || errors.Is(err, access.ErrThrottled)) {
		return fmt.Errorf("publishing to the topic %s: %w", c.arn, err)
	}
	if err != nil {
		c.log.Warn("the topic refuses the notice: check the topic, its policy, and the policy of its KMS key",
			"topic", c.arn, "kind", string(n.Kind), "cause", err.Error())
	}
	return nil
}

func (c *Client) putEvent(ctx context.Context, n notice.Notice) error {
	entry := types.PutEventsRequestEntry{Source: aws.String(notice.Source), DetailType: aws.String(string(n.Kind)), Detail: aws.String(string(n.Detail()))}
	if n.SecretARN != "" {
		entry.Resources = []string{n.SecretARN}
	}
	out, err := c.bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}})
	if err != nil {
		return outcome(err)
	}
	// A successful answer says of each event whether it was put.
	if out.FailedEntryCount == 0 {
		return nil
	}
	failed := out.Entries[0]
	return outcome(&smithy.GenericAPIError{Code: aws.ToString(failed.ErrorCode), Message: aws.ToString(failed.ErrorMessage)})
}

func (c *Client) publish(ctx context.Context, n notice.Notice) error {
	_, err := c.topic.Publish(ctx, &sns.PublishInput{TopicArn: &c.arn, Subject: aws.String(n.Subject()), Message: aws.String(n.Paragraph())})
	return outcome(err)
}
