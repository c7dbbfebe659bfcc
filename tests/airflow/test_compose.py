"""docker-compose.yaml and Dockerfile, as far as they can be checked where there is no Docker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from altegio_provider.compat import Connection
from altegio_provider.hooks.connection import ConnectionSettings
from altegio_provider.imports.ledger.database import open_engine
from altegio_provider.operators.ledger_url import ledger_url_of

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = REPOSITORY / "docker-compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
AIRFLOW = {name: ["airflow", name] for name in ("api-server", "scheduler", "dag-processor", "triggerer")}
AIRFLOW["worker"] = ["airflow", "celery", "worker"]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def filled_in(text: str) -> str:
    """The text as Compose makes it of an .env with every required name and nothing else."""
    return VARIABLE.sub(lambda found: found[3] if found[2] == "-" else "secret", text)


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_fits_the_published_schema(tmp_path):
    done = check_schema(COMPOSE)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(COMPOSE.read_text().replace("    healthcheck:", "    healthchek:", 1))
    assert check_schema(wrong).returncode != 0


def test_every_part_of_airflow_is_there(services):
    assert {"postgres", "warehouse", "redis", "sandbox", "init", *AIRFLOW} == set(services)
    for name, command in AIRFLOW.items():
        assert services[name]["command"].split()[: len(command)] == command
    assert services["worker"]["deploy"]["replicas"] >= 2


def test_every_image_is_of_one_exact_version(services):
    images = {service["image"] for service in services.values()}
    images |= set(re.findall(r"^FROM (\S+)", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE))
    for image in images:
        assert re.search(r":\d+\.\d+", image), f"{image} is not pinned"


def test_whatever_keeps_running_says_whether_it_is_well(services):
    for name, service in services.items():
        if service["restart"] != "no":
            assert service["healthcheck"]["test"], name


def test_nothing_is_published_beyond_this_machine(services):
    for service in services.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), port


def test_there_is_no_secret_in_the_file(services):
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|_KEY$", name):
                assert VARIABLE.fullmatch(value), f"{name} is written out"
    url = services["scheduler"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert VARIABLE.search(url)


def test_the_example_names_every_variable_and_gives_no_value():
    used = {found[1]: found[2] for found in VARIABLE.finditer(COMPOSE.read_text())}
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    assert {line[:-1] for line in lines if re.fullmatch(r"[A-Z_]+=", line)} == {n for n in used if used[n] == "?"}
    assert {line[1:-1] for line in lines if re.fullmatch(r"#[A-Z_]+=", line)} == {n for n in used if used[n] == "-"}


def test_the_connections_are_the_services_of_the_same_file(services):
    for name in AIRFLOW:
        environment = {key: filled_in(value) for key, value in services[name]["environment"].items()}
        daily, backfill, warehouse = (
            json.loads(environment[f"AIRFLOW_CONN_ALTEGIO_{name}"]) for name in ("DEFAULT", "BACKFILL", "WAREHOUSE")
        )
        extra = {"user_token": "sandbox-user", "timezone": "Europe/Riga", "rate_limit_url": "redis://redis:6379/1"}
        extra["allow_http"] = "true"
        host, password = "http://sandbox:8089/api/v2", "sandbox-partner"
        assert daily == {"conn_type": "altegio", "host": host, "password": password, "extra": extra}
        lower = {"requests_per_second": 4, "requests_per_minute": 150}
        assert backfill == {**daily, "extra": {**extra, **lower}}
        for conn in (daily, backfill):
            ConnectionSettings.of(Connection.from_json(json.dumps(conn), conn_id="c")).client().close()
        assert warehouse["extra"]["db_kwargs"] == {"uri": "postgresql://altegio:secret@warehouse/altegio"}
        assert environment["AIRFLOW__CELERY__BROKER_URL"] == "redis://redis:6379/0"
    assert "--port 8089" in services["sandbox"]["command"]


def test_all_workers_share_one_ledger(services, monkeypatch):
    """The one of the file, as an import finds it: nothing that a DAG says is needed."""
    for name in AIRFLOW:
        environment = services[name]["environment"]
        assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", environment["AIRFLOW__CORE__EXECUTOR"])
        monkeypatch.setenv("ALTEGIO_LEDGER", filled_in(environment["ALTEGIO_LEDGER"]))
        assert ledger_url_of() == "postgresql://airflow:secret@postgres/airflow"
    assert open_engine(ledger_url_of()).dialect.name == "postgresql"
    for path in [*(REPOSITORY / "dags").glob("*.py"), *(REPOSITORY / "scripts").rglob("*.py")]:
        assert "ledger_url=" not in path.read_text(), path


def test_every_pool_of_the_dags_is_made_at_the_start():
    made = set(
        re.findall(r"^airflow pools set (\w+)", (REPOSITORY / "scripts/compose_init.sh").read_text(), re.MULTILINE)
    )
    dags = "".join(path.read_text() for path in (REPOSITORY / "dags").glob("*.py"))
    assert set(re.findall(r"pool=\"(\w+)\"", dags)) <= made


def test_what_is_mounted_and_copied_is_in_the_repository(services):
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (REPOSITORY / volume.split(":")[0]).is_dir(), volume
    for copied in re.findall(r"^COPY (.*) \S+$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE):
        for name in copied.split():
            assert (REPOSITORY / name).exists(), name


def test_the_image_installs_by_the_script_of_make_setup():
    docker = (REPOSITORY / "Dockerfile").read_text()
    assert re.search(r"^RUN .*scripts/install\.sh compose$", docker, re.MULTILINE)
    assert "scripts/install.sh" in (REPOSITORY / "Makefile").read_text()
    assert not re.search(r"pip install|uv pip", docker)
