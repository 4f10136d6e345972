"""The contract of the stream as JSON Schema, from the limits that the code checks.

A test keeps `contracts/trade.v2.schema.json` equal to it, for other programs and the Glue Schema Registry. Three rules
don't fit JSON Schema and are the decoder's alone: a field is given once, price and volume have at most six decimal
places, and volume is null only for a quote.
"""

import json
from typing import Any

from stock_pipeline.domain.trade import (
    CAPTURE_MODES,
    CODES,
    EARLIEST_EVENT_TIME_NS,
    EVENT_ID,
    FEED,
    FIELDS,
    LATEST_EVENT_TIME_NS,
    MAX_INT64,
    MAX_PRICE,
    STATUSES,
    SYMBOL,
)

_TIME = {"type": "integer", "minimum": EARLIEST_EVENT_TIME_NS, "maximum": LATEST_EVENT_TIME_NS}


def trade_json_schema() -> dict[str, Any]:
    """Return the schema of one line of a Kinesis record."""
    properties: dict[str, dict[str, Any]] = {
        "event_id": _text(EVENT_ID.pattern, "Identity of the trade: the same for every redelivery and version."),
        "feed": _text(FEED.pattern, "Where the trade was seen: iex, sip, taq, sim …"),
        "capture_mode": {"enum": list(CAPTURE_MODES), "description": "quote: a polled last price without volume."},
        "symbol": _text(SYMBOL.pattern, "Ticker symbol."),
        "event_time_ns": {**_TIME, "description": "Venue time, nanoseconds since 1970-01-01 UTC."},
        "sequence": {
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_INT64,
            "description": "The source's order among trades of one instant.",
        },
        "price": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": float(MAX_PRICE),
            "description": "USD a share, at most six decimal places; read it as a decimal, never as a float.",
        },
        "volume": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": MAX_INT64,
            "description": "Shares, at most six decimal places; read it as a decimal. Null only for a quote.",
        },
        "exchange": _text(CODES.pattern, "Exchange code; empty if unknown."),
        "conditions": _text(CODES.pattern, "Sale condition codes, one character each."),
        "tape": _text(CODES.pattern, "A, B or C; empty if unknown."),
        "status": {"enum": list(STATUSES), "description": "good and corrected count; cancelled and notice do not."},
        "version": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**31 - 1,
            "description": "0 as first reported, higher after a correction or cancellation.",
        },
        "ingest_time_ns": {**_TIME, "description": "When the pipeline first saw the trade, nanoseconds UTC."},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "trade.v2",
        "title": "Trade",
        "description": "One line of a record of the stream.",
        "type": "object",
        "properties": properties,
        "required": list(FIELDS),
        "additionalProperties": False,
    }


def schema_text() -> str:
    return json.dumps(trade_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _text(pattern: str, description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{pattern})$", "description": description}
