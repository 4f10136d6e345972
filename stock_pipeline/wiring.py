"""The composition root: makes the pipeline's parts from settings and boto3 clients.

Every entrypoint takes its parts from here. What a part does belongs to its package, and `Redrive` to `redrive.wiring`.

The top imports what Lambda functions need, so that a cold start has it before the first event. Methods import the lake,
because Lambda packages have no polars, and the realtime table, because only the processor's has numpy.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.checkpoint_object import CheckpointObject
from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.kinesis_stream import KinesisStream
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.secrets import SecretReader
from stock_pipeline.aws.state_heartbeat import StateHeartbeat
from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.lake_layout import checkpoint_key
from stock_pipeline.domain.session import use_unplanned
from stock_pipeline.providers.client.credentials import Credentials
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.back_off import back_off
from stock_pipeline.streaming.ports import Leftovers
from stock_pipeline.streaming.producer import Producer
from stock_pipeline.streaming.publisher import FailedZone, Publisher
from stock_pipeline.streaming.record_encoding import ENCODINGS

if TYPE_CHECKING:
    from stock_pipeline.aws.athena import Athena
    from stock_pipeline.aws.athena_compaction import AthenaEngine
    from stock_pipeline.aws.iceberg_tables import IcebergTables
    from stock_pipeline.aws.state_table import StateTable
    from stock_pipeline.lake.compaction import Compactor
    from stock_pipeline.lake.corporate_actions import CorporateActionLog
    from stock_pipeline.lake.garbage_collection import GarbageCollector
    from stock_pipeline.lake.session_partition import SessionPartition
    from stock_pipeline.lake.unpublished_sessions import UnpublishedSessions


def utc_now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Wiring:
    """Parts of one environment, each made when it is first asked for."""

    settings: Settings
    clients: Clients

    @classmethod
    def of(cls, settings: Settings, hurried: bool = False) -> "Wiring":
        """Return the parts with new clients, which stay open as in a Lambda's process."""
        use_unplanned(settings.unplanned_days)
        return cls(settings, Clients(settings.aws_region, hurried=hurried))

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator["Wiring"]:
        """Yield the parts, and close their clients at the end."""
        wiring = cls.of(settings)
        with closing(wiring.clients):
            yield wiring

    @cached_property
    def objects(self) -> ObjectStore:
        return ObjectStore(self.clients.s3, self.settings.bucket_name)

    @cached_property
    def dead_letters(self) -> SqsQueue:
        return SqsQueue(self.clients.sqs, self.settings.require_dead_letter_queue_url(), oversized=self.objects)

    @cached_property
    def stream(self) -> KinesisStream:
        return KinesisStream(self.clients.kinesis, self.settings.stream_name)

    @cached_property
    def wait(self) -> Callable[[int], None]:
        return back_off(time.sleep, Random())

    def publisher(self, leftovers: Leftovers | None = None) -> Publisher:
        """Return a publisher into the stream.

        leftovers: keeps what the stream refuses; by default the lake's `failed/` zone.
        """
        return Publisher(
            stream=self.stream,
            leftovers=leftovers or FailedZone(self.objects, self.dead_letters),
            buckets=self.settings.partition_buckets,
            now_ns=time.time_ns,
            wait=self.wait,
            encoding=ENCODINGS[self.settings.stream_encoding],
        )

    @cached_property
    def producer(self) -> Producer:
        return Producer(self.publisher(), self.dead_letters)

    def checkpoints(self, name: str) -> CheckpointObject:
        """Return the place of a position in the settings' feed.

        name: of the provider or stream.
        """
        return CheckpointObject(self.objects, checkpoint_key(name, self.settings.feed))

    @property
    def arrival_limits(self) -> ArrivalLimits:
        return ArrivalLimits(self.settings.future_tolerance_seconds, self.settings.state_ttl_days)

    def source_read_to_ns(self) -> int | None:
        """Return until when the provider's source was read, if a checkpoint says so."""
        from stock_pipeline.providers.read_position import alpaca_read_to_ns

        if self.settings.provider != "alpaca":
            return None
        try:
            return alpaca_read_to_ns(self.checkpoints("alpaca").load(), self.checkpoints("alpaca-stream").load())
        except (ValueError, KeyError, TypeError):
            return None  # a torn checkpoint: the producer says so, and alarms

    @cached_property
    def secrets(self) -> SecretReader:
        return SecretReader(self.clients.secretsmanager, time.monotonic_ns)

    def credentials(self) -> Credentials:
        """Read the provider's key, which `secrets` remembers for a while."""
        name = self.settings.provider_secret_name
        fields = self.secrets.read(name)
        return Credentials(f"the secret {name}", fields["key"], fields.get("secret", ""))

    def renew_credentials(self) -> bool:
        """Read the refused key again, at most once a minute; return True if it is another one by now."""
        refused = self.credentials()
        self.secrets.renew(self.settings.provider_secret_name)
        return self.credentials() != refused

    @cached_property
    def state_table(self) -> "StateTable":
        from stock_pipeline.aws.state_table import StateTable  # with numpy, which only the processor's package has

        settings = self.settings
        return StateTable(
            self.clients.dynamodb,
            settings.state_table_name,
            settings.moving_average_windows,
            settings.state_ttl_days,
            self.wait,
        )

    @cached_property
    def state_heartbeat(self) -> StateHeartbeat:
        return StateHeartbeat(self.clients.dynamodb, self.settings.state_table_name)

    @cached_property
    def catalog(self) -> GlueCatalog:
        return GlueCatalog(self.clients.glue, self.settings.database_name, self.settings.bucket_name)

    @cached_property
    def athena(self) -> "Athena":
        """Athena, polled for as long as its longest query takes."""
        from stock_pipeline.aws.athena import LONGEST_POLLS, RESULTS_PREFIX, Athena

        settings = self.settings
        return Athena(
            self.clients.athena,
            settings.athena_workgroup,
            settings.database_name,
            time.sleep,
            output=f"s3://{settings.bucket_name}/{RESULTS_PREFIX}",
            polls=LONGEST_POLLS,
        )

    @cached_property
    def sql_queries(self) -> "AthenaEngine | None":
        """The engine of large sessions; None on a laptop."""
        from stock_pipeline.aws.athena_compaction import AthenaEngine

        if self.settings.dbt_target != "athena":
            return None
        return AthenaEngine(self.athena, self.catalog, self.objects, utc_now)

    @cached_property
    def iceberg_tables(self) -> "IcebergTables":
        from stock_pipeline.aws.iceberg_tables import IcebergTables

        return IcebergTables(self.athena, self.clients.glue, self.settings.bucket_name)

    def compactor(self) -> "Compactor":
        from stock_pipeline.lake.compaction import Compactor

        sql_bytes = self.settings.athena_compaction_megabytes * 10**6
        return Compactor(self.objects, self.catalog, utc_now, sql_queries=self.sql_queries, sql_bytes=sql_bytes)

    def partition(self, session_date: date) -> "SessionPartition":
        from stock_pipeline.lake.session_partition import SessionPartition

        return SessionPartition(self.objects, self.catalog, utc_now, session_date)

    def garbage_collector(self, grace: timedelta) -> "GarbageCollector":
        """Return the collector of what was superseded for longer than `grace`.

        In an account the bucket's lifecycle deletes compacted raw files.
        """
        from stock_pipeline.lake.garbage_collection import GarbageCollector

        expire_raw = self.settings.dbt_target == "athena"
        return GarbageCollector(self.objects, self.catalog, utc_now, grace, expire_raw)

    def unpublished_sessions(self) -> "UnpublishedSessions":
        from stock_pipeline.lake.unpublished_sessions import UnpublishedSessions

        return UnpublishedSessions(self.objects, self.catalog, utc_now)

    def corporate_action_log(self) -> "CorporateActionLog":
        from stock_pipeline.lake.corporate_actions import CorporateActionLog

        return CorporateActionLog(self.objects)
