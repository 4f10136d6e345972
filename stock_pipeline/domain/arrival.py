"""What the arrival of its record says about a trade. The stream stamps it, so no source's clock can move it."""

from dataclasses import dataclass

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InvalidTradeError

NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class ArrivalLimits:
    """How far a trade's time may lie from the arrival of its record.

    ahead_seconds: a trade from further ahead is rejected.
    remembered_days: an older trade enters the lake only, because the realtime state may have forgotten newer ones by
    then; None if it forgets nothing.
    """

    ahead_seconds: int = 900
    remembered_days: int | None = None

    @property
    def ahead_ns(self) -> int:
        return self.ahead_seconds * NANOSECONDS

    @property
    def remembered_ns(self) -> int | None:
        return None if self.remembered_days is None else self.remembered_days * 86_400 * NANOSECONDS

    def check(self, trade: Trade, arrival_ns: int) -> None:
        """Raise `InvalidTradeError` for a trade from too far ahead."""
        ahead_ns = trade.event_time_ns - arrival_ns
        if ahead_ns > self.ahead_ns:
            raise InvalidTradeError(Reason.FUTURE, ahead(ahead_ns))


def ahead(nanoseconds: int) -> str:
    """Return what is wrong with a trade from so far ahead."""
    return f"event_time_ns is {nanoseconds // NANOSECONDS:,} s ahead of the record's arrival"
