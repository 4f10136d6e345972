"""The dbt seeds that follow from the domain, as CSV: sale conditions and trading sessions.

The files are committed, because dbt also runs without this package; a test compares them. After a change of the domain
`stock-pipeline seeds` writes them anew. The third seed, `corporate_action_overrides`, is kept by hand.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from stock_pipeline.domain.conditions import SALE_CONDITIONS
from stock_pipeline.domain.feed_session import NIGHT_ENDS
from stock_pipeline.domain.session import (
    FIRST_CALENDAR_YEAR,
    NANOSECONDS,
    new_york_ns,
    session_hours,
    trading_days,
)

FIRST_SESSION = date(FIRST_CALENDAR_YEAR, 1, 1)
LAST_SESSION = date(2035, 12, 31)
"""Trades outside these dates have no session in SQL: they count for volume, not for prices."""


def sale_conditions_csv() -> str:
    flags = (
        "updates_volume",
        "updates_high_low",
        "updates_open_close",
        "is_auction",
        "is_official_print",
        "is_opening",
        "is_closing",
        "is_corrected_close",
    )
    rows = (
        [
            condition.code,
            condition.tape,
            condition.name,
            *(_flag(getattr(condition, flag)) for flag in flags),
        ]
        for condition in SALE_CONDITIONS
    )
    return _csv(("code", "tape", "name", *flags), rows)


def trading_sessions_csv() -> str:
    rows = []
    for day in trading_days(FIRST_SESSION, LAST_SESSION):
        hours = session_hours(day)
        assert hours is not None  # a trading day has hours
        instants = (new_york_ns(day, NIGHT_ENDS), hours.open_ns, hours.close_ns)
        rows.append([day.isoformat(), *map(_utc, instants), _flag(hours.is_half_day)])
    return _csv(("session_date", "night_end_utc", "open_utc", "close_utc", "is_half_day"), rows)


def write_seeds(folder: Path) -> list[Path]:
    """Write both files into the folder; return the paths of those that changed."""
    changed = []
    for name, text in (
        ("sale_conditions.csv", sale_conditions_csv()),
        ("trading_sessions.csv", trading_sessions_csv()),
    ):
        path = folder / name
        if not path.exists() or path.read_bytes() != text.encode():
            path.write_text(text, encoding="utf-8", newline="")
            changed.append(path)
    return changed


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _utc(instant_ns: int) -> str:
    # Without a zone or fraction: the one form that both dbt adapters load as a timestamp.
    return datetime.fromtimestamp(instant_ns // NANOSECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _flag(value: bool) -> str:
    return "true" if value else "false"
