"""Protocols of what redrive alone acts on. Those it shares are in `streaming.ports`."""

from collections.abc import Sequence
from typing import Protocol

from stock_pipeline.domain.redrive_plan import QueueMessage, StreamRange
from stock_pipeline.streaming.ports import DeadLetterQueue


class Received(Protocol):
    """A received message, hidden from other receivers for a while."""

    @property
    def message(self) -> QueueMessage: ...

    def delete(self) -> None: ...

    def release(self) -> None:
        """Show the message again after the queue's own delay."""

    def put_back(self) -> None:
        """Show the message again at once."""


class RedriveQueue(DeadLetterQueue, Protocol):
    """The dead-letter queue, to read from too."""

    def receive(self, limit: int) -> Sequence[Received]: ...


class MessageObjects(Protocol):
    """Objects that messages point to."""

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return the object, or None if it is missing."""

    def put(self, key: str, body: bytes) -> None:
        """Write into the pipeline's own bucket."""


class LedgerObjects(Protocol):
    """Objects of the pipeline's own bucket."""

    def get_if_there(self, key: str) -> bytes | None: ...

    def put(self, key: str, body: bytes) -> None: ...


class RecordHistory(Protocol):
    def read(self, place: StreamRange) -> Sequence[bytes] | None:
        """Return the payloads of a range, or None if they have expired."""


class Rate(Protocol):
    def turn(self, lines: int, deadline_ns: int) -> bool:
        """Wait for room for `lines`. Return False if there is none before the deadline."""
