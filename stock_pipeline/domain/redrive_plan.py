"""Decides what redrive does with a message of the dead-letter queue.

Forms of messages belong to `redrive.message_forms`; fetching, publishing and deleting to `redrive.redrive`.
"""

from collections.abc import Callable
from dataclasses import dataclass

MAX_TRIES = 5
"""A message that failed so often is parked."""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """One received message.

    deliveries: this one included, and looks that were not tries.
    sent_at: seconds since 1970 UTC.
    """

    message_id: str
    body: str
    deliveries: int
    sent_at: float


@dataclass(frozen=True, slots=True)
class Inline:
    """The message has its lines itself."""

    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The lines lie in an object."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class StreamRange:
    """The lines lie in the stream, between two sequence numbers of a shard, both included, while it keeps them."""

    stream_arn: str
    shard_id: str
    first_sequence: str
    last_sequence: str
    records: int


@dataclass(frozen=True, slots=True)
class Unredrivable:
    """Nothing can be published again, now or later."""

    why: str


Origin = Inline | StoredObject | StreamRange | Unredrivable


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the message in the queue: a later try may succeed."""

    why: str


@dataclass(frozen=True, slots=True)
class Expired:
    """Leave the message in the queue after any number of tries, because only it names the lost lines.

    An operator gets them from the price API again, then parks it.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a message's origins gave.

    missing: why some or all lines were not there.
    """

    lines: tuple[bytes, ...] = ()
    missing: Unredrivable | Leave | Expired | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish these lines again, keep the rejected ones, then delete the message."""

    lines: tuple[bytes, ...]
    rejected: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Park:
    """Keep the message with its history in the quarantine, then delete it: another try changes nothing.

    lines, rejected: others of the message, which are published or kept first.
    spent: lines that came back too often.
    """

    why: str
    lines: tuple[bytes, ...] = ()
    rejected: tuple[bytes, ...] = ()
    spent: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete the message: there is nothing to redrive in it."""

    why: str


Action = Publish | Park | Leave | Expired | Drop


def plan(
    tries: int,
    found: Found,
    is_trade: Callable[[bytes], bool],
    published: Callable[[bytes], int],
    was_rejected: bool,
) -> Action:
    """Decide on a message.

    tries: of this message, this one included.
    published: how often redrive published a line before.
    was_rejected: the lines are those of one rejection, so that they stay together if none is a trade.
    """
    missing = found.missing
    if isinstance(missing, Expired):
        return missing
    if isinstance(missing, Leave) and tries < MAX_TRIES:
        return missing
    judged = [(line, is_trade(line)) for line in found.lines]
    good = tuple(line for line, is_good in judged if is_good)
    bad = tuple(line for line, is_good in judged if not is_good)
    spent = tuple(line for line in good if published(line) + 1 >= MAX_TRIES)
    fresh = tuple(line for line in good if published(line) + 1 < MAX_TRIES)
    if missing is not None:
        why = missing.why if isinstance(missing, Unredrivable) else f"{missing.why}, {tries} times"
        return Park(why, fresh, bad, spent)
    if spent:
        return Park(f"{len(spent)} of its lines came back, {MAX_TRIES} times", fresh, bad, spent)
    if good or (len(bad) > 1 and not was_rejected):
        return Publish(good, bad)
    why = "the line is still no trade" if len(bad) == 1 else f"its {len(bad):,} lines are still no trades"
    return Park(f"{why}, {tries} times") if tries >= MAX_TRIES else Leave(why)
