"""Alpaca's answers to `/v2/stocks/trades`, one JSON document in a file or one a line."""

from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Any

import msgspec
import polars as pl

from stock_pipeline.errors import InputFileError
from stock_pipeline.files.condition_codes import TAPE
from stock_pipeline.files.file_format import Declared, FileFormat
from stock_pipeline.files.values import instant_ns, text, whole_number

_CORRECTION = {None: "0", "corrected": "1", "incorrect": "8", "canceled": "8"}
_FIELDS = ("symbol", "t", "x", "p", "s", "c", "i", "z", "u")


class _Page(msgspec.Struct):
    trades: dict[str, list[dict[str, Any]]] | list[dict[str, Any]] | None
    symbol: str = ""


def _convert(rows: pl.DataFrame, _declared: Declared) -> pl.DataFrame:
    return rows.select(
        symbol=text("symbol"),
        event_time_ns=instant_ns(rows, "t"),
        sequence=whole_number("i"),
        trade_id=text("i"),
        price=text("p"),
        volume=text("s"),
        exchange=text("x"),
        conditions=pl.col("c"),
        tape=text("z"),
        correction=text("u"),
    )


ALPACA = FileFormat("alpaca", frozenset(), "", TAPE, _convert)


def page_batches(stream: IO[bytes], one_a_line: bool) -> Iterator[pl.DataFrame]:
    """Yield each page's trades as text columns. A whole document is read into memory: pages are small."""
    decoder = msgspec.json.Decoder(_Page, float_hook=Decimal)
    number = 0
    for document in stream if one_a_line else (stream.read(),):
        if not document.strip():
            continue
        try:
            page = decoder.decode(document)
        except msgspec.DecodeError as error:
            raise InputFileError(f"it is no page of Alpaca's trades: {error}") from None
        by_symbol = page.trades if isinstance(page.trades, dict) else {page.symbol: page.trades or []}
        rows = [_texts(symbol, trade) for symbol, trades in by_symbol.items() for trade in trades]
        frame = pl.DataFrame(rows, schema=dict.fromkeys(_FIELDS, pl.String), orient="row")
        yield frame.with_row_index("line", number + 1).with_columns(pl.col("line").cast(pl.Int64))
        number += len(rows)


def _texts(symbol: str, trade: dict[str, Any]) -> tuple[str | None, ...]:
    # codes are one letter each; a longer one stays apart, and is refused
    codes = [str(code).strip() for code in trade.get("c") or ()]
    joined = "".join(codes) if all(len(code) <= 1 for code in codes) else "?".join(codes) + "?"
    update = _CORRECTION.get(trade.get("u"), "unknown")
    values = [trade.get(name) for name in ("t", "x", "p", "s")]
    return (symbol, *(None if each is None else str(each) for each in values), joined, str(trade.get("i")),
            str(trade.get("z") or ""), update)  # fmt: skip
