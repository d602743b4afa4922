package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Topic is the SNS topic to which the rotator sends its notices (told.py).
const Topic = "arn:aws:sns:" + Region + ":" + Account + ":cloney-notices"

// Rotation is one time that Secrets Manager has carried out the steps for a version.
type Rotation struct {
	Secret, Token string
	Steps         []string // that succeeded
	Error         string   // of the step that failed; empty: none did
}

// Rotations returns every rotation so far, the first one first, once none is under
// way.
func (s *Sandbox) Rotations(ctx context.Context) ([]Rotation, error) {
	var rotations []Rotation
	return rotations, s.ask(ctx, "rotations", &rotations)
}

// Told is what was sent to the account's event bus and SNS topics.
type Told struct {
	Events   []ToldEvent
	Messages []ToldMessage
}

// ToldEvent is an event of EventBridge.
type ToldEvent struct{ Source, Type, Detail, Bus string }

// ToldMessage is a message of SNS.
type ToldMessage struct{ Topic, Subject, Text string }

// Told returns all that was sent so far.
func (s *Sandbox) Told(ctx context.Context) (Told, error) {
	var told Told
	return told, s.ask(ctx, "told", &told)
}

// Elapse lets days pass: what the account has noted of keys, of their use and of the
// versions of secrets becomes so much older.
func (s *Sandbox) Elapse(ctx context.Context, days int) error {
	return post(ctx, s.Responses+"/_sandbox/elapse", strconv.Itoa(days))
}

// Interrupt ends the next rotation before a step, as where Lambda does not take the
// event: Secrets Manager comes back to it later.
func (s *Sandbox) Interrupt(ctx context.Context, step string) error {
	return post(ctx, s.Responses+"/_sandbox/interrupt", step)
}

// Sweep has the rotator sweep, as its schedule does once a day: by the event that is
// shipped.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html
func (s *Sandbox) Sweep(ctx context.Context) error {
	event, err := os.ReadFile(filepath.Join(s.root, "events/sweep.json"))
	if err != nil {
		return err
	}
	if err := s.invoke(ctx, Rotator, string(event)); err != nil {
		return fmt.Errorf("sweeping: %w", err)
	}
	return nil
}
