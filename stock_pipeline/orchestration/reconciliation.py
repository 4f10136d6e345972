"""Reconciliation of a session: each place's counts, and the check that they agree."""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.compaction_plan import InputFile, Manifest
from stock_pipeline.domain.freshness import deadline
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.reconciliation import Disagreement, SessionBooks, disagreements
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import DamagedVersionError
from stock_pipeline.lake.session_counts import count_curated, count_raw, data_files, ids_in
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.lake.session_partition import SessionPartition, version_of_location
from stock_pipeline.orchestration.freshness import POLICY
from stock_pipeline.orchestration.owners import OWNERS
from stock_pipeline.orchestration.partitions import SESSIONS_A_RUN
from stock_pipeline.orchestration.resources import LakeResource, RealtimeResource
from stock_pipeline.orchestration.table_metadata import reconciliation_metadata
from stock_pipeline.orchestration.watch_report import reconciliation_events, watch_telemetry
from stock_pipeline.wiring import utc_now

CHECK = "places_agree"

JUST_ARRIVED = timedelta(minutes=10)
"""Two ticks of the sensor that asks for the compaction of late files."""

_NAMED = 100
"""Most symbols and reasons that a check names."""


class Reconciled(NamedTuple):
    """Counts of one session, compared.

    unreadable: raw files, whose trades are not counted.
    """

    books: SessionBooks
    found: Sequence[Disagreement]
    unreadable: Sequence[str]

    @property
    def agrees(self) -> bool:
        return not self.found and not self.unreadable


def reconciliation(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name="reconciliation",
        deps=["trades"],
        partitions_def=partitions,
        group_name="lake",
        kinds={"s3", "dynamodb"},
        owners=OWNERS,
        code_version="1",
        freshness_policy=POLICY,
        metadata=reconciliation_metadata(),
        # as for trades: the assets of one job share one policy
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=SESSIONS_A_RUN),
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset="reconciliation",
                description="The stream's records, raw files, published rows and the realtime table agree about every "
                "symbol of the session.",
            )
        ],
    )
    def reconciled(
        context: dg.AssetExecutionContext, lake: LakeResource, realtime: RealtimeResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Counts by symbol: the stream's records, raw files, published rows and the realtime table."""
        failures = SessionFailures()
        telemetry = watch_telemetry(lake.settings)
        sessions: dict[str, Reconciled] = {}
        for key in context.partition_keys:
            with failures.of(key):
                sessions[key] = reconcile(lake, realtime.table, date.fromisoformat(key), utc_now())
                context.add_asset_metadata(_figures(sessions[key]), partition_key=key)
                done = sessions[key]
                telemetry.record(reconciliation_events(key, len(done.found) + len(done.unreadable)))
        yield dg.MaterializeResult(check_results=[_verdict(sessions, str(failures))])
        failures.raise_all()

    return reconciled


def reconcile(lake: LakeResource, table: StateTable, session_date: date, now: datetime) -> Reconciled:
    """Count the session in each place, and compare.

    While it is under way, trades arrive between two counts. So it is compared up to a common point until its deadline:
    the raw files of the published version. Afterwards only files of the last minutes are beyond that point: the sensor
    `raw_files` is about to have them compacted. The table is read before the raw files are listed, because each trade
    in it is in a raw file by then.
    """
    capacity = window_capacity(table.average_windows)
    with tempfile.TemporaryDirectory(prefix="reconciliation-") as folder:
        partition = lake.partition(session_date)
        location = lake.catalog.published_location(session_date)
        curated = count_curated(list(_files_of_readers(lake, location, Path(folder))), capacity)
        windows = _windows(table, {*curated, *table.keys_of_session(session_date)})
        manifest = _version_of_readers(partition, location)
        objects = partition.raw_objects()
        listed = [InputFile.of(each) for each in objects]
        known = manifest.known_files if manifest else frozenset()
        is_on = now < deadline(session_date)
        others = [
            file
            for file, each in zip(listed, objects, strict=True)
            if file not in known and (is_on or timedelta() <= now - each.modified < JUST_ARRIVED)
        ]
        ids = {trade.event_id for window in windows.values() for trade in window}
        ids |= {trade.event_id for counts in curated.values() for trade in counts.newest}
        under_way = ids_in(lake.objects, others, ids, Path(folder))
        raw = None
        if manifest is None or set(manifest.inputs) <= set(listed):
            raw = count_raw(lake.objects, [file for file in listed if file not in others], Path(folder))
    windows |= _windows(table, set(raw.counts if raw else ()) - windows.keys())
    forgotten = timedelta(days=table.time_to_live_days) if table.time_to_live_days else timedelta.max
    books = SessionBooks(
        session_date=session_date,
        raw=raw.counts if raw else None,
        curated=curated,
        windows=windows,
        capacity=capacity,
        expired=now.date() - session_date >= forgotten,
        under_way=under_way.ids,
    )
    return Reconciled(books, disagreements(books), (*(raw.unreadable if raw else ()), *under_way.unreadable))


def _windows(table: StateTable, keys: Collection[SymbolKey]) -> dict[SymbolKey, Sequence[Trade]]:
    return {key: stored.state.window for key, stored in table.read(sorted(keys)).items()}


def _version_of_readers(partition: SessionPartition, location: str | None) -> Manifest | None:
    """Return the manifest of the version that readers are sent to; `DamagedVersionError` if there is none to read."""
    name = version_of_location(location)
    if name is None:
        return None
    version = partition.version(name)
    if version.manifest is None:
        raise DamagedVersionError(f"the version that readers are sent to is damaged: {version.damage}")
    return version.manifest


def _files_of_readers(lake: LakeResource, location: str | None, folder: Path) -> Iterator[Path]:
    """Download the files that readers of the location read, whatever its manifest says."""
    for number, key in enumerate(data_files(lake.objects, location) if location else ()):
        path = folder / f"{number}.parquet"
        lake.objects.download(key, path)
        yield path


def _figures(done: Reconciled) -> dict[str, dg.MetadataValue]:
    """Return the figures, in which delivered = trades in raw files + repeats."""
    raw = done.books.raw
    curated = sum(counts.rows for counts in done.books.curated.values())
    figures = {"symbols": len(done.books.symbols), "published": curated, "in_realtime_table": len(done.books.windows)}
    if raw is not None:
        figures["delivered"] = sum(counts.delivered for counts in raw.values())
        figures["trades_in_raw_files"] = sum(counts.trades for counts in raw.values())
        figures["repeats"] = figures["delivered"] - figures["trades_in_raw_files"]
    return {
        **{name: dg.MetadataValue.int(value) for name, value in figures.items()},
        "raw_files_collected": dg.MetadataValue.bool(raw is None),
        "unreadable": dg.MetadataValue.json(list(done.unreadable)),
        "disagreements": dg.MetadataValue.int(len(done.found)),
    }


def _verdict(sessions: dict[str, Reconciled], failures: str) -> dg.AssetCheckResult:
    reasons = [failures] if failures else []
    reasons += [
        f"{session} {found.key.symbol} ({found.key.feed}): {found.reason}"
        for session, done in sessions.items()
        for found in done.found
    ]
    reasons += [f"{session}: {key} can't be read" for session, done in sessions.items() for key in done.unreadable]
    symbols = sorted({found.key.symbol for done in sessions.values() for found in done.found})
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not reasons,
        metadata={"symbols": symbols[:_NAMED], "reasons": reasons[:_NAMED], "reasons_in_all": len(reasons)},
        description="; ".join(reasons[:5]) or None,
    )
