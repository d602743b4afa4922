"""What the account's EventBridge bus and SNS topics were told, for the tests: moto hands it on to
targets and subscribers, and forgets it. The topic that the rotator tells is there from the start."""

import holdings
from aws_rules import wrapping
from moto.events.models import EventPattern, EventsBackend
from moto.sns.models import Topic, sns_backends

TOPIC = "cloney-notices"

events, messages = [], []


def told():
    return {"events": events, "messages": messages}


def install():
    sns_backends[holdings.ACCOUNT][holdings.REGION].create_topic(TOPIC)

    @wrapping(EventsBackend, "put_events")
    def put_events(former, self, entries):
        results = former(self, entries)
        events.extend({"source": entry["Source"], "type": entry["DetailType"], "detail": entry["Detail"], "bus": entry.get("EventBusName", "default")}
                      for entry, result in zip(entries, results) if "EventId" in result)
        return results

    # AWS: a rule that has a schedule and no pattern is about no event. moto would hand each
    # event on to its targets, and knows of no function among them.
    @wrapping(EventPattern, "matches_event")
    def matches_event(former, self, event):
        return bool(self.get_pattern()) and former(self, event)

    @wrapping(Topic, "publish")
    def publish(former, self, message, subject=None, **rest):
        messages.append({"topic": self.arn, "subject": subject or "", "text": message})
        return former(self, message, subject=subject, **rest)
