"""What a provider hands over: trades, unreadable payloads, and its checkpoint."""

from dataclasses import dataclass

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade


@dataclass(frozen=True, slots=True)
class UnreadablePayload:
    """A piece of a provider's answer that is not a trade; `payload` is its bytes."""

    reason: Reason
    detail: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """One page of a provider.

    checkpoint: where to go on once these trades are in the stream, readable by the provider only; None changes nothing.
    """

    trades: tuple[Trade, ...]
    unreadable: tuple[UnreadablePayload, ...] = ()
    checkpoint: str | None = None
