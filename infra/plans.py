"""Plans of environments and bootstrap as files for tests without Terraform: `tests/data/terraform/<name>.json`.

`make plans` writes them, `make plans CHECK=1` says whether they are what Terraform plans now. Each names the hash of
its configuration, so that a change without new plans fails the tests on a machine without Terraform too.
What a plan must keep to is tested in `tests`, not here.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parent
PLANS = INFRA.parent / "tests" / "data" / "terraform"
ENVIRONMENTS = ("dev", "prod")


def sources_sha256() -> str:
    """Hash of everything that a plan depends on."""
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        digest.update(path.relative_to(INFRA.parent).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for pattern in ("*.tf", "modules/*/*", "envs/*.tfvars", "event_source_mapping.json", "tests/packages.json"):
        yield from (
            path for path in INFRA.glob(pattern) if path.is_file() and path.name not in ("backend.tf", "README.md")
        )
    yield INFRA.parent / "contracts" / "trade.v2.schema.json"


def planned(terraform: str, environment: str) -> dict[str, Any]:
    """What Terraform plans for an empty account, without what it can't know yet."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan"
        variables = [
            f"-var-file=envs/{environment}.tfvars",
            "-var=packages_file=tests/packages.json",
            "-var=alert_email=alarms@example.com",
        ]
        _run(terraform, "plan", "-input=false", "-lock=false", "-refresh=false", f"-out={file}", *variables)
        plan = json.loads(_run(terraform, "show", "-json", str(file)))
    unknown = {change["address"]: change["change"]["after_unknown"] for change in plan["resource_changes"]}
    resources = sorted(
        _resources(plan["planned_values"]["root_module"], unknown), key=lambda resource: resource["address"]
    )
    settings = plan["planned_values"]["outputs"]["settings"]["value"]
    return {
        "environment": environment,
        "sources_sha256": sources_sha256(),
        "settings": settings,
        "resources": resources,
    }


def planned_bootstrap(terraform: str) -> dict[str, Any]:
    """What Terraform plans for the account's bootstrap, with GitHub's roles."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan"
        variables = ["-var=state_bucket_name=example-state", "-var=github_repository=owner/name"]
        chosen = (terraform, "-chdir=bootstrap")
        _run(*chosen, "init", "-backend=false", "-input=false", folder=INFRA.parent)
        _run(
            *chosen,
            "plan",
            "-input=false",
            "-lock=false",
            "-refresh=false",
            f"-out={file}",
            *variables,
            folder=INFRA.parent,
        )
        plan = json.loads(_run(*chosen, "show", "-json", str(file), folder=INFRA.parent))
    bootstrap = INFRA.parent / "bootstrap"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(bootstrap.glob("*.tf"))))
    return {
        "sources_sha256": digest.hexdigest(),
        "resources": [
            {key: resource[key] for key in ("address", "type", "values")}
            for resource in sorted(
                _planned(plan["planned_values"]["root_module"]), key=lambda resource: str(resource["address"])
            )
        ],
    }


def _planned(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (
        {**resource, "values": _known(resource["values"])}
        for resource in module.get("resources", ())
        if resource["mode"] == "managed"
    )
    for child in module.get("child_modules", ()):
        yield from _planned(child)


def _run(terraform: str, *arguments: str, folder: Path = INFRA) -> str:
    result = subprocess.run([terraform, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"terraform {arguments[0]} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def _resources(module: dict[str, Any], unknown: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in module.get("resources", ()):
        if resource["mode"] == "managed":
            yield {
                "address": resource["address"],
                "type": resource["type"],
                "values": _known(resource["values"]),
                # such as an ARN: that there will be one says more than that none is planned
                "unknown": sorted(set(_unknown(unknown[resource["address"]]))),
            }
    for child in module.get("child_modules", ()):
        yield from _resources(child, unknown)


def _unknown(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what is known after the apply, without places in lists."""
    if value is True:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from _unknown(item, path)


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_known(item) for item in value]
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the plans of both environments for the tests.")
    parser.add_argument("--check", action="store_true", help="compare with the plans that are there instead")
    options = parser.parse_args()
    terraform = os.environ.get("TERRAFORM", "terraform")
    stale = []
    documents = {environment: planned(terraform, environment) for environment in ENVIRONMENTS}
    documents["bootstrap"] = planned_bootstrap(terraform)
    for name, document in documents.items():
        path = PLANS / f"{name}.json"
        text = json.dumps(document, indent=1, sort_keys=True) + "\n"
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        print(f"{', '.join(stale)} in {PLANS} are not what Terraform plans now: run make plans", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
