"""`state rebuild` as an operator types it, on AWS services on loopback."""

from typing import Any

import pytest

from stock_pipeline.cli import main
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.kinesis_events import kinesis_event
from tests.support.trades import SESSION, trade

pytestmark = pytest.mark.xdist_group("lake")

SYMBOLS = ("ABC", "MNO", "XYZ")


def stream(stack: LocalStack) -> None:
    """Let the processor have trades of three symbols; the first two batches are compacted, the third is not."""
    wiring = stack.wiring
    processor = Processor(
        wiring.dead_letters, wiring.objects, wiring.state_table, wiring.settings.moving_average_windows, wiring.wait
    )
    for batch in range(3):
        rows = [
            trade(n, symbol=symbol, event_id=f"sim:{symbol}:{n}")
            for n in range(batch * 20, batch * 20 + 20)
            for symbol in SYMBOLS
        ]
        processor.handle(kinesis_event([encode_trade(row) for row in rows], first=1 + batch * 1_000))
        if batch == 1:
            wiring.compactor().compact(SESSION)


def items(stack: LocalStack, table: str) -> list[Any]:
    found = stack.clients.dynamodb.scan(TableName=table)["Items"]
    return sorted(found, key=lambda item: item["symbol"]["S"])


def empty(stack: LocalStack, table: str) -> None:
    for item in items(stack, table):
        key = {"symbol": item["symbol"], "feed": item["feed"]}
        stack.clients.dynamodb.delete_item(TableName=table, Key=key)


def test_a_lost_table_is_as_before(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    stream(stack)
    table = stack.settings.state_table_name
    before = items(stack, table)
    assert len(before) == len(SYMBOLS)
    empty(stack, table)
    assert main(["state", "rebuild", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "3 items: 3 would change" in said
    assert "ABC (sim): no item → 30 trades, 69.5 at 2018-01-02 17:00:59" in said
    assert items(stack, table) == []
    assert main(["state", "rebuild"]) == 0
    assert "1 raw files" in capsys.readouterr().out
    assert items(stack, table) == before
    assert main(["state", "rebuild"]) == 0
    assert "0 were written" in capsys.readouterr().out


def test_one_poisoned_item_is_replaced(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    stream(stack)
    table = stack.settings.state_table_name
    before = items(stack, table)
    torn = {**before[0], "trade_window": {"B": b"no window"}, "price": {"N": "1"}}
    stack.clients.dynamodb.put_item(TableName=table, Item=torn)
    assert main(["state", "rebuild"]) == 1
    assert "`stock-pipeline state rebuild --symbol ABC --replace`" in capsys.readouterr().err
    assert main(["state", "rebuild", "--symbol", "ABC", "--replace", "--dry-run"]) == 0
    assert main(["state", "rebuild", "--symbol", "ABC", "--replace"]) == 0
    assert items(stack, table) == before


def test_a_rehearsal_writes_another_table(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    stream(stack)
    live = items(stack, stack.settings.state_table_name)
    assert main(["state", "rebuild", "--table", "restored"]) == 1
    assert "there is no table restored" in capsys.readouterr().err
    described = stack.clients.dynamodb.describe_table(TableName=stack.settings.state_table_name)["Table"]
    stack.clients.dynamodb.create_table(
        TableName="restored",
        KeySchema=described["KeySchema"],
        AttributeDefinitions=described["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
    )
    assert main(["state", "rebuild", "--table", "restored"]) == 0
    assert items(stack, "restored") == live == items(stack, stack.settings.state_table_name)


def test_a_symbol_without_trades_is_named(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    stream(stack)
    assert main(["state", "rebuild", "--symbol", "NONE"]) == 0
    assert "no trades that the table remembers in these sessions: NONE" in capsys.readouterr().out
