"""`make bench-compaction`: cost of compacting a generated day, with this project and with other tools.

CPU seconds of each contender's process and its children, and its peak memory: medians of interleaved rounds. Rows and
checksums of all that deduplicate must agree. A contender that fails, for want of memory say, is left out and named.
Results are written after each day, so that a stopped run keeps what it has; those of other days stay in the file.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from bench.compaction.contender_run import ContenderFailed, Measure, run_contender
from bench.compaction.contenders import CONTENDERS
from bench.generated_session import GeneratedSession, day_of

RESULTS = Path(__file__).parents[1] / "results" / "compaction.json"

WITHOUT_DEDUPLICATION = ("concatenation", "byte_copy")


class Verdict(NamedTuple):
    target: str
    measured: float
    reached: bool


class Result(NamedTuple):
    """One contender's day.

    began: start of the run that measured it, because figures of two runs compare machines, too
    """

    began: str
    rows: int
    files: int
    contender: str
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    out_mb: float
    rounds: int


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    results = [result for result in recorded() if (result.rows, result.files) not in options.days]
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        for rows, files in options.days:
            day = Path(scratch) / f"{rows}-{files}"
            GeneratedSession(rows, files).write(day)
            results += measure(began, day, rows, files, options.contenders, options.rounds)
            results.sort(key=lambda result: (result.rows, result.files))
            shutil.rmtree(day)
            print_table(results)
            write(results)
    for verdict in judged(results):
        print(f"{verdict.target:<55} {verdict.measured:>8} {'reached' if verdict.reached else 'not reached'}")
    return 0


def recorded() -> list[Result]:
    return [Result(**result) for result in json.loads(RESULTS.read_text())["results"]] if RESULTS.exists() else []


def write(results: Sequence[Result]) -> None:
    document = {
        "cpus": os.cpu_count(),
        "results": [result._asdict() for result in results],
        "targets": [verdict._asdict() for verdict in judged(results)],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {RESULTS}")


def measure(began: str, day: Path, rows: int, files: int, contenders: Sequence[str], rounds: int) -> list[Result]:
    measured: dict[str, list[Measure]] = {name: [] for name in contenders}
    checksums: dict[str, tuple[int, ...]] = {}
    sizes: dict[str, float] = {}
    for _ in range(rounds):
        for name in tuple(measured):
            target = day / f"{name}.out"
            try:
                measured[name].append(run_contender(name, day, target))
            except ContenderFailed as failure:
                if name == "this_project":
                    raise SystemExit(str(failure)) from failure
                print(f"{rows:,} rows in {files:,} files: {failure}; it is left out")
                del measured[name]
                checksums.pop(name, None)
                target.unlink(missing_ok=True)
                continue
            sizes[name] = target.stat().st_size / 1e6
            if name not in checksums and name not in WITHOUT_DEDUPLICATION:
                checksums[name] = checksum(target)
            target.unlink()
    if len(set(checksums.values())) > 1 or any(found[0] != rows for found in checksums.values()):
        raise SystemExit(f"results differ, so no figure counts: {checksums}")
    return [Result(began, rows, files, name, *_medians(each), sizes[name], rounds) for name, each in measured.items()]


def judged(results: Sequence[Result]) -> list[Verdict]:
    """Return each target with what was measured."""
    verdicts: list[Verdict] = []
    ours = {(each.rows, each.files): each for each in results if each.contender == "this_project"}
    others = {(each.rows, each.files, each.contender): each for each in results}

    def judge(target: str, measured: float, least: float | None = None, most: float | None = None) -> None:
        reached = (least is None or measured >= least) and (most is None or measured <= most)
        verdicts.append(Verdict(target, round(measured, 2), reached))

    for (rows, files), mine in ours.items():
        day = f"{rows:,} rows in {files:,} files"
        for contender, least in (("duckdb_qualify", 1.9), ("pandas", 5.0)):
            other = others.get((rows, files, contender))
            if other:
                judge(f"{day}: {contender} / this, >= {least}", other.cpu_seconds / mine.cpu_seconds, least=least)
        concatenation = others.get((rows, files, "concatenation"))
        if concatenation:
            judge(f"{day}: this / concatenation, <= 2.2", mine.cpu_seconds / concatenation.cpu_seconds, most=2.2)
        if rows == 20_000_000:
            judge(f"{day}: peak MB, <= 1000", mine.peak_mb, most=1000)
        quarter = ours.get((rows // 4, files))
        if rows == 80_000_000 and quarter:
            judge(f"{day}: peak MB / of a quarter of the rows, <= 1.3", mine.peak_mb / quarter.peak_mb, most=1.3)
        few = min(each.files for each in ours.values() if (each.rows, each.began) == (rows, mine.began))
        if files != few:
            factor = mine.cpu_seconds / ours[rows, few].cpu_seconds
            judge(f"{rows:,} rows: CPU at {files:,} / {few:,} files, <= 1.5", factor, most=1.5)
    return verdicts


def checksum(path: Path) -> tuple[int, ...]:
    """Return rows, and order-independent sums over event ids, volumes, prices and times."""
    sums = "count(*), sum(hash(event_id)), sum(volume), sum(price), sum(event_time_ns), count(DISTINCT event_id)"
    row = duckdb.sql(f"SELECT {sums} FROM read_parquet('{path}')").fetchone()
    assert row is not None
    return tuple(int(value) for value in row)


def print_table(results: Sequence[Result]) -> None:
    print(
        f"{'rows':>11} {'files':>7}  {'contender':<20} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'out MB':>8}  ratio"
    )
    for result in results:
        concat = [
            other.cpu_seconds
            for other in results
            if (other.rows, other.files, other.contender) == (result.rows, result.files, "concatenation")
        ]
        ratio = f"{result.cpu_seconds / concat[0]:8.2f}" if concat else ""
        print(
            f"{result.rows:>11,} {result.files:>7,}  {result.contender:<20} {result.cpu_seconds:8.1f} "
            f"{result.wall_seconds:8.1f} {result.peak_mb:8.0f} {result.out_mb:8.1f}  {ratio}"
        )


def _medians(measures: Sequence[Measure]) -> Measure:
    return Measure(*(round(statistics.median(column), 2) for column in zip(*measures, strict=True)))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-compaction", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--days",
        nargs="+",
        type=day_of,
        default=[(5_000_000, 1_440), (5_000_000, 20_000)],
        metavar="ROWSxFILES",
    )
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--scratch", type=Path, help="where the day and spilled rows go")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
