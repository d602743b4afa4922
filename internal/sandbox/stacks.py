"""CloudFormation's part: what it does with a stack, resource by resource.

moto's engine knows of custom resources little more than Create, and of rollback nothing.
Of it only the evaluation of templates and the resource types are used; the order, the
updates, the rollback, the cleanup, outputs and exports are done here, as AWS documents
them and as its events show.
"""

import copy
import dataclasses
import json
import re
import threading
import traceback
import urllib.parse

import moto_fixes
from moto.cloudformation import models, parsing, responses
from moto.cloudformation.exceptions import AlreadyExistsException, CloudFormationError, ValidationError
from moto.cloudformation.models import CloudFormationBackend, Stack, cloudformation_backends
from moto.cloudformation.utils import generate_stack_id, random_suffix
from moto.core.responses import ActionResult, EmptyResult

options = ask = None  # given to apply
CLAIM = threading.RLock()  # held while an operation is admitted, and while the lists of stacks and exports change
UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


class Failed(BaseException):
    """A resource failed. No Exception, because moto swallows and retries those."""

    def __init__(self, reason, sent=True, physical=None):
        super().__init__(reason)
        self.reason, self.sent, self.physical = reason, sent, physical


def reason_of(error):
    return getattr(error, "reason", None) or getattr(error, "message", None) or str(error) or type(error).__name__


# --- Templates --------------------------------------------------------------------------


def plain(value, text=False):
    """A copy without AWS::NoValue; with text, scalars become strings, as custom resources get them."""
    if isinstance(value, dict):
        return {key: plain(item, text) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item, text) for item in value if item is not None]
    if text and isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if text and value is not None else value


def normalise(node):
    """Spells functions in the one way that moto evaluates correctly."""
    if isinstance(node, list):
        return [normalise(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {"Condition" if key == "Fn::Condition" else key: normalise(item) for key, item in node.items()}
    if list(node) == ["Fn::GetAtt"]:
        parts = node["Fn::GetAtt"].split(".") if isinstance(node["Fn::GetAtt"], str) else node["Fn::GetAtt"]
        return {"Fn::GetAtt": [parts[0], ".".join(parts[1:])]}  # an attribute may contain dots
    if list(node) == ["Fn::Sub"]:  # moto's own trips over quotes, dots and dollars
        text, known = node["Fn::Sub"] if isinstance(node["Fn::Sub"], list) else (node["Fn::Sub"], {})
        parts = re.split(r"\$\{([^}]*)\}", text)
        for i in range(1, len(parts), 2):
            name = parts[i].strip()
            if name.startswith("!"):
                parts[i] = "${" + name[1:] + "}"
            elif name in known:
                parts[i] = known[name]
            else:
                parts[i] = {"Fn::GetAtt": name.split(".", 1)} if "." in name else {"Ref": name}
        return {"Fn::Join": ["", parts]}
    return node


def references(node, conditions=None):
    """The names in Ref and Fn::GetAtt; with conditions, only those in branches that count."""
    if isinstance(node, list):
        for item in node:
            yield from references(item, conditions)
    elif isinstance(node, dict):
        for key, item in node.items():
            if key == "Ref" and isinstance(item, str):
                yield item
            elif key == "Fn::GetAtt":
                yield item[0]
            elif key == "Fn::If" and conditions is not None:
                yield from references(item[1] if conditions[item[0]] else item[2], conditions)
            else:
                yield from references(item, conditions)


def depends(definition, conditions):
    explicit = definition.get("DependsOn") or []
    return {*references(definition.get("Properties"), conditions), *([explicit] if isinstance(explicit, str) else explicit)}


def validate(resource_map):
    """Refuses what CloudFormation refuses before it touches anything, and finds the order of the resources."""
    template, conditions = resource_map._template, resource_map.lazy_condition_map
    resources = template.get("Resources") or {}

    def counts(definition, block):
        name = definition.get("Condition")
        if name and name not in conditions:
            raise ValidationError(message=f"Template format error: Unresolved condition dependency {name} in the {block} block of the template")
        return not name or conditions[name]

    holds = [name for name, definition in resources.items() if counts(definition, "Resources")]
    for block, part in ("Resources", "Properties"), ("Outputs", "Value"):
        missing = set()
        for definition in (template.get(block) or {}).values():
            known = {*resources, *(template.get("Parameters") or {})}
            missing |= {n for n in references(definition.get(part)) if n not in known and not n.startswith("AWS::")}
            missing |= {n for n in depends({"DependsOn": definition.get("DependsOn")}, conditions) if n not in resources}
            if counts(definition, block):
                missing |= {n for n in references(definition.get(part), conditions) if n in resources and n not in holds}
        if missing:
            raise ValidationError(message=f"Template format error: Unresolved resource dependencies [{', '.join(sorted(missing))}] "
                                  f"in the {block} block of the template")
    resource_map.order, path = [], []

    def visit(name):
        if name in path:
            raise ValidationError(message=f"Circular dependency between resources: [{', '.join(path[path.index(name):])}]")
        if name in holds and name not in resource_map.order:
            path.append(name)
            mentioned = depends(resources[name], conditions)
            for other in [n for n in resources if n in mentioned]:
                visit(other)
            path.pop()
            resource_map.order.append(name)

    for name in resources:
        visit(name)


def parameters_of(template, given):
    """Every parameter's text, defaults included."""
    slots = template.get("Parameters") or {}
    if unknown := [name for name in given or {} if name not in slots]:
        raise ValidationError(message=f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {name: plain((given or {}).get(name, slot.get("Default")), text=True) for name, slot in slots.items()}
    if missing := [name for name, value in values.items() if value is None]:
        raise ValidationError(message=f"Parameters: [{', '.join(missing)}] must have values")
    for name, slot in slots.items():
        for item in values[name].split(",") if "List" in slot.get("Type", "") else [values[name]]:
            if "AllowedValues" in slot and item.strip() not in plain(slot["AllowedValues"], text=True):
                raise ValidationError(message=f"Parameter '{name}' must be one of AllowedValues")
            if "AllowedPattern" in slot and not re.fullmatch(slot["AllowedPattern"], item.strip()):
                raise ValidationError(message=f"Parameter {name} failed to satisfy constraint: "
                                      f"{slot.get('ConstraintDescription') or 'must match pattern ' + slot['AllowedPattern']}")
    return values


# --- Resources --------------------------------------------------------------------------


class Custom(moto_fixes.Resource):
    """A custom resource as the rest of the template sees it: Ref and Fn::GetAtt."""

    type = "AWS::CloudFormation::CustomResource"  # and every Custom::

    def __init__(self, physical, data=None, origin=""):
        self.physical_resource_id, self.data, self.origin = physical, plain(data or {}, text=True), origin

    def get_cfn_attribute(self, attribute):
        if attribute not in self.data:
            raise Failed(f"CustomResource attribute error: Vendor response doesn't contain {attribute} attribute in object {self.origin}")
        return self.data[attribute]


def is_custom(resource_type):
    return resource_type.startswith("Custom::") or resource_type == Custom.type


@dataclasses.dataclass(eq=False)
class Live:
    """A resource with the properties that it was last given."""

    name: str
    type: str
    properties: dict
    definition: dict
    depends: set
    resource: object = None
    dirty: bool = False  # an update of it failed
    status: str = ""

    @property
    def physical(self):
        return getattr(self.resource, "physical_resource_id", None) or ""


# The next three are for resources of AWS's own types, by moto's models of them.


def make(stack, want):
    definition = {"Type": want.type, "Properties": copy.deepcopy(want.properties)}
    kind, definition, physical = parsing.parse_resource_and_generate_name(want.name, definition, stack.resource_map)
    try:
        return kind.create_from_cloudformation_json(physical, definition, stack.account_id, stack.region_name,
                                                    LogicalId=want.name, StackId=stack.stack_id, ResourceType=want.type)
    except Exception as error:
        raise Failed(reason_of(error), sent=False) from error


def change(stack, live, want):
    kind, key = parsing.resource_class_from_type(want.type), parsing.resource_name_property_from_type(want.type)
    if key and live.properties.get(key) != want.properties.get(key):
        return make(stack, want)  # another name is another resource
    if hasattr(kind.update_from_cloudformation_json, "__isabstractmethod__"):
        destroy(stack, live)  # moto cannot change this type
        return make(stack, want)
    physical = getattr(live.resource, "name", None) or live.physical
    properties = {**({key: physical} if key else {}), **copy.deepcopy(want.properties)}
    return kind.update_from_cloudformation_json(
        original_resource=live.resource, new_resource_name=physical, cloudformation_json={"Type": want.type, "Properties": properties},
        account_id=stack.account_id, region_name=stack.region_name)


def destroy(stack, live):
    stack.resource_map._delete_resource(live.resource, {"Type": live.type, "Properties": live.properties})


# --- Stack operations -------------------------------------------------------------------


class Operation:
    """One create, update or delete of a stack."""

    def __init__(self, stack):
        self.stack, self.replaced, self.rolling_back, self.failed = stack, [], False, []

    def event(self, live, status, reason=None):
        live.status = status
        event = models.Event(self.stack.stack_id, self.stack.name, live.name, live.physical, live.type, status, reason,
                             json.dumps(live.properties, default=str))
        event.sendToSns(self.stack.account_id, self.stack.region_name, self.stack.notification_arns)
        self.stack.events.append(event)

    def keep(self, live):
        live.resource.logical_resource_id, live.resource.cf_resource_type = live.name, live.type
        self.stack.live = {**self.stack.live, live.name: live}
        self.stack.resource_map._parsed_resources[live.name] = live.resource

    def forget(self, live):
        self.stack.live = {name: other for name, other in self.stack.live.items() if other is not live}
        self.stack.resource_map._parsed_resources.pop(live.name, None)

    def bring(self):
        """Creates or updates every resource that is not yet as the template wants it, dependencies first."""
        stack = self.stack
        for name in stack.resource_map.order:
            definition, live = stack.template_dict["Resources"][name], stack.live.get(name)
            needs = depends(definition, stack.resource_map.lazy_condition_map)
            want = Live(name, definition["Type"], {}, definition, needs, live and live.resource)
            try:
                found = parsing.clean_json(copy.deepcopy(definition.get("Properties") or {}), stack.resource_map)
                want.properties = plain(found, text=is_custom(want.type))
                if live is None:
                    self.create(want)
                elif live.dirty or live.properties != want.properties:
                    self.update(live, want)
                else:
                    live.definition, live.depends = definition, needs
            except (Failed, Exception) as error:
                self.failed.append(name)
                self.event(stack.live.get(name, want), "UPDATE_FAILED" if live else "CREATE_FAILED", reason_of(error))
                raise Failed(reason_of(error)) from error

    def create(self, want):
        self.event(want, "CREATE_IN_PROGRESS")
        try:
            want.resource = ask(self.stack, want, "Create") if is_custom(want.type) else make(self.stack, want)
        except Failed as failure:
            if failure.sent:  # a Delete will follow, with an invented id when the answer brought none
                want.resource = Custom(failure.physical or f"{self.stack.name}-{want.name}-{random_suffix()}")
                self.keep(want)
            raise
        self.keep(want)
        self.event(want, "CREATE_IN_PROGRESS", "Resource creation Initiated")
        self.event(want, "CREATE_COMPLETE")

    def update(self, live, want):
        self.event(want, "UPDATE_IN_PROGRESS")
        former = next((r for r in self.replaced if r.name == want.name and r.properties == want.properties), None)
        restored = self.rolling_back and former and (not is_custom(want.type) or options.replacement_rollback == "delete")
        try:
            if restored:  # what an update replaced is still there, as its cleanup never came
                self.replaced.remove(former)
                want.resource = former.resource
            elif is_custom(want.type):
                if live.properties.get("ServiceToken") != want.properties.get("ServiceToken"):
                    raise Failed("Modifying service token is not allowed.", sent=False)
                want.resource = ask(self.stack, want, "Update", live.physical, live.properties)
            else:
                want.resource = change(self.stack, live, want)
        except (Failed, Exception) as failure:
            if getattr(failure, "sent", True):
                want.dirty = True
                if getattr(failure, "physical", None) not in (None, live.physical):
                    # A failed answer's id counts too: from now on the resource has it.
                    self.replaced.append(live)
                    want.resource = Custom(failure.physical)
                self.keep(want)
            raise
        if want.physical != live.physical:
            self.replaced.append(live)
            if not restored:
                self.event(want, "UPDATE_IN_PROGRESS", "Requested update required the provider to create a new physical resource.")
        self.keep(want)
        self.event(want, "UPDATE_COMPLETE")

    def delete(self, live, attribute="DeletionPolicy"):
        policy, undone = live.definition.get(attribute), self.stack.status.startswith(("ROLLBACK", "UPDATE_ROLLBACK"))
        if policy == "Retain" or policy == "RetainExceptOnCreate" and not undone:
            self.event(live, "DELETE_SKIPPED")
            return True
        self.event(live, "DELETE_IN_PROGRESS")
        try:
            if is_custom(live.type):
                ask(self.stack, live, "Delete", live.physical)
            else:
                destroy(self.stack, live)
        except (Failed, Exception) as error:
            self.event(live, "DELETE_FAILED", reason_of(error))
            return False
        self.event(live, "DELETE_COMPLETE")
        return True

    def tear_down(self, retain=()):
        """Deletes everything, dependents first. What an undeletable resource depends on stays."""
        failed, needed = [], set()
        for live in latest_first(self.stack.live.values(), self.stack.resource_map.order):
            if live.name in retain:
                self.event(live, "DELETE_SKIPPED")
            elif live.name in needed or not self.delete(live):
                failed += [] if live.name in needed else [live.name]
                needed |= live.depends
                continue
            self.forget(live)
        return failed

    def clean_up(self, order):
        """Deletes what the update left over. Nothing that fails here fails the stack."""
        current = self.stack.live.get
        left = [live for live in self.stack.live.values() if live.name not in self.stack.resource_map.order]
        # Every id that the resource has had on the way, but for the one that it ended with.
        left += {(r.name, r.physical): r for r in self.replaced if r.physical != current(r.name).physical}.values()
        for live in latest_first(left, order):
            removed = current(live.name) is live
            self.delete(live, "DeletionPolicy" if removed else "UpdateReplacePolicy")
            if removed:
                self.forget(live)

    def publish(self):
        """Works the outputs out anew, and the exports with them."""
        stack, backend = self.stack, backend_of(self.stack)
        outputs = stack._create_output_map()
        for output in [output for output in outputs.values() if output]:
            if isinstance(output.value, (dict, list)):
                raise Failed("Template format error: The Value field of every Outputs member must evaluate to a String.")
            output.value = plain(output.value, text=True)
        exports = {export.name: export for export in outputs.exports}
        with CLAIM:
            for name, export in backend.exports.items():
                if export.exporting_stack_id != stack.stack_id:
                    if name in exports:
                        raise Failed(f"Export with name {name} is already exported by stack {export.exporting_stack_id.split('/')[1]}.")
                elif name not in exports or exports[name].value != export.value:
                    if users := importers(backend, name):
                        raise Failed(f"Export {name} cannot be {'updated' if name in exports else 'deleted'} as it is in use by {' and '.join(users)}")
            others = {name: e for name, e in backend.exports.items() if e.exporting_stack_id != stack.stack_id}
            backend.exports = {**others, **exports}
        stack.output_map = outputs


def latest_first(lives, order):
    return sorted(lives, key=lambda live: order.index(live.name) if live.name in order else -1, reverse=True)


def backend_of(stack):
    return cloudformation_backends[stack.account_id][stack.region_name]


def importers(backend, export):
    def imports(node, stack):
        if isinstance(node, dict) and "Fn::ImportValue" in node:
            return parsing.clean_json(node["Fn::ImportValue"], stack.resource_map) == export
        return any(imports(item, stack) for item in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()))

    return [stack.name for stack in backend.stacks.values() if stack.live and imports(stack.template_dict.get("Resources"), stack)]


def finish(stack, status, reason=None):
    stack._add_stack_event(status, resource_status_reason=reason)
    stack.status = status


def run_create(stack):
    operation = Operation(stack)
    try:
        operation.bring()
        operation.publish()
    except (Failed, Exception) as error:
        because = f"The following resource(s) failed to create: [{', '.join(operation.failed)}]." if operation.failed else reason_of(error)
        finish(stack, "ROLLBACK_IN_PROGRESS", because + " Rollback requested by user.")
        if failed := operation.tear_down():
            return finish(stack, "ROLLBACK_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
        return finish(stack, "ROLLBACK_COMPLETE")
    finish(stack, "CREATE_COMPLETE")


def run_update(stack, former):
    operation, attempted = Operation(stack), stack.resource_map.order
    try:
        operation.bring()
        operation.publish()
    except (Failed, Exception) as error:
        because = f"The following resource(s) failed to update: [{', '.join(operation.failed)}]. " if operation.failed else reason_of(error)
        finish(stack, "UPDATE_ROLLBACK_IN_PROGRESS", because)
        # The rollback is one more update, to the former template.
        vars(stack).update(former)
        operation.rolling_back, operation.failed = True, []
        for live in stack.live.values():
            operation.keep(live)
        try:
            operation.bring()
        except Failed:
            return finish(stack, "UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: [{', '.join(operation.failed)}]. ")
        finish(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        operation.clean_up(attempted)
        operation.publish()
        return finish(stack, "UPDATE_ROLLBACK_COMPLETE")
    finish(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    operation.clean_up(former["resource_map"].order)
    finish(stack, "UPDATE_COMPLETE")


def run_delete(stack, retain=()):
    if failed := Operation(stack).tear_down(retain):
        return finish(stack, "DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
    backend = backend_of(stack)
    with CLAIM:
        backend.exports = {name: e for name, e in backend.exports.items() if e.exporting_stack_id != stack.stack_id}
        backend.stacks = {i: s for i, s in backend.stacks.items() if s is not stack}
        backend.deleted_stacks = {**backend.deleted_stacks, stack.stack_id: stack}
        finish(stack, "DELETE_COMPLETE")


def begin(stack, status, work, *arguments):
    """Runs the operation in the background. Returns its thread."""
    before = stack.busy

    def run():
        if before:
            before.join()
        try:
            finish(stack, status, "User Initiated")
            work(stack, *arguments)
        except BaseException as error:
            traceback.print_exc()
            finish(stack, status.replace("IN_PROGRESS", "FAILED"), f"The sandbox's own failure: {error!r}")

    if not before or not before.is_alive():
        stack.status = status  # already now, so that no other operation is admitted
    stack.busy = threading.Thread(target=run, daemon=True)
    stack.busy.start()
    return stack.busy


def adopt(stack, template, parameters, tags):
    """Gives the stack another template. Returns what it had, for a rollback."""
    former = {key: getattr(stack, key) for key in ("template", "template_dict", "parameters", "tags", "description", "resource_map", "output_map")}
    try:
        stack.template, stack.parameters, stack.tags = template, parameters, tags or stack.tags
        stack._parse_template()
        stack.description, stack.cross_stack_resources = stack.template_dict.get("Description"), backend_of(stack).exports
        stack.resource_map = stack._create_resource_map()
        if moved := [n for n in stack.resource_map.order if n in stack.live and stack.live[n].type != stack.template_dict["Resources"][n]["Type"]]:
            raise ValidationError(message="Update of resource type is not permitted. The new template modifies resource type "
                                  f"of the following resources: [{', '.join(moved)}]")
    except BaseException:
        vars(stack).update(former)
        raise
    for name, live in stack.live.items():
        stack.resource_map._parsed_resources[name] = live.resource
    return former


def begin_create(stack, template, parameters, tags=None):
    adopt(stack, template, parameters, tags)
    stack.output_map = models.OutputMap(stack.resource_map, {}, stack.stack_id)  # none until it is complete
    return begin(stack, "CREATE_IN_PROGRESS", run_create)


def begin_update(stack, template, parameters, tags=None):
    refuse_unless_updatable(stack)
    return begin(stack, "UPDATE_IN_PROGRESS", run_update, adopt(stack, template, parameters, tags))


def refuse_unless_updatable(stack):
    if stack.status not in UPDATABLE:
        raise ValidationError(message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")


def unchanged(stack, template, parameters, tags):
    wanted = Stack.parse_template(template)
    return wanted == stack.template_dict and parameters_of(wanted, parameters) == stack.parameters and (not tags or tags == stack.tags)


# --- CloudFormation's API, in moto's place ----------------------------------------------
#
# Each call waits --settle seconds for the operation that it began, because the CLI's
# waiters look only every half minute. The lists of a backend are replaced, never
# changed, because other threads may be reading them.


class InvalidChangeSetStatus(CloudFormationError):
    code = "InvalidChangeSetStatus"


def find(backend, name):
    return next((stack for stack in backend.stacks.values() if name in (stack.name, stack.stack_id)), None)


def create_stack(self, name, template, parameters, tags=None, **rest):
    with CLAIM:
        if find(self, name):
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        stack = Stack(generate_stack_id(name, self.region_name, self.account_id), name, {}, {}, self.account_id, self.region_name, tags=tags, **rest)
        busy = begin_create(stack, template, parameters)
        self.stacks = {**self.stacks, stack.stack_id: stack}
    busy.join(options.settle)
    return stack


def update_stack(self, name, template, role_arn, parameters, tags):
    with CLAIM:
        stack = self.get_stack(name)
        refuse_unless_updatable(stack)
        given = self._resolve_update_parameters(stack, parameters)
        if unchanged(stack, template, given, tags):
            raise ValidationError(message="No updates are to be performed.")
        busy = begin_update(stack, template, given, tags)
    busy.join(options.settle)
    return stack


def create_change_set(self, stack_name, change_set_name, template, parameters, description, change_set_type, tags=None, **rest):
    with CLAIM:
        stack = find(self, stack_name)
        if stack and change_set_type == "CREATE":
            if stack.status != "REVIEW_IN_PROGRESS":
                raise ValidationError(message=f"Stack [{stack.name}] already exists and cannot be created again with the changeSet [{change_set_name}].")
            self.stacks = {i: s for i, s in self.stacks.items() if s is not stack}
        elif stack:
            refuse_unless_updatable(stack)
        parameters_of(Stack.parse_template(template), parameters)
        self.stacks, self.change_sets = dict(self.stacks), dict(self.change_sets)
        ids = moto_create_change_set(self, stack.name if stack else stack_name, change_set_name, template, parameters, description,
                                     change_set_type, tags=tags, **rest)
        change_set = self.change_sets[ids[0]]
        if change_set_type == "UPDATE":
            change_set.status, change_set.execution_status, change_set.status_reason = (
                ("FAILED", "UNAVAILABLE", "The submitted information didn't contain changes. Submit different information to create a change set.")
                if unchanged(stack, template, parameters, tags) else ("CREATE_COMPLETE", "AVAILABLE", None))
        return ids


def execute_change_set(self, change_set_name, stack_name=None):
    with CLAIM:
        change_set = next((c for c in reversed(self.change_sets.values()) if change_set_name == c.change_set_id
                           or change_set_name == c.change_set_name and stack_name in (None, c.stack_name, c.stack_id)), None)
        if change_set is None:
            raise ValidationError(message=f"ChangeSet [{change_set_name}] does not exist")
        if change_set.execution_status != "AVAILABLE":
            raise InvalidChangeSetStatus(f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status of [{change_set.status}]")
        start = begin_create if change_set.change_set_type == "CREATE" else begin_update
        busy = start(change_set.stack, change_set.template, change_set.parameters, change_set.tags)
        change_set.execution_status = "EXECUTE_COMPLETE"
    busy.join(options.settle)


def delete_stack(self, name_or_stack_id, retain=()):
    with CLAIM:
        stack = find(self, name_or_stack_id)
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return
        if stack.enable_termination_protection:
            raise ValidationError(message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if retain and stack.status != "DELETE_FAILED":
            raise ValidationError(message=f"Invalid operation on stack [{stack.stack_id}]: resources can be retained only in DELETE_FAILED")
        for export in [name for name, e in self.exports.items() if e.exporting_stack_id == stack.stack_id]:
            if users := importers(self, export):
                # AWS accepts the call too, keeps the stack's status, and says why in an event only.
                return finish(stack, stack.status, f"Export {export} cannot be deleted as it is in use by {' and '.join(users)}")
        busy = begin(stack, "DELETE_IN_PROGRESS", run_delete, retain)
    busy.join(options.settle)


def delete_stack_call(self):
    self.cloudformation_backend.delete_stack(self._get_param("StackName"), self._get_param("RetainResources") or ())
    return EmptyResult()


def list_stack_resources_call(self):
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    return ActionResult({"StackResourceSummaries": [responses.StackResourceDTO(stack, resource) for resource in stack.stack_resources]})


def new_resource_details(self, stack, resource):
    self.stack_id, self.stack_name, self.stack_status = stack.stack_id, stack.name, stack.status
    self.logical_resource_id, self.physical_resource_id = resource.logical_resource_id, resource.physical_resource_id
    self.resource_type, self.resource_status = resource.cf_resource_type, stack.live[resource.logical_resource_id].status
    self.creation_time = self.timestamp = self.last_updated_timestamp = stack.creation_time


def new_stack(self, *arguments, **keywords):
    self.live, self.busy = {}, None
    moto_new_stack(self, *arguments, **keywords)


def create_resource_map(self):
    self.parameters = parameters_of(self.template_dict, self.parameters) if self.template_dict else {}
    resource_map = moto_create_resource_map(self)
    resource_map.cross_stack_resources = self.cross_stack_resources  # moto drops an empty one
    return resource_map


def look_up(self, key):
    """A resource, or None. moto's creates it; that is for an Operation alone, in its order."""
    if key in self._parsed_resources or key not in self._resource_json_map:
        return self._parsed_resources[key]
    return None


def exports_of(self):
    return [parsing.Export(self._stack_id, parsing.clean_json(output["Export"]["Name"], self._resource_map), self[key].value)
            for key, output in (self._output_json_map or {}).items() if output.get("Export") and self[key]]


def template_at(url, account_id, partition):
    """moto takes the first number of an IP address for the bucket."""
    where = urllib.parse.urlsplit(url)
    if where.hostname != "127.0.0.1":
        return moto_template_at(url, account_id, partition)
    bucket, _, key = urllib.parse.unquote(where.path).lstrip("/").partition("/")
    return parsing.s3_backends[account_id][partition].get_object(bucket, key).value.decode()


moto_create_change_set = CloudFormationBackend.create_change_set
moto_new_stack, moto_create_resource_map, moto_parse_template = Stack.__init__, Stack._create_resource_map, Stack.parse_template
moto_validate_outputs, moto_template_at = parsing.ResourceMap.validate_outputs, models.get_stack_from_s3_url


def apply(given_options, given_ask):
    """Puts all this in moto's place."""
    global options, ask
    options, ask = given_options, given_ask
    moto_fixes.types[Custom.type] = Custom
    parsing.ResourceMap.__getitem__ = look_up
    parsing.ResourceMap.validate_outputs = lambda self: (validate(self), moto_validate_outputs(self))
    parsing.OutputMap.exports = property(exports_of)
    models.get_stack_from_s3_url = responses.get_stack_from_s3_url = template_at
    models.ChangeSet._parse_template = lambda self: vars(self).update(template_dict=Stack.parse_template(self.template))
    Stack.__init__, Stack._create_resource_map = new_stack, create_resource_map
    Stack.parse_template = staticmethod(lambda text: normalise(moto_parse_template(text)))
    Stack.stack_parameters = property(lambda self: self.parameters)
    Stack.parameter_list = property(lambda self: [
        {"ParameterKey": name, "ParameterValue": "****" if name in self.resource_map.no_echo_parameter_keys else value}
        for name, value in self.parameters.items()])
    Stack.stack_resources = property(lambda self: [live.resource for live in self.live.values()])
    # These two serve the hidden stacks of service-managed stack sets.
    Stack.create_resources = lambda self: begin_create(self, self.template, self.parameters).join()
    Stack.delete = lambda self: begin(self, "DELETE_IN_PROGRESS", run_delete).join()
    for function in (create_stack, update_stack, create_change_set, execute_change_set, delete_stack):
        setattr(CloudFormationBackend, function.__name__, function)
    responses.StackResourceDTO.__init__ = new_resource_details
    api = responses.CloudFormationResponse
    api.delete_stack, api.list_stack_resources = delete_stack_call, list_stack_resources_call
    api._validate_different_update = api._validate_status = lambda *_: None  # done above
