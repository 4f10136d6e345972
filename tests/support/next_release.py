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
            "since=2, default=0),\n",
            f'since=2, default=0),\n    Column("{COLUMN}", "string", "", 3, ""),\n',
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
        extra: dict[str, Any] = {COLUMN: "X"} if SCHEMA_VERSION > 2 else {}
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


class OtherRelease:
    """A process of another release that works on a lake's objects as they are, one step after the other."""

    def __init__(self, release: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.next_release"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{release}{os.pathsep}{ROOT}", "PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def work(self, lake: Any, name: str, run: str, at: int = 0, after: bool = False) -> None:
        """Do one of `lake_work.WORKS`.

        at, after: where the process dies, as of `Fuse`; 0 for nowhere.
        """
        self._ask(lake, "work", name, run, at, after)

    def add(self, lake: Any, batch: int, *numbers: int) -> None:
        """Put a raw file with these trades, in which the new column has a value."""
        self._ask(lake, "add", batch, *numbers)

    def read(self, lake: Any) -> list[list[Any]]:
        """Return event id and the new column of each row that readers see."""
        rows: list[list[Any]] = self._ask(lake, "read")
        return rows

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _ask(self, lake: Any, *step: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        pickle.dump((_state(lake), step), self._process.stdin)
        self._process.stdin.flush()
        state, answer = pickle.load(self._process.stdout)
        _set_state(lake, state)
        return answer


def _serve() -> None:
    from tests.support.lake import Lake

    answers = sys.stdout.buffer
    sys.stdout = sys.stderr
    with suppress(EOFError):
        while True:
            state, (name, *arguments) = pickle.load(sys.stdin.buffer)
            lake = Lake()
            _set_state(lake, state)
            answer = _asked(lake, name, *arguments)
            pickle.dump((_state(lake), answer), answers)
            answers.flush()
    os._exit(0)


def _asked(lake: Any, name: str, *arguments: Any) -> Any:
    from stock_pipeline.errors import StockPipelineError
    from tests.fakes.crashes import Crashed, CrashingCatalog, CrashingObjectStore, Fuse
    from tests.support.lake_work import work
    from tests.support.trades import trade

    if name == "add":
        batch, *numbers = arguments
        lake.add([trade(number, **{COLUMN: "X"}) for number in numbers], batch)
    elif name == "work":
        kind, run_name, at, after = arguments
        fuse = Fuse(at or 10**6, after)
        with suppress(Crashed, StockPipelineError):
            work(lake, kind, run_name)(CrashingObjectStore(lake.store, fuse), CrashingCatalog(lake.catalog, fuse))
    else:
        return sorted([row.event_id, getattr(row, COLUMN)] for row in lake.read())
    return None


def _state(lake: Any) -> tuple[Any, ...]:
    return lake.store.objects, lake.store.modified, lake.catalog.locations, lake.now


def _set_state(lake: Any, state: tuple[Any, ...]) -> None:
    lake.store.objects, lake.store.modified, lake.catalog.locations, lake.now = state
    lake.store.now = lake.now


def _main() -> None:
    from tests.support.lake import Lake

    if len(sys.argv) == 1:
        _serve()

    path, steps = Path(sys.argv[1]), json.loads(sys.argv[2])
    lake = Lake()
    if path.exists():
        _set_state(lake, pickle.loads(path.read_bytes()))
    sys.stdout.write(json.dumps([_step(lake, *step) for step in steps]))
    path.write_bytes(pickle.dumps(_state(lake)))
    sys.stdout.flush()
    os._exit(0)  # native threads of the libraries now and then abort a Python that ends orderly


if __name__ == "__main__":
    _main()
