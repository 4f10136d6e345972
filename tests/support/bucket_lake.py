"""A lake in a bucket with a Glue catalog, on loopback or in an account: raw files and published partitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import boto3

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.lake_layout import VersionPrefix, raw_key
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.unpublished_sessions import Refreshed, UnpublishedSessions, raw_folders
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades


@dataclass(frozen=True)
class BucketLake:
    session: boto3.Session
    bucket: str
    database: str
    endpoint: str | None = None

    @property
    def catalog(self) -> GlueCatalog:
        return GlueCatalog(self.client("glue"), self.database, self.bucket)

    def client(self, service: str) -> Any:
        """Return the service's client, made once, because making it costs more than most calls."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]
        return self._clients[service]

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def database_exists(self) -> bool:
        glue = self.client("glue")
        try:
            glue.get_database(Name=self.database)
        except glue.exceptions.EntityNotFoundException:
            return False
        return True

    def put_raw(self, trades: Sequence[Trade], batch: str, lacks: Sequence[str] = ()) -> None:
        """lacks: columns that files of an older release do not have."""
        by_date: dict[date, list[Trade]] = {}
        for one in trades:
            by_date.setdefault(feed_session_date(one.event_time_ns, one.feed), []).append(one)
        for session_date, rows in by_date.items():
            self.put_raw_file(session_date, rows, batch, lacks)
        self.refresh()

    def put_raw_file(self, session_date: date, trades: Sequence[Trade], batch: str, lacks: Sequence[str] = ()) -> None:
        self._put(raw_key(session_date, "shardId-000000000000", batch, batch, "0" * 16), trades, lacks)

    def refresh(self, now: datetime | None = None) -> Refreshed:
        """A tick of what registers unpublished sessions."""
        store = ObjectStore(self.client("s3"), self.bucket)
        sessions = UnpublishedSessions(store, self.catalog, lambda: now or datetime.now(UTC))
        return sessions.refresh(raw_folders(store))

    def publish(self, session_date: date, trades: Sequence[Trade], version: str, lacks: Sequence[str] = ()) -> None:
        place = VersionPrefix(session_date, version)
        self._put(place.data_key, trades, lacks)
        self.client("s3").put_object(Bucket=self.bucket, Key=place.manifest_key, Body=b"{}")
        self.catalog.publish(session_date, f"s3://{self.bucket}/{place.prefix}")

    def _put(self, key: str, trades: Sequence[Trade], lacks: Sequence[str]) -> None:
        table = table_of_trades(trades).drop_columns([*lacks])
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=parquet_bytes(table))
