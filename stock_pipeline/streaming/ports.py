"""Protocols of what the streaming use cases act on. `aws` and `providers` implement them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.streaming.record_packing import PackedRecord

if TYPE_CHECKING:
    # they need numpy, which only the processor has
    from stock_pipeline.state.rows import NewState
    from stock_pipeline.state.stored_item import StoredItem


class Provider(Protocol):
    def poll(self, checkpoint: str | None, deadline_ns: int) -> Iterator[Capture]:
        """Yield pages of trades since the checkpoint. Ends at the deadline without loss."""


class CheckpointStore(Protocol):
    """Store of a provider's position."""

    def load(self) -> str | None: ...

    def save(self, checkpoint: str) -> None: ...


class Stream(Protocol):
    def put(self, records: Sequence[PackedRecord]) -> list[str | None]:
        """Put records in one call. Return for each the error code, or None if it was taken."""


class Leftovers(Protocol):
    """Store of records that the stream refused."""

    def keep(self, records: Sequence[PackedRecord], reason: str) -> None:
        """Keep the records, and announce them for redrive."""


class DeadLetterQueue(Protocol):
    def send(self, documents: Sequence[bytes]) -> None:
        """Keep every JSON document, or raise."""


class Objects(Protocol):
    """Objects of the pipeline's bucket."""

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write the object unless the key is taken. Return True if it was written."""


class AddressedObjects(Objects, Protocol):
    """`Objects` that a message can point to."""

    def uri(self, key: str) -> str:
        """Return `s3://bucket/key`."""


class StateStore(Protocol):
    def read_once(self, keys: Sequence[SymbolKey]) -> "tuple[Mapping[SymbolKey, StoredItem], Sequence[SymbolKey]]":
        """Return stored items, without keys that have none; and the keys that could not be read now."""

    def put(self, state: "NewState", replaces: str | None) -> "StoredItem":
        """Write if the stored revision is `replaces` (None: nothing is stored), else raise `StateConflictError`.

        Return what is stored.
        """
