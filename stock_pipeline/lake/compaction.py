"""Compaction of one partition: plan, act, prove, publish.

Readers follow the catalog's pointer, so nothing that happens here is visible before `publish`, which is one call. A
crash at any point leaves the old version published; the next run plans the same version and writes it again.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol

import polars as pl
import pyarrow.parquet as pq

from stock_pipeline.domain.compaction_plan import CompactionPlan, InputFile, Manifest, plan_compaction
from stock_pipeline.domain.lake_layout import VersionPrefix, raw_partition_prefix, version_of_key
from stock_pipeline.errors import PublishConflictError
from stock_pipeline.lake.proof import digest_of_inputs, prove
from stock_pipeline.lake.trade_rows import one_row_per_event_id
from stock_pipeline.trade_table import trade_schema

ROW_GROUP_ROWS = 131_072
"""Small enough that one symbol's day is a small part of the file, large enough to compress (128k to 256k measured)."""

_DICTIONARY_COLUMNS = ["feed", "capture_mode", "symbol", "price", "exchange", "conditions", "tape", "status"]


class _Listed(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def size(self) -> int: ...


class Lake(Protocol):
    def list(self, prefix: str) -> Iterable[_Listed]: ...
    def get(self, key: str) -> bytes: ...
    def put(self, key: str, body: bytes) -> None: ...
    def uri(self, key: str) -> str: ...


class Catalog(Protocol):
    def published_location(self, session_date: date) -> str | None:
        """The URI that the partition's readers are sent to, or None if it is not registered."""

    def publish(self, session_date: date, location: str) -> None:
        """Send readers of the partition there, in one step."""


class CompactionReport(NamedTuple):
    """What one compaction came to. `rows_in == rows_out + duplicates`."""

    session_date: date
    version: str
    files_in: int
    bytes_in: int
    bytes_out: int
    rows_in: int
    rows_out: int
    duplicates: int
    volume: int
    published: bool
    """False if the published version already had everything."""


@dataclass(frozen=True)
class Compactor:
    """Compacts partitions of the lake's trades.

    progress: told the number of raw files read so far and in all.
    """

    lake: Lake
    catalog: Catalog
    progress: Callable[[int, int], None] = lambda _done, _all: None

    def compact(self, session_date: date) -> CompactionReport | None:
        """Bring the published version up to the raw files that are there now.

        None if the session has no raw file at all. `ProofError` if what was written is not what was read, and
        `PublishConflictError` if another run published meanwhile; readers keep the published version in both cases.
        """
        published = self.published_manifest(session_date)
        plan = plan_compaction(session_date, self.raw_listing(session_date), published)
        if plan is None:
            return _nothing_to_do(published) if published else None
        rows = self._read(plan)
        digest = digest_of_inputs(rows)
        body = parquet_file(one_row_per_event_id(rows))
        self.lake.put(plan.target.data_key, body)

        written = pl.read_parquet(io.BytesIO(self.lake.get(plan.target.data_key)))
        proven = prove(digest, written, session_date)
        self._publish(plan, rows=proven.event_ids, volume=proven.volume)
        return CompactionReport(
            session_date=session_date,
            version=plan.target.version,
            files_in=len(plan.new_files),
            bytes_in=sum(file.size for file in plan.new_files),
            bytes_out=len(body),
            rows_in=rows.height,
            rows_out=proven.event_ids,
            duplicates=rows.height - proven.event_ids,
            volume=proven.volume,
            published=True,
        )

    def raw_listing(self, session_date: date) -> Sequence[InputFile]:
        return [
            InputFile(listed.key, listed.etag, listed.size)
            for listed in self.lake.list(raw_partition_prefix(session_date))
            if listed.key.endswith(".parquet")
        ]

    def published_manifest(self, session_date: date) -> Manifest | None:
        """The manifest of the version that readers see, or None if there is none yet."""
        version = self._published_version(session_date)
        if version is None:
            return None
        return Manifest.from_json(self.lake.get(VersionPrefix(session_date, version).manifest_key))

    def _published_version(self, session_date: date) -> str | None:
        location = self.catalog.published_location(session_date)
        return version_of_key(location.rstrip("/") + "/") if location else None

    def _read(self, plan: CompactionPlan) -> pl.DataFrame:
        frames = list(self._frames(plan))
        return pl.concat(frames, rechunk=True)

    def _frames(self, plan: CompactionPlan) -> Iterator[pl.DataFrame]:
        if plan.base is not None:
            yield _frame(self.lake.get(plan.base.data_key))
        for done, file in enumerate(plan.new_files, start=1):
            yield _frame(self.lake.get(file.key))
            self.progress(done, len(plan.new_files))

    def _publish(self, plan: CompactionPlan, rows: int, volume: int) -> None:
        base_version = plan.base.version if plan.base else None
        session_date = plan.target.session_date
        manifest = Manifest(session_date, plan.target.version, base_version, plan.inputs, rows, volume)
        self.lake.put(plan.target.manifest_key, manifest.to_json())
        if self._published_version(session_date) != base_version:
            raise PublishConflictError(f"session {session_date} was published by another run meanwhile; run again")
        self.catalog.publish(session_date, self.lake.uri(plan.target.prefix))


def parquet_file(rows: pl.DataFrame) -> bytes:
    """A curated data file: zstd, small row groups, a dictionary where values repeat, deltas for times."""
    sink = io.BytesIO()
    pq.write_table(
        rows.to_arrow().cast(trade_schema()),
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARY_COLUMNS,
        column_encoding={"event_time": "DELTA_BINARY_PACKED", "event_time_ns": "DELTA_BINARY_PACKED"},
        coerce_timestamps="us",
    )
    return sink.getvalue()


def _frame(body: bytes) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(body), columns=trade_schema().names, hive_partitioning=False)


def _nothing_to_do(published: Manifest) -> CompactionReport:
    return CompactionReport(
        session_date=published.session_date,
        version=published.version,
        files_in=0,
        bytes_in=0,
        bytes_out=0,
        rows_in=published.rows,
        rows_out=published.rows,
        duplicates=0,
        volume=published.volume,
        published=False,
    )
