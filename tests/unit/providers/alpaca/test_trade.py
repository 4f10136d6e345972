"""Alpaca's trades one by one: exact values, every bad field rejected alone, corrections that converge."""

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.moving_average import merge
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.alpaca.trade import read_rows
from tests.support.clock import START_NS
from tests.support.provider_fakes import recorded

GOOD: dict[str, Any] = {
    "t": "2026-01-02T15:00:00.123456789Z",
    "x": "V",
    "p": 161.2958,
    "s": 100,
    "c": ["@"],
    "i": 22730,
    "z": "C",
}


def rows(**changes: Any) -> list[Trade]:
    return read_rows(json.dumps({**GOOD, **changes}).encode(), "AAPL", "iex", START_NS)


def read(**changes: Any) -> Trade:
    (row,) = rows(**changes)
    return row


def test_a_trade_keeps_every_digit() -> None:
    assert read() == Trade(
        event_id="iex:AAPL:20260102:V:22730",
        feed="iex",
        capture_mode="trade",
        symbol="AAPL",
        event_time_ns=1_767_366_000_123_456_789,
        sequence=22730,
        price=Decimal("161.2958"),
        volume=100,
        exchange="V",
        conditions="@",
        tape="C",
        status="good",
        version=0,
        ingest_time_ns=START_NS,
    )


@given(st.integers(1, 10**12 - 1), st.integers(0, 6))
def test_a_price_is_never_a_float(digits: int, places: int) -> None:
    price = Decimal(digits).scaleb(-places)
    piece = json.dumps({**GOOD, "p": "PRICE"}).replace('"PRICE"', f"{price:f}").encode()
    assert [row.price for row in read_rows(piece, "AAPL", "iex", START_NS)] == [price]


def test_blank_condition_codes_vanish_and_others_keep_order() -> None:
    assert read(c=[" ", "F", "T"]).conditions == "FT"
    assert read(c=[]).conditions == read(c=None).conditions == ""


def test_a_trade_after_midnight_utc_is_of_its_evenings_session() -> None:
    assert read(t="2026-01-03T00:59:59Z").event_id == "iex:AAPL:20260102:V:22730"


def test_the_same_id_on_two_exchanges_is_two_trades() -> None:
    assert read(x="D").event_id != read(x="V").event_id


@pytest.mark.parametrize(
    ("size", "volume"),
    [("0.25", "0.25"), ("100.0", "100"), ("1e2", "100"), ("0.000001", "0.000001"), ("204.250000", "204.25")],
)
def test_a_size_is_exact_by_its_text(size: str, volume: str) -> None:
    piece = json.dumps({**GOOD, "s": "VALUE"}).replace('"VALUE"', size).encode()
    (trade,) = read_rows(piece, "AAPL", "iex", START_NS)
    assert trade.volume == Decimal(volume)
    assert isinstance(trade.volume, int) == (trade.volume == int(trade.volume))


@pytest.mark.parametrize(
    ("trade_id", "sequence"),
    [(1, 1), (2**63 - 1, 2**63 - 1), (2**63, 0), (2**64 - 1, 0), (-1, 0), ("abc-1", 0)],
)
def test_the_sequence_is_the_trade_id_where_it_fits(trade_id: int | str, sequence: int) -> None:
    trade = read(i=trade_id)
    assert trade.sequence == sequence
    assert trade.event_id.endswith(f":{trade_id}")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("p", ["null", "NaN", '"NaN"', '"Infinity"', "true", "[]", "0", "-1", "1e999", "161.2958001", "1e-7"]),
        ("p", ["9" * 5000, "1e99999999999999999999", "1000000000000", '"abc"', "{}"]),
        ("s", ["null", "1.0000001", '"a lot"', "-1", "-0.5", "true", "NaN", "1e999", str(2**63), "9" * 400]),
        ("i", ["null", "true", "1.5", "[]", str(2**64), "9" * 5000, '"with blank "', '""x']),
        ("t", ["null", "1582641000", '"2026-01-02T15:00:00"', '"2026-01-02T15:00:00Z\\n"', '"0001-01-01T00:00:00Z"']),
        ("t", ['"9999-12-31T23:59:59Z"', '"1969-12-31T23:59:59Z"', '"\\ud800"', '"NaN"']),
        ("x", ["1", '"\\u00e9"', "[]", f'"{"x" * 17}"']),
        ("c", ['"@"', "[1]", '["@@"]', '["\\u00e9"]', "[null]", "{}"]),
        ("z", ["1", '"\\u0000"']),
        ("u", ['"cancelled"', '""', "1", "[]"]),
    ],
)
def test_a_bad_field_is_rejected_with_a_reason(field: str, values: list[str]) -> None:
    for value in values:
        piece = json.dumps({**GOOD, field: "VALUE"}).replace('"VALUE"', value).encode()
        with pytest.raises(InvalidTradeError) as error:
            read_rows(piece, "AAPL", "iex", START_NS)
        assert error.value.reason in ("not_json", "schema", "value"), value


@pytest.mark.parametrize("piece", [b"", b"null", b"1", b"[]", b"{", b'"x"', b"\xff", b'{"t":"\xff"}', b"[" * 100_000])
def test_what_is_no_trade_is_rejected_with_a_reason(piece: bytes) -> None:
    with pytest.raises(InvalidTradeError):
        read_rows(piece, "AAPL", "iex", START_NS)


@given(st.binary(max_size=60) | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(msgspec.json.encode))
def test_any_bytes_are_a_trade_or_rejected_and_nothing_else(piece: bytes) -> None:
    with pytest.raises(InvalidTradeError):
        read_rows(piece, "AAPL", "iex", START_NS)


@pytest.mark.parametrize("symbol", ["", "A" * 25, "A B", "A\n", "é"])
def test_a_key_that_is_no_symbol_is_rejected(symbol: str) -> None:
    with pytest.raises(InvalidTradeError, match=r"symbol|event_id"):
        read_rows(json.dumps(GOOD).encode(), symbol, "iex", START_NS)


def test_recorded_cancellations_void_their_trades_in_place() -> None:
    pieces = msgspec.json.decode(recorded("alpaca/TestGetTrades_Update.1"))["trades"]["A"]
    for piece in pieces:
        (original,) = read_rows(json.dumps({**piece, "u": None}).encode(), "A", "sip", START_NS)
        cancelled, as_correction = read_rows(json.dumps(piece).encode(), "A", "sip", START_NS + 1)
        assert (cancelled.status, cancelled.version) == ("cancelled", 4)
        assert (cancelled.event_id, cancelled.event_time_ns, cancelled.sequence) == (
            original.event_id,
            original.event_time_ns,
            original.sequence,
        )
        for order in itertools.permutations([original, cancelled, as_correction, original]):
            assert merge([], order, 10) == (cancelled, as_correction)
            assert as_correction.status == "cancelled"


def effective(rows: list[Trade]) -> list[tuple[Decimal, str]]:
    return [(row.price, row.status) for row in merge([], rows, 10) if row.status != "cancelled"]


EARLY, LATE = "2026-01-02T15:00:00Z", "2026-01-02T15:04:00Z"


def in_any_order(*history: list[Trade]) -> Iterator[list[Trade]]:
    """The rows of a history as any paging and any rhythm of polls may bring them, merged one by one."""
    for order in itertools.permutations(itertools.chain(*history)):
        merged: tuple[Trade, ...] = ()
        for row in order:
            merged = merge(merged, [row], 10)
        yield list(merged)


def test_a_correction_with_its_own_id_replaces_its_trade() -> None:
    for merged in in_any_order(rows(i=1, p=10), rows(i=1, p=10, u="incorrect"), rows(i=2, p=11, u="corrected", t=LATE)):
        assert effective(merged) == [(Decimal(11), "corrected")]


def test_a_correction_that_is_corrected_again_counts_once() -> None:
    for merged in in_any_order(
        rows(i=1, p=10, u="incorrect"),
        rows(i=2, p=11, u="corrected"),
        rows(i=2, p=11, u="incorrect"),
        rows(i=3, p=12, u="corrected"),
    ):
        assert effective(merged) == [(Decimal(12), "corrected")]


@pytest.mark.parametrize(
    ("void", "correction"),
    [
        ({"p": 10, "t": EARLY}, {"p": 11, "t": LATE}),
        ({"p": 10, "t": EARLY}, {"p": 11, "t": EARLY}),
        # Half of an hour and a half apart in a public archive: what Alpaca labels as the correction counts.
        ({"p": 11, "t": LATE}, {"p": 10, "t": EARLY}),
        ({"p": 50.1, "s": 100, "t": EARLY}, {"p": 50.1, "s": 250, "t": EARLY}),
        ({"p": 50.1, "c": ["7", "V"], "t": EARLY}, {"p": 50.1, "c": ["7", "Z", "V"], "t": EARLY}),
    ],
)
def test_a_pair_of_one_id_leaves_the_correction_in_any_order(void: dict[str, Any], correction: dict[str, Any]) -> None:
    original = rows(**void)
    for merged in in_any_order(original, rows(**void, u="incorrect"), rows(**correction, u="corrected")):
        assert effective(merged) == [(Decimal(str(correction["p"])), "corrected")]


def test_a_trade_that_is_corrected_twice_under_one_id_counts_as_it_was_corrected_last() -> None:
    for merged in in_any_order(
        rows(p=10, u="incorrect"), rows(p=12, u="corrected"), rows(p=12, u="incorrect"), rows(p=11, u="corrected")
    ):
        assert effective(merged) == [(Decimal(11), "corrected")]


def test_a_correction_that_is_cancelled_later_is_void() -> None:
    for merged in in_any_order(rows(p=10, u="incorrect"), rows(p=11, u="corrected"), rows(p=11, u="canceled")):
        assert effective(merged) == []


def test_the_identity_of_a_correction_does_not_depend_on_how_its_price_is_written() -> None:
    (one,) = read_rows(json.dumps({**GOOD, "p": "P", "u": "corrected"}).replace('"P"', "10.50").encode(), "A", "iex", 0)
    (other,) = read_rows(
        json.dumps({**GOOD, "p": "P", "u": "corrected"}).replace('"P"', "10.5").encode(), "A", "iex", 0
    )
    assert one.event_id == other.event_id == "iex:A:20260102:V:22730:10.5x100:@"
