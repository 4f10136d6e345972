"""Price alerts over a lake: each crossing is told once, whatever comes late, twice or anew, and whoever crashes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.bar import MINUTE_NS
from stock_pipeline.domain.feed_session import feed_session_hours
from stock_pipeline.domain.lake_layout import alerts_key
from stock_pipeline.domain.price_alert import UNIT, Condition, Crossing, Level, Rule, Seen, Silence
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.told_alerts import CLAIM_AGE, MOST_OF_A_SERIES, ToldAlerts
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import DamagedItemError, RetryableError
from stock_pipeline.serving.events import Frame
from stock_pipeline.serving.price_alerts import SEND_SECONDS, PriceAlerts, message_of
from tests.fakes.crashes import Crashed, CrashingObjectStore, Fuse, fuses
from tests.fakes.stores import FakeObjectStore
from tests.support.market import Market
from tests.support.trades import NOON, SESSION, trade

KEY = SymbolKey("ABC", "sim")
ABOVE = Level(12 * UNIT, 11 * UNIT, above=True)
KEY_OF_LOG = alerts_key(SESSION)


def rule(condition: Condition = ABOVE, name: str = "high", **fields: object) -> Rule:
    return Rule(name, ("ABC",), condition, **fields)  # type: ignore[arg-type]


def at(minute: int, price: int, number: int | None = None) -> Trade:
    """A trade of a minute after noon."""
    number = minute if number is None else number
    return trade(number, event_time_ns=NOON + minute * MINUTE_NS, price=Decimal(price))


class Desk:
    """A market with rules, its servers, and what was sent: (minute, text) of each line of each message."""

    def __init__(self, *rules: Rule) -> None:
        self.market, self.rules = Market(), rules or (rule(),)
        self.market.service.alerts = self.market.alerts(*self.rules)
        self.files = 0

    def step(self, *trades: Trade) -> None:
        if trades:
            self.files += 1
            self.market.lake.add(trades, self.files)
        self.market.step()

    def restart(self) -> None:
        self.market.service.follower.close()
        self.market.service.follower = self.market.follower()
        self.market.service.alerts = self.market.alerts(*self.rules)

    @property
    def alerts(self) -> PriceAlerts:
        return self.market.service.alerts

    def lines(self) -> list[str]:
        return [line for _, message in self.market.messages for line in message.splitlines()]

    def told_minutes(self) -> list[int]:
        log = ToldAlerts.parse(self.market.lake.store.get(KEY_OF_LOG))
        return [(alert.at_ns - NOON) // MINUTE_NS for alert in log.alerts]


def test_a_crossing_is_told_once_and_again_after_it_came_back() -> None:
    desk = Desk()
    for trades in ([at(0, 10)], [at(1, 12)], [], [at(2, 13)], [at(3, 11)], [at(4, 12)]):
        desk.step(*trades)
    assert desk.lines() == [
        "ABC (sim) 12.00, at or above 12.00, 2018-01-02 12:01 in New York (high)",
        "ABC (sim) 12.00, at or above 12.00, 2018-01-02 12:04 in New York (high)",
    ]
    assert desk.market.messages[0][0] == "Price alert: ABC 12.00, at or above 12.00"
    assert desk.market.log == [f"alert: {line}" for line in desk.lines()]
    desk.restart()
    desk.step()
    assert len(desk.lines()) == 2


def test_the_same_file_again_tells_nothing() -> None:
    desk = Desk()
    desk.step(at(1, 12))
    desk.step(at(1, 12))
    desk.restart()
    desk.step(at(1, 12))
    assert len(desk.lines()) == 1


def test_a_late_trade_that_moves_a_crossing_does_not_tell_it_twice() -> None:
    desk = Desk()
    desk.step(at(0, 10), at(5, 12))
    desk.step(at(3, 12, number=99))
    assert desk.told_minutes() == [5]
    desk.step(at(1, 12, number=98), at(2, 11, number=97))
    assert desk.told_minutes() == [5, 1], "one that came back before is another"


def test_a_correction_takes_a_crossing_away_and_the_next_one_is_told() -> None:
    desk = Desk()
    desk.step(at(0, 10), at(1, 12))
    (alert,) = desk.alerts.told.alerts
    assert desk.alerts.stands(alert)
    desk.step(replace(at(1, 12), status="cancelled", version=1))
    assert not desk.alerts.stands(alert)
    desk.step(at(7, 13))
    assert desk.told_minutes() == [1, 7]


def test_a_rule_that_was_changed_is_another_one() -> None:
    desk = Desk()
    desk.step(at(1, 14))
    desk.rules = (rule(Level(13 * UNIT, 12 * UNIT, above=True)),)
    desk.restart()
    desk.step()
    assert len(desk.lines()) == 2


def test_what_closed_above_yesterday_is_no_news_today() -> None:
    desk = Desk()
    desk.market.past = {"SELECT symbol, feed, close": [("ABC", "sim", Decimal("12.50"))]}
    desk.step(at(0, 13))
    assert desk.lines() == []
    desk.step(at(1, 10), at(2, 12))
    assert len(desk.lines()) == 1


def test_a_silence_needs_no_trade_to_be_told() -> None:
    desk = Desk(rule(Silence(5)))
    desk.market.lake.now -= timedelta(hours=4, minutes=58)  # two minutes past noon
    desk.step(*(at(minute, 10) for minute in range(-150, 1)))
    assert desk.lines() == []
    desk.market.lake.now += timedelta(minutes=4)
    desk.step()
    assert desk.lines() == ["ABC (sim) no trade for 5 minutes, 2018-01-02 12:06 in New York (high)"]
    desk.step()
    assert len(desk.lines()) == 1


def test_a_symbol_that_has_not_traded_is_silent_if_its_feed_is_named() -> None:
    desk = Desk(Rule("quiet", ("XYZ",), Silence(30), feed="sim"))
    desk.step(at(0, 10))
    assert [alert.series.key.symbol for alert in desk.alerts.told.alerts] == ["XYZ"]


def test_rules_of_other_days_and_of_a_session_that_is_over_call_nobody() -> None:
    later, before = SESSION + timedelta(days=1), SESSION - timedelta(days=1)
    desk = Desk(rule(first=later), rule(name="old", last=before))
    desk.step(at(1, 12))
    assert desk.alerts.told.alerts == ()
    desk = Desk()
    desk.market.lake.pass_time(timedelta(days=1))
    desk.step(at(1, 12))
    assert (len(desk.market.log), desk.lines()) == (1, [])


def test_a_flood_ends_in_one_message_and_with_a_word() -> None:
    desk = Desk()
    desk.step(*(at(minute, 10 + 3 * (minute % 2)) for minute in range(2 * MOST_OF_A_SERIES + 9)))
    assert len(desk.market.messages) == 1
    assert desk.market.messages[0][0].startswith("20 price alerts: ABC 13.00")
    assert len(desk.lines()) == MOST_OF_A_SERIES
    assert "the last that this rule tells of the symbol" in desk.lines()[-1]
    subject, message = message_of([*desk.alerts.told.alerts] * 4)
    assert message.splitlines()[-1] == "and 30 more, which the page shows"
    assert subject.endswith("and 79 more")


def test_messages_keep_a_distance_and_lose_nothing() -> None:
    desk = Desk()
    service, seconds = desk.market.service, 0.0
    for minute in range(1, 9):
        desk.files += 1
        desk.market.lake.add([at(minute, 10 + 3 * (minute % 2))], desk.files)
        seconds += SEND_SECONDS / 4
        service.step(seconds)
    service.step(seconds + SEND_SECONDS)
    assert [len(message.splitlines()) for _, message in desk.market.messages] == [1, 2, 1]


def test_a_topic_that_is_away_is_tried_again_and_prices_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    frames: list[Frame] = []
    desk.market.service.publish = frames.append

    def away(_subject: str, _message: str) -> None:
        raise RetryableError("the topic is away")

    monkeypatch.setattr(desk.alerts, "send", away)
    with pytest.raises(RetryableError):
        desk.step(at(1, 12))
    assert KEY in desk.market.service.board.quotes
    monkeypatch.undo()
    desk.step()
    assert len(desk.lines()) == 1
    assert [len(frame.alerts) for frame in frames] == [0, 1]


def test_a_torn_log_is_named_with_what_to_do() -> None:
    desk = Desk()
    desk.market.lake.store.put(KEY_OF_LOG, b'{"alerts": [{}]}')
    with pytest.raises(DamagedItemError, match=r"alerts/2018-01-02\.json .*found_at is missing\): delete it"):
        desk.step(at(1, 12))


def test_two_servers_tell_it_once_and_both_show_it() -> None:
    desk = Desk()
    other = desk.alerts
    desk.step(at(1, 12))
    desk.market.service.alerts = desk.market.alerts(*desk.rules)
    frames: list[Frame] = []
    desk.market.service.publish = frames.append
    desk.step(at(2, 13))
    assert len(desk.lines()) == 1
    assert desk.market.service.alerts.told == other.told


def stretches(desk: Desk) -> list[Crossing]:
    """Return what the rule finds in the bars by now."""
    session, hours = desk.market.service.follower.session, feed_session_hours(SESSION, "sim")
    assert session is not None
    assert hours is not None
    return desk.rules[0].crossings(Seen(session.minutes(KEY), hours, int(desk.market.lake.now.timestamp()) * 10**9))


PRICES = st.lists(st.integers(10, 13), min_size=1, max_size=8)


@pytest.mark.slow
@given(PRICES, st.data())
def test_in_the_order_of_time_each_crossing_is_told_once_over_restarts_and_redeliveries(
    prices: list[int], data: st.DataObject
) -> None:
    desk = Desk()
    sent = [at(minute, price) for minute, price in enumerate(prices)]
    restarts = data.draw(st.integers(0, len(sent)))
    place = 0
    while place < len(sent):
        size = data.draw(st.integers(1, 4))
        desk.step(*sent[: data.draw(st.integers(0, place))], *sent[place : place + size])
        if place <= restarts < place + size:
            desk.restart()
        place += size
    desk.step()
    expected = [crossing.at_ns for crossing in stretches(desk)]
    assert [alert.at_ns for alert in desk.alerts.told.alerts] == expected
    assert len(desk.lines()) == len(set(desk.lines())) == len(expected)
    desk.market.service.follower.close()


@pytest.mark.slow
@given(PRICES, st.data())
def test_in_any_order_and_with_corrections_no_crossing_is_missed_or_told_twice(
    prices: list[int], data: st.DataObject
) -> None:
    desk = Desk()
    rows = [at(minute, price) for minute, price in enumerate(prices)]
    some = data.draw(st.lists(st.sampled_from(rows), max_size=3, unique_by=lambda row: row.sequence))
    rows += [replace(row, version=1, status="corrected", price=Decimal(23 - int(row.price))) for row in some]
    rows = data.draw(st.permutations(rows))
    restarts = data.draw(st.integers(0, len(rows)))
    for number, row in enumerate(rows):
        before = desk.alerts.told.alerts
        if number == restarts:
            desk.restart()
            desk.step()
            assert desk.alerts.told.alerts == before, "a restart tells nothing"
        desk.step(row)
        told = desk.alerts.told.alerts
        for crossing in stretches(desk):
            inside = [alert for alert in told if crossing.covers(alert.at_ns)]
            assert inside, "no crossing is missed"
            assert sum(alert not in before for alert in inside) <= all(alert not in before for alert in inside), (
                "of one that was told nothing is told again"
            )
        assert len(desk.lines()) == len(told)
    desk.market.service.follower.close()


class CrashingDesk(Desk):
    """A desk whose server crashes at a chosen side effect: a write to the lake, or a message."""

    def use(self, fuse: Fuse) -> None:
        send, store = self.market._send, self.market.lake.store

        def sending(subject: str, message: str) -> None:
            with fuse.around("send"):
                send(subject, message)

        lake: FakeObjectStore = CrashingObjectStore(store, fuse)
        self.alerts.objects, self.alerts.send = lake, sending


def test_a_crash_at_any_moment_loses_no_alert_and_repeats_one_only_if_it_was_just_sent() -> None:
    for fuse in fuses(fewest=3):
        desk = CrashingDesk()
        desk.market.lake.add([at(0, 10), at(1, 12), at(2, 11), at(3, 12)], 1)
        desk.use(fuse)
        crashed = False
        try:
            desk.step()
        except Crashed:
            crashed = True
        desk.restart()
        desk.step()
        desk.market.lake.now += CLAIM_AGE
        desk.step()
        desk.step()
        lines = desk.lines()
        # sent, and the crash came before that was written down
        is_again = crashed and (
            (fuse.happened == "send" and fuse.after)
            or (fuse.happened.startswith("put") and fuse.count == 3 and not fuse.after)
        )
        assert len(set(lines)) == 2
        assert len(lines) == (4 if is_again else 2), fuse
        assert all(alert.sent_at is not None for alert in desk.alerts.told.alerts)
        desk.market.service.follower.close()


def test_who_lost_its_claim_does_not_send_what_another_sent() -> None:
    desk = Desk()

    def away(_subject: str, _message: str) -> None:
        raise RetryableError("the topic is away")

    slow = desk.alerts
    slow.send = away
    with pytest.raises(RetryableError):
        desk.step(at(1, 12))
    desk.market.lake.now += CLAIM_AGE
    desk.market.service.alerts = desk.market.alerts(*desk.rules)
    desk.step()
    assert len(desk.lines()) == 1
    again: list[str] = []
    send: Callable[[str, str], None] = lambda subject, _message: again.append(subject)  # noqa: E731
    slow.send = send
    desk.market.service.alerts = slow
    desk.step()
    assert again == []
