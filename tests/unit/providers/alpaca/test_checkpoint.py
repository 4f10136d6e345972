"""Checkpoints of Alpaca's capture, against a model of the API: no interruption loses anything."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.capture import Capture
from stock_pipeline.errors import PermanentError
from stock_pipeline.providers.alpaca.pages import CapturePosition, CheckpointError, TradePages
from stock_pipeline.providers.client.http import HttpAnswer, ProviderUnavailableError, RequestRefusedError
from stock_pipeline.providers.client.token_bucket import NoTimeLeftError
from stock_pipeline.providers.timestamps import format_rfc3339_ns, parse_rfc3339_ns
from tests.support.clock import SECOND, START_NS, Clock
from tests.support.provider_fakes import alpaca_api, alpaca_over, deadline, query_of

HOUR = 3600 * SECOND


class AlpacaModel:
    """The trades endpoint as documented: `start` and `end` included, pages by symbol, then time, then id."""

    def __init__(self, clock: Clock, trades: list[dict[str, Any]], page: int = 3) -> None:
        self.clock = clock
        self.trades = trades
        self.page = page
        self.calls = 0
        self.cost_ns = 0
        self.away = False

    def get(self, target: str, headers: Mapping[str, str], deadline_ns: int) -> HttpAnswer:
        self.calls += 1
        self.clock.ns += self.cost_ns
        if self.away:
            return HttpAnswer(503, {}, b"{}")
        asked = query_of(target)
        first, last = parse_rfc3339_ns(asked["start"]), parse_rfc3339_ns(asked["end"])
        rows = sorted(
            (row["S"], row["ns"], row["i"])
            for row in self.trades
            if row["S"] in asked["symbols"].split(",")
            and first <= row["ns"] <= last
            and row.get("known_at", 0) <= self.clock.ns
        )
        prices = {(row["S"], row["ns"], row["i"]): row.get("p", 10.5) for row in self.trades}
        start = int(asked.get("page_token", "0"))
        answer: dict[str, Any] = {"trades": {}, "next_page_token": None}
        for symbol, ns, trade_id in rows[start : start + self.page]:
            row = {
                "t": format_rfc3339_ns(ns),
                "x": "V",
                "p": prices[symbol, ns, trade_id],
                "s": 100,
                "c": ["@"],
                "i": trade_id,
                "z": "C",
            }
            answer["trades"].setdefault(symbol, []).append(row)
        if start + self.page < len(rows):
            answer["next_page_token"] = str(start + self.page)
        return HttpAnswer(200, {}, json.dumps(answer).encode())


def alpaca_pages(model: AlpacaModel, clock: Clock) -> TradePages:
    return TradePages(alpaca_api(model, clock), ("AAPL",), "iex", clock.now_ns)


def trade(symbol: str, ns: int, trade_id: int, **more: Any) -> dict[str, Any]:
    return {"S": symbol, "ns": ns, "i": trade_id, **more}


def ids(captures: list[Capture]) -> list[str]:
    return [one.event_id for capture in captures for one in capture.trades]


@pytest.mark.parametrize("checkpoint", ["", "{}", "2026-01-01", '{"start_ns": 1}', '{"turn": "A"}', "null"])
def test_a_checkpoint_of_somebody_else_is_refused(clock: Clock, checkpoint: str) -> None:
    provider = alpaca_over(AlpacaModel(clock, []), clock)
    with pytest.raises(CheckpointError, match="restore it") as error:
        list(provider.poll(checkpoint, deadline(clock)))
    assert isinstance(error.value, PermanentError)


@pytest.mark.parametrize(
    ("symbols", "feed"), [((), "iex"), (("A,B",), "iex"), (("A B",), "iex"), (("AAPL",), "IEX"), (("AAPL",), "")]
)
def test_symbols_and_feeds_that_are_none_are_refused(clock: Clock, symbols: tuple[str, ...], feed: str) -> None:
    with pytest.raises(RequestRefusedError):
        alpaca_over(AlpacaModel(clock, []), clock, symbols, feed=feed)


def test_an_outage_of_hours_heals_without_loss(clock: Clock) -> None:
    model = AlpacaModel(clock, [])
    _, before = alpaca_over(model, clock, ("A", "B")).poll(None, deadline(clock))
    model.trades = [trade("AB"[n % 2], START_NS + n * 60 * SECOND, n) for n in range(300)]
    clock.ns += 5 * HOUR
    healed = list(alpaca_over(model, clock, ("A", "B")).poll(before.checkpoint, deadline(clock)))
    assert len(ids(healed)) == len(set(ids(healed))) == 300
    assert len(healed) == 100


def test_a_poll_continues_after_the_page_where_its_deadline_fell(clock: Clock) -> None:
    model = AlpacaModel(clock, [trade("AB"[n % 2], START_NS - n * SECOND, n) for n in range(30)])
    model.cost_ns = 20 * SECOND
    checkpoint, captures, polls = None, [], 0
    while checkpoint is None or json.loads(checkpoint)["page_token"] is not None:
        for capture in alpaca_over(model, clock, ("A", "B")).poll(checkpoint, clock.ns + 50 * SECOND):
            captures.append(capture)
            checkpoint = capture.checkpoint
        polls += 1
    assert polls == 4
    assert model.calls == 10
    assert len(ids(captures)) == len(set(ids(captures))) == 30


def test_other_symbols_restart_the_window_but_lose_nothing(clock: Clock) -> None:
    model = AlpacaModel(clock, [trade("ABC"[n % 3], START_NS - n * SECOND, n) for n in range(30)])
    _, first, *_ = alpaca_over(model, clock, ("A", "B")).poll(None, deadline(clock))
    rest = list(alpaca_over(model, clock, ("A", "B", "C")).poll(first.checkpoint, deadline(clock)))
    assert len(set(ids(rest))) == 30


def test_a_late_print_within_the_overlap_is_captured(clock: Clock) -> None:
    late = trade("AAPL", START_NS - 100 * SECOND, 7, known_at=START_NS + 60 * SECOND)
    model = AlpacaModel(clock, [trade("AAPL", START_NS - 90 * SECOND, 8), late])
    provider = alpaca_over(model, clock)
    _, first = provider.poll(None, deadline(clock))
    clock.ns += 120 * SECOND
    (second,) = provider.poll(first.checkpoint, deadline(clock))
    assert ids([first]) == ["iex:AAPL:20260101:V:8"]
    assert ids([second]) == ["iex:AAPL:20260101:V:7"]


def test_the_overlap_comes_again_unless_known_to_be_published(clock: Clock) -> None:
    model = AlpacaModel(clock, [trade("AAPL", START_NS - n * SECOND, n) for n in range(5)], page=10)
    provider = alpaca_over(model, clock)
    _, first = provider.poll(None, deadline(clock))
    clock.ns += SECOND
    _, failed = provider.poll(None, deadline(clock))
    assert ids([failed]) == ids([first])
    (confirmed,) = provider.poll(failed.checkpoint, deadline(clock))
    assert ids([confirmed]) == []
    (restarted,) = alpaca_over(model, clock).poll(failed.checkpoint, deadline(clock))
    assert sorted(ids([restarted])) == sorted(ids([first]))
    (repeated,) = provider.poll(failed.checkpoint, deadline(clock))
    assert ids([repeated]) == []
    somebody_elses = json.dumps({**json.loads(str(failed.checkpoint)), "end_ns": clock.ns})
    (unsure,) = provider.poll(somebody_elses, deadline(clock))
    assert sorted(ids([unsure])) == sorted(ids([first]))


def test_a_window_goes_on_where_the_time_ran_out(clock: Clock) -> None:
    model = AlpacaModel(clock, [trade("AAPL", START_NS - n * 60 * SECOND, n) for n in range(30)])
    pages = alpaca_pages(model, clock)
    place: CapturePosition | None = pages.window(START_NS - 15 * 60 * SECOND, START_NS)
    captures: list[Capture] = []
    model.cost_ns = 30 * SECOND
    end_ns = clock.ns + 70 * SECOND
    while place is not None:
        try:
            capture, after = pages.read(place, end_ns)
        except NoTimeLeftError:
            end_ns = clock.ns + 70 * SECOND
            continue
        captures.append(capture)
        place = after if after.page_token else None
    assert len(ids(captures)) == len(set(ids(captures))) == 16
    assert {capture.checkpoint for capture in captures} == {None}
    assert model.calls == len(captures) == 6


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_interruptions_lose_no_trade_and_give_it_no_second_id(data: st.DataObject) -> None:
    clock = Clock()
    model = AlpacaModel(clock, [], page=data.draw(st.integers(1, 5)))
    checkpoint: str | None = None
    options = {"overlap_seconds": 120, "look_back_seconds": data.draw(st.sampled_from([0, 60, 1000]))}
    provider = alpaca_over(model, clock, ("A", "B"), **options)
    stored: set[str] = set()
    expected: set[str] = set()
    for poll in range(data.draw(st.integers(2, 8)) + 1):
        clock.ns += data.draw(st.integers(1, 400)) * SECOND
        for n in range(data.draw(st.integers(0, 6))):
            symbol = data.draw(st.sampled_from("AB"))
            late_ns = data.draw(st.integers(0, 100)) * SECOND
            model.trades.append(trade(symbol, clock.ns - late_ns, poll * 100 + n, known_at=clock.ns))
            expected.add(f"iex:{symbol}:20260101:V:{poll * 100 + n}")
        if data.draw(st.booleans()):
            provider = alpaca_over(model, clock, ("A", "B"), **options)
        model.cost_ns = data.draw(st.sampled_from([0, 10 * SECOND]))
        model.away = data.draw(st.booleans())
        with suppress(ProviderUnavailableError):
            for capture in provider.poll(checkpoint, clock.ns + 25 * SECOND):
                if checkpoint is not None and data.draw(st.integers(0, 4)) == 0:
                    break  # publishing failed: neither trades nor checkpoint are kept
                stored |= {one.event_id for one in capture.trades}
                checkpoint = capture.checkpoint
        # From the first poll on, whatever it met.
        assert checkpoint is not None
    model.cost_ns, model.away = 0, False
    for _ in range(2):
        clock.ns += 1000 * SECOND
        for capture in provider.poll(checkpoint, clock.ns + HOUR):
            stored |= {one.event_id for one in capture.trades}
            checkpoint = capture.checkpoint
    assert stored == expected


def test_a_first_poll_says_where_it_begins_before_it_asks(clock: Clock) -> None:
    model = AlpacaModel(clock, [trade("AAPL", START_NS - 100 * SECOND, 1)])
    model.away = True
    polling = alpaca_over(model, clock).poll(None, deadline(clock))
    beginning = next(polling)
    assert (beginning.trades, beginning.unreadable, model.calls) == ((), (), 0)
    with pytest.raises(ProviderUnavailableError):
        next(polling)
    model.away = False
    clock.ns += 5 * HOUR
    healed = alpaca_over(model, clock).poll(beginning.checkpoint, deadline(clock))
    assert ids(list(healed)) == ["iex:AAPL:20260101:V:1"]


def test_the_overlap_is_read_again_only_once_in_a_while_and_then_for_every_window_between(clock: Clock) -> None:
    model = AlpacaModel(clock, [], page=100)
    provider = alpaca_over(model, clock, overlap_seconds=300, look_back_seconds=60)
    checkpoint: str | None = None
    windows: list[tuple[int, int]] = []
    captured: list[str] = []
    for poll in range(37):
        # Just within the overlap when the window before ended, and known only now.
        model.trades.append(trade("AAPL", clock.ns - 299 * SECOND, poll, known_at=clock.ns + 1))
        for capture in provider.poll(checkpoint, deadline(clock)):
            checkpoint = capture.checkpoint
            captured += ids([capture])
        position = json.loads(str(checkpoint))
        windows.append(((position["end_ns"] - position["start_ns"]) // SECOND, position["end_ns"]))
        clock.ns += 5 * SECOND
    assert [seconds for seconds, _ in windows[:14]] == [300, *[5] * 11, 360, 5]
    assert len([seconds for seconds, _ in windows if seconds > 5]) == 4
    # The last look back was at the last poll.
    assert sorted(captured) == sorted(f"iex:AAPL:20260101:V:{poll}" for poll in range(36))


def test_an_unreadable_trade_is_handed_over_once_and_not_at_every_poll_of_the_overlap(clock: Clock) -> None:
    model = AlpacaModel(clock, [trade("AAPL", START_NS - SECOND, 1), trade("AAPL", START_NS - SECOND, 2, p=-1)])
    provider = alpaca_over(model, clock)
    checkpoint: str | None = None
    handed_over: list[bytes] = []
    failed = 0
    for poll in range(60):
        for capture in provider.poll(checkpoint, deadline(clock)):
            if poll == 0 and capture.unreadable:
                failed += 1  # neither piece nor checkpoint is kept
                break
            checkpoint = capture.checkpoint
            handed_over += [piece.payload for piece in capture.unreadable]
        clock.ns += 5 * SECOND
    assert (failed, len(handed_over)) == (1, 1)
    # Another process can't know, and sends it once more.
    clock.ns = START_NS + 20 * SECOND
    model.trades.append(trade("AAPL", clock.ns, 3, p=-1))
    again = [*alpaca_over(model, clock).poll(None, deadline(clock))]
    assert sum(len(capture.unreadable) for capture in again) == 2


def test_what_is_remembered_is_no_more_than_the_overlap_and_the_time_between_two_looks_back(clock: Clock) -> None:
    model = AlpacaModel(clock, [], page=100)
    provider = alpaca_over(model, clock, overlap_seconds=300, look_back_seconds=60)
    checkpoint: str | None = None
    for poll in range(400):
        model.trades = [*model.trades[-200:], trade("AAPL", clock.ns, poll, **({"p": -1} if poll % 2 else {}))]
        for capture in provider.poll(checkpoint, deadline(clock)):
            checkpoint = capture.checkpoint
        clock.ns += 5 * SECOND
    assert len(provider._seen._confirmed) <= (300 + 2 * 60) / 5 + 2
