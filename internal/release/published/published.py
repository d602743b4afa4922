"""Write the published template: plain CloudFormation that says where its code is.

Reads from standard input the JSON that translate.py has made of template.yaml. Writes
YAML to standard output. CloudFormation alone can deploy it: it has no transform, and
nothing is left to upload. Service-managed stack sets need that. No call of AWS is made:
the arguments say all.

Each resource keeps its logical id and its properties, so that this template updates a
provider that SAM deployed in place. New are the place of the code, the function's tags,
and the outputs that tell the version.
"""

import argparse
import base64
import json
import sys

import yaml

# The most that CreateStackSet, CreateStack and UpdateStack take in the request itself.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MOST_BYTES = 51_200

HEAD = """\
# cloney-s3-credentials {version}: the provider of Custom::CloneyS3Credentials, as plain CloudFormation.
# Written by `make publish` from template.yaml, where the comments are; do not edit it here.
# Commit: {commit}
# SHA-256 of the code for arm64:  {arm64}
# SHA-256 of the code for x86_64: {x86_64}
#
# The code's key stands in this file and is no parameter: `aws cloudformation deploy` gives every
# parameter that a stack has its previous value, so a new template would go on with the old code.
"""


def main() -> None:
    asked = arguments()
    template = published(json.load(sys.stdin), asked)
    text = HEAD.format(**vars(asked)) + yaml.dump(template, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True)
    over = len(text.encode()) - MOST_BYTES
    if over > 0:
        sys.exit(f"the published template is {over} bytes too long: CloudFormation takes {MOST_BYTES}. Shorten template.yaml")
    sys.stdout.write(text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--commit", required=True, help="the commit that the code is of, or unknown")
    parser.add_argument("--account", required=True, help="the account of the code buckets")
    parser.add_argument("--prefix", required=True, help="the first part of the code buckets' names")
    parser.add_argument("--arm64", required=True, help="SHA-256 of the zip for arm64, in hex")
    parser.add_argument("--x86_64", required=True, help="SHA-256 of the zip for x86_64, in hex")
    return parser.parse_args()


def published(template: dict, asked: argparse.Namespace) -> dict:
    """Return the template in the order in which people read one."""
    template["Parameters"] |= {
        "CodeAccountId": {
            "Type": "String",
            "Default": asked.account,
            "AllowedPattern": "^[0-9]{12}$",
            "Description": "The account of the buckets that the function's code is in, one in each region.",
        },
        "CodeBucketPrefix": {
            "Type": "String",
            "Default": asked.prefix,
            "AllowedPattern": "^[a-z0-9][a-z0-9-]{0,31}$",
            "Description": "The first part of these buckets' names: PREFIX-ACCOUNT-REGION-an.",
        },
    }
    template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].append(
        {"Label": {"default": "Where the function's code is"}, "Parameters": ["CodeAccountId", "CodeBucketPrefix"]}
    )
    # A mapping takes no underscore, so x86_64 cannot be looked up by its name.
    # https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1759
    template["Mappings"] = {"Code": {"arm64": code(asked.arm64), "x86-64": code(asked.x86_64)}}
    template["Conditions"]["OnArm64"] = {"Fn::Equals": [{"Ref": "Architecture"}, "arm64"]}
    for resource in template["Resources"].values():
        # What SAM notes down for itself.
        resource.pop("Metadata", None)
    function = template["Resources"]["ProviderFunction"]["Properties"]
    function["Code"] = {
        "S3Bucket": {"Fn::Sub": "${CodeBucketPrefix}-${CodeAccountId}-${AWS::Region}-an"},
        "S3Key": of_the_architecture("Key"),
    }
    function["Tags"] = [{"Key": "cloney-s3-credentials:version", "Value": asked.version}]
    template["Outputs"] |= {
        "Version": {"Description": "The version of the provider.", "Value": asked.version},
        "CodeSha256": {
            "Description": "What `aws lambda get-function-configuration --query CodeSha256` says of this version.",
            "Value": of_the_architecture("CodeSha256"),
        },
    }
    sections = ["AWSTemplateFormatVersion", "Description", "Parameters", "Metadata", "Mappings", "Rules", "Conditions", "Resources", "Outputs"]
    return {section: template.pop(section) for section in sections} | template


def code(checksum: str) -> dict:
    """Where a zip is, and its checksum as Lambda writes it."""
    return {
        "Key": f"cloney-s3-credentials/{checksum}.zip",
        "CodeSha256": base64.b64encode(bytes.fromhex(checksum)).decode(),
    }


def of_the_architecture(name: str) -> dict:
    return {"Fn::If": ["OnArm64", {"Fn::FindInMap": ["Code", "arm64", name]}, {"Fn::FindInMap": ["Code", "x86-64", name]}]}


class Dumper(yaml.SafeDumper):
    """Writes no anchors, which CloudFormation does not take."""

    def ignore_aliases(self, data):
        return True


def represent_text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    """Lines as a block; in quotes what begins with a digit, because parsers differ on which of it is a number."""
    style = "|" if "\n" in text else "'" if text[:1].isdigit() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, represent_text)


if __name__ == "__main__":
    main()
