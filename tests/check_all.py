"""Run every check that needs Athena, one after the other, on one start of a stand-in; this is `make check-engines`.

The stand-in is a real Trino where Java 24 and Maven are, and DuckDB with translated SQL elsewhere. In an account the
checks run one by one: docs/models.md.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

from tests.support.judge import LEFT_TO_TRINO, is_judged
from tests.support.steps import step

CHECKS = (
    "check_compaction",
    "check_commands",
    "check_ddl",
    "check_engines",
    "check_query_bytes",
    "check_scale",
    "check_iceberg",
)
"""Modules of this package. Each has a bucket and a database of its own."""

STAND_INS = Path(__file__).parents[2] / "shared"
OLDEST_JAVA = 24


def main() -> None:
    if "AWS_ENDPOINT_URL_ATHENA" in os.environ:
        sys.exit(run_checks(requests_log=sys.argv[1]))
    command = stand_in()
    with tempfile.TemporaryDirectory() as folder:
        keep = ["--keep-dir", folder] if command.parent.name == "athena-trino" else []
        this = [sys.executable, "-u", "-m", "tests.check_all", f"{folder}/aws.log"]
        sys.exit(subprocess.run([command, *keep, "--", *this], check=False).returncode)


def stand_in() -> Path:
    """Return the command that runs another one in front of Athena's stand-in; say which engine will judge."""
    trino, translated = STAND_INS / "athena-trino" / "run", STAND_INS / "athena-check" / "run"
    if trino.exists() and shutil.which("mvn") and newest_java() >= OLDEST_JAVA:
        print("Athena's SQL runs on a real Trino", flush=True)
        return trino
    if translated.exists():
        print(f"Athena's SQL runs on DuckDB, translated: Trino needs Java {OLDEST_JAVA} and Maven", flush=True)
        return translated
    sys.exit(
        "check-engines needs ../shared/athena-trino or ../shared/athena-check; docs/models.md has the way in an account"
    )


def newest_java() -> int:
    """Return the newest Java's number, looking where the stand-in looks; 0 without Java."""
    named = [Path(os.environ[name]) for name in ("ATHENA_TRINO_JAVA", "JAVA_HOME") if os.environ.get(name)]
    releases = (home / "release" for home in (*named, *Path("/usr/lib/jvm").glob("*")))
    found = (re.search(r'^JAVA_VERSION="(\d+)', file.read_text(), re.M) for file in releases if file.exists())
    return max((int(match[1]) for match in found if match), default=0)


def run_checks(requests_log: str) -> str | None:
    """Run all checks that the stand-in is able to; return what failed.

    requests_log: of the emulated S3, for the check that counts in it.
    """
    failed = []
    for check in CHECKS:
        if check in LEFT_TO_TRINO and not is_judged(check):
            continue
        name = check.replace("_", "-")
        boto3.client("s3").create_bucket(Bucket=name)
        environ = {**os.environ, "BUCKET_NAME": name, "DATABASE_NAME": check}
        print(check, flush=True)
        try:
            with step(f"{check}: all of it"):
                arguments = [requests_log] if check == "check_scale" else []
                command = [sys.executable, "-u", "-m", f"tests.{check}", *arguments]
                subprocess.run(command, env=environ, check=True)
        except subprocess.CalledProcessError:
            failed.append(check)
    return f"failed: {', '.join(failed)}" if failed else None


if __name__ == "__main__":
    main()
