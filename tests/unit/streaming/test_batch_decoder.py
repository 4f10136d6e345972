"""The fast path against the strict one, over input that is odd in ways known to divide parsers."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.streaming import batch_decoder
from stock_pipeline.streaming.batch_decoder import decode_batch, decode_strict
from stock_pipeline.streaming.kinesis_event import StreamBatch, StreamRecord
from stock_pipeline.streaming.trade_json import decode_trade, encode_trade, plain_values
from stock_pipeline.trade_table import fields_of, table_of_rows, table_of_trades, trades_of_table
from tests.support.odd_lines import line, odd_lines
from tests.support.strategies import trades
from tests.support.trades import NOON, trade


def batch(*payloads: bytes) -> StreamBatch:
    records = [StreamRecord(str(n), "bucket-0001", payload, 1.0) for n, payload in enumerate(payloads)]
    return StreamBatch("shardId-000000000000", tuple(records))


def verdict(payload: bytes) -> Any:
    try:
        return decode_trade(payload)
    except InvalidTradeError as error:
        return error.reason


@pytest.mark.parametrize("payload", odd_lines(), ids=lambda p: repr(p[:40]) + str(len(p)))
def test_the_fast_path_never_differs_from_the_strict_path(payload: bytes) -> None:
    for company in ([payload], [encode_trade(trade(1)), payload], [payload, encode_trade(trade(1))]):
        whole = batch(*company)
        fast = batch_decoder._decode_fast(whole)
        if fast is not None:
            strict = decode_strict(whole)
            assert strict.rejections == ()
            assert fast.trades.equals(strict.trades)
            assert np.array_equal(fast.record_of_row, strict.record_of_row)


@pytest.mark.parametrize("payload", odd_lines(), ids=lambda p: repr(p[:40]) + str(len(p)))
def test_a_line_read_as_plain_is_a_trade_of_the_same_values(payload: bytes) -> None:
    values = plain_values(payload)
    if values is not None:
        judged = decode_trade(payload)
        assert values == fields_of(judged)
        assert table_of_rows([values]).equals(table_of_trades([judged]))


@given(trades())
def test_what_the_producer_writes_is_read_as_plain(row: Any) -> None:
    assert plain_values(encode_trade(row)) == fields_of(row)


def test_two_trades_on_one_line_are_rejected() -> None:
    two = encode_trade(trade(1)) + encode_trade(trade(2))
    decoded = decode_batch(batch(two + b"\n\n" + encode_trade(trade(3))))
    assert decoded.trades.num_rows == 1
    assert [(r.reason, r.line, r.payload) for r in decoded.rejections] == [
        (Reason.NOT_JSON, 0, two),
        (Reason.NOT_JSON, 1, b""),
    ]


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("123456789012.123456" + "0" * 30, Decimal("123456789012.123456")),
        ("15830" + "0" * 40 + "e-42", Decimal("158.30")),
        ("100." + "0" * 37 + "1", None),
        ("0." + "0" * 3000 + "1", None),
    ],
    ids=["zeros behind", "an exponent", "a digit too far", "almost nothing"],
)
def test_a_price_of_any_length_is_read_exactly_or_rejected(text: str, price: Decimal | None) -> None:
    decoded = decode_batch(batch(line(price=text), encode_trade(trade(1))))
    assert [row.price for row in trades_of_table(decoded.trades)] == [*([price] if price else []), trade(1).price]
    assert [r.reason for r in decoded.rejections] == ([] if price else [Reason.VALUE])


mixed_lines = st.one_of(
    trades(symbols=("ABC", "XYZ")).map(encode_trade), st.sampled_from(odd_lines()), st.binary(max_size=20)
)


@settings(max_examples=300)
@given(st.lists(st.lists(mixed_lines, min_size=1, max_size=4).map(b"\n".join), min_size=1, max_size=5))
def test_every_line_is_a_trade_or_a_rejection_with_its_place(payloads: list[bytes]) -> None:
    decoded = decode_batch(batch(*payloads))
    expected_trades = []
    expected_rejections = []
    for index, payload in enumerate(payloads):
        for number, text in enumerate(payload.removesuffix(b"\n").split(b"\n")):
            answer = verdict(text)
            if isinstance(answer, Reason):
                expected_rejections.append((str(index), number, answer, text))
            else:
                expected_trades.append(answer)
    assert decoded.trades.equals(table_of_trades(expected_trades))
    assert [(r.sequence_number, r.line, r.reason, r.payload) for r in decoded.rejections] == expected_rejections


@given(st.lists(trades(symbols=("ABC", "BRK.B")), min_size=1, max_size=20))
def test_a_clean_batch_takes_the_fast_path(rows: list[Any]) -> None:
    whole = batch(b"\n".join(map(encode_trade, rows)), encode_trade(rows[0]) + b"\n")
    fast = batch_decoder._decode_fast(whole)
    assert fast is not None
    assert fast.trades.equals(table_of_trades([*rows, rows[0]]))
    assert fast.record_of_row.tolist() == [0] * len(rows) + [1]


@given(trades())
def test_writing_and_reading_a_trade_gives_the_trade(row: Any) -> None:
    assert decode_trade(encode_trade(row)) == row


@given(st.lists(trades(), max_size=5))
def test_a_table_gives_back_its_trades(rows: list[Any]) -> None:
    assert trades_of_table(table_of_trades(rows)) == rows


def test_an_empty_record_and_one_of_two_lines_are_told_apart() -> None:
    decoded = decode_batch(batch(b"", encode_trade(trade(1)) + b"\n" + encode_trade(trade(2))))
    assert decoded.trades.num_rows == 2
    assert [(r.reason, r.sequence_number) for r in decoded.rejections] == [(Reason.NOT_JSON, "0")]


def test_a_session_date_is_new_yorks_whatever_the_day_in_utc() -> None:
    midnight_utc = NOON + 7 * 3600 * 10**9  # 2018-01-03 00:00 UTC
    rows = [trade(0), trade(1, event_time_ns=midnight_utc), trade(2, event_time_ns=midnight_utc + 5 * 3600 * 10**9)]
    dates = table_of_trades(rows)["session_date"].to_pylist()
    assert [str(day) for day in dates] == ["2018-01-02", "2018-01-02", "2018-01-03"]
