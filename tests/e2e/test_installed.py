"""What works of the wheel alone, in an empty folder. `test_demo.py` runs the demo of it."""

import subprocess
from pathlib import Path

import pytest

from tests.support.installed import ROOT, Installed

pytestmark = pytest.mark.xdist_group("demo")


def tracked(*paths: str) -> set[str]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", *paths], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_wheel_carries_what_a_checkout_has_beside_the_package(installed: Installed) -> None:
    contents = installed.contents()
    prefix = "stock_pipeline/project/"
    carried = {name.removeprefix(prefix) for name in contents if name.startswith(prefix)}
    shared = {"infra/event_source_mapping.json", "infra/variables.tf", "workspace.yaml"}
    assert carried == tracked("dbt_project", "lambdas/*/app.py", "infra/envs") | shared
    assert {name: contents[prefix + name] for name in carried} == {name: (ROOT / name).read_bytes() for name in carried}
    assert "stock_pipeline/py.typed" in contents


@pytest.mark.parametrize(
    ("arguments", "says", "leaves"),
    [
        (["cost", "--env", "prod"], "prod, prices of", None),
        (
            ["dbt-parse", "--target", "athena"],
            "dbt models parse for athena",
            ".stock-pipeline/dbt/athena/manifest.json",
        ),
        (["ddl"], "written: stock_market_table.sql", "stock_market_table.sql"),
        (["seeds"], "both seeds are as they should be", None),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_command_works_without_a_checkout(
    installed: Installed, tmp_path: Path, arguments: list[str], says: str, leaves: str | None
) -> None:
    done = subprocess.run(
        [installed.command, *arguments], cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert leaves is None or leaves in left
    # the installer's folder is not ours to write
    package = next(installed.command.parents[1].glob("lib/*/site-packages/stock_pipeline"))
    written = {path.name for path in package.rglob("*") if path.is_file() and path.suffix not in (".pyc",)}
    assert "manifest.json" not in written
    assert "partial_parse.msgpack" not in written
