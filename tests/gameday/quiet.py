"""Times at which nothing comes in and nothing may come on: the schedules run, the market does not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time

from stock_pipeline.domain.freshness import expected_session
from stock_pipeline.domain.session import exchange_time_zone, extended_close_ns, is_trading_day
from tests.gameday.account import EMPTY, MINUTE, STEP, Account, Watch

SCHEDULE = range(4, 21)
"""Hours of New York in which the scheduler starts the producer, Monday to Friday, holidays too."""

COMPACTED_AT = time(20, 35)


@dataclass(frozen=True)
class Quiet:
    """A stretch of time in which all is well."""

    name: str
    start: datetime
    hours: int

    def play(self, new: Callable[[datetime], Account]) -> dict[str, int]:
        """Return the alarms that came on, with the minutes since the start."""
        account = new(self.start)
        account.sees_dagster_every = 12 * STEP
        account.trades = 1
        # so that alarms on silence have a past
        account.now -= 90 * MINUTE
        watch = Watch(self.start.timestamp())
        while account.now < watch.since + self.hours * 60 * MINUTE:
            before = account.now
            self._go_on(account)
            account.step()
            if before >= watch.since:
                watch.look(account.samples, before, account.now, STEP)
        return watch.first

    def _go_on(self, account: Account) -> None:
        now = datetime.fromtimestamp(account.now, UTC)
        local = now.astimezone(exchange_time_zone())
        trades = is_trading_day(local.date()) and account.now * 1e9 < extended_close_ns(local.date())
        account.starts = local.isoweekday() <= 5 and local.hour in SCHEDULE
        account.answer = None if trades else lambda _account: EMPTY
        if is_trading_day(local.date()) and local.time() == COMPACTED_AT and expected_session(now) != local.date():
            account.publish(local.date())


QUIET = (
    Quiet("a night", datetime(2026, 1, 8, 1, tzinfo=UTC), 8),
    Quiet("a weekend", datetime(2026, 1, 10, 5, tzinfo=UTC), 48),
    Quiet("a holiday", datetime(2026, 1, 19, 5, tzinfo=UTC), 24),
    Quiet("a half day", datetime(2025, 11, 28, 5, tzinfo=UTC), 24),
)
"""The night after a session, a Saturday and Sunday, Martin Luther King Jr. Day, and the day after Thanksgiving."""
