"""The project's sample session: a real day of one stock, and the bar that was published for it.

Provenance: `sample/README.md`.
"""

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

_FOLDER = Path(__file__).parent / "sample"

SAMPLE_TRADES = _FOLDER / "xxx_2018-01-02.parquet"


@dataclass(frozen=True, slots=True)
class PublishedBar:
    """Daily bar from a source that is independent of the trades it is compared with."""

    symbol: str
    session_date: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


def published_bar() -> PublishedBar:
    fields = json.loads((_FOLDER / "published_bar.json").read_text())
    return PublishedBar(
        symbol=fields["symbol"],
        session_date=date.fromisoformat(fields["session_date"]),
        **{name: Decimal(fields[name]) for name in ("open", "high", "low", "close")},
        volume=fields["volume"],
    )
