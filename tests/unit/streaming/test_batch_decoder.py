"""The fast path against the strict one, over input that is odd in ways known to divide parsers."""

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.rejection import MAX_REJECTIONS_OF_BATCH, MAX_REJECTIONS_OF_RECORD, Reason
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.streaming import batch_decoder
from stock_pipeline.streaming.batch_decoder import DecodedBatch, decode_batch, decode_strict
from stock_pipeline.streaming.kinesis_event import StreamBatch, StreamRecord
from stock_pipeline.streaming.record_lines import other_form
from stock_pipeline.streaming.trade_json import decode_trade, encode_trade, plain_values
from stock_pipeline.trade_table import fields_of, table_of_rows, table_of_trades, trades_of_table
from tests.support.odd_lines import line, odd_lines
from tests.support.strategies import trades
from tests.support.trades import NOON, trade

LIMITS = ArrivalLimits()
LATE = 5_000_000_000.0
"""An arrival after every time that a trade may have, in seconds."""


def batch(*payloads: bytes, arrivals: tuple[float, ...] = ()) -> StreamBatch:
    """A record for each payload. The last arrival is that of all further records too."""
    times = [*arrivals, *[arrivals[-1] if arrivals else LATE] * len(payloads)]
    records = [StreamRecord(str(n), "bucket-0001", payload, times[n]) for n, payload in enumerate(payloads)]
    return StreamBatch("shardId-000000000000", tuple(records))


def decoded_batch(whole: StreamBatch) -> DecodedBatch:
    return decode_batch(whole, LIMITS)


def verdict(payload: bytes) -> Any:
    try:
        return decode_trade(payload)
    except InvalidTradeError as error:
        return error.reason


@pytest.mark.parametrize("payload", odd_lines(), ids=lambda p: repr(p[:40]) + str(len(p)))
def test_the_fast_path_never_differs_from_the_strict_path(payload: bytes) -> None:
    for company in ([payload], [encode_trade(trade(1)), payload], [payload, encode_trade(trade(1))]):
        whole = batch(*company)
        fast = batch_decoder._decode_fast(whole, LIMITS)
        if fast is not None:
            strict = decode_strict(whole, LIMITS)
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
    decoded = decoded_batch(batch(two + b"\n\n" + encode_trade(trade(3))))
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
    decoded = decoded_batch(batch(line(price=text), encode_trade(trade(1))))
    assert [row.price for row in trades_of_table(decoded.trades)] == [*([price] if price else []), trade(1).price]
    assert [r.reason for r in decoded.rejections] == ([] if price else [Reason.VALUE])


mixed_lines = st.one_of(
    trades(symbols=("ABC", "XYZ")).map(encode_trade), st.sampled_from(odd_lines()), st.binary(max_size=20)
)


@settings(max_examples=300)
@given(st.lists(st.lists(mixed_lines, min_size=1, max_size=4).map(b"\n".join), min_size=1, max_size=5))
def test_every_line_is_a_trade_or_a_rejection_with_its_place(payloads: list[bytes]) -> None:
    decoded = decoded_batch(batch(*payloads))
    expected_trades = []
    expected_rejections: list[tuple[str, int | None, Reason, bytes]] = []
    for index, payload in enumerate(payloads):
        if other_form(payload):
            expected_rejections.append((str(index), None, Reason.NOT_JSON, payload))
            continue
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
    fast = batch_decoder._decode_fast(whole, LIMITS)
    assert fast is not None
    assert fast.trades.equals(table_of_trades([*rows, rows[0]]))
    assert fast.record_of_row.tolist() == [0] * len(rows) + [1]


def test_each_row_of_many_records_is_of_its_own_record() -> None:
    """So many that one byte too few or too many for each would have added up to a line."""
    line = encode_trade(trade(1))
    fast = batch_decoder._decode_fast(batch(*[line, line + b"\n"] * 1_000), LIMITS)
    assert fast is not None
    assert fast.record_of_row.tolist() == list(range(2_000))


@given(trades())
def test_writing_and_reading_a_trade_gives_the_trade(row: Any) -> None:
    assert decode_trade(encode_trade(row)) == row


@given(st.lists(trades(), max_size=5))
def test_a_table_gives_back_its_trades(rows: list[Any]) -> None:
    assert trades_of_table(table_of_trades(rows)) == rows


def test_an_empty_record_and_one_of_two_lines_are_told_apart() -> None:
    decoded = decoded_batch(batch(b"", encode_trade(trade(1)) + b"\n" + encode_trade(trade(2))))
    assert decoded.trades.num_rows == 2
    assert [(r.reason, r.sequence_number) for r in decoded.rejections] == [(Reason.NOT_JSON, "0")]


def test_a_session_date_is_new_yorks_whatever_the_day_in_utc() -> None:
    midnight_utc = NOON + 7 * 3600 * 10**9  # 2018-01-03 00:00 UTC
    rows = [trade(0), trade(1, event_time_ns=midnight_utc), trade(2, event_time_ns=midnight_utc + 5 * 3600 * 10**9)]
    dates = table_of_trades(rows)["session_date"].to_pylist()
    assert [str(day) for day in dates] == ["2018-01-02", "2018-01-02", "2018-01-03"]


AT_NOON = NOON / 1e9
YEAR_NS = 365 * 86_400 * 10**9


@pytest.mark.parametrize("path", ["fast", "strict"])
@pytest.mark.parametrize(("ahead_ns", "accepted"), [(-1, True), (0, True), (1, False), (82 * YEAR_NS, False)])
def test_a_trade_from_far_ahead_of_its_records_arrival_is_rejected(path: str, ahead_ns: int, accepted: bool) -> None:
    limit_ns = LIMITS.ahead_seconds * 10**9
    row = trade(1, event_time_ns=NOON + limit_ns + ahead_ns)
    odd = [] if path == "fast" else [b"odd"]
    decoded = decoded_batch(batch(encode_trade(row), *odd, arrivals=(AT_NOON,)))
    assert trades_of_table(decoded.trades) == ([row] if accepted else [])
    rejections = [r for r in decoded.rejections if r.payload != b"odd"]
    assert [(r.reason, r.line, r.payload) for r in rejections] == (
        [] if accepted else [(Reason.FUTURE, 0, encode_trade(row))]
    )
    assert all(re.fullmatch(r"event_time_ns is [0-9,]+ s ahead of the record's arrival", r.detail) for r in rejections)


def test_each_trade_is_judged_by_the_arrival_of_its_own_record() -> None:
    an_hour_ahead = trade(1, event_time_ns=NOON + 3_600 * 10**9)
    line = encode_trade(an_hour_ahead)
    decoded = decoded_batch(batch(line, line, line, arrivals=(AT_NOON, AT_NOON + 3_600, AT_NOON)))
    assert decoded.record_of_row.tolist() == [1]
    assert [(r.sequence_number, r.reason) for r in decoded.rejections] == [("0", Reason.FUTURE), ("2", Reason.FUTURE)]


some_arrivals = st.floats(AT_NOON - 2_000, AT_NOON + 2_000)
timed_lines = st.integers(-2_000, 2_000).map(lambda s: encode_trade(trade(1, event_time_ns=NOON + s * 10**9)))


@given(st.lists(st.tuples(some_arrivals, st.lists(timed_lines, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_both_paths_judge_times_alike(records: list[tuple[float, list[bytes]]]) -> None:
    whole = batch(*[b"\n".join(lines) for _, lines in records], arrivals=tuple(at for at, _ in records))
    fast, strict = batch_decoder._decode_fast(whole, LIMITS), decode_strict(whole, LIMITS)
    assert (fast is None) == bool(strict.rejections)
    if fast is not None:
        assert fast.trades.equals(strict.trades)
    assert {r.reason for r in strict.rejections} <= {Reason.FUTURE}


def misspelt(count: int, first: int = 0) -> bytes:
    lines = [encode_trade(trade(first + number)).replace(b'"volume"', b'"volumes"') for number in range(count)]
    return b"\n".join(lines)


def test_a_source_that_misspells_a_field_makes_a_message_a_record() -> None:
    records = [misspelt(94) + b"\n" + encode_trade(trade(94)) for _ in range(100)]
    decoded = decoded_batch(batch(*records))
    assert decoded.trades.num_rows == 100
    assert [(r.sequence_number, r.line, r.lines, r.payload) for r in decoded.rejections] == [
        (str(number), None, 94, record) for number, record in enumerate(records)
    ]
    assert decoded.rejections[0].detail.startswith("94 lines of the record are not trades, the first because: Object")


@pytest.mark.parametrize("records", [10, 11])
def test_a_batch_has_a_bounded_number_of_rejections(records: int) -> None:
    decoded = decoded_batch(batch(*[misspelt(MAX_REJECTIONS_OF_RECORD)] * records))
    assert records * MAX_REJECTIONS_OF_RECORD - MAX_REJECTIONS_OF_BATCH in (0, 100)
    assert len(decoded.rejections) == (MAX_REJECTIONS_OF_BATCH if records == 10 else records)
    assert sum(r.lines for r in decoded.rejections) == records * MAX_REJECTIONS_OF_RECORD
