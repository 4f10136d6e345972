"""The restore drill: lose each part of a local stack, do what docs/restore.md says, and compare with what was there."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from stock_pipeline.cli import main
from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.lake_layout import VersionPrefix
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.redrive.wiring import wired_redrive
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.kinesis_events import NOON, kinesis_event
from tests.support.trades import SESSION, trade

SYMBOLS = tuple(f"S{number:03}" for number in range(50))
BATCHES = 4


class Drilled(NamedTuple):
    """lost: what was lost.

    compared: what is as it was before, or "" if it was not tried here.
    not_tried: what only an account can show.
    trades: that were read, where a rebuild's speed is of interest.
    """

    lost: str
    seconds: float
    compared: str
    not_tried: str = ""
    failure: str = ""
    trades: int = 0


class NotRestoredError(Exception):
    """What is there now is not what was there before."""


@dataclass(frozen=True)
class World:
    """A stack with a bucket that keeps versions, as an account's. trades_a_batch: for each symbol."""

    stack: LocalStack
    trades_a_batch: int = 50

    @property
    def s3(self) -> Any:
        return self.stack.clients.s3

    @property
    def dynamodb(self) -> Any:
        return self.stack.clients.dynamodb

    @property
    def bucket(self) -> str:
        return self.stack.settings.bucket_name

    @property
    def table(self) -> str:
        return self.stack.settings.state_table_name

    @property
    def trades(self) -> int:
        return BATCHES * self.trades_a_batch * len(SYMBOLS)

    def fill(self) -> None:
        """Stream a session; half of it is compacted, a raw file is not, and a version was superseded."""
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        for batch in range(BATCHES):
            self.process(batch)
            if batch in (1, 2):
                self.stack.wiring.compactor().compact(SESSION)
        type_in("catalog", "rebuild")

    def process(self, batch: int, limits: ArrivalLimits = ArrivalLimits()) -> None:  # noqa: B008
        """Let the processor have a batch of trades of all symbols."""
        numbers = range(batch * self.trades_a_batch, (batch + 1) * self.trades_a_batch)
        rows = [trade(n, symbol=name, event_id=f"sim:{name}:{n}") for n in numbers for name in SYMBOLS]
        lines = [encode_trade(row) for row in rows]
        packed = [b"\n".join(lines[start : start + 100]) for start in range(0, len(lines), 100)]
        self.process_records(packed, 1 + batch * 10**6, limits)

    def process_records(
        self,
        records: Sequence[bytes],
        first: int = 1 + 10**8,
        limits: ArrivalLimits = ArrivalLimits(),  # noqa: B008
    ) -> None:
        wiring = self.stack.wiring
        windows = wiring.settings.moving_average_windows
        processor = Processor(wiring.dead_letters, wiring.objects, wiring.state_table, windows, wiring.wait, limits)
        answer = processor.handle(kinesis_event(records, first=first, arrived_at=NOON + 86_400))
        if answer != {"batchItemFailures": []}:
            raise NotRestoredError(f"the processor did not take the drill's trades: {answer}")

    def stream(self) -> list[bytes]:
        """Every record that the stream has."""
        kinesis, name = self.stack.clients.kinesis, self.stack.settings.stream_name
        records: list[bytes] = []
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            place = kinesis.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while found := (answer := kinesis.get_records(ShardIterator=place))["Records"]:
                records += [record["Data"] for record in found]
                place = answer["NextShardIterator"]
        return records

    def items(self) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.table)
        return sorted((item for page in pages for item in page["Items"]), key=lambda item: str(item["symbol"]))

    def objects(self) -> dict[str, str]:
        return {listed.key: listed.etag for listed in self.stack.wiring.objects.list("")}

    def catalog(self) -> dict[str, Any]:
        catalog = self.stack.wiring.catalog
        tables = self.stack.clients.glue.get_tables(DatabaseName=self.stack.settings.database_name)["TableList"]
        return {
            "published": catalog.published_locations(),
            "unpublished": sorted(catalog.unpublished_sessions()),
            "tables": {table["Name"]: table["StorageDescriptor"]["Columns"] for table in tables},
        }


def type_in(*arguments: str) -> str:
    """Type a command of stock-pipeline; return what it said."""
    said = io.StringIO()
    with redirect_stdout(said):
        if main(list(arguments)):
            raise NotRestoredError(f"stock-pipeline {' '.join(arguments)} failed: {said.getvalue()}")
    return said.getvalue()


def compare(what: str, before: Any, now: Any) -> str:
    if before != now:
        raise NotRestoredError(f"{what} differ from what was there before")
    if not before:
        raise NotRestoredError(f"there were no {what} to lose")
    return f"{len(before):,} {what} as before"


def table_lost(world: World) -> Drilled:
    before = world.items()
    described = world.dynamodb.describe_table(TableName=world.table)["Table"]
    world.dynamodb.delete_table(TableName=world.table)
    started = time.monotonic()
    world.dynamodb.create_table(
        TableName=world.table,
        KeySchema=described["KeySchema"],
        AttributeDefinitions=described["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
    )
    type_in("state", "rebuild")
    seconds = time.monotonic() - started
    same = compare("items", before, world.items())
    missing = "point-in-time recovery, Terraform making the table"
    return Drilled("realtime table", seconds, same, missing, trades=world.trades)


def table_poisoned(world: World) -> Drilled:
    before = world.items()
    table = world.stack.wiring.state_table
    for item in before[:10]:
        key = {"symbol": item["symbol"], "feed": item["feed"]}
        world.dynamodb.delete_item(TableName=world.table, Key=key)
    # prices of a bad release, which every merge would keep, and a window that nobody can read
    for item in before[10:20]:
        ((symbol_key, stored),) = table.read([_key(item)]).items()
        wrong = stored.state.merged_with(
            [replace(row, price=row.price + Decimal(1_000), version=9) for row in stored.state.window],
            table.average_windows,
        )
        table.write(wrong, stored.revision)
        assert symbol_key == wrong.key
    torn = before[20] | {"trade_window": {"B": b"torn"}}
    world.dynamodb.put_item(TableName=world.table, Item=torn)
    started = time.monotonic()
    type_in("state", "rebuild", "--replace", "--dry-run")
    type_in("state", "rebuild", "--replace")
    return Drilled("wrong items", time.monotonic() - started, compare("items", before, world.items()))


def session_damaged(world: World) -> Drilled:
    before, rows = world.catalog()["published"], world_rows(world)
    version = world.stack.wiring.partition(SESSION).published()
    assert version is not None
    assert version.manifest is not None
    for key in version.manifest.data_keys:
        world.s3.delete_object(Bucket=world.bucket, Key=key)
    started = time.monotonic()
    type_in("compact", "--session", f"{SESSION}")
    seconds = time.monotonic() - started
    if world.catalog()["published"].keys() != before.keys():
        raise NotRestoredError("the session is not published any more")
    return Drilled("a session's data", seconds, compare("trades", rows, world_rows(world)))


def object_overwritten(world: World) -> Drilled:
    version = world.stack.wiring.partition(SESSION).published()
    assert version is not None
    place: VersionPrefix = version.place
    before = world.objects()
    world.s3.put_object(Bucket=world.bucket, Key=place.manifest_key, Body=b"torn")
    started = time.monotonic()
    _bring_back(world.s3, world.bucket, place.manifest_key)
    seconds = time.monotonic() - started
    return Drilled("an overwritten object", seconds, compare("objects", before, world.objects()))


def bucket_emptied(world: World) -> Drilled:
    before, items = world.objects(), world.items()
    kept = _delete_markers(world)
    for key in before:
        world.s3.delete_object(Bucket=world.bucket, Key=key)
    if world.objects():
        raise NotRestoredError("the bucket was not emptied")
    started = time.monotonic()
    for key, version in _delete_markers(world) - kept:
        world.s3.delete_object(Bucket=world.bucket, Key=key, VersionId=version)
    type_in("catalog", "rebuild")
    type_in("state", "rebuild")
    seconds = time.monotonic() - started
    compare("items", items, world.items())
    missing = "the bucket itself: its versions are gone with it"
    return Drilled("all objects", seconds, compare("objects", before, world.objects()), missing)


def catalog_lost(world: World) -> Drilled:
    before = world.catalog()
    world.stack.clients.glue.delete_database(Name=world.stack.settings.database_name)
    started = time.monotonic()
    type_in("catalog", "rebuild")
    seconds = time.monotonic() - started
    compare("tables", before["tables"], world.catalog()["tables"])
    return Drilled("catalog", seconds, compare("sections of the catalog", before, world.catalog()), "dbt's marts")


def state_file_lost(world: World) -> Drilled:
    bucket, key = "drill-state", "stock-pipeline/dev.tfstate"
    world.s3.create_bucket(Bucket=bucket)
    world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    before = b'{"serial": 7}'
    world.s3.put_object(Bucket=bucket, Key=key, Body=before)
    world.s3.put_object(Bucket=bucket, Key=key, Body=b"")
    started = time.monotonic()
    _bring_back(world.s3, bucket, key)
    seconds = time.monotonic() - started
    same = compare("bytes", before, world.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return Drilled("Terraform's state", seconds, same, "plan and import")


def bad_release(world: World) -> Drilled:
    """A release rejects every trade as one of the future. The release before is back, and redrive brings them in."""
    world.process(BATCHES, ArrivalLimits(ahead_seconds=-(10**6)))
    rejected = world.trades_a_batch * len(SYMBOLS)
    rows, items = world_rows(world), world.items()
    started = time.monotonic()
    wired_redrive(world.stack.wiring, "drill", 100_000).run(10**6, time.time_ns() + 300 * 10**9)
    world.process_records(world.stream())
    seconds = time.monotonic() - started
    if len(world_rows(world)) != len(rows) + rejected or world.items() == items:
        raise NotRestoredError("not all trades that the bad release rejected came back")
    return Drilled("bad release", seconds, f"{rejected:,} rejected trades came back", "the deployment before")


STEPS: tuple[Callable[[World], Drilled], ...] = (
    table_lost,
    table_poisoned,
    object_overwritten,
    session_damaged,
    bucket_emptied,
    catalog_lost,
    state_file_lost,
    bad_release,
)


def drill(world: World, steps: tuple[Callable[[World], Drilled], ...]) -> Iterator[Drilled]:
    """Do the steps one by one; a step that fails is told, and the others are done."""
    for step in steps:
        try:
            yield step(world)
        except Exception as error:
            yield Drilled(step.__name__.replace("_", " "), 0, "", failure=f"{type(error).__name__}: {error}")


def world_rows(world: World) -> list[str]:
    """The ids of the trades that readers of the catalog and of unpublished files see."""
    partition = world.stack.wiring.partition(SESSION)
    published = partition.published()
    assert published is not None
    assert published.manifest is not None
    keys = [
        *published.manifest.data_keys,
        *(file.key for file in partition.raw_files() if file not in published.manifest.known_files),
    ]
    ids: set[str] = set()
    for key in keys:
        ids.update(pq.read_table(io.BytesIO(world.stack.wiring.objects.get(key)))["event_id"].to_pylist())
    return sorted(ids)


def _key(item: dict[str, Any]) -> SymbolKey:
    return SymbolKey(item["symbol"]["S"], item["feed"]["S"])


def _delete_markers(world: World) -> set[tuple[str, str]]:
    pages = world.s3.get_paginator("list_object_versions").paginate(Bucket=world.bucket)
    return {(m["Key"], m["VersionId"]) for page in pages for m in page.get("DeleteMarkers", ()) if m["IsLatest"]}


def _bring_back(s3: Any, bucket: str, key: str) -> None:
    """Copy the version before the current one over it."""
    versions = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    before = next(each["VersionId"] for each in versions if not each["IsLatest"])
    s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key, "VersionId": before})
