"""`make bench-processor`: CPU time of one batch of 10,000 trades, for this project's processor and other ways.

Medians of interleaved rounds, so that other load falls on all alike. All outcomes are compared before anything is
timed. The table goes to the terminal and to bench/results/processor.json.
"""

import argparse
import gc
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.processor.batches import TRADES, Batch, Session, session
from bench.processor.contenders import CONTENDERS, Base64Floor, Pipeline, Run
from bench.processor.everything import WholeLoop, WholePipeline
from bench.processor.outcome import differences

RESULTS = Path(__file__).parents[1] / "results/processor.json"
LIBRARIES = ("aws-lambda-powertools", "msgspec", "numpy", "pandas", "pyarrow", "pydantic")

VARIANTS: dict[str, Callable[[Session], Batch]] = {
    "one trade a record": Session.a_record_each,
    "packed records": Session.packed,
    "one line of 10,000 cut short": Session.one_cut_short,
    "one price of 10,000 below zero": Session.one_bad_value,
}
"""Broken lines come one trade a record, because Powertools rejects records, not lines."""

OURS, WARM = "stock_pipeline", "stock_pipeline, warm"
FLOOR, ENVELOPE = "base64 (stdlib)", "json.loads of the event"


@dataclass(frozen=True)
class Target:
    variant: str
    contender: str
    at_least: float
    """Least multiple of our CPU time that the contender should take."""


TARGETS = (
    Target("one trade a record", "naive", 5.0),
    Target("one trade a record", "powertools", 10.0),
    Target("one trade a record", "msgspec", 1.6),
    Target("packed records", "naive", 6.0),
    Target("one line of 10,000 cut short", "msgspec", 1 / 1.3),
    Target("one price of 10,000 below zero", "msgspec", 1 / 1.3),
)
TARGET_SYMBOLS = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds to take the median of (9)")
    parser.add_argument("--symbols", type=int, nargs="+", default=[50, 500, 5_000], help="numbers of symbols")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    whole: list[dict[str, Any]] = []
    targets: list[dict[str, Any]] = []
    for symbols in options.symbols:
        trades = session(symbols)
        for name, make in VARIANTS.items():
            results.append(measure(symbols, name, make(trades), options.rounds))
            print(f"{symbols:,} symbols, {name}: {results[-1]['cpu_ms']}", file=sys.stderr, flush=True)
        whole.append(measure_whole(symbols, trades.packed(), options.rounds))
        print(f"{symbols:,} symbols, everything: {whole[-1]['cpu_ms']}", file=sys.stderr, flush=True)
    if TARGET_SYMBOLS in options.symbols:
        targets = [judged(target, results) for target in TARGETS]
    document = {"machine": machine(), "rounds": options.rounds, "trades": TRADES, "batches": results}
    RESULTS.write_text(json.dumps({**document, "everything": whole, "targets": targets}, indent=2) + "\n")
    for line in [*lines_of(results, targets), "", *lines_of_whole(whole)]:
        print(line)
    return 0


def measure(symbols: int, variant: str, batch: Batch, rounds: int) -> dict[str, Any]:
    """Compare the contenders, then return their CPU milliseconds over one batch, and the batch's effects."""
    ours = Pipeline(batch)
    ours()
    outcome = ours.outcome()
    for name, contender in CONTENDERS.items():
        run = contender(batch)
        run()
        if found := differences(outcome, run.outcome()):
            sys.exit(f"{name} and {OURS} differ in {', '.join(found)} ({symbols} symbols, {variant}); nothing is timed")
    text = json.dumps(batch.event)
    milliseconds = interleaved(
        {
            **{name: partial(contender, batch) for name, contender in CONTENDERS.items()},
            FLOOR: partial(Base64Floor, batch),
            ENVELOPE: lambda: partial(json.loads, text),
        },
        rounds,
    )
    return {
        "symbols": symbols,
        "variant": variant,
        "records": len(batch.event["Records"]),
        "payload_bytes": batch.payload_bytes,
        "event_bytes": len(text),
        "rejected": len(outcome.rejected),
        "distinct_symbols": len(outcome.states),
        "state_writes": len(ours.shown),
        "session_dates": batch.session_dates,
        "lake_puts": len(ours.files),
        "parquet_bytes": sum(map(len, ours.files)),
        "cpu_ms": milliseconds,
    }


def measure_whole(symbols: int, batch: Batch, rounds: int) -> dict[str, Any]:
    """Return the CPU milliseconds of a batch with its reads, items and writes."""
    prepares: dict[str, Callable[[], Any]] = {
        OURS: lambda: WholePipeline(batch, is_warm=False),
        WARM: lambda: WholePipeline(batch, is_warm=True),
        **{
            name: partial(WholeLoop, batch, contender)
            for name, contender in CONTENDERS.items()
            if contender is not Pipeline
        },
    }
    for name, prepare in prepares.items():
        run = prepare()
        run()
        if run.table.writes != len(batch.windows):
            sys.exit(f"{name} wrote {run.table.writes} items of {len(batch.windows)}; nothing is timed")
    return {"symbols": symbols, "cpu_ms": interleaved(prepares, rounds)}


def interleaved(prepares: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return each one's median CPU milliseconds over interleaved rounds; preparing is not timed."""
    seconds: dict[str, list[float]] = {name: [] for name in prepares}
    for _ in range(rounds):
        for name, prepare in prepares.items():
            seconds[name].append(_cpu_seconds(prepare()))
    return {name: round(median(taken) * 1000, 1) for name, taken in seconds.items()}


def _cpu_seconds(run: Run | Callable[[], Any]) -> float:
    gc.collect()
    started = time.process_time()
    run()
    return time.process_time() - started


def judged(target: Target, results: list[dict[str, Any]]) -> dict[str, Any]:
    (row,) = [row for row in results if (row["symbols"], row["variant"]) == (TARGET_SYMBOLS, target.variant)]
    times = row["cpu_ms"][target.contender] / row["cpu_ms"][OURS]
    return {
        "variant": target.variant,
        "against": target.contender,
        "target": round(target.at_least, 2),
        "measured": round(times, 2),
        "reached": times >= target.at_least,
    }


def machine() -> dict[str, str]:
    libraries = {name: version(name) for name in LIBRARIES}
    return {"machine": platform.machine(), "python": platform.python_version(), **libraries}


def lines_of(results: list[dict[str, Any]], targets: list[dict[str, Any]]) -> list[str]:
    names = [*CONTENDERS, FLOOR, ENVELOPE]
    head = ["symbols", "batch", "records", *names, "state writes", "lake puts"]
    lines = [f"CPU ms of one batch of {TRADES:,} trades (times {OURS})", "", _row(head), _row(["---"] * len(head))]
    for row in results:
        cells = [f"{row['cpu_ms'][name]:.0f} ({row['cpu_ms'][name] / row['cpu_ms'][OURS]:.2f})" for name in names]
        effects = [
            f"{row['state_writes']:,} = symbols {row['distinct_symbols']:,}",
            f"{row['lake_puts']} = dates {row['session_dates']}",
        ]
        lines.append(_row([f"{row['symbols']:,}", row["variant"], f"{row['records']:,}", *cells, *effects]))
    lines += ["", _row(["target at 50 symbols", "against", "at least", "measured", "reached"]), _row(["---"] * 5)]
    for row in targets:
        reached = "yes" if row["reached"] else "no"
        lines.append(_row([row["variant"], row["against"], f"{row['target']}", f"{row['measured']}", reached]))
    return lines


def lines_of_whole(whole: list[dict[str, Any]]) -> list[str]:
    names = list(whole[0]["cpu_ms"])
    lines = [f"The same with held windows read, items made and calls to DynamoDB (times {WARM})", ""]
    lines += [_row(["symbols", *names]), _row(["---"] * (1 + len(names)))]
    for row in whole:
        taken = row["cpu_ms"]
        cells = [f"{taken[name]:.0f} ({taken[name] / taken[WARM]:.2f})" for name in names]
        lines.append(_row([f"{row['symbols']:,}", *cells]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
