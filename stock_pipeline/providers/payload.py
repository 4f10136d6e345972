"""Pieces of a provider's answer: read strictly, or kept as they came with the reason.

What the fields mean belongs to each provider.
"""

from typing import TypeVar

import msgspec

from stock_pipeline.domain.capture import UnreadablePayload
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.client.credentials import Credentials

Wire = TypeVar("Wire")


def read_piece(piece: "bytes | msgspec.Raw", wire: type[Wire]) -> Wire:
    """Return one JSON value as `wire`, numbers exact; raises `InvalidTradeError`."""
    try:
        return msgspec.json.decode(piece, type=wire)
    except msgspec.ValidationError as error:
        raise InvalidTradeError(Reason.SCHEMA, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidTradeError(Reason.NOT_JSON, str(error)) from None


def unreadable(error: InvalidTradeError, piece: bytes, credentials: Credentials) -> UnreadablePayload:
    """Return the piece with its reason, without the key, because a server may send it back."""
    return UnreadablePayload(
        Reason(error.reason), credentials.redact(error.detail)[:300], credentials.redact_bytes(piece)
    )
