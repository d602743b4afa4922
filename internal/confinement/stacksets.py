"""Write the plain CloudFormation templates of a directory as JSON, each under its name.

SAM's own reader of YAML knows CloudFormation's short forms (!Ref, !Sub, ...).
"""

import json
import pathlib
import sys

from samcli.yamlhelper import yaml_parse

templates = {file.stem: yaml_parse(file.read_text(encoding="utf-8")) for file in pathlib.Path(sys.argv[1]).glob("*.yaml")}
json.dump(templates, sys.stdout, default=str)
