"""Translate a SAM template into plain CloudFormation, offline.

SAM's own translator, the one that AWS runs for `Transform: AWS::Serverless-2016-10-31`,
does it; moto's CloudFormation knows no transforms. The first argument is the template's
file, the second one where its functions' code is on S3: LOGICALID.zip of each, there
(`sam deploy` writes it into CodeUri when it has uploaded it). Writes JSON to standard output.
"""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """The translator asks for AWS's managed policies by name; the template names none."""

    def load(self):
        return {}


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"{sys.argv[2]}/{logical_id}.zip"
    # The defaults stand in for the parameters where the translator has to know a value;
    # what is deployed keeps its Refs.
    defaults = {name: p["Default"] for name, p in template.get("Parameters", {}).items() if "Default" in p}
    json.dump(transform(template, defaults, NoManagedPolicies()), sys.stdout, indent=2, default=str)


if __name__ == "__main__":
    main()
