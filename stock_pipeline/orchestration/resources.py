"""Resources: what assets act on, as plain objects of the other packages.

Neither asset logic nor wiring belongs here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import dagster as dg
from pydantic import PrivateAttr

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.iceberg_tables import IcebergTables
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.shown_state import ShownState, ShownStates
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.redrive_pace import QueueDepth
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.garbage_collection import DEFAULT_GRACE, GarbageCollector
from stock_pipeline.lake.reopened_sessions import Sweep
from stock_pipeline.lake.session_partition import SessionPartition
from stock_pipeline.lake.unpublished_sessions import UnpublishedSessions
from stock_pipeline.redrive.redrive import Redrive
from stock_pipeline.redrive.wiring import wired_redrive
from stock_pipeline.settings import Settings
from stock_pipeline.wiring import Wiring


class WiredResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Parts of one environment, open during a run or tick.

    environ: the settings, by variable.
    """

    environ: dict[str, str]

    _wiring: Wiring = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["WiredResource"]:  # noqa: ARG002
        with Wiring.open(Settings.from_env(self.environ)) as wiring:
            self._wiring = wiring
            yield self

    @property
    def wiring(self) -> Wiring:
        return self._wiring

    @property
    def settings(self) -> Settings:
        return self._wiring.settings


class LakeResource(WiredResource):
    """The lake's bucket and its catalog."""

    def compactor(self) -> Compactor:
        return self.wiring.compactor()

    def partition(self, session_date: date) -> SessionPartition:
        return self.wiring.partition(session_date)

    def garbage_collector(self, grace: timedelta = DEFAULT_GRACE) -> GarbageCollector:
        return self.wiring.garbage_collector(grace)

    def unpublished_sessions(self) -> UnpublishedSessions:
        return self.wiring.unpublished_sessions()

    def source_read_to_ns(self) -> int | None:
        return self.wiring.source_read_to_ns()

    def sweep(self) -> Sweep:
        return Sweep(self.objects, self.compactor())

    def iceberg_tables(self) -> IcebergTables:
        return self.wiring.iceberg_tables

    @property
    def objects(self) -> ObjectStore:
        return self.wiring.objects

    @property
    def catalog(self) -> GlueCatalog:
        return self.wiring.catalog


class RedriveResource(WiredResource):
    """The dead-letter queue, and the way from it back into the stream."""

    def has_queue(self) -> bool:
        return self.settings.dead_letter_queue_url is not None

    def depth(self) -> QueueDepth:
        return self.wiring.dead_letters.depth()

    def redrive(self, run_id: str, lines_per_second: int) -> Redrive:
        return wired_redrive(self.wiring, run_id, lines_per_second)


class RealtimeResource(WiredResource):
    """The realtime table."""

    def event_times_ns(self) -> Iterator[int]:
        return self.wiring.state_heartbeat.event_times_ns()

    def shown(self) -> Iterator[ShownState]:
        settings = self.settings
        return ShownStates(
            self.wiring.clients.dynamodb, settings.state_table_name, settings.moving_average_windows
        ).read()

    @property
    def table(self) -> StateTable:
        return self.wiring.state_table
