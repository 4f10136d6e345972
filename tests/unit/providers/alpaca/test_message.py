"""Publicly recorded messages of Alpaca's stream give the rows that REST gives."""

import itertools
import json
import random
from dataclasses import replace
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
from stock_pipeline.providers.alpaca.trade import read_rows
from stock_pipeline.providers.client.http import CredentialsRefusedError, ProviderUnavailableError, RequestRefusedError
from tests.support.clock import SECOND, START_NS, Clock
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


def rest(row: dict[str, Any], **changes: Any) -> list[Trade]:
    piece = json.dumps({**row, **changes}).encode()
    return read_rows(piece, row["S"], "iex", START_NS)


def effective(rows: list[Trade]) -> list[tuple[str, Decimal, str]]:
    return [(r.event_id, r.price, r.status) for r in merge([], rows, 10) if r.status != "cancelled"]


def test_a_trade_is_the_same_by_stream_and_by_rest() -> None:
    assert list(read(reader(), TRADE).trades) == rest(TRADE)


def test_a_cancellation_voids_the_trade_it_names_at_its_own_time() -> None:
    stream = reader()
    (original,) = read(stream, TRADE).trades
    batch = read(stream, {**TRADE, "T": "x", "t": LATER, "a": "C", "c": None})
    row = batch.trades[0]
    assert (row.event_id, row.event_time_ns, row.sequence) == (
        original.event_id,
        original.event_time_ns,
        original.sequence,
    )
    assert (row.status, row.version, row.conditions) == ("cancelled", 4, "@I")
    for order in itertools.permutations([original, *batch.trades]):
        assert effective(list(order)) == []
    assert list(batch.trades) == rest(TRADE, u="canceled")
    assert batch.unsettled == ()


def test_recorded_amendments_of_trades_never_seen_wait_for_their_originals() -> None:
    stream = MessageReader("sip", credentials(), Clock().now_ns)
    batch = stream.read(recorded("alpaca/stream_corrections"))
    assert (batch.trades, batch.unreadable) == ((), ())
    assert [(one.said.symbol, one.number, one.corrected_number) for one in batch.unsettled] == [
        ("IWM", 79372207866957, 79372223926359),
        ("EEM", 52983525033527, 52983525034326),
        ("RCL", 71684334236466, 71684334236466),
    ]
    original = replace(batch.unsettled[1].said, event_time_ns=batch.unsettled[1].said.event_time_ns - 60 * SECOND)
    rows = stream.settled(batch.unsettled[1], original)
    assert [(row.event_id, row.status, row.version, row.price, row.volume, row.conditions) for row in rows or ()] == [
        ("sip:EEM:20230406:M:52983525033527", "cancelled", 2, Decimal("39.1582"), 440000, "7"),
        ("sip:EEM:20230406:M:52983525033527:39.1582x440000:7", "cancelled", 2, Decimal("39.1582"), 440000, "7"),
        ("sip:EEM:20230406:M:52983525034326:39.1809x440000:7", "corrected", 1, Decimal("39.1809"), 440000, "7"),
    ]
    assert {row.event_time_ns for row in (rows or ())[:2]} == {original.event_time_ns}
    orphan = stream.orphan(batch.unsettled[2])
    assert (orphan.reason, json.loads(orphan.payload)) == (
        "orphan",
        json.loads(recorded("alpaca/stream_corrections"))[2],
    )


def correction(old: int, new: int, price: float, old_price: float = 177.79) -> dict[str, Any]:
    return {
        "T": "c",
        "S": "AAPL",
        "x": "V",
        "z": "C",
        "t": LATER,
        **{"oi": old, "op": old_price, "os": 90, "oc": ["@"], "ci": new, "cp": price, "cs": 90, "cc": ["@"]},
    }


def test_a_correction_replaces_its_trade_as_over_rest() -> None:
    stream = reader()
    rows = [*read(stream, TRADE).trades, *read(stream, correction(6142, 6150, 178.5)).trades]
    assert [(row.status, row.event_time_ns == rows[0].event_time_ns) for row in rows] == [
        ("good", True),
        ("cancelled", True),
        ("cancelled", True),
        ("corrected", False),
    ]
    by_rest = [*rest(TRADE, u="incorrect"), *rest(TRADE, i=6150, p=178.5, c=["@"], t=LATER, u="corrected")]
    for order in itertools.permutations([*rows, *by_rest]):
        assert effective(list(order)) == [("iex:AAPL:20260102:V:6150:178.5x90:@", Decimal("178.5"), "corrected")]


def test_a_correction_of_a_correction_leaves_the_last_one() -> None:
    stream = reader()
    batches = [
        read(stream, frame) for frame in (TRADE, correction(6142, 6150, 178.5), correction(6150, 6160, 179, 178.5))
    ]
    rows = [row for batch in batches for row in batch.trades]
    for order in itertools.permutations(rows):
        assert effective(list(order)) == [("iex:AAPL:20260102:V:6160:179x90:@", Decimal(179), "corrected")]


def test_a_correction_under_the_same_id_keeps_its_trades_time_and_may_be_corrected_and_cancelled_again() -> None:
    stream = reader()
    (original,) = read(stream, TRADE).trades
    rows = [original, *read(stream, correction(6142, 6142, 178.5)).trades]
    assert {row.event_time_ns for row in rows} == {original.event_time_ns}
    standing = (f"{original.event_id}:178.5x90:@", Decimal("178.5"), "corrected")
    assert all(effective(list(order)) == [standing] for order in itertools.permutations(rows))
    rows += read(stream, correction(6142, 6142, 177.9, 178.5)).trades
    standing = (f"{original.event_id}:177.9x90:@", Decimal("177.9"), "corrected")
    for seed in range(200):
        assert effective(random.Random(seed).sample(rows, len(rows))) == [standing]
    rows += read(stream, {**TRADE, "T": "x", "p": 177.9, "t": LATER}).trades
    for seed in range(200):
        assert effective(random.Random(seed).sample(rows, len(rows))) == []


def test_only_the_newest_trades_are_remembered_and_others_amendments_wait() -> None:
    stream = reader(remembered_trades=1)
    read(stream, TRADE, {**TRADE, "i": 7})
    batch = read(stream, {**TRADE, "T": "x", "t": LATER})
    assert batch.trades == ()
    (amendment,) = batch.unsettled
    assert stream.settled(amendment) is None
    rows = stream.settled(amendment, rest(TRADE)[0])
    assert rows == rest(TRADE, u="canceled")


def test_an_amendment_of_another_session_takes_its_originals_identity() -> None:
    stream = reader(remembered_trades=1)
    batch = read(stream, {**TRADE, "T": "x", "t": "2026-01-05T15:00:00Z"})
    rows = stream.settled(batch.unsettled[0], rest(TRADE)[0]) or []
    assert [row.event_id for row in rows] == ["iex:AAPL:20260102:V:6142", "iex:AAPL:20260102:V:6142:177.79x90:@I"]
    assert effective([*rest(TRADE), *rows]) == []


def test_a_bad_frame_is_unreadable_and_the_others_go_on() -> None:
    batch = read(reader(), {"T": "t"}, {**TRADE, "p": None}, 5, {"T": "n", "S": "AAPL"}, correction(1, 2, -1), TRADE)
    assert [bad.reason for bad in batch.unreadable] == [Reason.SCHEMA] * 4 + [Reason.VALUE]
    assert list(batch.trades) == rest(TRADE)


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
