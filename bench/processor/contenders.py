"""Ways to process a batch, each written as a user of its library would.

Making a run, with the carried state, is not timed; calling it is. `outcome` is for the comparison. Writing to AWS is
left out, because its cost is the number of calls, which is counted.
"""

import base64
import binascii
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Protocol

import msgspec
import pandas as pd
import pyarrow as pa
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from msgspec import Meta
from pydantic import BaseModel, ConfigDict, Field

from bench.processor.batches import AVERAGE_WINDOWS, Batch
from bench.processor.outcome import Outcome, SymbolView
from bench.processor.row_by_row import RowByRowState
from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import (
    CAPTURE_MODES,
    CODES,
    EVENT_ID,
    FEED,
    FIELDS,
    LATEST_EVENT_TIME_NS,
    MAX_INT64,
    MAX_PRICE,
    PRICE_SCALE,
    STATUSES,
    SYMBOL,
)
from stock_pipeline.state.rows import NewState, trades_of_rows
from stock_pipeline.state.stored_item import StoredItem
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import record_schema, trade_schema, with_derived_columns


class Run(Protocol):
    def __call__(self) -> None:
        """Do the timed work."""

    def outcome(self) -> Outcome: ...


class Pipeline:
    """This project's processor, with stores in memory in place of AWS."""

    def __init__(self, batch: Batch) -> None:
        self._event = batch.event
        self.files: list[bytes] = []
        self.documents: list[bytes] = []
        self.shown: dict[SymbolKey, NewState] = {}
        self._stored = batch.items
        self._processor = Processor(self, self, self, AVERAGE_WINDOWS, wait=_never)

    def __call__(self) -> None:
        self._processor.handle(self._event)

    def outcome(self) -> Outcome:
        states = {key: _view(state) for key, state in self.shown.items()}
        return Outcome(tuple(self.files), states, tuple(json.loads(d)["sequence_number"] for d in self.documents))

    def send(self, documents: Sequence[bytes]) -> None:
        self.documents.extend(documents)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if key.startswith(RAW_PREFIX):
            self.files.append(body)
        return True

    def read_once(self, keys: Sequence[SymbolKey]) -> tuple[Mapping[SymbolKey, StoredItem], Sequence[SymbolKey]]:
        return {key: self._stored[key] for key in keys if key in self._stored}, ()

    def put(self, state: NewState, replaces: str | None) -> StoredItem:
        self.shown[state.key] = state
        return StoredItem(state.key, state.revision, b"", b"")


def _view(state: NewState) -> SymbolView:
    assert state.latest is not None
    return SymbolView(
        tuple((trade.event_id, trade.price) for trade in trades_of_rows(state.key, state.window, state.kinds)),
        Decimal(state.latest.price).scaleb(-PRICE_SCALE),
        state.latest.volume or 0,
        state.latest.event_time_ns,
        tuple(Decimal(average.price).scaleb(-PRICE_SCALE) for average in state.averages),
    )


class _RowByRow:
    """State, rows and rejections that the loops over records share."""

    def __init__(self, batch: Batch) -> None:
        self.event = batch.event
        self.state = RowByRowState(batch.windows)
        self.shown: dict[Any, Any] = {}
        self.body = b""
        self.rejected: list[str] = []

    def outcome(self) -> Outcome:
        return Outcome((self.body,), self.state.views(self.shown), tuple(self.rejected))


class Naive(_RowByRow):
    """json, Decimal, checks in Python, pandas to Parquet."""

    def __call__(self) -> None:
        rows: list[dict[str, Any]] = []
        for record in self.event["Records"]:
            kinesis = record["kinesis"]
            for line in base64.b64decode(kinesis["data"]).split(b"\n"):
                row = _naive_row(line)
                if row is None:
                    self.rejected.append(kinesis["sequenceNumber"])
                    continue
                rows.append(row)
                self.state.add(
                    row["symbol"], row["feed"], row["event_id"], row["price"], row["volume"], row["event_time_ns"]
                )
        self.body = _pandas_parquet(rows)
        self.shown = self.state.shown()


_INTEGERS = {
    "event_time_ns": LATEST_EVENT_TIME_NS,
    "ingest_time_ns": LATEST_EVENT_TIME_NS,
    "sequence": MAX_INT64,
    "volume": MAX_INT64,
    "version": 2**31 - 1,
}
_TEXTS = {"event_id": EVENT_ID, "feed": FEED, "symbol": SYMBOL, "exchange": CODES, "conditions": CODES, "tape": CODES}
_FIELD_NAMES = frozenset(FIELDS)


def _naive_row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line, parse_float=Decimal)
    except ValueError:
        return None
    if not isinstance(row, dict) or row.keys() != _FIELD_NAMES:
        return None
    for name, pattern in _TEXTS.items():
        if not isinstance(row[name], str) or not pattern.fullmatch(row[name]):
            return None
    for name, highest in _INTEGERS.items():
        if type(row[name]) is not int or not 0 <= row[name] <= highest:
            return None
    if row["capture_mode"] not in CAPTURE_MODES or row["status"] not in STATUSES:
        return None
    price = row["price"] = Decimal(row["price"])
    if not 0 < price <= MAX_PRICE:
        return None
    row["session_date"] = session_date_of(row["event_time_ns"])
    return row


def _pandas_parquet(rows: list[dict[str, Any]]) -> bytes:
    frame = pd.DataFrame(rows)
    for time in ("event_time", "ingest_time"):
        frame[time] = pd.to_datetime(frame[f"{time}_ns"], utc=True).dt.as_unit("us")
    sink = io.BytesIO()
    schema = trade_schema()
    frame["volume_fraction"] = 0  # of whole volumes
    frame[schema.names].to_parquet(sink, engine="pyarrow", compression="zstd", schema=schema, index=False)
    return sink.getvalue()


def _text(pattern: re.Pattern[str]) -> str:
    return rf"^(?:{pattern.pattern})\z"


class TradeModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    event_id: str = Field(pattern=_text(EVENT_ID))
    feed: str = Field(pattern=_text(FEED))
    capture_mode: Literal["trade", "quote"]
    symbol: str = Field(pattern=_text(SYMBOL))
    event_time_ns: int = Field(ge=0, le=LATEST_EVENT_TIME_NS)
    sequence: int = Field(ge=0, le=MAX_INT64)
    price: Decimal = Field(gt=0, le=MAX_PRICE, decimal_places=6)
    volume: int | None = Field(ge=0, le=MAX_INT64)
    exchange: str = Field(pattern=_text(CODES))
    conditions: str = Field(pattern=_text(CODES))
    tape: str = Field(pattern=_text(CODES))
    status: Literal["good", "corrected", "cancelled", "notice"]
    version: int = Field(ge=0, le=2**31 - 1)
    ingest_time_ns: int = Field(ge=0, le=LATEST_EVENT_TIME_NS)


class Powertools(_RowByRow):
    """Powertools' BatchProcessor, a handler call a record; a pydantic model; pandas to Parquet."""

    def __call__(self) -> None:
        rows: list[dict[str, Any]] = []

        def record_handler(record: KinesisStreamRecord) -> None:
            for line in record.kinesis.data_as_bytes().split(b"\n"):
                trade = TradeModel.model_validate_json(line)
                row = dict(trade)
                row["session_date"] = session_date_of(trade.event_time_ns)
                rows.append(row)
                self.state.add(
                    trade.symbol, trade.feed, trade.event_id, trade.price, trade.volume or 0, trade.event_time_ns
                )

        processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
        answer = process_partial_response(self.event, record_handler, processor)
        self.rejected = [str(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]
        self.body = _pandas_parquet(rows)
        self.shown = self.state.shown()


_Time = Annotated[int, Meta(ge=0, le=LATEST_EVENT_TIME_NS)]
_Code = Annotated[str, Meta(pattern=rf"^(?:{CODES.pattern})\Z")]


class TradeStruct(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    event_id: Annotated[str, Meta(pattern=rf"^(?:{EVENT_ID.pattern})\Z")]
    feed: Annotated[str, Meta(pattern=rf"^(?:{FEED.pattern})\Z")]
    capture_mode: Literal["trade", "quote"]
    symbol: Annotated[str, Meta(pattern=rf"^(?:{SYMBOL.pattern})\Z")]
    event_time_ns: _Time
    sequence: Annotated[int, Meta(ge=0, le=MAX_INT64)]
    price: Decimal
    volume: Annotated[int, Meta(ge=0, le=MAX_INT64)] | None
    exchange: _Code
    conditions: _Code
    tape: _Code
    status: Literal["good", "corrected", "cancelled", "notice"]
    version: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    ingest_time_ns: _Time


class Msgspec(_RowByRow):
    """A msgspec struct a line with every limit in its type; then this project's columns and Parquet writer."""

    def __call__(self) -> None:
        decode = msgspec.json.Decoder(TradeStruct).decode
        rows: list[TradeStruct] = []
        for record in self.event["Records"]:
            kinesis = record["kinesis"]
            for line in binascii.a2b_base64(kinesis["data"]).split(b"\n"):
                try:
                    row = decode(line)
                except msgspec.DecodeError:
                    self.rejected.append(kinesis["sequenceNumber"])
                    continue
                if not 0 < row.price <= MAX_PRICE:
                    self.rejected.append(kinesis["sequenceNumber"])
                    continue
                rows.append(row)
                self.state.add(row.symbol, row.feed, row.event_id, row.price, row.volume or 0, row.event_time_ns)
        schema = record_schema()
        columns = [pa.array(values, kind) for values, kind in zip(_columns(rows), schema.types, strict=True)]
        self.body = parquet_bytes(with_derived_columns(pa.table(columns, schema=schema)))
        self.shown = self.state.shown()


def _columns(rows: list[TradeStruct]) -> list[tuple[Any, ...]]:
    return list(zip(*map(msgspec.structs.astuple, rows), strict=True))


class Base64Floor:
    """Base64 of each record, which every way must decode."""

    def __init__(self, batch: Batch) -> None:
        self._records = batch.event["Records"]

    def __call__(self) -> None:
        for record in self._records:
            binascii.a2b_base64(record["kinesis"]["data"])


CONTENDERS: dict[str, Callable[[Batch], Run]] = {
    "stock_pipeline": Pipeline,
    "naive": Naive,
    "powertools": Powertools,
    "msgspec": Msgspec,
}


def _never(attempt: int) -> None:
    raise AssertionError("no other writer is here")
