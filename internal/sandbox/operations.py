"""An operation on a stack (a create, an update, a delete) goes on by itself, as on AWS, where the
request that starts it is answered at once.

Here a request is answered when its operation has ended, so that nobody has to wait a second time:
nearly all end within a second or two. One that takes longer than ANSWER_SECONDS goes on behind the
answer. The AWS CLI gives a request up after 60 seconds, and then sends it again.
"""

import contextvars
import threading

from aws_rules import wrapping
from moto.cloudformation.responses import CloudFormationResponse

ANSWER_SECONDS = 20

answer_seconds = ANSWER_SECONDS  # a test changes it
# Only a request has a limit. What starts a stack from within another operation, such as a stack set,
# waits until that stack's operation has ended.
limit = contextvars.ContextVar("limit", default=None)


class Operation:
    """One that runs in a thread of its own. If it fails, it calls failed with the cause."""

    def __init__(self, do, failed):
        self.do, self.failed, self.failure = do, failed, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.thread.join(limit.get())
        if self.failure:
            raise self.failure

    def run(self):
        try:
            self.do()
        except BaseException as failure:
            self.failure = failure
            self.failed(failure)


def set_answer_seconds(seconds):
    global answer_seconds
    answer_seconds = seconds


def limited(request, self):
    previous = limit.set(answer_seconds)
    try:
        return request(self)
    finally:
        limit.reset(previous)


def install():
    """After cloudformation.install, which replaces one of these."""
    for request in ("create_stack", "update_stack", "execute_change_set", "delete_stack"):
        wrapping(CloudFormationResponse, request)(limited)
