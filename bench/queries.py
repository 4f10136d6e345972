"""`make bench-queries`: bytes that the three example queries read of a generated session, raw and compacted.

Counted from the files' metadata: the column chunks that a query names, of each row group that statistics do not
exclude. Athena charges for those, ten megabytes a statement at least. Nothing is run or timed.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from bench.compaction.contender_run import run_contender
from bench.generated_session import GeneratedSession, day_of
from stock_pipeline.aws.athena import cost_dollars

RESULTS = Path(__file__).parent / "results" / "queries.json"

TRADING_DAYS = 252

DAYS = [(5_000_000, 1_440), (20_000_000, 1_440)]


class Query(NamedTuple):
    """Example query.

    columns: those that it names
    of_symbol: True if it asks for one symbol
    least: how many times fewer bytes it must read of the compacted session
    """

    name: str
    columns: tuple[str, ...]
    of_symbol: bool
    least: float


QUERIES = (
    Query("one symbol's day", ("symbol", "event_time", "price"), True, 150),
    Query("daily average", ("symbol", "price"), False, 2.3),
    Query("top volume", ("symbol", "volume"), False, 2.0),
)


class Chunk(NamedTuple):
    """One row group: compressed bytes of each column, and its first and last symbol."""

    sizes: dict[str, int]
    first: str
    last: str


class Result(NamedTuple):
    """Figures of one query.

    *_a_year: of one statement over 252 such sessions, to which the ten megabytes matter less
    """

    rows: int
    files: int
    query: str
    raw_bytes: int
    compacted_bytes: int
    times_fewer: float
    least: float
    reached: bool
    raw_dollars: float
    compacted_dollars: float
    raw_dollars_a_year: float
    compacted_dollars_a_year: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench-queries", description=__doc__)
    parser.add_argument("--days", nargs="+", type=day_of, default=DAYS, metavar="ROWSxFILES")
    parser.add_argument("--scratch", type=Path, help="where the session goes")
    options = parser.parse_args(arguments)
    results = [result for rows, files in options.days for result in measure(rows, files, options.scratch)]
    print_table(results)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([result._asdict() for result in results], indent=1) + "\n")
    print(f"written to {RESULTS}")
    return 0


def measure(rows: int, files: int, scratch: Path | None) -> list[Result]:
    session = GeneratedSession(rows, files)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        day, compacted = Path(folder) / "day", Path(folder) / "compacted.parquet"
        session.write(day)
        run_contender("this_project", day, compacted)
        raw = list(chunks((day / "raw").rglob("*.parquet")))
        return compare(session, raw, list(chunks([compacted])))


def chunks(paths: Iterable[Path]) -> Iterable[Chunk]:
    for path in paths:
        metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
            symbol = columns["symbol"].statistics
            sizes = {name: column.total_compressed_size for name, column in columns.items()}
            yield Chunk(sizes, symbol.min, symbol.max)


def compare(session: GeneratedSession, raw: Sequence[Chunk], compacted: Sequence[Chunk]) -> list[Result]:
    """Return each query's figures; a query for one symbol counts with the median over all symbols."""
    results = []
    for query in QUERIES:
        asked: Sequence[str | None] = session.symbol_names().tolist() if query.of_symbol else [None]
        before, after = (
            int(statistics.median(bytes_read(session_chunks, query.columns, symbol) for symbol in asked))
            for session_chunks in (raw, compacted)
        )
        results.append(
            Result(
                session.rows,
                session.files,
                query.name,
                before,
                after,
                round(before / after, 2),
                query.least,
                before / after >= query.least,
                *(float(dollars(size)) for size in (before, after, TRADING_DAYS * before, TRADING_DAYS * after)),
            )
        )
    return results


def bytes_read(session_chunks: Iterable[Chunk], columns: Sequence[str], symbol: str | None) -> int:
    return sum(
        sum(chunk.sizes[name] for name in columns)
        for chunk in session_chunks
        if symbol is None or chunk.first <= symbol <= chunk.last
    )


def dollars(size: int) -> Decimal:
    return round(cost_dollars(size), 6)


def print_table(results: Sequence[Result]) -> None:
    print(
        f"{'rows':>11} {'files':>7}  {'query':<18} {'raw bytes':>13} {'compacted':>12} {'fewer':>8} {'target':>7} "
        f"{'':<8} {'raw $':>9} {'compacted $':>12} {'a year raw $':>13} {'compacted $':>12}"
    )
    for each in results:
        verdict = "reached" if each.reached else "missed"
        print(
            f"{each.rows:>11,} {each.files:>7,}  {each.query:<18} {each.raw_bytes:>13,} {each.compacted_bytes:>12,} "
            f"{each.times_fewer:>7.1f}x {each.least:>7} {verdict:<8} {each.raw_dollars:>9.6f} "
            f"{each.compacted_dollars:>12.6f} {each.raw_dollars_a_year:>13.4f} {each.compacted_dollars_a_year:>12.4f}"
        )


if __name__ == "__main__":
    sys.exit(main())
