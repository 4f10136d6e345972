"""A checkpoint from the future, which a wrong clock or hand has written: from it on nothing would be read, silently.

Only the provider can read its checkpoint. But times in it are nanoseconds, which no other number of a checkpoint is.
"""

import json
from collections.abc import Iterator
from typing import Any

from stock_pipeline.errors import PermanentError

NANOSECONDS = 10**9
EARLIEST_TIME_NS = 10**18
"""2001. Smaller integers are counts, or times in other units."""

SKEW_SECONDS = 60
"""Most that two machines' clocks may differ."""


class FutureCheckpointError(PermanentError):
    """The checkpoint lies ahead of the clock."""


def check_not_ahead(checkpoint: str | None, now_ns: int) -> None:
    """Raise `FutureCheckpointError` if a time in the checkpoint lies ahead of the clock."""
    ahead_ns = max(_times_ns(checkpoint), default=now_ns) - now_ns
    if ahead_ns > SKEW_SECONDS * NANOSECONDS:
        raise FutureCheckpointError(
            f"the checkpoint lies {ahead_ns // NANOSECONDS:,} s ahead of the clock; nothing would be read until then: "
            "put an older version of it back (docs/runbook.md), or delete it to begin now, without the trades since"
        )


def _times_ns(checkpoint: str | None) -> Iterator[int]:
    try:
        document = json.loads(checkpoint) if checkpoint else None
    except (ValueError, RecursionError):
        return
    yield from (number for number in _numbers(document) if number >= EARLIEST_TIME_NS)


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _numbers(part)
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part)
