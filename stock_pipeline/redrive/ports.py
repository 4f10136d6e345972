"""What redrive acts on, as Protocols, where `streaming.ports` has nothing alike. Nothing is done here."""

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
        """Show the message to others again after the queue's own delay."""

    def put_back(self) -> None:
        """Show the message to others again at once, because nothing was tried."""


class RedriveQueue(DeadLetterQueue, Protocol):
    """The dead-letter queue, to read from as well."""

    def receive(self, limit: int) -> Sequence[Received]: ...


class Buckets(Protocol):
    """Objects that messages point to, and the pipeline's own bucket to write to."""

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return the object, or None if it is missing."""

    def put(self, key: str, body: bytes) -> None:
        """Write an object of the pipeline's own bucket."""


class LedgerObjects(Protocol):
    """Objects of the pipeline's own bucket, where the ledger lies."""

    def get_if_there(self, key: str) -> bytes | None: ...

    def put(self, key: str, body: bytes) -> None: ...


class RecordHistory(Protocol):
    """The stream's past records."""

    def read(self, place: StreamRange) -> Sequence[bytes] | None:
        """Return the payloads of a range of the stream, or None if they have expired."""


class Rate(Protocol):
    """Limit of the lines that redrive may publish."""

    def turn(self, lines: int, deadline_ns: int) -> bool:
        """Wait until there is room for `lines`. Return False if there is none before the deadline."""
