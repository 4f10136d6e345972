"""Which rows have times of a session, by the rule of their feed."""

from collections.abc import Iterable
from datetime import date
from functools import reduce
from operator import or_

import polars as pl

from stock_pipeline.domain.feed_session import rule_session_bounds_ns, session_rule


def within_session(feeds: Iterable[str | None], session_date: date) -> pl.Expr:
    """Return an expression over `feed` and `event_time_ns` of rows of these feeds: whether each is of the session.

    A row without a feed, which the caller refuses, is of none.
    """
    feeds_of_rule: dict[tuple[int, int], list[str]] = {}
    for feed in feeds:
        if feed is None:
            continue
        feeds_of_rule.setdefault(rule_session_bounds_ns(session_date, session_rule(feed)), []).append(feed)
    within = {bounds: pl.col("event_time_ns").is_between(*bounds, closed="left") for bounds in feeds_of_rule}
    if len(within) == 1:  # a membership of each row would cost more than the comparison
        return next(iter(within.values()))
    each = (pl.col("feed").is_in(feeds) & within[bounds] for bounds, feeds in feeds_of_rule.items())
    return reduce(or_, each, pl.lit(False))
