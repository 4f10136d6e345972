"""Alpaca's answers to `/v2/stocks/trades`, one JSON document in a file or one a line.

Rows and identities are those of `providers.alpaca.trade`, so that a trade of a file and of the API is one.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

import msgspec
import polars as pl

from stock_pipeline.domain.trade import correction_content, exact_shares
from stock_pipeline.errors import InputFileError, InvalidTradeError
from stock_pipeline.files.condition_codes import TAPE
from stock_pipeline.files.file_format import Declared, FileFormat
from stock_pipeline.files.values import instant_ns, text, whole_number

_CORRECTION = {None: "0", "corrected": "1", "incorrect": "8", "canceled": "8"}
_CHUNK_BYTES = 1024 * 1024
_BATCH_ROWS = 131_072
_BETWEEN = "\x1f"
_AS_REPORTED, _CORRECTED = None, "corrected"
_FIELDS = ("t", "x", "p", "s", "c", "i", "z", "u")


class _Trade(msgspec.Struct, gc=False):
    """One trade whose fields have the types that Alpaca documents."""

    t: str | None = None
    x: str | None = None
    p: Decimal | None = None
    s: Decimal | None = None
    c: list[str] | None = None
    i: int | str | None = None
    z: str | None = None
    u: str | None = None


class _OddTrade(msgspec.Struct):
    """One trade whose fields may be anything: its row is refused, not its file."""

    t: Any = None
    x: Any = None
    p: Any = None
    s: Any = None
    c: Any = None
    i: Any = None
    z: Any = None
    u: Any = None


class _Page(msgspec.Struct):
    trades: dict[str, list[_Trade]] | list[_Trade] | None
    symbol: str = ""


class _OddPage(msgspec.Struct):
    trades: dict[str, list[_OddTrade]] | list[_OddTrade] | None
    symbol: str = ""


def _convert(rows: pl.DataFrame, _declared: Declared) -> pl.DataFrame:
    number = text("i")
    return rows.select(
        symbol=text("symbol"),
        event_time_ns=instant_ns(rows, "t"),
        sequence=pl.when(number.is_not_null()).then(whole_number("i").fill_null(0)),
        trade_id=pl.when(pl.col("content") == "").then(number).otherwise(number + ":" + pl.col("content")),
        price=text("p"),
        volume=text("s"),
        exchange=text("x"),
        conditions=pl.col("c"),
        tape=text("z"),
        correction=text("u"),
    )


ALPACA = FileFormat("alpaca", frozenset(), "", TAPE, _convert)


def page_batches(path: Path, stream: IO[bytes]) -> Iterator[pl.DataFrame]:
    """Yield trades as text columns, those of several pages together, because each batch of columns has its price.

    A whole document is read into memory: pages are small.
    """
    held: list[pl.DataFrame] = []
    for frame in _pages(path, stream):
        held.append(frame)
        if sum(each.height for each in held) >= _BATCH_ROWS:
            yield pl.concat(held)
            held.clear()
    if held:
        yield pl.concat(held)


def _pages(path: Path, stream: IO[bytes]) -> Iterator[pl.DataFrame]:
    number = 0
    for document in _documents(stream):
        page = _read(path, document)
        by_symbol = page.trades if isinstance(page.trades, dict) else {page.symbol: page.trades or []}
        trades = [trade for rows in by_symbol.values() for trade in rows]
        frame = _frame(trades).with_columns(
            pl.Series("symbol", [symbol for symbol, rows in by_symbol.items() for _ in rows], pl.String),
            line=pl.int_range(number + 1, number + len(trades) + 1, dtype=pl.Int64),
            content=pl.lit(""),
        )
        number += len(trades)
        yield (
            _with_updates(frame, trades)
            if frame["u"].null_count() < frame.height
            else frame.with_columns(u=pl.lit("0"))
        )


def _documents(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield each line, if the first one is an object; else all bytes as one."""
    lines = _lines(stream)
    first = next(lines)
    if first.strip().endswith(b"}"):
        yield first
        yield from (line for line in lines if line.strip())
    else:
        yield b"\n".join([first, *lines])


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield a stream's lines; Arrow's streams have no `readline`."""
    begun: list[bytes] = []
    while chunk := stream.read(_CHUNK_BYTES):
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]
    yield b"".join(begun)


def _read(path: Path, document: bytes) -> _Page | _OddPage:
    try:
        return msgspec.json.decode(document, type=_Page)
    except msgspec.DecodeError:
        pass
    try:
        return msgspec.json.Decoder(_OddPage, float_hook=Decimal).decode(document)
    except msgspec.DecodeError as error:
        raise InputFileError(f"{path} is no page of Alpaca's trades: {error}") from None


def _frame(trades: list[Any]) -> pl.DataFrame:
    """Return the fields as text; null where one is missing, or is no text or number."""
    columns = {name: list(map(attrgetter(name), trades)) for name in _FIELDS}
    columns["c"] = [_letters(codes) for codes in columns["c"]]
    columns["i"] = [str(value) if type(value) in (int, str) else None for value in columns["i"]]
    for name in ("t", "x", "p", "s", "z", "u"):
        columns[name] = [None if value is None else str(value) for value in columns[name]]
    return pl.DataFrame(columns, schema=dict.fromkeys(_FIELDS, pl.String))


def _letters(codes: Any) -> str:
    return _joined(_BETWEEN.join(map(str, codes))) if codes else ""


@lru_cache(maxsize=4096)
def _joined(codes: str) -> str:
    """Join codes of one letter each; a longer one stays apart, and is refused."""
    parts = [code.strip() for code in codes.split(_BETWEEN)]
    return "".join(parts) if all(len(part) <= 1 for part in parts) else "?".join(parts) + "?"


def _with_updates(frame: pl.DataFrame, trades: list[Any]) -> pl.DataFrame:
    """Give corrections and void trades their identities: a correction has its content in it, a void trade has both."""
    places, contents = [], []
    for place, trade in enumerate(trades):
        if trade.u != _CORRECTED:
            places.append(place)
            contents.append("")
        if trade.u is not _AS_REPORTED:
            places.append(place)
            contents.append(_content(trade))
    rows = frame.select(pl.all().gather(places)).with_columns(content=pl.Series(contents, dtype=pl.String))
    return rows.with_columns(u=pl.col("u").replace_strict(_CORRECTION, default="unknown"))


def _content(trade: Any) -> str:
    try:
        return correction_content(Decimal(trade.p), exact_shares(Decimal(trade.s)), _letters(trade.c))
    except (TypeError, ValueError, ArithmeticError, InvalidTradeError):
        return "?"  # the row is refused
