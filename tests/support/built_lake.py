"""The models built with dbt on DuckDB, over a lake in a real S3 and Glue server on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import duckdb

from stock_pipeline.local.duckdb.catalog import connect_lake
from tests.support.bucket_lake import BucketLake
from tests.support.random_trades import random_trades

PROJECT = Path(__file__).parents[2] / "dbt_project"
RAW_ROWS = random_trades(600, seed=11)
"""What the lake of the dbt tests has in raw files only."""


@dataclass(frozen=True)
class BuiltLake(BucketLake):
    """A lake, and the DuckDB file that dbt builds the models into."""

    environment: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    """Of each node of the first build."""

    @property
    def duckdb_path(self) -> Path:
        return Path(self.environment["DUCKDB_PATH"])

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What a user's own connection sees, who asks after the last publish."""
        with duckdb.connect(str(self.duckdb_path)) as connection:
            connect_lake(connection, self.session, self.bucket, self.database, self.endpoint)
            return connection.execute(sql).fetchall()


def run_dbt(environ: Mapping[str, str], *arguments: str) -> dict[str, str]:
    """Run dbt as a user does; returns each node's status by its short name."""
    target = Path(environ["DUCKDB_PATH"]).parent / "target"
    command = [Path(sys.executable).with_name("dbt"), *arguments, "--target", "local"]
    places = ["--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", target, "--log-path", target]
    done = subprocess.run(
        [*command, *places], env=dict(environ), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((target / "run_results.json").read_text())["results"]
    return {result["unique_id"].split(".", 2)[2]: result["status"] for result in results}


def new_lake(endpoint: str, folder: Path, name: str) -> BuiltLake:
    """A bucket with nothing in it, and a catalog that is still to be set up."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "DBT_"))}
    lake = BuiltLake(
        session=boto3.Session("testing", "testing", region_name="us-east-1"),
        bucket=name.replace("_", "-"),
        database=name,
        endpoint=endpoint,
        environment={
            **inherited,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "BUCKET_NAME": name.replace("_", "-"),
            "DATABASE_NAME": name,
            "DUCKDB_PATH": str(folder / "data" / f"{name}.duckdb"),
            "DO_NOT_TRACK": "1",
        },
    )
    lake.client("s3").create_bucket(Bucket=lake.bucket)
    return lake
