"""Publicly recorded messages of Alpaca's stream give the rows that REST gives."""

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest

from stock_pipeline.domain.moving_average import merge
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.providers.alpaca.message import (
    AlpacaBatch,
    ConnectionLimitError,
    ControlFrame,
    MessageReader,
    error_of,
)
from stock_pipeline.providers.alpaca.trade import read_trade
from stock_pipeline.providers.client.http import CredentialsRefusedError, ProviderUnavailableError, RequestRefusedError
from tests.support.clock import START_NS, Clock
from tests.support.provider_fakes import KEY, SECRET, credentials, recorded

TRADE: dict[str, Any] = {
    "T": "t",
    "S": "AAPL",
    "i": 6142,
    "x": "V",
    "p": 177.79,
    "s": 90,
    "c": ["@", "I"],
    "z": "C",
    "t": "2026-01-02T15:00:00.000000001Z",
}
LATER = "2026-01-02T15:07:00Z"


def reader(remembered_trades: int = 100) -> MessageReader:
    return MessageReader("iex", credentials(), Clock().now_ns, remembered_trades)


def read(reader: MessageReader, *frames: object) -> AlpacaBatch:
    return reader.read(json.dumps(frames).encode())


def rest(row: dict[str, Any], **changes: Any) -> Trade:
    piece = json.dumps({**row, **changes}).encode()
    return read_trade(piece, row["S"], "iex", START_NS)


def effective(rows: list[Trade]) -> list[tuple[str, Decimal, str]]:
    return [(r.event_id, r.price, r.status) for r in merge([], rows, 10) if r.status != "cancelled"]


def test_a_trade_is_the_same_by_stream_and_by_rest() -> None:
    assert read(reader(), TRADE).trades == (rest(TRADE),)


def test_a_cancellation_voids_the_trade_it_names_at_its_own_time() -> None:
    stream = reader()
    (original,) = read(stream, TRADE).trades
    (row,) = read(stream, {**TRADE, "T": "x", "t": LATER, "a": "C", "c": None}).trades
    assert (row.event_id, row.event_time_ns, row.sequence) == (
        original.event_id,
        original.event_time_ns,
        original.sequence,
    )
    assert (row.status, row.version, row.conditions) == ("cancelled", 4, "@I")
    assert effective([row, original]) == effective([original, row]) == []
    assert merge([row], [rest(TRADE, u="canceled")], 10)[0].status == "cancelled"


def test_recorded_amendments_of_trades_never_seen_are_rows_too() -> None:
    batch = reader().read(recorded("alpaca/stream_corrections"))
    assert [(row.event_id, row.status, row.version, row.price, row.volume, row.conditions) for row in batch.trades] == [
        ("iex:IWM:20220120:D:79372207866957", "cancelled", 2, Decimal("208.65"), 14950, "7V"),
        ("iex:IWM:20220120:D:79372223926359", "corrected", 1, Decimal("208.65"), 14950, "7ZV"),
        ("iex:EEM:20230406:M:52983525033527", "cancelled", 2, Decimal("39.1582"), 440000, "7"),
        ("iex:EEM:20230406:M:52983525034326", "corrected", 1, Decimal("39.1809"), 440000, "7"),
        ("iex:RCL:20211207:D:71684334236466", "cancelled", 4, Decimal("73.28"), 20100, ""),
    ]
    assert batch.unreadable == ()


def correction(old: int, new: int, price: float) -> dict[str, Any]:
    return {
        "T": "c",
        "S": "AAPL",
        "x": "V",
        "z": "C",
        "t": LATER,
        **{"oi": old, "op": 177.79, "os": 90, "oc": ["@"], "ci": new, "cp": price, "cs": 80, "cc": ["@"]},
    }


def test_a_correction_replaces_its_trade_as_over_rest() -> None:
    stream = reader()
    rows = [*read(stream, TRADE).trades, *read(stream, correction(6142, 6150, 178.5)).trades]
    assert [(row.status, row.event_time_ns == rows[0].event_time_ns) for row in rows] == [
        ("good", True),
        ("cancelled", True),
        ("corrected", False),
    ]
    by_rest = [rest(TRADE, u="incorrect"), rest(TRADE, i=6150, p=178.5, t=LATER, u="corrected")]
    for order in itertools.permutations([*rows, *by_rest]):
        assert effective(list(order)) == [("iex:AAPL:20260102:V:6150", Decimal("178.5"), "corrected")]


def test_a_correction_of_a_correction_leaves_the_last_one() -> None:
    stream = reader()
    batches = [read(stream, frame) for frame in (TRADE, correction(6142, 6150, 178.5), correction(6150, 6160, 179))]
    rows = [row for batch in batches for row in batch.trades]
    for order in itertools.permutations(rows):
        assert effective(list(order)) == [("iex:AAPL:20260102:V:6160", Decimal(179), "corrected")]


@pytest.mark.parametrize("known", [True, False])
def test_a_correction_under_the_same_id_is_one_row(known: bool) -> None:
    stream = reader()
    (original,) = read(stream if known else reader(), TRADE).trades
    (row,) = read(stream, correction(6142, 6142, 178.5)).trades
    assert (row.event_id, row.status, row.volume) == (original.event_id, "corrected", 80)
    assert (row.event_time_ns == original.event_time_ns) is known
    assert effective([row, original]) == effective([original, row]) == [(row.event_id, Decimal("178.5"), "corrected")]


def test_only_the_newest_trades_are_remembered() -> None:
    stream = reader(remembered_trades=1)
    read(stream, TRADE, {**TRADE, "i": 7})
    (row,) = read(stream, {**TRADE, "T": "x", "t": LATER}).trades
    assert row.event_time_ns > rest(TRADE).event_time_ns
    assert effective([rest(TRADE), row]) == []


def test_a_bad_frame_is_unreadable_and_the_others_go_on() -> None:
    batch = read(reader(), {"T": "t"}, {**TRADE, "p": None}, 5, {"T": "n", "S": "AAPL"}, correction(1, 2, -1), TRADE)
    assert [bad.reason for bad in batch.unreadable] == [Reason.SCHEMA] * 4 + [Reason.VALUE]
    assert batch.trades == (rest(TRADE),)


@pytest.mark.parametrize("message", [b"", b"{}", b"null", b"[", b"\xff", b"[" * 50_000])
def test_a_message_that_is_none_is_unreadable_as_a_whole(message: bytes) -> None:
    batch = reader().read(message)
    assert [bad.payload for bad in batch.unreadable] == [message]
    assert batch.trades == ()


def test_keys_in_a_frame_reach_neither_payload_nor_control() -> None:
    batch = read(reader(), {"T": "t", "S": KEY, "p": SECRET}, {"T": "error", "code": 402, "msg": f"bad {KEY}"})
    assert KEY not in repr(batch)
    assert SECRET not in repr(batch)


def test_control_frames_are_told_apart() -> None:
    batch = read(reader(), {"T": "success", "msg": "connected"}, {"T": "subscription", "trades": ["AAPL"]})
    assert batch.controls == (ControlFrame("success", "connected"), ControlFrame("subscription", "", trades=("AAPL",)))


@pytest.mark.parametrize(
    ("code", "error", "permanent"),
    [
        (400, RequestRefusedError, True),
        (401, RequestRefusedError, True),
        (402, CredentialsRefusedError, True),
        (403, RequestRefusedError, True),
        (404, ProviderUnavailableError, False),
        (405, RequestRefusedError, True),
        (406, ConnectionLimitError, False),
        (407, ProviderUnavailableError, False),
        (409, CredentialsRefusedError, True),
        (410, RequestRefusedError, True),
        (411, CredentialsRefusedError, True),
        (500, ProviderUnavailableError, False),
        (None, ProviderUnavailableError, False),
        (999, ProviderUnavailableError, False),
    ],
)
def test_every_error_code_is_permanent_or_worth_another_try(
    code: int | None, error: type[Exception], permanent: bool
) -> None:
    raised = error_of(ControlFrame("error", "why", code), credentials())
    assert type(raised) is error
    assert isinstance(raised, PermanentError if permanent else RetryableError)
    assert "why" in str(raised)


def test_the_recorded_refusal_names_the_key_to_check() -> None:
    (frame,) = reader().read(recorded("errors/alpaca_ws_402")).controls
    assert "secret stock-pipeline/dev/alpaca" in str(error_of(frame, credentials()))
