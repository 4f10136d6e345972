"""docs/alarms.md, from what a game day gave."""

from collections.abc import Mapping
from typing import NamedTuple

from tests.support.alarms import planned_alarms

ENVIRONMENT = "prod"


class Row(NamedTuple):
    """What broke, and the alarms that came on, with the minutes since."""

    broken: str
    alarms: Mapping[str, int]


class GameDay(NamedTuple):
    live: list[Row]
    measured: list[Row]
    quiet: list[Row]


def page(day: GameDay) -> str:
    """Return the page."""
    return f"""# Alarms: which one tells of what
`make gameday` writes this page: it breaks each part, and evaluates the alarms that Terraform plans for prod on what was
printed meanwhile. dev has all but those of Dagster. Names lead to the runbook. In brackets: minutes after the break, on
a simulated clock, once the metric is there; metrics come a minute or two later. Where data is missing, CloudWatch
[may look at some periods more](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html).
Dagster also sends its own messages of failed runs and ticks to the same topic, while it lives.

## Broken on the local stack
The real functions and Dagster's real verdicts met this, in an open market. AWS's own metrics are counted as their pages
define them.

{_table(day.live)}

## Measured by AWS alone, or over days
One metric each, with its documented meaning; redrive's from real runs a day apart.

{_table(day.measured)}

## Quiet
Nothing came on in {", ".join(row.broken for row in day.quiet)}.

## How urgent
All are, but {", ".join(_link(name) for name in sorted(_not_urgent()))}. They say so in their first words, and send no
message when they end.
"""


def _not_urgent() -> list[str]:
    alarms = planned_alarms(ENVIRONMENT)
    return [name for name, alarm in alarms.items() if alarm["alarm_description"].startswith("Not urgent")]


def _table(rows: list[Row]) -> str:
    lines = ["| broken | who tells |", "|---|---|"]
    for row in rows:
        told = ", ".join(f"{_link(name)} ({_span(minutes)})" for name, minutes in row.alarms.items())
        lines.append(f"| {row.broken} | {told} |")
    return "\n".join(lines)


def _link(name: str) -> str:
    # services that stop share a section
    anchor = "code-stopped-webserver-stopped-daemon-stopped" if name.endswith("-stopped") else name
    return f"[`{name}`](runbook.md#{anchor})"


def _span(minutes: int) -> str:
    return (
        f"{minutes}" if minutes < 120 else f"{minutes / 60:.0f} h" if minutes < 2880 else f"{minutes / 1440:.0f} days"
    )
