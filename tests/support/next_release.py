"""A release with one more column, and a lake in a file that both releases work on, each in a process of its own."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import stock_pipeline

ROOT = Path(stock_pipeline.__file__).parents[1]
COLUMN = "venue"


def next_release(folder: Path) -> Path:
    """Write this package with a column at the end; return the folder to import it from."""
    package = folder / "stock_pipeline"
    shutil.copytree(ROOT / "stock_pipeline", package, ignore=shutil.ignore_patterns("__pycache__"))
    module = package / "domain" / "trade.py"
    text = module.read_text()
    for old, new in (
        ("    ingest_time_ns: int\n\n\nFIELDS", f'    ingest_time_ns: int\n    {COLUMN}: str = ""\n\n\nFIELDS'),
        (
            'calendar date (New York)."),\n',
            f'calendar date (New York)."),\n    Column("{COLUMN}", "string", "", 2, ""),\n',
        ),
        ('    Comparison("ingest_time_ns"', f'    Comparison("{COLUMN}"),\n    Comparison("ingest_time_ns"'),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    module.write_text(text)
    return folder


def run(release: Path, lake: Path, *steps: Sequence[Any]) -> list[Any]:
    """Run the steps in a process that imports `release`; return what each says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.next_release", str(lake), json.dumps(steps)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{release}{os.pathsep}{ROOT}", "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def _step(lake: Any, name: str, *arguments: Any) -> Any:
    from stock_pipeline.domain.trade import SCHEMA_VERSION
    from tests.fakes.crashes import Crashed, CrashingObjectStore, Fuse
    from tests.fakes.sql_engine import FakeSqlQueries
    from tests.support.lake import SESSION
    from tests.support.trades import trade

    if name == "add":
        extra: dict[str, Any] = {COLUMN: "X"} if SCHEMA_VERSION > 1 else {}
        lake.add([trade(number, **extra) for number in arguments], arguments[0])
    elif name == "compact":
        (engine,) = arguments
        queries = FakeSqlQueries(lake.store, name=str(len(lake.store.objects))) if engine == "athena" else None
        report = replace(lake.compactor, sql_queries=queries).compact(SESSION)
        return [list(report.ignored), " ".join(report.notes)]
    elif name == "die":
        with suppress(Crashed):
            lake.compactor_on(CrashingObjectStore(lake.store, Fuse(at=1, after=True)), lake.catalog).compact(SESSION)
    elif name == "collect":
        lake.pass_time(timedelta(days=9))
        return [garbage.raw_files for garbage in lake.garbage_collector().collect()]
    else:
        return sorted([row.event_id, getattr(row, COLUMN, None)] for row in lake.read())
    return None


def _main() -> None:
    from tests.support.lake import Lake

    path, steps = Path(sys.argv[1]), json.loads(sys.argv[2])
    lake = Lake()
    if path.exists():
        kept = pickle.loads(path.read_bytes())
        lake.store.objects, lake.store.modified, lake.catalog.locations, lake.now = kept
        lake.store.now = lake.now
    sys.stdout.write(json.dumps([_step(lake, *step) for step in steps]))
    path.write_bytes(pickle.dumps((lake.store.objects, lake.store.modified, lake.catalog.locations, lake.now)))
    sys.stdout.flush()
    os._exit(0)  # native threads of the libraries now and then abort a Python that ends orderly


if __name__ == "__main__":
    _main()
