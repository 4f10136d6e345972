"""Say what changed in an account since the last deployment: drift.py PLAN.json, of `terraform plan -refresh-only`.

Exit code 2 with a line for each resource that somebody changed. Terraform's own exit code can't be asked: it is 2 as
well for what AWS changes by itself. Values are not printed, because some are sensitive. Standard library only: it runs
beside credentials.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VOLATILE: dict[str, frozenset[str]] = {
    # the newest moment that the database can be restored to, and the minor version that RDS chose
    "aws_db_instance": frozenset({"latest_restorable_time", "engine_version", "engine_version_actual", "status"}),
    # what companions of a bucket say, which are resources of their own; the rest has none and is looked at
    "aws_s3_bucket": frozenset({"lifecycle_rule", "policy", "server_side_encryption_configuration", "versioning"}),
    # likewise
    "aws_sqs_queue": frozenset({"policy"}),
    "aws_sns_topic": frozenset({"policy"}),
    "aws_lambda_function": frozenset({"last_modified"}),
    "aws_lambda_event_source_mapping": frozenset(
        {"last_modified", "last_processing_result", "state_transition_reason"}
    ),
}
"""Attributes that change without anybody's doing, by type of resource."""


def drift(plan: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each resource that is not what the last deployment left."""
    seen, inline = set(), inline_policies(plan.get("planned_values", {}).get("root_module", {}))
    for change in [*plan.get("resource_drift", ()), *plan.get("resource_changes", ())]:
        if change.get("mode", "managed") != "managed" or change["address"] in seen:
            continue
        actions = change["change"]["actions"]
        if actions == ["delete"]:
            sentence = f"{change['address']} is gone"
        elif actions in (["no-op"], ["read"]):
            continue
        else:
            names = changed(change["type"], change["change"], inline)
            if not names:
                continue
            sentence = f"{change['address']} has another {', '.join(names)}"
        seen.add(change["address"])
        yield sentence


def inline_policies(module: dict[str, Any]) -> set[tuple[str, str]]:
    """Return role and name of each inline policy that Terraform made."""
    found = {
        (resource["values"]["role"], resource["values"]["name"])
        for resource in module.get("resources", ())
        if resource["type"] == "aws_iam_role_policy"
    }
    return found.union(*(inline_policies(child) for child in module.get("child_modules", ())))


def changed(kind: str, change: dict[str, Any], inline: set[tuple[str, str]]) -> list[str]:
    before, after = dict(change.get("before") or {}), dict(change.get("after") or {})
    if kind == "aws_iam_role":
        # a role shows its policies: those that are resources of their own are judged there
        for role in (before, after):
            policies = role.pop("inline_policy", None) or ()
            role["inline_policy"] = [each for each in policies if (role.get("name"), each.get("name")) not in inline]
    return [
        name
        for name in sorted({*before, *after} - VOLATILE.get(kind, frozenset()))
        if empty_as_null(before.get(name)) != empty_as_null(after.get(name))
    ]


def empty_as_null(value: Any) -> Any:
    """Reading a resource for the first time turns what nobody set from null into an empty value."""
    return None if value in ("", [], {}) else value


def main(path: str) -> int:
    found = list(drift(json.loads(Path(path).read_text())))
    print("\n".join(found) if found else "nothing changed since the last deployment")
    return 2 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
