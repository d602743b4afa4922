"""Time that passes, for the tests: what the account has noted of keys and versions becomes older.

Only moto's own dates and those of the provider's tags and labels move. The marks of events stay:
they order events among each other.
"""

import datetime
import re

from moto.iam.models import AccessKeyLastUsed, iam_backends
from moto.secretsmanager.models import FakeSecret, secretsmanager_backends
import holdings

# As the labels have it, and the tags.
FORMS = {re.compile(r"\d{8}T\d{6}Z"): "%Y%m%dT%H%M%SZ", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"): "%Y-%m-%dT%H:%M:%SZ"}


def older(text, by):
    for pattern, form in FORMS.items():
        text = pattern.sub(lambda found, form=form: (datetime.datetime.strptime(found[0], form) - by).strftime(form), text)
    return text


def elapse(days):
    by = datetime.timedelta(days=days)
    for user in list(iam_backends[holdings.ACCOUNT][holdings.PARTITION].users.values()):
        user.create_date -= by
        for key in list(user.access_keys):
            key.create_date -= by
            if key.last_used:
                key.last_used = AccessKeyLastUsed(key.last_used.timestamp - by, key.last_used.service, key.last_used.region)
    for secret in list(secretsmanager_backends[holdings.ACCOUNT][holdings.REGION].secrets.values()):
        if not isinstance(secret, FakeSecret):
            continue
        for tag in secret.tags or []:
            tag["Value"] = older(tag["Value"], by)
        for version in list(secret.versions.values()):
            version["createdate"] -= int(by.total_seconds())
            version["version_stages"] = [older(label, by) for label in version["version_stages"]]
