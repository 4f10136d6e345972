"""Dagster's files for an account: each names classes and settings that the locked versions have."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import yaml
from dagster import DagsterInstance, Field
from dagster._config import validate_config
from dagster._core.instance.config import PoolGranularity, dagster_instance_config_schema
from dagster._core.instance.ref import InstanceRef

from tests.support.scripts import load_script

ROOT = Path(__file__).parents[2]
INSTANCE = yaml.safe_load((ROOT / "infra" / "dagster" / "dagster.yaml").read_text())
INDIRECT = ("storage", "run_launcher", "compute_logs", "local_artifact_storage")
"""What names a class and its settings, or takes them from the environment."""

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


def test_the_storage_has_its_driver() -> None:
    from dagster_postgres.utils import pg_url_from_config

    text = yaml.safe_dump(INSTANCE["storage"]["postgres"]["postgres_db"])
    config = yaml.safe_load(re.sub(r"\n  env: \w+", " value", text))
    # makes no connection; a driver that is not installed fails here
    assert sqlalchemy.create_engine(pg_url_from_config({"postgres_db": config})).driver == "psycopg2"


def test_no_task_keeps_the_password_that_rds_changes() -> None:
    text = yaml.safe_dump(INSTANCE["storage"])
    assert "password" not in text.lower()
    assert INSTANCE["storage"]["postgres"]["auth_provider"] == {"aws_wif": {"region": {"env": "AWS_REGION"}}}
    assert INSTANCE["storage"]["postgres"]["postgres_db"]["params"]["sslmode"] == "verify-full"


def test_each_connection_gets_a_token_of_the_tasks_role(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    database = {"hostname": "db.example.com", "username": "dagster", "db_name": "dagster", "port": 5432}
    provider = get_token_provider_from_config(
        {"postgres_db": database, "auth_provider": {"aws_wif": {"region": "us-east-1"}}}
    )
    passwords = []
    engine = create_pg_engine(
        "postgresql+psycopg2://dagster@db.example.com/dagster",
        provider,
        poolclass=sqlalchemy.pool.NullPool,
        isolation_level="AUTOCOMMIT",
    )

    def refuse(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
        passwords.append(parameters["password"])
        raise sqlalchemy.exc.OperationalError("connect", None, Exception("not here"))

    sqlalchemy.event.listen(engine, "do_connect", refuse)
    with pytest.raises(sqlalchemy.exc.OperationalError):
        engine.connect()
    assert passwords[0].startswith("db.example.com:5432/?Action=connect&DBUser=dagster")


LOGIN = load_script("infra/dagster/database_login.py")


class Door:
    """A database that takes one of the two logins."""

    def __init__(self, takes: str) -> None:
        self.takes = takes
        self.statements: list[str] = []

    def connect(self, password: str) -> Any:
        import psycopg2

        if password != self.takes:
            raise psycopg2.OperationalError("PAM authentication failed")
        return self

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None: ...

    def cursor(self) -> "Door":
        return self

    def execute(self, statement: str) -> None:
        self.statements.append(statement)
        self.takes = "token"

    def close(self) -> None: ...


def test_the_first_task_lets_the_role_log_in_and_later_ones_find_it_so() -> None:
    door = Door("password")
    assert "from now on" in LOGIN.allow_tokens(door.connect, "token", "password")
    assert door.statements == ["GRANT rds_iam TO CURRENT_USER"]
    assert "from now on" not in LOGIN.allow_tokens(door.connect, "token", "changed since")
    assert len(door.statements) == 1


def test_a_database_that_takes_neither_login_is_an_error() -> None:
    import psycopg2

    with pytest.raises(psycopg2.OperationalError):
        LOGIN.allow_tokens(Door("another").connect, "token", "password")


def test_a_restored_database_is_one_that_its_tasks_can_log_in_to() -> None:
    """A restore takes over neither the login by token nor the managed password, whose secret the tasks read."""
    module = (ROOT / "infra/modules/dagster/database.tf").read_text()
    (restore,) = re.findall(
        r"^aws rds restore-db-instance-to-point-in-time .*$", (ROOT / "docs/restore.md").read_text(), re.MULTILINE
    )
    for setting, flag in (
        ("manage_master_user_password = true", "--manage-master-user-password"),
        ("iam_database_authentication_enabled = true", "--enable-iam-database-authentication"),
    ):
        assert setting in module
        assert flag in restore


def test_every_address_comes_from_what_terraform_sets() -> None:
    text = (ROOT / "infra/dagster/dagster.yaml").read_text() + (ROOT / "infra/dagster/workspace.yaml").read_text()
    named = set(re.findall(r"\{env: (\w+)\}", text))
    module = (ROOT / "infra/modules/dagster/main.tf").read_text()
    set_there = set(re.findall(r"(DAGSTER_\w+)\s+= ", module))
    assert named - {"BUCKET_NAME", "AWS_REGION"} == set_there


def test_the_image_runs_as_nobody_special_and_ships_its_manifest() -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert "chown" not in DOCKERFILE
    assert "dbt-parse" in DOCKERFILE
    # uv, which installs the rest, too, and the page's chart
    installs = re.findall(r"pip install[^&\n]*", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in install for install in installs)
    assert not re.search(r"(?i)^(ENV|ARG) .*(SECRET|PASSWORD|TOKEN)", DOCKERFILE, re.MULTILINE)


def test_the_image_brings_the_authority_of_each_partitions_databases() -> None:
    """GovCloud's certificates are not in the bundle of the commercial regions."""
    added = dict(
        re.findall(r"^ADD --chmod=444 https://(\S+)/global/global-bundle.pem (\S+)$", DOCKERFILE, re.MULTILINE)
    )
    assert added == {
        "truststore.pki.rds.amazonaws.com": "/opt/dagster/rds-ca.pem",
        "truststore.pki.us-gov-west-1.rds.amazonaws.com": "/opt/dagster/rds-ca-us-gov.pem",
    }
    module = (ROOT / "infra/modules/dagster/main.tf").read_text()
    assert all(f'"{path}"' in module for path in added.values())


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


def test_a_laptops_instance_loads_with_one_step_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text((ROOT / "stock_pipeline" / "local" / "dagster.yaml").read_text())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled
        pools = instance.get_concurrency_config().pool_config
        assert (pools.default_pool_limit, pools.pool_granularity) == (1, PoolGranularity.OP)


def test_an_accounts_instance_loads_in_terraforms_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but what would call the database or the cluster at once is made, too."""
    for name, value in {
        "DAGSTER_POSTGRES_HOST": "db.internal",
        "DAGSTER_POSTGRES_DB": "dagster",
        "DAGSTER_POSTGRES_USER": "dagster",
        "DAGSTER_POSTGRES_CA": "/opt/dagster/rds-ca.pem",
        "AWS_REGION": "us-east-1",
        "DAGSTER_RUN_TASK_DEFINITION": "stock-pipeline-prod-dagster-run",
        "BUCKET_NAME": "stock-historical-data-prod",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster.yaml").write_text((ROOT / "infra/dagster/dagster.yaml").read_text())
    reference = InstanceRef.from_dir(str(tmp_path))
    storage = reference.storage_data
    assert storage.module_name + "." + storage.class_name == "dagster_postgres.DagsterPostgresStorage"
    assert "DAGSTER_POSTGRES_HOST" in storage.config_yaml
    launcher = reference.run_launcher_data
    assert (launcher.module_name, launcher.class_name) == ("dagster_aws.ecs", "EcsRunLauncher")
    assert type(reference.compute_log_manager).__name__ == "S3ComputeLogManager"
    settings = reference.settings
    assert settings["run_monitoring"]["enabled"]
    assert settings["run_monitoring"]["max_runtime_seconds"] > 0
    assert settings["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    assert settings["concurrency"]["pools"] == {"default_limit": 1, "granularity": "op"}


@pytest.mark.parametrize("path", ["infra/dagster/dagster.yaml", "stock_pipeline/local/dagster.yaml"])
def test_each_setting_of_an_instance_is_one_that_dagster_knows(path: str) -> None:
    document = yaml.safe_load((ROOT / path).read_text())
    known = {name: field for name, field in dagster_instance_config_schema().items() if name in document}
    plain = {name: value for name, value in document.items() if name in known and name not in INDIRECT}
    schema = {name: known[name] for name in plain}
    result = validate_config(Field(schema).config_type, plain)
    assert result.success, result.errors
