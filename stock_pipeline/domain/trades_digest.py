"""Order-free figures of a set of trades, which a proof compares and a manifest keeps."""

from dataclasses import asdict, dataclass
from typing import Any

from stock_pipeline.domain.document import Document
from stock_pipeline.domain.trade import SHARE_PARTS, Shares, shares_of

_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class TradesDigest:
    """The figures of some rows; `plus` adds those of other rows.

    volume, volume_fraction: sums of the two columns. `shares` is what they are together.
    ids_hash, rows_hash: the wrapping sum of a 64-bit hash of each row's event id, and of its content. Engines and
        releases hash differently, so sums are compared within one compaction only.
    """

    rows: int = 0
    volume: int = 0
    ids_hash: int = 0
    rows_hash: int = 0
    min_event_time_ns: int | None = None
    max_event_time_ns: int | None = None
    volume_fraction: int = 0

    @property
    def shares(self) -> Shares:
        return shares_of(self.volume + self.volume_fraction // SHARE_PARTS, self.volume_fraction % SHARE_PARTS)

    def plus(self, other: "TradesDigest") -> "TradesDigest":
        earliest = [t for t in (self.min_event_time_ns, other.min_event_time_ns) if t is not None]
        latest = [t for t in (self.max_event_time_ns, other.max_event_time_ns) if t is not None]
        return TradesDigest(
            rows=self.rows + other.rows,
            volume=self.volume + other.volume,
            volume_fraction=self.volume_fraction + other.volume_fraction,
            ids_hash=(self.ids_hash + other.ids_hash) & _MASK,
            rows_hash=(self.rows_hash + other.rows_hash) & _MASK,
            min_event_time_ns=min(earliest, default=None),
            max_event_time_ns=max(latest, default=None),
        )

    def to_document(self) -> dict[str, Any]:
        """Return JSON values, hashes as hexadecimal digits, because readers cut integers beyond 53 bits."""
        return asdict(self) | {"ids_hash": f"{self.ids_hash:016x}", "rows_hash": f"{self.rows_hash:016x}"}

    @classmethod
    def from_document(cls, document: Document) -> "TradesDigest":
        """Read what `to_document` returned; `ValueError` names a field of another kind."""
        return cls(
            rows=document.whole("rows"),
            volume=document.whole("volume"),
            volume_fraction=document.whole("volume_fraction", 0),
            ids_hash=document.hexadecimal("ids_hash"),
            rows_hash=document.hexadecimal("rows_hash"),
            min_event_time_ns=document.whole_or_none("min_event_time_ns"),
            max_event_time_ns=document.whole_or_none("max_event_time_ns"),
        )
