"""Sentences about dbt's data tests, and where the runbook says what to do, for Dagster's pages."""

from collections.abc import Mapping
from typing import Any

RUNBOOK = "docs/runbook.md"

_SECTIONS = {
    "unique_combination": "unique_",
    "relationships": "relationships_",
    "rows_hold": "_rows_hold",
}
_SPLITS = "known_splits_show_in_prices-a_split_is_announced_once-an_action_begins_with_a_session"
_SINGULAR = {
    "every_sale_condition_is_known": "every_sale_condition_is_known",
    **dict.fromkeys(_SPLITS.split("-"), _SPLITS),
}


def description_of(test: Mapping[str, Any], runbook_url: str | None) -> str:
    """Return what a test of the manifest says about its model, and the runbook's section."""
    said = str(test.get("description") or "").strip() or _sentence(test)
    kind = (test.get("test_metadata") or {}).get("name")
    section = _SECTIONS.get(str(kind)) or _SINGULAR.get(test["name"])
    address = f"{runbook_url or RUNBOOK}{'#' + section if section else ''}"
    return f"{said} [What to do if not]({address})." if runbook_url else f"{said} What to do if not: {address}."


def _sentence(test: Mapping[str, Any]) -> str:
    found = test.get("test_metadata") or {}
    given = found.get("kwargs") or {}
    match found.get("name"):
        case "unique_combination":
            columns = given["columns"]
            return f"Each {'combination of ' if columns[1:] else ''}{', '.join(columns)} is there once."
        case "relationships":
            other = str(given["to"]).removeprefix("ref(").strip(")'")
            return f"Each {given['column_name']} is a {given['field']} of {other}."
        case "rows_hold":
            return f"Every row holds: {'; '.join(given['rules'])}."
    return f"{str(test['name']).replace('_', ' ').capitalize()}."
