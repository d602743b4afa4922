"""One operation on a stack set: which of its instances, in which order, how many at once,
and when it gives up.
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html
"""

import datetime
import threading
import uuid

from cloudformation import Failed, reason_of
from moto.cloudformation.exceptions import CloudFormationError
from organization import refusal
from stacksets import Instance

CANCELLED = "Cancelled since failure tolerance has exceeded"
LIVE = ("QUEUED", "RUNNING")

# An API call waits so long for the end of what it started: less than the 60 s that the AWS
# CLI waits for an answer. So the next call finds it completed, where on AWS it takes another poll.
PATIENCE = 45


class Preferences:
    """OperationPreferences. A percentage is of the accounts of one region, rounded down."""

    def __init__(self, given):
        self.given = given or {}
        for pair in (("FailureToleranceCount", "FailureTolerancePercentage"), ("MaxConcurrentCount", "MaxConcurrentPercentage")):
            if all(self.given.get(name) is not None for name in pair):
                raise refusal(f"Only one of {pair[0]} and {pair[1]} can be specified")

    def of(self, name, accounts, default):
        if self.given.get(name + "Count") is not None:
            return int(self.given[name + "Count"])
        if self.given.get(name + "Percentage") is not None:
            return accounts * int(self.given[name + "Percentage"]) // 100
        return default

    def tolerance(self, accounts):
        return self.of("FailureTolerance", accounts, 0)

    def at_once(self, accounts, failures):
        """How many accounts of a region are worked on at once. Strictly: never more than may still fail."""
        most = max(1, self.of("MaxConcurrent", accounts, 1))
        if self.given.get("ConcurrencyMode") == "SOFT_FAILURE_TOLERANCE":
            return most
        return min(most, self.tolerance(accounts) + 1 - failures)

    def ordered(self, regions):
        first = [region for region in self.given.get("RegionOrder") or [] if region in regions]
        return first + [region for region in regions if region not in first]

    @property
    def parallel(self):
        return self.given.get("RegionConcurrencyType") == "PARALLEL"


# Auto-deployment knows no preferences. AWS does not say how it goes: here it does not stop, and takes all
# accounts and regions at once.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html
def automatic():
    preferences = Preferences(None)
    preferences.given = {"FailureTolerancePercentage": 100, "MaxConcurrentPercentage": 100, "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
                         "RegionConcurrencyType": "PARALLEL"}
    return preferences


class Result:
    def __init__(self, instance):
        self.account, self.region, self.unit = instance.account, instance.region, instance.unit
        self.status, self.reason = "PENDING", None


class Operation:
    """targets: (account, region) -> organizational unit or None; None: all that there are when its turn has
    come. begin is called then."""

    def __init__(self, stack_set, action, targets, preferences, operation_id=None, retain=False, overrides=None, begin=None):
        self.stack_set, self.action, self.targets, self.preferences = stack_set, action, targets, preferences
        self.id = operation_id or str(uuid.uuid4())
        self.retain, self.overrides, self.begin = retain, overrides, begin
        self.status, self.status_reason = "QUEUED", None
        self.created, self.ended = now(), None
        self.results = {}  # (account, region) -> Result
        self.done = threading.Event()

    def start(self, may_queue):
        """Starts it, after those before it that touch what it touches."""
        with self.stack_set.turn:
            if any(other.id == self.id for other in self.stack_set.operations):
                raise CloudFormationError("OperationIdAlreadyExistsException", f"The specified operation ID already exists: {self.id}")
            running = [other for other in self.stack_set.operations if other.status in LIVE]
            if running and not may_queue:
                raise CloudFormationError("OperationInProgressException", f"Another Operation on StackSet {self.stack_set.arn} is in progress: {running[-1].id}")
            before = [other for other in running if other.conflicts_with(self)]
            self.stack_set.operations.append(self)
        threading.Thread(target=self.run, args=(before,), daemon=True).start()

    def conflicts_with(self, other):
        # What changes the set's definition must not run at the same time as others.
        alone = any(operation.begin or operation.targets is None for operation in (self, other))
        return alone or bool(self.targets.keys() & other.targets.keys())

    def run(self, before):
        for other in before:
            other.done.wait()
        try:
            with self.stack_set.turn:
                self.status = "RUNNING"
                if self.begin:
                    self.begin()
                instances = self.chosen()
                self.results = {(i.account, i.region): Result(i) for i in instances}
            self.status = "SUCCEEDED" if self.through_regions(instances) else "FAILED"
        except BaseException as failed:  # a fault of ours must not leave it running for ever
            self.status, self.status_reason = "FAILED", repr(failed)
            raise
        finally:
            self.ended = now()
            self.done.set()

    def chosen(self):
        """The instances that it works on. One that is CURRENT has nothing to be done: so the same call again
        is a retry of those that failed. One that is INOPERABLE can only be deleted."""
        instances = self.stack_set.instances
        if self.action == "CREATE":
            for target, unit in self.targets.items():
                instances.setdefault(target, Instance(*target, unit))
        targets = instances if self.targets is None else self.targets
        there = [instances[target] for target in targets if target in instances]
        if self.action == "DELETE":
            return there
        for instance in there:
            if self.overrides is not None and self.overrides != instance.overrides:
                instance.overrides = self.overrides
                instance.outdate()
        return [instance for instance in there if instance.status == "OUTDATED"]

    def through_regions(self, instances):
        """Whether each region stayed within the tolerance. One that did not stops those after it."""
        regions = self.preferences.ordered(list(dict.fromkeys(i.region for i in instances)))
        kept = {}
        if self.preferences.parallel:
            workers = [threading.Thread(target=lambda r=region: kept.update({r: self.through(instances, r)})) for region in regions]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return all(kept.values())
        for region in regions:
            if all(kept.values()):
                kept[region] = self.through(instances, region)
            else:
                self.cancel([i for i in instances if i.region == region])
        return all(kept.values())

    def through(self, instances, region):
        """Works on a region's accounts, one after the other or several at once."""
        waiting = [i for i in instances if i.region == region]
        accounts, tolerance = len(waiting), self.preferences.tolerance(len(waiting))
        change, running, failures = threading.Condition(), 0, 0

        def attempt(instance):
            nonlocal running, failures
            failed = not self.attempt(instance)
            with change:
                running, failures = running - 1, failures + failed
                change.notify()

        with change:
            while True:
                while waiting and failures <= tolerance and running < self.preferences.at_once(accounts, failures):
                    running += 1
                    threading.Thread(target=attempt, args=(waiting.pop(0),), daemon=True).start()
                if not running:
                    break
                change.wait()
        self.cancel(waiting)
        return failures <= tolerance

    def cancel(self, instances):
        for instance in instances:
            instance.operation_id = self.id
            instance.become(instance.status, "CANCELLED", CANCELLED)
            self.result_of(instance, "CANCELLED", CANCELLED)

    def result_of(self, instance, status, reason=None):
        result = self.results[instance.account, instance.region]
        result.status, result.reason = status, reason

    def attempt(self, instance):
        """Works on one instance. Says whether that succeeded."""
        instance.operation_id = self.id
        instance.become(instance.status, "RUNNING")
        self.result_of(instance, "RUNNING")
        try:
            if self.action == "DELETE":
                if not self.retain:
                    self.stack_set.check_reach(instance.account)
                    instance.remove()
                self.stack_set.instances.pop((instance.account, instance.region), None)
            else:
                self.stack_set.check_reach(instance.account)
                instance.deploy(self.stack_set.name, self.stack_set.definition)
                instance.become("CURRENT", "SUCCEEDED")
        except (Failed, Exception) as failed:
            reason = reason_of(failed)
            if self.action == "DELETE":
                instance.become("INOPERABLE", "INOPERABLE", reason)
            else:
                instance.become("OUTDATED", "FAILED", reason)
            self.result_of(instance, "FAILED", reason)
            return False
        self.result_of(instance, "SUCCEEDED")
        return True


def now():
    return datetime.datetime.now(datetime.timezone.utc)
