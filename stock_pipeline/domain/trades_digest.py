"""Order-free figures of a set of trades, which a proof compares and a manifest keeps."""

from dataclasses import asdict, dataclass
from typing import Any

_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class TradesDigest:
    """The figures of some rows; `plus` adds those of other rows.

    ids_hash, rows_hash: the wrapping sum of a 64-bit hash of each row's event id, and of its content.
    """

    rows: int = 0
    volume: int = 0
    ids_hash: int = 0
    rows_hash: int = 0
    min_event_time_ns: int | None = None
    max_event_time_ns: int | None = None

    def plus(self, other: "TradesDigest") -> "TradesDigest":
        earliest = [t for t in (self.min_event_time_ns, other.min_event_time_ns) if t is not None]
        latest = [t for t in (self.max_event_time_ns, other.max_event_time_ns) if t is not None]
        return TradesDigest(
            rows=self.rows + other.rows,
            volume=self.volume + other.volume,
            ids_hash=(self.ids_hash + other.ids_hash) & _MASK,
            rows_hash=(self.rows_hash + other.rows_hash) & _MASK,
            min_event_time_ns=min(earliest, default=None),
            max_event_time_ns=max(latest, default=None),
        )

    def to_document(self) -> dict[str, Any]:
        """Return JSON values, hashes as hexadecimal digits, because readers cut integers beyond 53 bits."""
        return asdict(self) | {"ids_hash": f"{self.ids_hash:016x}", "rows_hash": f"{self.rows_hash:016x}"}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "TradesDigest":
        hashes = {name: int(document[name], 16) for name in ("ids_hash", "rows_hash")}
        return cls(**{**document, **hashes})
