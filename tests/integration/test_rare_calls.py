"""Paths that other tests walk in memory only, walked once on AWS services on loopback, so that their calls are
recorded.

What they do is tested elsewhere; here they have to reach their last call.
"""

import json
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from stock_pipeline.commands.serve import service_of
from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.redrive.wiring import wired_redrive
from stock_pipeline.streaming.publisher import FailedZone
from stock_pipeline.streaming.record_packing import PackedRecord
from stock_pipeline.streaming.trade_json import encode_trade
from stock_pipeline.wiring import Wiring, utc_now
from tests.support.raw_files import put_raw_file
from tests.support.redrive_world import EVENTS, failed_batch
from tests.support.trades import trade

DAY = date(2018, 1, 2)
LONG = b"x" * 2_000_000
"""More than a message takes."""


@pytest.fixture
def wiring(stack: LocalStack) -> Wiring:
    """The parts as an account has them, on the stack's services."""
    return Wiring(replace(stack.settings, dbt_target="athena"), stack.clients)


def test_what_a_collection_deletes_and_tags(wiring: Wiring) -> None:
    for number in (1, 2):
        put_raw_file(wiring.objects, DAY, number)
        Compactor(wiring.objects, wiring.catalog, utc_now).compact(DAY)
    (garbage,) = wiring.garbage_collector(timedelta(0)).collect()
    assert (len(garbage.versions), garbage.raw_files) == (1, 2)


def answers(stack: LocalStack, *results: tuple[Sequence[str], Sequence[str], Sequence[str]]) -> None:
    """Tell moto's Athena what it answers next: names, types and one row of each query with an answer."""
    body = {
        "results": [
            {
                "rows": [{"Data": [{"VarCharValue": cell} for cell in row]} for row in (names, values)],
                "column_info": [
                    {
                        "CatalogName": "hive",
                        "SchemaName": "",
                        "TableName": "",
                        "Label": name,
                        "Name": name,
                        "Type": kind,
                    }
                    for name, kind in zip(names, types, strict=True)
                ],
            }
            for names, types, values in results
        ],
        "region": stack.settings.aws_region,
    }
    url = f"{stack.endpoint}/moto-api/static/athena/query-results"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method="POST")).close()


def test_what_athena_is_asked_to_compact(stack: LocalStack, wiring: Wiring) -> None:
    key = put_raw_file(wiring.objects, DAY, 1)
    figures = (
        "rows_in",
        "trades",
        "distinct_ids",
        "ids_hash",
        "volume",
        "volume_fraction",
        "rows_hash",
        "earliest",
        "latest",
    )
    types = ["bigint"] * len(figures)
    read, written = ([rows_in, "1", "1", "7", "100", "0", "9", "1", "2"] for rows_in in ("1", "0"))
    answers(
        stack,
        (("path", "trades", "strangers"), ("varchar", "bigint", "bigint"), (wiring.objects.uri(key), "1", "0")),
        (figures, types, read),
        (("rows",), ("bigint",), ("1",)),  # of the UNLOAD, which nobody reads
        (figures, types, written),
    )
    compactor = Compactor(wiring.objects, wiring.catalog, utc_now, sql_queries=wiring.sql_queries, sql_bytes=0)
    report = compactor.compact(DAY)
    assert report.published


def test_what_a_producer_keeps(wiring: Wiring) -> None:
    unreadable = UnreadablePayload(Reason.VALUE, "too long", LONG)
    nothing_left = 0  # the deadline has passed, so the stream gets nothing
    report = wiring.producer.run([Capture((trade(1),), unreadable=(unreadable,))], nothing_left)
    assert (report.kept, report.unreadable) == (1, 1)


def test_what_redrive_reads_again_and_hands_back(stack: LocalStack, wiring: Wiring) -> None:
    wiring.objects.put("aws/lambda/failed.json", failed_batch([encode_trade(trade(2)), b"no line of a trade"]))
    created = json.loads((EVENTS / "s3_object_created.json").read_text())
    place = created["Records"][0]["s3"]
    place["bucket"]["name"], place["object"]["key"] = wiring.objects.bucket, "aws/lambda/failed.json"
    oversized = {
        "kind": "unreadable_payload",
        "reason": "value",
        "document": wiring.objects.uri("quarantine/oversized/x"),
    }
    for body in (created, oversized):
        stack.clients.sqs.send_message(QueueUrl=wiring.dead_letters.url, MessageBody=json.dumps(body))
    FailedZone(wiring.objects, wiring.dead_letters).keep([PackedRecord("bucket-0001", b"{}", 1)], "throttled")
    report = wired_redrive(wiring, "run").run(10, time.time_ns() + 60 * 10**9)
    assert report.counts == {"left": 2, "published": 1, "parked": 1}  # the rejected line came back to the queue


def test_what_the_page_reads_in_an_account(stack: LocalStack, wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ENDPOINT_URL", stack.endpoint), ("ACCESS_KEY_ID", "local"), ("SECRET_ACCESS_KEY", "local")):
        monkeypatch.setenv(f"AWS_{name}", value)
    topic = stack.clients.sns.create_topic(Name="alerts")["TopicArn"]
    service = service_of(Wiring(replace(wiring.settings, alert_topic_arn=topic), stack.clients))
    answers(stack, (("symbol", "feed", "close"), ("varchar", "varchar", "decimal"), ("ABC", "sim", "10.5")))
    key = SymbolKey("ABC", "sim")
    assert service.newest_trades(key) == ()
    assert service.history.previous_closes(DAY) == {key: Decimal("10.5")}
    assert service.facts.pipeline.get().alarms == []
