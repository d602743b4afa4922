"""What was sent to the account's EventBridge bus and SNS topics, for the tests: moto passes it on to
targets and subscribers, and forgets it. The topic of the rotator exists from the start."""

import copy
import json

import holdings
from aws_rules import wrapping
from moto.events.models import EventPattern, EventsBackend, EventTemplateParser, Rule
from moto.sns.models import Topic, sns_backends

TOPIC = "cloney-notices"

events, messages = [], []


def told():
    return {"events": events, "messages": messages}


def publish_to(target, event):
    """Publishes an event to the topic of a rule's target: as its InputTransformer says, or whole."""
    transformer = target.get("InputTransformer")
    sent = {name: value for name, value in event.items() if name != "ingestion-time"}
    if transformer:
        sent = EventTemplateParser.parse(transformer["InputTemplate"], transformer.get("InputPathsMap", {}), event)
    _, _, _, region, account, _ = target["Arn"].split(":")
    # AWS: a text arrives in its quotation marks.
    sns_backends[account][region].publish(json.dumps(sent), arn=target["Arn"])


def install():
    sns_backends[holdings.ACCOUNT][holdings.REGION].create_topic(TOPIC)

    @wrapping(EventsBackend, "put_events")
    def put_events(original, self, entries):
        results = original(self, entries)
        events.extend({"source": entry["Source"], "type": entry["DetailType"], "detail": entry["Detail"], "bus": entry.get("EventBusName", "default")}
                      for entry, result in zip(entries, results) if "EventId" in result)
        return results

    # AWS: a rule that has a schedule and no pattern is about no event. moto would hand each
    # event on to its targets, and knows of no function among them.
    @wrapping(EventPattern, "matches_event")
    def matches_event(original, self, event):
        return bool(self.get_pattern()) and original(self, event)

    # AWS: a target may be a topic. moto delivers to none, and fails for the sender of the event.
    @wrapping(Rule, "send_to_targets")
    def send_to_targets(original, self, original_event, transform_input=True):
        topics = [target for target in self.targets if target["Arn"].split(":")[2] == "sns"]
        if topics and self.event_pattern.matches_event(original_event):
            for target in topics:
                publish_to(target, original_event)
        others = copy.copy(self)
        others.targets = [target for target in self.targets if target not in topics]
        return original(others, original_event, transform_input)

    # AWS: a text with quotation marks stays one text in the template.
    @wrapping(EventTemplateParser, "_stringify")
    def stringify(original, value):
        return json.dumps(value)[1:-1] if isinstance(value, str) else original(value)

    @wrapping(Topic, "publish")
    def publish(original, self, message, subject=None, **rest):
        messages.append({"topic": self.arn, "subject": subject or "", "text": message})
        return original(self, message, subject=subject, **rest)
