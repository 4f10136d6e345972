"""The option `--alerts` of commands that watch prices, and the file of rules that it names."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stock_pipeline.domain.price_alert import Rule

USUAL_FILE = Path("alerts.toml")
"""What `up` takes without being told."""


def add_rules(parser: argparse.ArgumentParser, usual: str = "none") -> None:
    parser.add_argument(
        "--alerts",
        type=Path,
        metavar="FILE",
        help=f"price alert rules to watch, as in examples/alerts.toml (default: {usual})",
    )


def rules_of(file: Path | None) -> "tuple[Rule, ...]":
    """Return the rules of a file; raises `InputFileError` that names what is wrong in it."""
    from stock_pipeline.domain.price_alert_rules import MOST_BYTES, parse_rules
    from stock_pipeline.domain.session import exchange_time_zone

    if file is None:
        return ()
    with file.open("rb") as opened:
        # a byte more than may be, so that a mistaken name of a large file does not fill the memory
        body = opened.read(MOST_BYTES + 1)
    return parse_rules(body, str(file), datetime.now(UTC).astimezone(exchange_time_zone()).date())
