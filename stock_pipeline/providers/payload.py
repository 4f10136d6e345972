"""A piece of a provider's answer: read strictly, or kept as it came with the reason why it could not be.

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
    """One JSON value as `wire`, numbers exact; raises `InvalidTradeError`."""
    try:
        return msgspec.json.decode(piece, type=wire)
    except msgspec.ValidationError as error:
        raise InvalidTradeError(Reason.SCHEMA, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidTradeError(Reason.NOT_JSON, str(error)) from None


def unreadable(error: InvalidTradeError, piece: bytes, credentials: Credentials) -> UnreadablePayload:
    """The piece with its reason, without the key, should the server have sent it back."""
    return UnreadablePayload(
        Reason(error.reason), credentials.redact(error.detail)[:300], credentials.redact_bytes(piece)
    )
