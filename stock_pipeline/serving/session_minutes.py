"""The minutes of a session, numbered from its partition's first instant on, and the part in which each lies."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt

from stock_pipeline.domain.bar import MINUTE_NS
from stock_pipeline.domain.feed_session import (
    SESSION_PARTS,
    SessionRule,
    feed_session_hours,
    partition_end_ns,
    partition_start_ns,
    session_part,
    session_rule,
)

REGULAR_CODE = SESSION_PARTS.index("regular")


@dataclass(frozen=True)
class SessionMinutes:
    session_date: date

    @cached_property
    def start_ns(self) -> int:
        return partition_start_ns(self.session_date)

    @cached_property
    def count(self) -> int:
        return (partition_end_ns(self.session_date) - self.start_ns) // MINUTE_NS

    @cached_property
    def _parts(self) -> dict[SessionRule, npt.NDArray[np.int8]]:
        return {}

    def parts(self, feed: str) -> npt.NDArray[np.int8]:
        """Return for each minute the place in `SESSION_PARTS` of its part, which begins on a whole minute."""
        rule = session_rule(feed)
        if rule not in self._parts:
            codes = [
                SESSION_PARTS.index(session_part(self.start_ns + minute * MINUTE_NS, feed))
                for minute in range(self.count)
            ]
            self._parts[rule] = np.array(codes, np.int8)
        return self._parts[rule]

    def makes_prices(self, feed: str) -> npt.NDArray[np.bool_]:
        """Return which minutes make the day's prices: the regular ones, and all of a venue that is open overnight."""
        if session_rule(feed) is SessionRule.OVERNIGHT:
            return np.ones(self.count, np.bool_)
        return np.asarray(self.parts(feed) == REGULAR_CODE)

    def has_session(self, feed: str) -> bool:
        return feed_session_hours(self.session_date, feed) is not None
