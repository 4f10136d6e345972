"""Files that only other tools read say what is there: they parse, and what they name exists."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from stock_pipeline.metrics import METRICS

ROOT = Path(__file__).parents[2]
YAML = sorted(
    path
    for place in (
        "examples/grafana/**/*.yaml",
        ".github/**/*.yml",
        ".pre-commit-config.yaml",
        "compose.yaml",
        "mkdocs.yml",
    )
    for path in ROOT.glob(place)
)


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_it_is_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_a_hook_runs_what_is_there() -> None:
    hooks = [
        hook
        for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
    ]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for hook in hooks:
        command, *arguments = hook["entry"].split()
        assert command != "make" or set(arguments) <= targets
        for argument in arguments:
            assert not argument.startswith("tests/") or (ROOT / argument).exists()


def test_the_container_is_built_from_what_is_there() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["pipeline"]
    dockerfile = ROOT / service["build"]["dockerfile"]
    for sources in re.findall(r"^COPY (.+) \S+$", dockerfile.read_text(), re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())
    # Docker has no other way to say so of one of two files
    assert dockerfile.with_name("Dockerfile.dockerignore").exists()


def test_the_development_container_sets_up_what_make_does() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    (command, target) = container["postCreateCommand"].split()
    assert (command, target) == ("make", ".venv/.installed")


def test_the_example_of_an_environment_names_variables_that_are_read() -> None:
    names = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    code = "\n".join(path.read_text() for path in (ROOT / "stock_pipeline").rglob("*.py"))
    assert names
    for name in names:
        assert f'"{name}"' in code


def test_the_grafana_dashboard_asks_what_there_is() -> None:
    folder = ROOT / "examples" / "grafana"
    dashboard = json.loads((folder / "dashboards" / "stock-pipeline.json").read_text())
    sources = yaml.safe_load((folder / "provisioning" / "datasources" / "aws.yaml").read_text())["datasources"]
    known = {(source["type"], source["uid"]) for source in sources}
    metrics = {metric.name for metric in METRICS}
    models = {path.stem: path for path in (ROOT / "dbt_project" / "models" / "marts").glob("*.sql")}
    columns = "".join(path.read_text() for path in (ROOT / "dbt_project" / "models" / "marts").glob("*.yml"))
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    assert {(target["datasource"]["type"], target["datasource"]["uid"]) for target in targets} == known
    assert {target["metricName"] for target in targets if "metricName" in target} <= metrics
    for sql in (target["rawSQL"] for target in targets if "rawSQL" in target):
        (table,) = re.findall(r" FROM (\w+)", sql)
        assert table in models
        for column in re.findall(r"\w+", sql.split(" FROM ")[0].replace("SELECT", "").replace("AS time", "")):
            assert f"name: {column}" in columns, column


@pytest.mark.xdist_group("told")
def test_groups_of_tests_are_told_to_the_scheduler(request: pytest.FixtureRequest) -> None:
    """Else what a group makes once is made by each worker, silently: minutes."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@told")
