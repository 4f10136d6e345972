"""What this release promises by name: commands and options, columns of SQL, the HTTP API, the signatures of `read`.

`python -m tests.support.promises > tests/data/releases/VERSION/promises.json` writes it down until the release is out.
Later ones are held to it by `tests/contract/test_promises.py`.
"""

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from stock_pipeline import cli, read
from stock_pipeline.serving.openapi import openapi_document

MODELS = Path(__file__).parents[2] / "dbt_project" / "models"
SOURCES = ("raw_trades", "trades")
READERS = ("latest", "bars", "trades", "trades_by_session")


def promises() -> dict[str, Any]:
    return {"commands": commands(), "sql": sql(MODELS), "http": http(openapi_document()), "read": signatures()}


def commands() -> dict[str, list[str]]:
    """Return the options of each command, and of each command below it (`catalog rebuild`)."""
    return dict(_commands("", cli.parser()))


def _commands(name: str, parser: argparse.ArgumentParser) -> list[tuple[str, list[str]]]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    found = [
        each
        for action in below
        for sub, one in action.choices.items()
        for each in _commands(f"{name} {sub}".strip(), one)
    ]
    return found if below else [(name, sorted(o for action in parser._actions for o in action.option_strings))]


def sql(models: Path) -> dict[str, list[str]]:
    """Return the columns of the public tables and views, in their order."""
    found = {}
    for path in (*(models / "marts").glob("*.yml"), models / "sources" / "lake.yml"):
        document = yaml.safe_load(path.read_text())
        tables = [table for source in document.get("sources", ()) for table in source["tables"]]
        for table in (*document.get("models", ()), *(one for one in tables if one["name"] in SOURCES)):
            found[table["name"]] = [column["name"] for column in table["columns"]]
    return dict(sorted(found.items()))


def http(document: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Return the parameters of each address, and the fields of each answer."""
    operations = {path: one["get"].get("parameters", []) for path, one in document["paths"].items()}
    schemas = document["components"]["schemas"]
    return {
        "addresses": {path: sorted(each["name"] for each in given) for path, given in operations.items()},
        "fields": {name: sorted(schema.get("properties", {})) for name, schema in schemas.items()},
    }


def signatures() -> dict[str, list[str]]:
    """Return the parameters of each public function of `read`; those given by name only have a star."""
    return {
        name: [
            f"*{each.name}" if each.kind is inspect.Parameter.KEYWORD_ONLY else each.name
            for each in inspect.signature(getattr(read, name)).parameters.values()
        ]
        for name in READERS
    }


if __name__ == "__main__":
    json.dump(promises(), sys.stdout, indent=1)
    sys.stdout.write("\n")
