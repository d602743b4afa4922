"""Write the published template: plain CloudFormation that says where its code is.

Reads from standard input the JSON that translate.py has made of template.yaml. Writes
YAML to standard output. CloudFormation alone can deploy it: it has no transform, and
it names where the code is. Service-managed stack sets need that. It makes no call to AWS:
the arguments have everything.

Each resource keeps its logical id and its properties, so that this template updates a
provider that SAM deployed in place. New are the location of the code, the functions' tags,
and the outputs with the checksums of the code.
"""

import argparse
import base64
import json
import re
import sys

import yaml

# The most that CreateStackSet, CreateStack and UpdateStack take in the request itself.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MOST_BYTES = 51_200

HEAD = """\
# cloney-s3-credentials {version}: the provider of Custom::CloneyS3Credentials, as plain CloudFormation.
# Written by `make {command}` from template.yaml, where the comments are; do not edit it here.
# Commit: {commit}
{sums}
#
# The code's key is in this file and is not a parameter: `aws cloudformation deploy` gives every
# parameter of a stack its previous value, so a new template would keep the old code.
"""


def main() -> None:
    asked = arguments()
    template = published(json.load(sys.stdin), asked)
    sums = "\n".join(f"# SHA-256 of {function} for {architecture}: {checksum}" for function, architecture, checksum in asked.zip)
    body = yaml.dump(template, Dumper=Dumper, sort_keys=False, width=200, allow_unicode=True)
    # The library puts everything that has a tag into quotes, also names.
    body = re.sub(r"!(Ref|GetAtt) '([A-Za-z0-9:.]+)'", r"!\1 \2", body)
    command = "publish" if asked.account else "release"
    text = HEAD.format(version=asked.version, command=command, commit=asked.commit, sums=sums) + body
    over = len(text.encode()) - MOST_BYTES
    if over > 0:
        sys.exit(f"the published template is {over} bytes too long: CloudFormation takes {MOST_BYTES}. Shorten template.yaml")
    sys.stdout.write(text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--commit", required=True, help="the commit that the code is of, or unknown")
    parser.add_argument("--account", default="", help="the account of the code buckets, one in each region; without it, the parameter CodeBucket names the bucket")
    parser.add_argument("--prefix", default="", help="the first part of the code buckets' names")
    parser.add_argument("--zip", required=True, action="append", type=lambda text: tuple(text.split(":")), metavar="FUNCTION:ARCHITECTURE:CHECKSUM",
                        help="a function's logical id, arm64 or x86_64, and the SHA-256 of its zip, in hex")
    return parser.parse_args()


def published(template: dict, asked: argparse.Namespace) -> dict:
    """Return the template in the order in which people read one."""
    parameters = parameters_of_code_buckets(asked) if asked.account else PARAMETER_OF_ONE_BUCKET
    template["Parameters"] |= parameters
    template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].append(
        {"Label": {"default": "Where the functions' code is"}, "Parameters": list(parameters)}
    )
    template["Mappings"] = {}
    for function, architecture, checksum in asked.zip:
        # A mapping takes no underscore, so x86_64 cannot be looked up by its name.
        # https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1759
        template["Mappings"].setdefault(mapping_of(function), {})[architecture.replace("_", "-")] = code(checksum)
    template["Conditions"]["OnArm64"] = {"Fn::Equals": [{"Ref": "Architecture"}, "arm64"]}
    for resource in template["Resources"].values():
        # SAM's own notes.
        resource.pop("Metadata", None)
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            body = resource["Properties"]["DashboardBody"]
            body["Fn::Sub"] = json.dumps(json.loads(body["Fn::Sub"]), separators=(",", ":"))
    template["Outputs"]["Version"]["Value"] = asked.version
    functions = {logical_id: resource["Properties"] for logical_id, resource in template["Resources"].items() if resource["Type"] == "AWS::Lambda::Function"}
    packed = {function for function, _, _ in asked.zip}
    if functions.keys() != packed:
        sys.exit(f"template.yaml has the functions {sorted(functions)}, and there are zips of {sorted(packed)}")
    for logical_id, function in functions.items():
        function["Code"] = {
            "S3Bucket": {"Fn::Sub": "${CodeBucketPrefix}-${CodeAccountId}-${AWS::Region}-an"} if asked.account else {"Ref": "CodeBucket"},
            "S3Key": of_the_architecture(logical_id, "Key"),
        }
        function["Environment"]["Variables"]["VERSION"] = asked.version
        function["Tags"] = [{"Key": "cloney-s3-credentials:version", "Value": asked.version}]
        template["Outputs"][output_of(logical_id)] = {
            "Description": f"What `aws lambda get-function-configuration --function-name {function['FunctionName']} --query CodeSha256` says of this version.",
            "Value": of_the_architecture(logical_id, "CodeSha256"),
        }
    sections = ["AWSTemplateFormatVersion", "Description", "Parameters", "Metadata", "Mappings", "Rules", "Conditions", "Resources", "Outputs"]
    return {section: template.pop(section) for section in sections} | template


# For one account: its owner uploads the code and says where to.
PARAMETER_OF_ONE_BUCKET = {
    "CodeBucket": {
        "Type": "String",
        "AllowedPattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        "Description": "The bucket, in this region, that you uploaded the functions' code to.",
    },
}


def parameters_of_code_buckets(asked: argparse.Namespace) -> dict:
    """Return the parameters that name the buckets of an organization, in each region one."""
    return {
        "CodeAccountId": {
            "Type": "String",
            "Default": asked.account,
            "AllowedPattern": "^[0-9]{12}$",
            "Description": "The account of the buckets that the functions' code is in, one in each region.",
        },
        "CodeBucketPrefix": {
            "Type": "String",
            "Default": asked.prefix,
            "AllowedPattern": "^[a-z0-9][a-z0-9-]{0,31}$",
            "Description": "The first part of these buckets' names: PREFIX-ACCOUNT-REGION-an.",
        },
    }


def code(checksum: str) -> dict:
    """Return where a zip is, and its checksum as Lambda writes it."""
    return {
        "Key": f"cloney-s3-credentials/{checksum}.zip",
        "CodeSha256": base64.b64encode(bytes.fromhex(checksum)).decode(),
    }


def mapping_of(logical_id: str) -> str:
    """Return a name that is not the logical id: a template uses a name for one thing."""
    return logical_id + "Code"


def output_of(logical_id: str) -> str:
    """CodeSha256, and RotatorCodeSha256: the first one had its name when there was no other function."""
    return logical_id.removesuffix("Function").removeprefix("Provider") + "CodeSha256"


def of_the_architecture(function: str, name: str) -> dict:
    code = mapping_of(function)
    return {"Fn::If": ["OnArm64", {"Fn::FindInMap": [code, "arm64", name]}, {"Fn::FindInMap": [code, "x86-64", name]}]}


class Dumper(yaml.SafeDumper):
    """Writes no anchors, which CloudFormation does not take."""

    def ignore_aliases(self, data):
        return True


def represent_text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    """Write lines as a block. Put text that begins with a digit into quotes: parsers differ on which of it is a number."""
    style = "|" if "\n" in text else "'" if text[:1].isdigit() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def fits_in_a_line(tree) -> bool:
    """Return whether the tree is values, or functions of values, and not a whole statement."""
    if isinstance(tree, dict):
        return len(tree) == 1 and all((name == "Ref" or name.startswith("Fn::")) and fits_in_a_line(argument) for name, argument in tree.items())
    return not isinstance(tree, list) or all(map(fits_in_a_line, tree))


def represent_object(dumper: Dumper, tree: dict) -> yaml.Node:
    """Write a function in its short form, as people do: it needs half the bytes."""
    if len(tree) == 1:
        ((name, argument),) = tree.items()
        # AWS documents no short form of Fn::Contains, which is only for Rules.
        if name == "Ref" or name.startswith("Fn::") and name != "Fn::Contains":
            tag = "!" + name.removeprefix("Fn::")
            if name == "Fn::GetAtt":
                argument = ".".join(argument)
            if isinstance(argument, str):
                return dumper.represent_scalar(tag, argument)
            return dumper.represent_sequence(tag, argument, flow_style=fits_in_a_line(argument))
    return dumper.represent_dict(tree)


def represent_list(dumper: Dumper, items: list) -> yaml.Node:
    """Write names and numbers in one line."""
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=all(isinstance(item, (str, int)) for item in items))


Dumper.add_representer(str, represent_text)
Dumper.add_representer(dict, represent_object)
Dumper.add_representer(list, represent_list)


if __name__ == "__main__":
    main()
