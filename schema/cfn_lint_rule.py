"""Have cfn-lint check the properties of Custom::CloneyS3Credentials before a deployment.

    cfn-lint --append-rules schema/ -- template.yaml

By itself cfn-lint accepts any property of a custom resource, also with --registry-schemas. The
schema is in the file next to this one. Values that only a deployment knows, such as those of
!ImportValue, are not checked.
"""

import json
from datetime import date
from pathlib import Path

from cfnlint.rules.jsonschema.CfnLintJsonSchema import CfnLintJsonSchema

SCHEMA = Path(__file__).with_name("custom-cloneys3credentials.json")


class CloneyS3Credentials(CfnLintJsonSchema):
    """Check the properties of each Custom::CloneyS3Credentials."""

    id = "E9100"
    shortdesc = "Properties of Custom::CloneyS3Credentials"
    description = "The provider refuses properties that it does not know, and values that it cannot read."
    source_url = ""
    tags = ["resources"]

    def __init__(self):
        super().__init__(keywords=["Resources/Custom::CloneyS3Credentials/Properties"], all_matches=True)
        self.properties = json.loads(SCHEMA.read_text(encoding="utf-8"))

    def validate(self, validator, keywords, instance, schema):
        # YAML has a type for dates, so cfn-lint reads an ExpiresAt without quotes as one.
        dates = {name: value.isoformat() for name, value in instance.items() if isinstance(value, date)}
        instance = {**instance, **dates} if dates else instance
        # Without the rule's own schema, cfn-lint would pass the one that called this rule.
        errors = list(super().validate(validator, keywords, instance, self.properties))
        for error in errors:
            if error.validator in ("pattern", "not"):
                error.message = self.how_to_write(error)
            if not any(is_the_same_mistake(error, other) for other in errors):
                yield error

    def how_to_write(self, error):
        """Say what a property takes, in place of the pattern that a value does not match."""
        name = error.path[0]
        return f"{error.instance!r} is not a value of {name}. {self.properties['properties'][name]['description']}"


def is_the_same_mistake(error, other):
    """Whether a property is missing only because its name is misspelt."""
    return (
        error.validator == "required"
        and other.validator == "additionalProperties"
        and list(error.path) == list(other.path)[:-1]
        and f"Did you mean {error.message.split()[0]}?" in other.message
    )
