"""What the streaming use cases act on, as Protocols. `aws` and `providers` implement them; nothing is done here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.symbol_state import HeldState, SymbolKey, SymbolState
from stock_pipeline.streaming.record_packing import PackedRecord


class Provider(Protocol):
    """Source of trades."""

    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield pages of trades since the checkpoint. Ends by itself, or at the deadline without loss."""


class CheckpointStore(Protocol):
    """Place that keeps how far a provider was read."""

    def load(self) -> str | None: ...

    def save(self, checkpoint: str) -> None: ...


class Stream(Protocol):
    """The stream, to write to."""

    def put(self, records: Sequence[PackedRecord]) -> list[str | None]:
        """Put records in one call. Return for each None if it was taken, else the error code."""


class Leftovers(Protocol):
    """Place for records that the stream refused."""

    def keep(self, records: Sequence[PackedRecord], reason: str) -> None:
        """Keep the records with their payload, and announce them for redrive."""


class DeadLetterQueue(Protocol):
    """The dead-letter queue, to send to."""

    def send(self, documents: Sequence[bytes]) -> None:
        """Keep every JSON document, or raise."""


class Objects(Protocol):
    """Objects of the pipeline's bucket, to write."""

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write the object unless the key is taken. Return True if it was written."""


class AddressedObjects(Objects, Protocol):
    """`Objects` that a message can point to."""

    def uri(self, key: str) -> str:
        """Return the object's address, `s3://bucket/key`."""


class StateStore(Protocol):
    """The realtime table."""

    def read(self, keys: Sequence[SymbolKey]) -> Mapping[SymbolKey, HeldState]:
        """Return the stored states; keys without one are left out."""

    def write(self, state: SymbolState, replaces: str | None) -> None:
        """Write if the stored revision is `replaces` (None: nothing is stored), else raise `StateConflictError`."""
