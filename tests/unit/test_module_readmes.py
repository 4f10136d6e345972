"""Every Terraform module says what it is and takes, and says it as it is now."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("module_readmes", ROOT / "infra" / "module_readmes.py")
assert SPEC is not None
assert SPEC.loader is not None
readmes = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(readmes)


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


@pytest.mark.parametrize("folder", ["infra", "bootstrap"])
def test_every_variable_is_typed_described_and_validated(folder: str) -> None:
    for file in (ROOT / folder).rglob("variables.tf"):
        blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', file.read_text(), re.MULTILINE | re.DOTALL)
        assert blocks, file
        for name, body in blocks:
            for part in ("  description =", "  type ", "  validation {"):
                assert part in re.sub(r" +=", " =", body) or part in body, f"{file}: {name} has no {part.strip()}"
