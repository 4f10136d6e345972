"""What the scripts beside this file ask Terraform, AWS and git. Standard library only: they run beside credentials."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, given: str | None = None) -> str:
    """Return what a command prints; if it fails, end with what it said."""
    try:
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError as error:
        raise SystemExit(f"{command[0]} is not on PATH: docs/deploy.md says what a deployment needs") from error
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed with exit code {done.returncode}; its message stands above")
    return done.stdout


def outputs() -> dict[str, Any]:
    """Return the state's outputs that have a value.

    Terraform keeps no output that is null, and none at all before the first apply: asking for one by name would fail.
    """
    text = run(os.environ.get("TERRAFORM") or "terraform", f"-chdir={ROOT / 'infra'}", "output", "-json")
    return {name: output["value"] for name, output in json.loads(text or "{}").items()}


def dagster() -> dict[str, Any] | None:
    """Return Dagster's repository, cluster and services with their region, or None where it does not run."""
    found = outputs()
    return {**found["dagster"], "region": found["settings"]["AWS_REGION"]} if "dagster" in found else None


def in_region(region: str | None) -> list[str]:
    """Return the option that names the region that was deployed to: a person's own may be another."""
    return ["--region", region] if region else []


def aws(region: str | None, *arguments: str) -> str:
    return run("aws", *arguments, *in_region(region))


def ask_aws(region: str | None, *arguments: str) -> Any:
    return json.loads(aws(region, *arguments, "--output", "json") or "null")


def image_digest(deployed: dict[str, Any], tag: str) -> str | None:
    """Return the digest of the image with a tag, or None if there is no such image."""
    name = deployed["repository_url"].partition("/")[2]
    done = subprocess.run(
        [
            "aws",
            "ecr",
            "describe-images",
            "--repository-name",
            name,
            "--image-ids",
            f"imageTag={tag}",
            "--region",
            deployed["region"],
            "--output",
            "json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return str(json.loads(done.stdout)["imageDetails"][0]["imageDigest"])
    if "ImageNotFoundException" in done.stderr:
        return None
    # anything else is no answer: a build that nobody asked for would follow
    raise SystemExit(f"the repository {name} can't be read: {done.stderr.strip()}")


def tell(text: str) -> None:
    print(text, flush=True)


def complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 1
