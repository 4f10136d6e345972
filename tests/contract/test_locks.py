"""Locks name all that pyproject.toml asks for, and a wheel without extras says what it lacks."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from stock_pipeline.extras import MODULES, line_to_type

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]


def wanted(*extras: str) -> list[Requirement]:
    """Return what the base and these extras ask for, with the extras that those name."""
    found = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    for extra in extras:
        for line in EXTRAS[extra]:
            requirement = Requirement(line)
            if requirement.name == "stock-pipeline":
                found += wanted(*requirement.extras)
            else:
                found.append(requirement)
    return found


def locked(lock: Path) -> dict[str, list[str]]:
    """Return a lock's versions by name; some have one a Python."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", lock.read_text(), re.M):
        versions.setdefault(name, []).append(version)
    return versions


def lacking(requirements: list[Requirement], lock: Path) -> set[str]:
    versions = locked(lock)
    return {
        str(requirement)
        for requirement in requirements
        if not any(requirement.specifier.contains(version) for version in versions.get(requirement.name, ()))
    }


def test_the_lock_has_everything() -> None:
    groups = [Requirement(line) for group in GROUPS.values() for line in group]
    assert lacking(wanted(*EXTRAS) + groups, ROOT / "requirements.lock") == set()


def test_the_image_of_an_account_has_what_its_extras_ask_for() -> None:
    assert lacking(wanted("deploy", "stream"), ROOT / "infra" / "dagster" / "requirements.txt") == set()


def test_a_lock_that_lacks_a_package_is_seen(tmp_path: Path) -> None:
    whole = (ROOT / "infra" / "dagster" / "requirements.txt").read_text()
    lock = tmp_path / "requirements.txt"
    lock.write_text(re.sub(r"^numpy==", "numpi==", whole, flags=re.M))
    assert lacking(wanted("deploy"), lock) == {"numpy<3,>=2.4"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_package_of_an_extra_is_named_by_the_module_that_it_brings(extra: str) -> None:
    brings = {Requirement(line).name.replace("-", "_") for line in EXTRAS[extra]} - {"stock_pipeline"}
    elsewhere = {module for other in MODULES if other != extra for module in MODULES[other]}
    adapters = {"dbt_core", "dbt_athena_community", "dbt_duckdb"}
    assert brings - adapters - elsewhere <= set(MODULES[extra])


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["compact", "--session", "2018-01-02"], "lake"),
        (["gc"], "lake"),
        (["dbt-parse"], "lake"),
        (["query", "SELECT 1"], "local"),
        (["demo"], "local"),
        (["up"], "local"),
        (["stream"], "stream"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_what_is_not_installed_is_said_with_the_line_to_type(tmp_path: Path, arguments: list[str], extra: str) -> None:
    hidden = sorted({module for modules in MODULES.values() for module in modules})
    hiding = tmp_path / "sitecustomize.py"
    hiding.write_text(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name in {hidden!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    command = Path(sys.executable).with_name("stock-pipeline")
    environ = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(tmp_path),
        "BUCKET_NAME": "nobodys-bucket",
        "STREAM_NAME": "stream",
        "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/q",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "APCA_API_KEY_ID": "none",
        "APCA_API_SECRET_KEY": "none",
        "SYMBOLS": "AAPL",
    }
    done = subprocess.run([command, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.endswith(f"pip install 'stock-pipeline[{extra}]'\n")


def test_a_module_of_no_extra_is_a_fault_of_ours() -> None:
    assert line_to_type("stock_pipeline.nowhere") is None
