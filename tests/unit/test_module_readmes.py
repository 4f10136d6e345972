"""Every Terraform module says what it is and takes, and says it as it is now."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.scripts import load_script

ROOT = Path(__file__).parents[2]
ROOTS = (ROOT / "infra", ROOT / "bootstrap")
readmes = load_script("infra/module_readmes.py")


@pytest.mark.parametrize("module", readmes.modules(), ids=lambda module: module.name)
def test_a_modules_readme_is_what_its_variables_say(module: Path) -> None:
    assert (module / "README.md").read_text() == readmes.readme(module), "run make module-readmes"


def test_there_is_a_module_for_each_part() -> None:
    assert {module.name for module in readmes.modules()} == {
        "athena",
        "catalog",
        "dagster",
        "dlq",
        "dynamodb",
        "kinesis",
        "lambda",
        "observability",
        "s3",
        "scheduler",
        "secrets",
    }


def variables(files: Iterable[Path]) -> dict[str, str]:
    """The text of each variable's block, by file and name."""
    return {
        f"{file.relative_to(ROOT)}: {name}": body
        for file in files
        for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', file.read_text(), re.MULTILINE | re.DOTALL)
    }


@pytest.mark.parametrize("part", ["type", "description"])
def test_every_variable_is_typed_and_described(part: str) -> None:
    declared = variables(file for root in ROOTS for file in root.rglob("variables.tf"))
    assert declared
    assert [name for name, body in declared.items() if not re.search(rf"^  {part} +=", body, re.MULTILINE)] == []


def test_what_people_set_is_validated_and_a_switch_is_never_null() -> None:
    declared = variables(root / "variables.tf" for root in ROOTS)
    checked = re.compile(r"^  validation \{|^  type +=\s+bool\n(.*\n)*  nullable +=\s+false", re.MULTILINE)
    assert [name for name, body in declared.items() if not checked.search(body)] == []
