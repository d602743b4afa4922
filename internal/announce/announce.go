// Package announce is the edge to those who are told: EventBridge's default bus, and
// an SNS topic where one is given. What is told, and its words, package notice says.
//
// What passes through it holds no secret: a notice has no field for one.
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

// Client tells notices on the account's default event bus, and to a topic.
type Client struct {
	bus   *eventbridge.Client
	topic *sns.Client
	arn   string // of the topic; empty: there is none
	log   *slog.Logger
}

// New returns the edge. An empty ARN: nobody is told by SNS.
func New(cfg aws.Config, topicARN string, log *slog.Logger) *Client {
	return &Client{bus: eventbridge.NewFromConfig(cfg), topic: sns.NewFromConfig(cfg), arn: topicARN, log: log}
}

// outcomes of both services' own errors.
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

// Announce tells a notice: first as an event, then as a paragraph. After an error it is
// to be told again, and whoever was told already is told twice; both say the same ID.
//
// A topic that refuses is not an error, but a warning in the log: the event has told
// it, and a topic that was deleted is no reason for a rotation to fail.
func (c *Client) Announce(ctx context.Context, n notice.Notice) error {
	if err := c.putEvent(ctx, n); err != nil {
		return fmt.Errorf("putting an event on the default event bus: %w", err)
	}
	if c.arn == "" {
		return nil
	}
	// A crash here: the notice is told again, and the event is there twice.
	err := c.publish(ctx, n)
	if err != nil && (!access.Definite(err) || errors.Is(err, access.ErrThrottled)) {
		return fmt.Errorf("telling the topic %s: %w", c.arn, err)
	}
	if err != nil {
		c.log.Warn("the topic does not take what is told: look at the topic, its policy and its KMS key's policy",
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
	// A success says of each event whether it was put.
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
