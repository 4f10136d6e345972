"""Decides what redrive does with a message of the dead-letter queue.

Forms of messages belong to `redrive.message_forms`; fetching, publishing and deleting to `redrive.redrive`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_TRIES = 5
"""A message that failed so often is parked."""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """One received message.

    deliveries: this one included, and looks that were not tries.
    """

    message_id: str
    body: str
    deliveries: int


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
class Publish:
    """Publish these lines again, keep the rejected ones, then delete the message."""

    lines: tuple[bytes, ...]
    rejected: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Park:
    """Keep the message with its history in the quarantine, then delete it: another try changes nothing."""

    why: str


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


Action = Publish | Park | Leave | Expired


def plan(
    tries: int, found: Sequence[bytes] | Unredrivable | Leave | Expired, is_trade: Callable[[bytes], bool]
) -> Action:
    """Decide on a message.

    tries: of this message, this one included.
    found: its lines; or why there will never be any; or why they could not be fetched this time.
    """
    if isinstance(found, Unredrivable):
        return Park(found.why)
    if isinstance(found, Expired):
        return found
    if isinstance(found, Leave):
        return Park(f"{found.why}, {tries} times") if tries >= MAX_TRIES else found
    good = tuple(line for line in found if is_trade(line))
    bad = tuple(line for line in found if not is_trade(line))
    if good:
        return Publish(good, bad)
    if len(bad) > 1:
        # a batch of broken lines: each gets its own message, with its own reason
        return Publish((), bad)
    why = "the line is still no trade"
    return Park(f"{why}, {tries} times") if tries >= MAX_TRIES else Leave(why)
