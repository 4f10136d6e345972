"""The committed contract is the code's."""

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

from stock_pipeline.domain.trade import FIELDS, Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.streaming.contract import schema_text, trade_json_schema
from stock_pipeline.streaming.trade_json import TradeRecord, decode_trade
from tests.support.odd_lines import odd_lines

COMMITTED = Path(__file__).parents[2] / "contracts" / "trade.v2.schema.json"


def test_the_committed_schema_is_the_generated_one() -> None:
    assert COMMITTED.read_text() == schema_text()


def test_schema_record_and_trade_have_the_same_fields() -> None:
    assert list(trade_json_schema()["properties"]) == list(FIELDS)
    assert [field.name for field in fields(Trade)] == list(TradeRecord.__struct_fields__)


@pytest.mark.parametrize("line", odd_lines(), ids=lambda p: repr(p[:40]) + str(len(p)))
def test_whatever_the_decoder_accepts_the_schema_accepts(line: bytes) -> None:
    try:
        decode_trade(line)
    except InvalidTradeError:
        return
    jsonschema.validate(json.loads(line), trade_json_schema())
