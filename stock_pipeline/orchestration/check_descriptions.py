"""Sentences about dbt's data tests, and where the runbook says what to do, for Dagster's pages."""

from collections.abc import Mapping
from typing import Any

RUNBOOK = "docs/runbook.md"

_SECTIONS = {
    "not_null": "not_null_",
    "unique": "unique_",
    "unique_combination": "unique_",
    "accepted_values": "accepted_values_-accepted_range_",
    "accepted_range": "accepted_values_-accepted_range_",
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
    column = given.get("column_name")
    match found.get("name"):
        case "not_null":
            return f"Every row has a {column}."
        case "unique":
            return f"Each {column} is there once."
        case "unique_combination":
            return f"Each combination of {', '.join(given['columns'])} is there once."
        case "accepted_values":
            return f"{column} is one of {', '.join(repr(str(value)) for value in given['values'])}."
        case "accepted_range":
            bounds = [f"{word} {given[name]}" for name, word in _BOUNDS.items() if given.get(name) is not None]
            return f"{column} is {' and '.join(bounds)}."
        case "relationships":
            return (
                f"Each {column} is a {given['field']} of {str(given['to']).removeprefix('ref(').strip(')' + chr(39))}."
            )
        case "rows_hold":
            return f"Every row holds: {'; '.join(given['rules'])}."
    return f"{str(test['name']).replace('_', ' ').capitalize()}."


_BOUNDS = {"min_value": "at least", "max_value": "at most"}
