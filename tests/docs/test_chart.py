"""The chart without Helm: its values, their schema, its README, and the settings that it knows.

What Helm and Kubernetes say of it is tested apart, by `make test-helm`.
"""

import json
import re
import tomllib
from typing import Any

import jsonschema
import pytest
import yaml

from service.settings import PREFIX, Settings
from tests.docs.sessions import ROOT

CHART = ROOT / "helm"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
TEMPLATES = "\n".join(file.read_text(encoding="utf-8") for file in sorted(CHART.glob("templates/*")))
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_the_defaults_fit_their_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA, jsonschema.Draft7Validator)


@pytest.mark.parametrize("wrong", [{"replicaCount": 0}, {"replicas": 1}, {"image": {"tags": "1"}}])
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(VALUES | wrong, SCHEMA, jsonschema.Draft7Validator)


def test_values_and_schema_name_the_same_things() -> None:
    assert _named(VALUES, SCHEMA) == _properties(SCHEMA) - {"global"}


def _named(values: dict[str, Any], schema: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for name, value in values.items():
        below = schema["properties"].get(name, {})
        found.add(above + name)
        if isinstance(value, dict) and "properties" in below:
            found |= _named(value, below, f"{above}{name}.")
    return found


def _properties(schema: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for name, below in schema["properties"].items():
        found.add(above + name)
        if "properties" in below:
            found |= _properties(below, f"{above}{name}.")
    return found


def test_templates_use_every_value_and_no_other() -> None:
    used = set(re.findall(r"(?:\.Values|\$values)\.([A-Za-z.]+)", TEMPLATES))
    known = _properties(SCHEMA)
    assert used <= known
    leaves = {name for name in known if not any(other.startswith(f"{name}.") for other in known)} - {"global"}
    assert leaves - used == set()


def test_settings_in_the_chart_exist() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", TEMPLATES))
    not_settings = {"KEYWRIGHT_PORT"}  # what `enableServiceLinks: false` keeps out
    assert {name.removesuffix("_FILE") for name in named - not_settings} <= SETTINGS
    refused = SCHEMA["properties"]["settings"]["propertyNames"]["not"]["enum"]
    assert {f"{PREFIX}{name.removesuffix('_FILE')}" for name in refused} <= SETTINGS
    assert {f"{PREFIX}{name}" for name in VALUES["settings"]} <= SETTINGS


def test_settings_that_are_secret_cannot_be_plain_values() -> None:
    refused = SCHEMA["properties"]["settings"]["propertyNames"]["not"]["enum"]
    secret = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secret <= set(refused)


def test_its_readme_tells_of_every_value() -> None:
    text = (CHART / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (`.*?`) \|", text, re.M)
    names = set()
    for cell in told:
        above = ""
        for word in re.findall(r"`([^`]+)`", cell):
            if not word.startswith("."):
                above = word.rpartition(".")[0]
            names.add(above + word if word.startswith(".") else word)
    known = _properties(SCHEMA) - {"global"}
    leaves = {name for name in known if not any(other.startswith(f"{name}.") for other in known)}
    assert leaves - names == set()


def test_versions_are_the_server_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == project["version"]
    assert chart["description"] == project["description"]
