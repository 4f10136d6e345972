"""Reconciliation of a session: each place's counts, and the check that they agree."""

import tempfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.reconciliation import Disagreement, SessionBooks, disagreements
from stock_pipeline.errors import PermanentError
from stock_pipeline.lake.session_counts import RawSession, count_curated, count_raw, data_files
from stock_pipeline.orchestration.freshness import POLICY
from stock_pipeline.orchestration.owners import OWNERS
from stock_pipeline.orchestration.partitions import SESSIONS_A_RUN, session_partitions
from stock_pipeline.orchestration.resources import LakeResource, RealtimeResource
from stock_pipeline.wiring import utc_now

CHECK = "places_agree"

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


def reconciliation() -> dg.AssetsDefinition:
    @dg.asset(
        name="reconciliation",
        deps=["trades"],
        partitions_def=session_partitions(),
        group_name="lake",
        kinds={"s3", "dynamodb"},
        owners=OWNERS,
        code_version="1",
        freshness_policy=POLICY,
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
        sessions: dict[str, Reconciled] = {}
        failures: list[str] = []
        for key in context.partition_keys:
            try:
                sessions[key] = reconcile(lake, realtime.table, date.fromisoformat(key), utc_now())
            except PermanentError as error:
                failures.append(f"{key}: {error}")
                continue
            context.add_asset_metadata(_figures(sessions[key]), partition_key=key)
        yield dg.MaterializeResult(check_results=[_verdict(sessions, failures)])

    return reconciled


def reconcile(lake: LakeResource, table: StateTable, session_date: date, now: datetime) -> Reconciled:
    capacity = window_capacity(table.average_windows)
    with tempfile.TemporaryDirectory(prefix="reconciliation-") as folder:
        curated_files = list(_published_files(lake, session_date, Path(folder)))
        curated = count_curated(curated_files, capacity)
        raw = _raw(lake, session_date, Path(folder))
    keys = sorted({*curated, *(raw.counts if raw else ()), *table.keys_of_session(session_date)})
    windows = {key: stored.state.window for key, stored in table.read(keys).items()}
    forgotten = timedelta(days=table.time_to_live_days) if table.time_to_live_days else timedelta.max
    books = SessionBooks(
        session_date=session_date,
        raw=raw.counts if raw else None,
        curated=curated,
        windows=windows,
        capacity=capacity,
        expired=now.date() - session_date >= forgotten,
    )
    return Reconciled(books, disagreements(books), raw.unreadable if raw else ())


def _published_files(lake: LakeResource, session_date: date, folder: Path) -> Iterator[Path]:
    """Download the files that readers of the catalog read."""
    location = lake.catalog.published_location(session_date)
    for number, key in enumerate(data_files(lake.objects, location) if location else ()):
        path = folder / f"{number}.parquet"
        lake.objects.download(key, path)
        yield path


def _raw(lake: LakeResource, session_date: date, folder: Path) -> RawSession | None:
    """Count the raw files; None if garbage collection took some of the published version's."""
    partition = lake.partition(session_date)
    listed = partition.raw_files()
    published = partition.published()
    if published and published.manifest and not {*published.manifest.inputs} <= {*listed}:
        return None
    return count_raw(lake.objects, listed, folder)


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


def _verdict(sessions: dict[str, Reconciled], failures: Sequence[str]) -> dg.AssetCheckResult:
    """failures: of sessions that could not be counted."""
    reasons = [
        *failures,
        *(
            f"{session} {found.key.symbol} ({found.key.feed}): {found.reason}"
            for session, done in sessions.items()
            for found in done.found
        ),
    ]
    reasons += [f"{session}: {key} can't be read" for session, done in sessions.items() for key in done.unreadable]
    symbols = sorted({found.key.symbol for done in sessions.values() for found in done.found})
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not failures and all(done.agrees for done in sessions.values()),
        metadata={"symbols": symbols[:_NAMED], "reasons": reasons[:_NAMED], "reasons_in_all": len(reasons)},
        description="; ".join(reasons[:5]) or None,
    )
