"""Dagster's files for an account: each names classes and settings that the locked versions have."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import Field
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema

ROOT = Path(__file__).parents[2]
INSTANCE = yaml.safe_load((ROOT / "infra" / "dagster" / "dagster.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["run_launcher", "compute_logs"])
def test_what_the_instance_names_takes_its_settings(name: str) -> None:
    entry: dict[str, Any] = INSTANCE[name]
    kind = getattr(importlib.import_module(entry["module"]), entry["class"])
    result = validate_config(Field(kind.config_type()).config_type, entry["config"])
    assert result.success, result.errors


def test_the_instance_is_one_that_dagster_takes() -> None:
    schema = dagster_instance_config_schema()
    assert set(INSTANCE) <= set(schema)


def test_the_storage_takes_its_settings() -> None:
    from dagster_postgres import DagsterPostgresStorage

    config = INSTANCE["storage"]["postgres"]
    result = validate_config(Field(DagsterPostgresStorage.config_type()).config_type, config)
    assert result.success, result.errors


def test_every_address_comes_from_what_terraform_sets() -> None:
    text = (ROOT / "infra/dagster/dagster.yaml").read_text() + (ROOT / "infra/dagster/workspace.yaml").read_text()
    named = set(re.findall(r"\{env: (\w+)\}", text))
    module = (ROOT / "infra/modules/dagster/main.tf").read_text()
    set_there = set(re.findall(r"(DAGSTER_\w+)\s+= ", module)) | set(re.findall(r'"(DAGSTER_\w+)"', module))
    assert named - {"BUCKET_NAME"} == set_there


def test_the_image_runs_as_nobody_special_and_ships_its_manifest() -> None:
    assert re.search(r"^USER dagster$", DOCKERFILE, re.MULTILINE)
    assert "dbt-parse" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"(?i)^(ENV|ARG) .*(SECRET|PASSWORD|TOKEN)", DOCKERFILE, re.MULTILINE)


def test_the_image_has_the_versions_that_are_tested() -> None:
    lock = pins((ROOT / "requirements.lock").read_text())
    image = pins((ROOT / "infra/dagster/requirements.txt").read_text())
    assert {name: versions for name, versions in image.items() if not versions <= lock.get(name, set())} == {}
    assert {"dagster", "dagster-postgres", "dagster-webserver", "dbt-athena-community", "polars"} <= set(image)
    assert not {"moto", "duckdb", "pytest"} & set(image)


def pins(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found
