"""Ways to compact a day: each reads the files of a folder and writes one.

`python -m bench.compaction.contenders NAME IN OUT` runs one and prints its peak memory in kilobytes.

All write zstd level 1. Those that deduplicate keep one row per event id; those that sort do it by (symbol,
event_time_ns, sequence, event_id).
"""

import resource
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

CODES = ["feed", "capture_mode", "symbol", "exchange", "conditions", "tape", "status"]
ORDER = "symbol, event_time_ns, sequence, event_id"


def this_project(source: Path, target: Path) -> None:
    """Plan, write, prove and publish with this project."""
    from bench.compaction.directory_lake import DirectoryLake, MemoryCatalog
    from stock_pipeline.domain.lake_layout import CURATED_FILE, session_date_of_key
    from stock_pipeline.lake.compaction import Compactor

    session_date = session_date_of_key(str(next(source.rglob("*.parquet"))))
    shutil.rmtree(source / "curated", ignore_errors=True)
    lake = DirectoryLake(source)
    report = Compactor(lake, MemoryCatalog(), lambda: datetime.now(UTC), scratch=target.parent).compact(session_date)
    assert report.published
    (written,) = (source / "curated").rglob(CURATED_FILE)
    written.rename(target)
    shutil.rmtree(source / "curated")


def duckdb_qualify(source: Path, target: Path) -> None:
    _duckdb(
        f"SELECT * FROM {{files}} QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY version DESC) = 1 "
        f"ORDER BY {ORDER}",
        source,
        target,
    )


def duckdb_distinct_on(source: Path, target: Path) -> None:
    _duckdb(f"SELECT * FROM (SELECT DISTINCT ON (event_id) * FROM {{files}}) ORDER BY {ORDER}", source, target)


def polars_unique(source: Path, target: Path) -> None:
    import polars as pl

    rows = pl.scan_parquet(_files(source), hive_partitioning=False, glob=False)
    ordered = rows.unique("event_id", keep="any").sort(ORDER.split(", "))
    ordered.sink_parquet(target, compression="zstd", compression_level=1, engine="streaming")


def pandas(source: Path, target: Path) -> None:
    import pandas as pd

    rows = pd.concat([pd.read_parquet(file, partitioning=None) for file in _files(source)], ignore_index=True)
    rows = rows.drop_duplicates("event_id").sort_values(ORDER.split(", "))
    rows.to_parquet(target, compression="zstd", index=False)


def concatenation(source: Path, target: Path) -> None:
    """Neither deduplicate nor sort: the cost of reading and writing alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from stock_pipeline.trade_table import trade_schema

    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": [*CODES, "price"]}
    with pq.ParquetWriter(target, trade_schema(), **options) as writer:
        buffer: list[pa.Table] = []
        for file in _files(source):
            buffer.append(pq.ParquetFile(file).read(use_threads=False))
            if sum(table.num_rows for table in buffer) >= 131_072:
                writer.write_table(pa.concat_tables(buffer))
                buffer = []
        if buffer:
            writer.write_table(pa.concat_tables(buffer))


def byte_copy(source: Path, target: Path) -> None:
    """Copy bytes without Parquet: the floor."""
    with target.open("wb") as out:
        for file in _files(source):
            out.write(file.read_bytes())


CONTENDERS: dict[str, Callable[[Path, Path], None]] = {
    contender.__name__: contender
    for contender in (
        this_project,
        duckdb_qualify,
        duckdb_distinct_on,
        polars_unique,
        pandas,
        concatenation,
        byte_copy,
    )
}


def _duckdb(query: str, source: Path, target: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        files = f"read_parquet('{source}/raw/**/*.parquet', hive_partitioning = false)"
        connection.execute(
            f"COPY ({query.format(files=files)}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )


def _files(source: Path) -> list[Path]:
    return sorted((source / "raw").rglob("*.parquet"))


def peak_kilobytes() -> int:
    """Return the most memory that this program had; `ru_maxrss` counts the forking process too on Linux."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    CONTENDERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    print(peak_kilobytes())
