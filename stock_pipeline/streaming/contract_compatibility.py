"""Compatibility of a new contract with lines of an old one (BACKWARD, in the Glue Schema Registry's words).

Readers are newer than some of their data, because records stay in the dead-letter queue for two weeks. Of JSON Schema
only the parts that `contract` uses are understood; anything else counts as a break.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_EXPLANATIONS = frozenset({"description", "title", "$id", "$schema"})


def backward_breaks(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each reason why `new` might refuse a line that `old` accepts."""
    return [*_missing_fields(old, new), *_narrowed_fields(old, new)]


def _missing_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in new["required"]:
        if name not in old["required"]:
            yield f"{name} is required now; old lines may lack it"
    for name in old["properties"]:
        if name not in new["properties"] and not new.get("additionalProperties", True):
            yield f"{name} is gone; old lines have it"


def _narrowed_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name, before in old["properties"].items():
        after = new["properties"].get(name)
        if after is None:
            continue
        for rule in sorted((before.keys() | after.keys()) - _EXPLANATIONS):
            if not _is_wider(rule, before.get(rule), after.get(rule)):
                yield f"{name}: {rule} was {before.get(rule)!r} and is {after.get(rule)!r}"


def _is_wider(rule: str, before: Any, after: Any) -> bool:
    """Return True if the new rule allows what the old one did. None allows everything."""
    if after is None or before == after:
        return True
    if before is None:
        return False
    if rule in ("minimum", "exclusiveMinimum"):
        return bool(after <= before)
    if rule == "maximum":
        return bool(after >= before)
    if rule in ("type", "enum"):
        return _as_set(before) <= _as_set(after)
    return False


def _as_set(value: Any) -> set[Any]:
    values = set(value) if isinstance(value, list) else {value}
    return values | {"integer"} if "number" in values else values
