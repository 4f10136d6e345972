"""Resources: what assets act on, as plain objects of the other packages. No asset logic here, and no settings of
their own: `definitions` fills them from `Settings`.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import dagster as dg
from pydantic import PrivateAttr

from stock_pipeline.aws.athena_compaction import athena_engine
from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.state_heartbeat import StateHeartbeat
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.redrive_pace import QueueDepth
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.garbage_collection import DEFAULT_GRACE, GarbageCollector
from stock_pipeline.redrive.redrive import Redrive
from stock_pipeline.redrive.wiring import dead_letter_queue, wired_redrive
from stock_pipeline.settings import Settings


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The lake's bucket and its catalog."""

    aws_region: str
    bucket_name: str
    database_name: str
    athena_workgroup: str | None = None
    """Compacts sessions larger than the megabytes below, if there is one."""
    athena_compaction_megabytes: int = 0

    _clients: Clients | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        self._clients = Clients(self.aws_region)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        cast(Clients, self._clients).close()

    def compactor(self) -> Compactor:
        compactor = Compactor(self.objects, self.catalog, now=_now)
        if self.athena_workgroup is None:
            return compactor
        client = cast(Clients, self._clients).athena
        sql_engine = athena_engine(client, self.athena_workgroup, self.catalog, time.sleep, _now)
        return replace(compactor, sql_engine=sql_engine, sql_engine_bytes=self.athena_compaction_megabytes * 10**6)

    def garbage_collector(self, grace: timedelta = DEFAULT_GRACE) -> GarbageCollector:
        # in an account nobody here may delete raw trades: they go by the bucket's lifecycle
        in_account = self.athena_workgroup is not None
        return GarbageCollector(self.objects, self.catalog, now=_now, grace=grace, keep_raw=in_account)

    @property
    def objects(self) -> ObjectStore:
        return ObjectStore(cast(Clients, self._clients).s3, self.bucket_name)

    @property
    def catalog(self) -> GlueCatalog:
        return GlueCatalog(cast(Clients, self._clients).glue, self.database_name, self.bucket_name)


class RedriveResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The dead-letter queue, and the way from it back into the stream. `environ`: the settings by variable."""

    environ: dict[str, str]

    _clients: Clients | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        self._clients = Clients(self._settings.aws_region)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        cast(Clients, self._clients).close()

    @property
    def environment(self) -> str:
        return self._settings.environment

    def has_queue(self) -> bool:
        return self._settings.dead_letter_queue_url is not None

    def depth(self) -> QueueDepth:
        return dead_letter_queue(cast(Clients, self._clients), self._settings).depth()

    def redrive(self, run_id: str, lines_per_second: int) -> Redrive:
        return wired_redrive(cast(Clients, self._clients), self._settings, run_id, lines_per_second)

    @property
    def _settings(self) -> Settings:
        return Settings.from_env(self.environ)


class RealtimeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The realtime table."""

    aws_region: str
    table_name: str
    average_windows: list[int]
    time_to_live_days: int

    _clients: Clients | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        self._clients = Clients(self.aws_region)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        cast(Clients, self._clients).close()

    def event_times_ns(self) -> Iterator[int]:
        return StateHeartbeat(cast(Clients, self._clients).dynamodb, self.table_name).event_times_ns()

    @property
    def table(self) -> StateTable:
        return StateTable(
            cast(Clients, self._clients).dynamodb, self.table_name, tuple(self.average_windows), self.time_to_live_days
        )


def _now() -> datetime:
    return datetime.now(UTC)
