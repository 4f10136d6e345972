"""A newcomer's walk: what the how-tos say to type is typed, in a copy of the project without git and caches.

Tests that a how-to names are collected and not run, because they run beside this one. `NOT_HERE` says what has another
test, or needs what is not everywhere.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("stock_pipeline", "dbt_project", "infra", "lambdas", "examples", "tests", "docs", "Makefile", "pyproject.toml")
PARTS_OF_MAKE = ("requirements.lock", "requirements-uv.txt", "workspace.yaml", "README.md", "hatch_build.py")
GENERATED = shutil.ignore_patterns("__pycache__", "target", "logs", ".terraform*", "*.tfplan", "backend.tf")
SAMPLE = "stock_pipeline/providers/files/sample/xxx_2018-01-02.parquet"

NOT_HERE = {
    "make plans": "needs Terraform; CI compares the plans",
    "make gameday": "test_game_day.py",
    "make dbt-parse": "part of make dbt-parse definitions",
    "stock-pipeline import FILE": "test_import_command.py",
    "git clone REPOSITORY && cd stock_pipeline": "this copy",
}


def typed(page: str) -> list[str]:
    """Return the lines of a page's blocks without a language, without their comments."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]


LINES = list(dict.fromkeys([*typed("docs/extend.md"), *typed("CONTRIBUTING.md")]))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("walk") / "stock_pipeline"
    folder.mkdir()
    for part in (*PARTS, *PARTS_OF_MAKE):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=GENERATED)
        else:
            shutil.copy2(source, folder / part)
    # the environment takes a minute; its stamp stands for it
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name in ("python", "stock-pipeline", "dagster", "lint-imports"):
        (binaries / name).symlink_to(Path(sys.executable).with_name(name))
    (folder / ".venv" / ".installed").touch()
    yield folder
    shutil.rmtree(folder)


def environment(copy: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
    paths = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
    # the copy's package, whichever the environment has
    return own | {"PATH": paths, "PYTHONPATH": str(copy), "DO_NOT_TRACK": "1"}


def as_typed_here(line: str) -> list[str]:
    command = shlex.split(line.replace("FILE", SAMPLE))
    if command[:3] == [".venv/bin/python", "-m", "pytest"]:
        return [sys.executable, *command[1:], "--collect-only"]
    if command[0] == "stock-pipeline":
        return [sys.executable, "-c", "import sys; from stock_pipeline.cli import main; sys.exit(main())", *command[1:]]
    return command


@pytest.mark.system
@pytest.mark.xdist_group("walk")
@pytest.mark.parametrize("line", [line for line in LINES if line not in NOT_HERE])
def test_a_how_tos_line_works(copy: Path, line: str) -> None:
    done = subprocess.run(
        as_typed_here(line), cwd=copy, env=environment(copy), capture_output=True, text=True, timeout=600, check=False
    )
    if line.startswith("stock-pipeline import --dry-run"):
        # nothing runs in the copy: the command says so in one sentence
        assert "nothing runs here, and no account is named" in done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_typed_is_still_said() -> None:
    assert set(NOT_HERE) <= set(LINES)


def test_every_how_to_ends_with_what_proves_it() -> None:
    sections = re.split(r"^## ", (ROOT / "docs" / "extend.md").read_text(), flags=re.MULTILINE)[1:]
    assert [section.splitlines()[0] for section in sections if not section.rstrip().endswith("```")] == []
