"""`stock-pipeline import`: trades of vendors' files into the lake."""

import argparse
import csv
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from stock_pipeline.commands.environment import BUCKET, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, day
from stock_pipeline.files.condition_codes import ALPHABETS

if TYPE_CHECKING:
    from stock_pipeline.files.checks import BadRow
    from stock_pipeline.files.reading import TradeFile
    from stock_pipeline.lake.lake_access import Lake

BAD_ROWS_SHOWN = 3


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "import",
        summary="write trades of vendors' files into the lake, sorted, without the stream",
        description="Reads files of NYSE TAQ, WRDS, Massive, Databento, Alpaca, algoseek, or any CSV whose columns are "
        "named with --map, plain or as .gz, .zst or .zip, and writes their trades as raw files. Unreadable rows are "
        "set aside in a file. Killed and run again, it writes what is missing and nothing twice. Which format keeps "
        "what: docs/files.md.",
        example="stock-pipeline import EQY_US_ALL_TRADE_20180102.gz --dry-run",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files to import")
    parser.add_argument("--format", default="", metavar="NAME", help="the files' format, if it can't be told")
    parser.add_argument("--feed", default="", metavar="NAME", help="mark of the rows (default: the format's)")
    parser.add_argument("--date", type=day, help="date of files whose rows and name have none")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="OURS=THEIRS",
        help="which column is what: time, date, symbol, price, size, exchange, conditions, correction (TAQ's "
        "indicator), sequence, id, tape; by place in a file without a line of names, as in price=3",
    )
    parser.add_argument("--symbol", default="", metavar="NAME", help="symbol of files whose rows have none, with --map")
    parser.add_argument(
        "--conditions", choices=ALPHABETS, default="", help="what condition codes are, if not what the format has"
    )
    parser.add_argument("--zone", default="", help="zone of times without one, such as America/New_York")
    parser.add_argument(
        "--scale", type=int, choices=range(13), metavar="PLACES", help="decimal places of prices written as integers"
    )
    parser.add_argument(
        "--rejected", type=Path, default=Path("rejected.csv"), help="where rows go that can't be read (rejected.csv)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import time

    from stock_pipeline.errors import InputFileError
    from stock_pipeline.files.file_format import Declared
    from stock_pipeline.files.reading import NAMES, TradeFile
    from stock_pipeline.lake.unpublished_sessions import raw_folders
    from stock_pipeline.wiring import Wiring

    if options.format and options.format not in NAMES:
        raise InputFileError(f"--format {options.format} is not one of {', '.join(NAMES)}")
    declared = Declared(
        options.date, _columns(options.map), _zone(options.zone), options.scale, options.conditions, options.symbol
    )
    settings = settings_of(options, BUCKET)
    files = [TradeFile.open(path.expanduser(), options.format, options.feed, declared) for path in options.files]
    with Wiring.open(settings) as wiring:
        sessions: set[date] = set()
        rejected = RejectedRows(options.rejected)
        for file in files:
            sessions |= _import(file, wiring.objects, rejected, time.time_ns(), options.dry_run)
        if options.dry_run or not sessions:
            return 0
        wiring.unpublished_sessions().refresh(raw_folders(wiring.objects))
    print("Dagster compacts these sessions by itself. To do it now:")
    for session_date in sorted(sessions):
        print(f"  stock-pipeline compact --session {session_date}")
    return 0


class RejectedRows:
    """The file of rows that can't be read, written anew by the first of a run."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0

    def add(self, source: Path, rows: "list[BadRow]") -> None:
        with self.path.open("a" if self.count else "w", newline="") as output:
            if not self.count:
                csv.writer(output).writerow(("file", "line", "reason", "text"))
            csv.writer(output).writerows((source, *each) for each in rows)
        self.count += len(rows)


def _import(file: "TradeFile", lake: "Lake", rejected: RejectedRows, now_ns: int, dry_run: bool) -> set[date]:
    """Read one file to its end, then write its sessions; return them."""
    import tempfile
    from datetime import UTC, datetime

    from stock_pipeline.domain.feed_session import is_feed_session
    from stock_pipeline.lake.raw_import import RawImport
    from stock_pipeline.streaming.raw_files import parquet_bytes

    print(f"{file.path}: {file.verdict.form.name} ({file.verdict.container}), feed {file.feed}")
    with tempfile.TemporaryDirectory(prefix="stock-pipeline-import-") as folder:
        target = RawImport(lake, parquet_bytes, Path(folder), now_ns)
        rows = bad = 0
        for batch in file.batches():
            if batch.trades is not None and batch.trades.height:
                target.add(batch.trades)
                rows += batch.trades.height
            if batch.bad:
                rejected.add(file.path, batch.bad)
                for each in batch.bad[: max(0, BAD_ROWS_SHOWN - bad)]:
                    print(f"  line {each.line}: {each.reason}")
                bad += len(batch.bad)
            print(f"  read {rows:,} trades", flush=True)
        for session_date in target.sessions:
            done = target.write(session_date, dry_run)
            first, last = (datetime.fromtimestamp(ns // 10**9, UTC) for ns in (done.first_ns, done.last_ns))
            what = "would write" if dry_run else f"wrote {done.written} of"
            print(
                f"  session {session_date}: {what} {done.files} files, {done.rows:,} rows of {done.symbols:,} symbols, "
                f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC, {done.repeats:,} repeats"
            )
            if not is_feed_session(session_date, file.feed):
                print(
                    f"    feed {file.feed} has no session on that day, so its bars have no prices: is --zone right? A "
                    "market that never closes is --feed crypto_NAME"
                )
        if bad:
            print(f"  {bad:,} rows can't be read: {rejected.path} has their file, line, reason and text")
        return set(target.sessions)


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    from stock_pipeline.errors import InputFileError

    try:
        return ZoneInfo(name).key if name else ""
    except (ValueError, OSError, KeyError):
        raise InputFileError(f"--zone {name} is no time zone; it takes one such as America/New_York") from None


def _columns(texts: list[str]) -> dict[str, str]:
    from stock_pipeline.errors import InputFileError
    from stock_pipeline.files.formats import MAPPABLE

    columns = dict(each.partition("=")[::2] for each in texts)
    unknown = sorted(name for name in columns if name not in MAPPABLE or not columns[name])
    if unknown:
        raise InputFileError(f"--map {unknown[0]} can't be used: it takes OURS=THEIRS with {', '.join(MAPPABLE)}")
    return columns
