"""`make bench-import`: rows a second of CPU time that an import of files reads, checks, sorts and writes, on one core.

The store is memory, because an account's S3 is not this machine's speed. Files are generated: a session of 300 symbols,
in order of time.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl

from stock_pipeline.files.file_format import Declared
from stock_pipeline.files.reading import TradeFile
from stock_pipeline.lake.raw_import import RawImport
from stock_pipeline.streaming.raw_files import parquet_bytes
from tests.fakes.stores import FakeObjectStore

ROWS = 1_000_000
SYMBOLS = 300
SESSION = date(2024, 1, 3)
OPEN_NS = 1_704_292_200_000_000_000
TARGET = 150_000
PAGE_ROWS = 10_000
"""The most that Alpaca puts into one."""
FEED = "sip"


def generated(rows: int) -> pl.DataFrame:
    number = pl.int_range(rows)
    time_ns = OPEN_NS + number * (23_000 * 10**9 // rows)
    return pl.select(number=number).select(
        symbol=pl.lit("S") + (pl.col("number") * 7919 % SYMBOLS).cast(pl.String),
        time_ns=time_ns,
        utc=pl.from_epoch(time_ns, time_unit="ns"),
        price=((5_000 + pl.col("number") * 104_729 % 10_000) / 100).round(2),
        size=1 + pl.col("number") * 31 % 500,
        letters=pl.col("number").mod(4).replace_strict({0: "", 1: "F", 2: "FI", 3: "T"}),
        numbers=pl.col("number").mod(4).replace_strict({0: "", 1: "14", 2: "14,37", 3: "12"}),
        sequence=pl.col("number") + 1,
    )


def nyse_taq(rows: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    local = pl.col("utc").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York").dt.strftime("%H%M%S%9f")
    return rows.select(
        local.alias("Time"),
        pl.lit("P").alias("Exchange"),
        pl.col("symbol").alias("Symbol"),
        pl.col("letters").alias("Sale Condition"),
        pl.col("size").alias("Trade Volume"),
        pl.col("price").alias("Trade Price"),
        pl.lit("").alias("Trade Stop Stock Indicator"),
        pl.lit("00").alias("Trade Correction Indicator"),
        pl.col("sequence").alias("Sequence Number"),
        pl.lit("7").alias("Trade Id"),
        pl.lit("N").alias("Source of Trade"),
        pl.lit("").alias("Trade Reporting Facility"),
        local.alias("Participant Timestamp"),
        pl.lit("").alias("Trade Reporting Facility TRF Timestamp"),
        pl.lit("0").alias("Trade Through Exempt Indicator"),
    ), "|"


def massive(rows: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    return rows.select(
        ticker="symbol",
        conditions="numbers",
        correction=pl.lit(0),
        exchange=pl.lit(11),
        id=pl.col("sequence"),
        participant_timestamp="time_ns",
        price="price",
        sequence_number="sequence",
        sip_timestamp="time_ns",
        size="size",
        tape=pl.lit(1),
        trf_id=pl.lit(0),
        trf_timestamp=pl.lit(0),
    ), ","


def session(rows: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    return rows.select(
        event_time=pl.col("utc").dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ"),
        symbol="symbol",
        price="price",
        size="size",
        exchange=pl.lit("P"),
        sale_condition="letters",
        correction=pl.lit(0),
        sequence="sequence",
    ), ","


def write_csv(table: pl.DataFrame, separator: str, path: Path) -> None:
    table.write_csv(path, separator=separator, quote_style="never" if separator == "|" else "necessary")


def write_pages(rows: pl.DataFrame, path: Path) -> None:
    """Write Alpaca's pages, one a line, as an archive of answers has them."""
    codes = pl.col("letters").str.replace_all("(.)", '"$1",').str.strip_suffix(",")
    time_text = pl.col("utc").dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
    fields = (time_text, "price", "size", codes, "sequence")
    trade = pl.format('{{"t":"{}","x":"P","p":{},"s":{},"c":[{}],"i":{},"z":"A"}}', *fields)
    with path.open("w") as file:
        for page in rows.iter_slices(PAGE_ROWS):
            by_symbol = page.group_by("symbol").agg(trade.str.join(","))
            lists = ",".join(f'"{symbol}":[{trades}]' for symbol, trades in by_symbol.iter_rows())
            file.write(f'{{"trades":{{{lists}}},"next_page_token":"x"}}\n')


WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    "nyse-taq": lambda rows, path: write_csv(*nyse_taq(rows), path),
    "massive": lambda rows, path: write_csv(*massive(rows), path),
    "session": lambda rows, path: write_csv(*session(rows), path),
    "alpaca": write_pages,
}


def seconds(path: Path, name: str, folder: Path) -> float:
    """Return the CPU seconds of one import."""
    store = FakeObjectStore()
    began = time.process_time()
    target = RawImport(store, parquet_bytes, folder, time.time_ns())
    for batch in TradeFile.open(path, name, FEED, Declared(file_date=SESSION)).batches():
        if batch.bad or batch.trades is None:
            raise AssertionError(f"a generated row can't be read: {batch.bad[:1]}")
        target.add(batch.trades)
    written = sum(target.write(session_date).rows for session_date in target.sessions)
    took = time.process_time() - began
    if written != ROWS:
        raise AssertionError(f"{written:,} of {ROWS:,} rows were written")
    return took


def main() -> int:
    rows = generated(ROWS)
    slow = []
    for name, write in WRITERS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trades"
            write(rows, path)
            best = 0.0
            for round_number in range(3):
                spilled = Path(folder) / str(round_number)
                spilled.mkdir()
                best = max(best, ROWS / seconds(path, name, spilled))
        print(f"{name:10} {best:>9,.0f} rows a second of CPU", flush=True)
        slow += [name] if best < TARGET else []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {peak:,} MB, the store's files in it; target {TARGET:,} rows a second")
    if slow:
        print(f"below the target: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
