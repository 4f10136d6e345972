"""What a provider hands over: trades, what it could not read, and how far it came."""

from dataclasses import dataclass

from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.trade import Trade


@dataclass(frozen=True, slots=True)
class UnreadablePayload:
    """A piece of a provider's answer that is no trade. `payload` is that piece as it came."""

    reason: Reason
    detail: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """One page of a provider.

    `checkpoint` says where to go on once these trades are in the stream; None leaves it as it is. It is opaque to
    everybody but its provider.
    """

    trades: tuple[Trade, ...]
    unreadable: tuple[UnreadablePayload, ...] = ()
    checkpoint: str | None = None
