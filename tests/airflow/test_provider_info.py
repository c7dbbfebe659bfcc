"""What Airflow sees of the package: its data held against Airflow's own schemas, and the real providers manager."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from altegio_provider import __version__
from altegio_provider.compat import AIRFLOW_V_3_3_PLUS
from altegio_provider.get_provider_info import get_provider_info

FOR_DAGS = re.compile(r"^class (Altegio|Parquet)\w*(Hook|Operator|Sensor|Trigger)\(", re.MULTILINE)

# As the design fixes them: other people's connections are written with these names.
EXTRAS = {
    "user_token",
    "location_id",
    "route_family",
    "timezone",
    "requests_per_second",
    "requests_per_minute",
    "rate_limit_url",
    "timeout",
    "verify",
    "allow_http",
}


@pytest.fixture
def info() -> dict[str, Any]:
    return get_provider_info()


# The schemas of Airflow 3.1 lack the form's two keys, those of 3.2 the hook's name. When 3.2 is dropped, this goes.
whole_schema = pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="the schemas of this Airflow lack keys that it reads")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The stricter of Airflow's two schemas, without what belongs to a provider inside Airflow's own repository."""
    return strict(json.loads(_schema_file("provider.yaml.schema.json").read_text()) | {"required": ["package-name"]})


def _schema_file(name: str) -> Path:
    spec = importlib.util.find_spec("airflow")
    assert spec
    assert spec.origin
    return Path(spec.origin).parent / name


def strict(schema: Any) -> Any:
    """The same schema, refusing every key that it does not describe."""
    if isinstance(schema, dict):
        schema = {key: strict(value) for key, value in schema.items()}
        if isinstance(schema.get("properties"), dict):
            schema["additionalProperties"] = False
    return [strict(value) for value in schema] if isinstance(schema, list) else schema


@whole_schema
def test_it_fits_both_schemas(info, schema):
    jsonschema.validate(info, schema)
    jsonschema.validate(info, json.loads(_schema_file("provider_info.schema.json").read_text()))


@whole_schema
@pytest.mark.parametrize(
    "path",
    [
        ("hoks",),
        ("connection-types", 0, "hook-klass-name"),
        ("connection-types", 0, "conn-fields", "verify", "lable"),
        ("connection-types", 0, "ui-field-behaviour", "hidden_fields"),
        ("transfers", 0, "python-modules"),
    ],
)
def test_a_misspelt_key_would_be_noticed(info, schema, path):
    wrong = deepcopy(info)
    place: Any = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_the_form_has_every_setting_and_its_defaults_are_valid(info):
    (connection,) = info["connection-types"]
    assert set(connection["conn-fields"]) == EXTRAS
    for field in connection["conn-fields"].values():
        jsonschema.Draft202012Validator.check_schema(field["schema"])
        if "default" in field["schema"]:
            jsonschema.validate(field["schema"]["default"], field["schema"])


def test_tokens_are_masked_and_nothing_secret_is_a_default(info):
    fields = info["connection-types"][0]["conn-fields"]
    assert [name for name, field in fields.items() if field["schema"].get("format") == "password"] == ["user_token"]
    assert "default" not in fields["user_token"]["schema"]


def test_every_module_it_names_is_there(info):
    modules = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers")
        for entry in info.get(kind, [])
        for module in entry["python-modules"]
    ]
    modules += [entry["python-module"] for entry in info["transfers"]]
    for module in modules:
        importlib.import_module(module)


def test_every_module_of_these_kinds_is_named(info, repository):
    """A hook or operator that Airflow is not told of is missing from its lists."""
    for kind in ("hooks", "operators", "sensors", "triggers"):
        named = {module for entry in info.get(kind, []) for module in entry["python-modules"]}
        assert named == modules_for_dags(repository, kind)
    assert {entry["python-module"] for entry in info["transfers"]} == modules_for_dags(repository, "transfers")


def modules_for_dags(repository, kind):
    """The modules that define what a DAG uses; the others in a folder are what these are made of."""
    files = (repository / "altegio_provider" / kind).glob("*.py")
    return {f"altegio_provider.{kind}.{path.stem}" for path in files if FOR_DAGS.search(path.read_text())}


def test_every_integration_it_refers_to_is_described(info):
    described = {integration["integration-name"] for integration in info["integrations"]}
    for kind in ("hooks", "operators", "sensors", "triggers"):
        assert {entry["integration-name"] for entry in info.get(kind, [])} <= described
    for transfer in info["transfers"]:
        assert {transfer["source-integration-name"], transfer["target-integration-name"]} <= described


def test_airflow_lists_the_provider(airflow):
    rows = json.loads(airflow("providers", "list", "--output", "json"))
    assert [row["version"] for row in rows if row["package_name"] == "airflow-provider-altegio"] == [__version__]


def test_airflow_lists_the_hook(airflow):
    rows = json.loads(airflow("providers", "hooks", "--output", "json"))
    (row,) = [row for row in rows if row["connection_type"] == "altegio"]
    assert row["class"] == "altegio_provider.hooks.altegio.AltegioHook"
    assert row["package_name"] == "airflow-provider-altegio"


@pytest.mark.parametrize("has_wtforms", [True, False])
def test_the_connection_form_shows_the_fields(info, has_wtforms):
    """What the connections page asks the API server for, on every version of Airflow, with wtforms or without."""
    if not has_wtforms and Version(airflow_version) < Version("3.1.3"):  # When 3.1 is dropped, this goes.
        pytest.skip("Airflow before 3.1.3 shows no fields of any provider where wtforms is not installed")
    program = (
        f"import sys\nif not {has_wtforms}: sys.modules['wtforms'] = None\n"
        "from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService\n"
        "(form,) = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == 'altegio']\n"
        "print(form.model_dump_json())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    form = json.loads(done.stdout.splitlines()[-1])
    assert list(form["extra_fields"]) == list(info["connection-types"][0]["conn-fields"])
    for name, field in info["connection-types"][0]["conn-fields"].items():
        shown = form["extra_fields"][name]
        assert shown["schema"]["title"] == field["label"]
        assert shown["description"] == field["description"]
        default = field["schema"].get("default")
        assert shown["value"] in (default, str(default))
    assert form["extra_fields"]["user_token"]["schema"]["format"] == "password"
    assert form["extra_fields"]["route_family"]["schema"]["enum"] == ["companies", "locations"]
    standard = form["standard_fields"]
    assert (standard["host"]["title"], standard["password"]["title"]) == ("Base URL", "Partner token")
    assert [name for name, field in standard.items() if field and field["hidden"]] == ["url_schema", "port", "login"]


def test_the_documentation_has_every_field_with_its_default(info, repository):
    fields = info["connection-types"][0]["conn-fields"]
    rows = re.findall(
        r"^\| `(\w+)` \(extra\) \| ([^|]+) \|([^|]*)\|", (repository / "docs/connection.md").read_text(), re.M
    )
    documented = {name: (label.strip(), default.strip().strip("`")) for name, label, default in rows}
    assert documented == {
        name: (field["label"], _as_json(field["schema"].get("default", ""))) for name, field in fields.items()
    }


def _as_json(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)
