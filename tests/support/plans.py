"""What Terraform plans for dev and prod, read from the files of `make plans`."""

import json
from pathlib import Path
from typing import Any

from tests.support import terraform_rules as rules

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("dev", "prod")


def load_plan(environment: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "tests/data/terraform" / f"{environment}.json").read_text())
    return document


def values_of(resources: rules.Resources, address: str) -> dict[str, Any]:
    (values,) = [resource["values"] for resource in resources if resource["address"] == address]
    return values  # type: ignore[no-any-return]
