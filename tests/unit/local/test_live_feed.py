"""The endless market: when its trades happen, and what becomes of them."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.session import session_date_of, session_hours
from stock_pipeline.domain.trade import Trade
from stock_pipeline.local.live_feed import LiveFeed, endless_arrivals, event_time_of
from stock_pipeline.providers.simulator.broken_line import BrokenLine
from stock_pipeline.streaming.ports import Stream
from stock_pipeline.streaming.producer import Producer
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.record_packing import PackedRecord
from tests.fakes.stores import FakeQueue


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20T15:00:00", "2026-11-20T15:00:00"),  # open: now
        ("2026-11-20T21:00:00", "2026-11-20T14:30:00"),  # closing bell: from the opening bell on
        ("2026-11-22T15:00:00", "2026-11-20T17:30:00"),  # Sunday, 42 hours after the close: six times and three hours
        ("2026-11-26T17:00:00", "2026-11-25T15:00:00"),  # Thanksgiving
        ("2026-11-20T14:29:59", "2026-11-19T18:59:59"),  # before the bell: yesterday's session
    ],
)
def test_trades_happen_now_or_in_the_last_session(now: str, expected: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert event_time_of(at) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@given(st.integers(1_200_000_000, 1_890_000_000))
def test_a_trade_never_lies_ahead_and_always_in_a_session(second: int) -> None:
    now = datetime.fromtimestamp(second, UTC)
    happens = event_time_of(now)
    assert happens <= now
    hours = session_hours(session_date_of(int(happens.timestamp()) * 10**9))
    assert hours is not None
    assert hours.open_ns <= int(happens.timestamp() * 1e9) < hours.close_ns


def test_arrivals_do_not_end_and_each_trade_comes_once() -> None:
    some = list(itertools.islice(endless_arrivals(date(2026, 11, 20), 1), 30_000))
    ids = [one.event_id for one in some if isinstance(one, Trade)]
    assert len(ids) == len(set(ids))
    assert any(isinstance(one, BrokenLine) for one in some)


class Kept(Stream):
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def put(self, records: list[PackedRecord]) -> list[str | None]:  # type: ignore[override]
        self.lines += [line for record in records for line in record.data.removesuffix(b"\n").split(b"\n")]
        return [None] * len(records)


def test_a_second_is_published_whole_with_its_broken_lines() -> None:
    stream, queue = Kept(), FakeQueue()

    class NoLeftovers:
        def keep(self, records: object, reason: str) -> None:
            raise AssertionError(reason)

    publisher = Publisher(stream, NoLeftovers(), 64, lambda: 0, lambda _attempt: None)
    feed = LiveFeed(publisher, Producer(publisher, queue), endless_arrivals(date(2026, 11, 20), 1), 5_000)
    feed.publish(datetime(2026, 11, 20, 15, tzinfo=UTC) + timedelta(seconds=1))
    assert feed.lines == len(stream.lines) == 5_000
    assert queue.documents == []
