"""The OpenAPI 3.1 description of the read API, its schemas made of `shapes`."""

from typing import Any

import msgspec

from stock_pipeline.domain.trade import FEED, SYMBOL
from stock_pipeline.serving import shapes
from stock_pipeline.serving.parameters import MOST_BARS, MOST_DAYS, MOST_SYMBOLS

_REF = "#/components/schemas/{name}"
_ANSWERS = (
    shapes.Latest,
    shapes.Bars,
    shapes.Trades,
    shapes.Actions,
    shapes.PriceAlerts,
    shapes.Pipeline,
    shapes.Sparklines,
    shapes.Sessions,
    shapes.Health,
    shapes.Problem,
)
_DATE = {"type": "string", "format": "date"}
_SECOND = {"type": "string", "pattern": r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$"}


def openapi_document() -> dict[str, Any]:
    (_, components) = msgspec.json.schema_components(_ANSWERS, ref_template=_REF)
    symbol = _parameter("symbol", "Ticker symbol.", {"type": "string", "pattern": _whole(SYMBOL.pattern)}, "path")
    symbols = _parameter(
        "symbols",
        f"Ticker symbols, separated by commas; at most {MOST_SYMBOLS}.",
        {
            "type": "array",
            "items": {"type": "string", "pattern": _whole(SYMBOL.pattern)},
            "minItems": 1,
            "maxItems": MOST_SYMBOLS,
        },
    ) | {"style": "form", "explode": False}
    feed = _parameter(
        "feed",
        "Feed; may be left out for a symbol of one feed.",
        {"type": "string", "pattern": _whole(FEED.pattern)},
    )
    start = _parameter("start", "First session date.", _DATE)
    first = _parameter("start", "First session date, or `next` of the page before.", {"anyOf": [_DATE, _SECOND]})
    end = _parameter("end", "Last session date.", _DATE)
    size = _parameter(
        "size",
        "Minutes or days. " + ", ".join(f"{name}: at most {days} days" for name, days in MOST_DAYS.items()),
        {"type": "string", "enum": list(MOST_DAYS), "default": "1m"},
    )
    limit = _parameter(
        "limit", "Bars of a page.", {"type": "integer", "minimum": 1, "maximum": MOST_BARS, "default": MOST_BARS}
    )
    count = _parameter("count", "Minutes.", {"type": "integer", "minimum": 1, "maximum": 390, "default": 60})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stock_pipeline read API",
            "version": "1",
            "description": "Latest state, bars and sessions. Money and shares are decimals in strings.",
        },
        "paths": {
            "/api/v1/latest": {
                "get": _get("latest", "Latest state of all symbols, or of some.", "Latest", [symbols], cached=True)
            },
            "/api/v1/latest/{symbol}": {
                "get": _get("latestOf", "Latest state of one symbol, in each feed.", "Latest", [symbol], cached=True)
            },
            "/api/v1/bars/{symbol}": {
                "get": _get("bars", "Bars of a symbol.", "Bars", [symbol, feed, size, first, end, limit], cached=True)
            },
            "/api/v1/trades/{symbol}": {
                "get": _get("trades", "Newest trades of a symbol.", "Trades", [symbol, feed], cached=True)
            },
            "/api/v1/actions/{symbol}": {
                "get": _get("actions", "Corporate actions of a symbol.", "Actions", [symbol], cached=True)
            },
            "/api/v1/alerts": {
                "get": _get("alerts", "Price alerts of the session, and their rules.", "PriceAlerts", [], cached=True)
            },
            "/api/v1/pipeline": {"get": _get("pipeline", "How the pipeline is doing.", "Pipeline", [], cached=True)},
            "/api/v1/sparklines": {
                "get": _get(
                    "sparklines",
                    "Prices of the newest minutes.",
                    "Sparklines",
                    [symbols | {"required": True}, count],
                    cached=True,
                )
            },
            "/api/v1/sessions": {
                "get": _get("sessions", "Trading days and their hours.", "Sessions", [start, end], cached=True)
            },
            "/api/v1/health": {"get": _get("health", "Whether figures follow the lake.", "Health", [])},
            "/api/v1/stream": {
                "get": {
                    "operationId": "stream",
                    "summary": "Server-sent events: `quotes` (as in Latest), `alerts` (new ones, as in PriceAlerts), "
                    "and `reset` (ask for Latest and PriceAlerts again).",
                    "parameters": [symbols],
                    "responses": {
                        "200": {
                            "description": "Events.",
                            "content": {"text/event-stream": {"schema": {"type": "string"}}},
                        },
                        **_problems(),
                    },
                }
            },
        },
        "components": {"schemas": components},
    }


def _get(name: str, summary: str, answer: str, parameters: list[Any], cached: bool = False) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=answer)}}}
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    if cached:
        responses["304"] = {"description": "The client has it already (If-None-Match)."}
    return {"operationId": name, "summary": summary, "parameters": parameters, "responses": responses | _problems()}


def _problems() -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    texts = {
        "400": "A parameter can't be used.",
        "404": "There is no such symbol or address.",
        "405": "Only GET and HEAD are answered.",
        "503": "The lake or the table can't be reached.",
    }
    return {status: {"description": text, "content": content} for status, text in texts.items()}


def _parameter(name: str, text: str, schema: dict[str, Any], place: str = "query") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "description": text, "schema": schema}


def _whole(pattern: str) -> str:
    return f"^{pattern}$"
