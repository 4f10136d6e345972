"""Decoding a batch of Kinesis records into one table of trades and the rejected lines.

The fast path parses the whole batch at once and gives up at the first doubt. The batch is then cut in pieces. Doubtful
pieces take the strict path, line by line, where `trade_json.decode_trade` decides. A differential property test proves
that the fast path accepts nothing else and reads no value differently.

A trade from far ahead of its record's arrival is rejected. A redelivery has the same arrival and is judged alike.
"""

import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from stock_pipeline.domain.arrival import ArrivalLimits, ahead
from stock_pipeline.domain.rejection import MAX_REJECTIONS_OF_BATCH, MAX_REJECTIONS_OF_RECORD, Reason, Rejection
from stock_pipeline.domain.trade import EARLIEST_EVENT_TIME_NS, FIELDS, LATEST_EVENT_TIME_NS, MAX_PRICE
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.streaming.kinesis_event import StreamBatch, StreamRecord
from stock_pipeline.streaming.record_encoding import ZSTD_MAGIC, UnopenedError, opened
from stock_pipeline.streaming.record_lines import lines_of, other_form
from stock_pipeline.streaming.trade_json import FEW_VALUES, QUOTES_PER_LINE, decode_trade, plain_values
from stock_pipeline.trade_table import (
    MOST_SHARES_AT_ONCE,
    fields_of,
    int64_values,
    record_schema,
    table_of_rows,
    with_derived_columns,
)

PIECES_OF_ODD_BATCH = 8
"""An odd line sends only its piece down the strict path. More pieces cost more than they save."""

_EVENT_ID_LENGTHS = (1, 96)
_EVENT_TIME = FIELDS.index("event_time_ns")
_NEWLINE, _QUOTE, _BRACE = b'\n"{'


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """Trades and rejections of a batch, together all of its lines.

    trades: a table of `trade_schema`, in the stream's order.
    record_of_row: for each row, the index of its record in the batch.
    rejections: the rejected lines in the stream's order, or whole records where lines would be too many messages.
    """

    trades: pa.Table
    record_of_row: npt.NDArray[np.int64]
    rejections: tuple[Rejection, ...]


def decode_batch(batch: StreamBatch, limits: ArrivalLimits) -> DecodedBatch:
    """Decode every line of the batch. Never raises for a record's content."""
    batch = _opened(batch)
    whole = _decode_fast(batch, limits)
    if whole is not None:
        return whole
    size = -(-len(batch.records) // PIECES_OF_ODD_BATCH)
    pieces = []
    for start in range(0, len(batch.records), size):
        piece = StreamBatch(batch.shard_id, batch.records[start : start + size])
        decoded = _decode_fast(piece, limits) or decode_strict(piece, limits)
        pieces.append(replace(decoded, record_of_row=decoded.record_of_row + start))
    return DecodedBatch(
        pa.concat_tables([piece.trades for piece in pieces]),
        np.concatenate([piece.record_of_row for piece in pieces]),
        _bounded([rejection for piece in pieces for rejection in piece.rejections], batch),
    )


def _opened(batch: StreamBatch) -> StreamBatch:
    """Return the batch with the lines of its records; a frame that can't be opened stays, and is rejected whole."""
    if not any(record.data.startswith(ZSTD_MAGIC) for record in batch.records):
        return batch
    records = []
    for record in batch.records:
        with suppress(UnopenedError):
            record = msgspec.structs.replace(record, data=opened(record.data))
        records.append(record)
    return StreamBatch(batch.shard_id, tuple(records))


def decode_strict(batch: StreamBatch, limits: ArrivalLimits) -> DecodedBatch:
    """Decode the batch line by line."""
    rows: list[tuple[Any, ...]] = []
    record_of_row: list[int] = []
    rejections: list[Rejection] = []
    arrivals_ns = batch.arrivals_ns.tolist()
    for index, record in enumerate(batch.records):
        rejected = _Rejected(batch.shard_id, record)
        form = other_form(record.data)
        if form is not None:
            rejected.add_whole(form)
        else:
            before = len(rows)
            _decode_lines(record.data, arrivals_ns[index], limits, rows, rejected)
            record_of_row += [index] * (len(rows) - before)
        rejections += rejected.rejections()
    return DecodedBatch(table_of_rows(rows), np.array(record_of_row, np.int64), tuple(rejections))


def _decode_lines(
    data: bytes, arrival_ns: int, limits: ArrivalLimits, rows: list[tuple[Any, ...]], rejected: "_Rejected"
) -> None:
    """Add a record's trades to `rows`, and its other lines to `rejected`."""
    latest_ns = arrival_ns + limits.ahead_ns
    for number, line in enumerate(lines_of(data)):
        try:
            values = plain_values(line) or fields_of(decode_trade(line))
        except InvalidTradeError as error:
            rejected.add(number, line, Reason(error.reason), error.detail)
            continue
        if values[_EVENT_TIME] > latest_ns:
            rejected.add(number, line, Reason.FUTURE, ahead(values[_EVENT_TIME] - arrival_ns))
        else:
            rows.append(values)


class _Rejected:
    """The rejections of one record, in memory no more than are sent."""

    def __init__(self, shard_id: str, record: StreamRecord) -> None:
        self._shard_id = shard_id
        self._record = record
        self._kept: list[Rejection] = []
        self._count = 0

    def add(self, number: int, line: bytes, reason: Reason, detail: str) -> None:
        self._count += 1
        if len(self._kept) <= MAX_REJECTIONS_OF_RECORD:
            self._kept.append(self._rejection(number, line, reason, detail))

    def add_whole(self, what: str) -> None:
        self._count += 1
        self._kept.append(self._rejection(None, self._record.data, Reason.NOT_JSON, what))

    def rejections(self) -> list[Rejection]:
        if self._count <= MAX_REJECTIONS_OF_RECORD:
            return self._kept
        return [_whole(self._kept[0], self._count, self._record.data)]

    def _rejection(self, number: int | None, payload: bytes, reason: Reason, detail: str) -> Rejection:
        return Rejection(
            reason=reason,
            detail=detail,
            payload=payload,
            shard_id=self._shard_id,
            sequence_number=self._record.sequence_number,
            line=number,
            partition_key=self._record.partition_key,
            arrival_time=self._record.arrival_time,
        )


def _bounded(rejections: Sequence[Rejection], batch: StreamBatch) -> tuple[Rejection, ...]:
    """Return the rejections, or one for each record if they are too many."""
    if len(rejections) <= MAX_REJECTIONS_OF_BATCH:
        return tuple(rejections)
    data = {record.sequence_number: record.data for record in batch.records}
    by_record: dict[str, list[Rejection]] = {}
    for rejection in rejections:
        by_record.setdefault(rejection.sequence_number, []).append(rejection)
    return tuple(
        of_record[0] if len(of_record) == 1 else _whole(of_record[0], len(of_record), data[number])
        for number, of_record in by_record.items()
    )


def _whole(first: Rejection, lines: int, data: bytes) -> Rejection:
    """Return one rejection for a record's rejected lines. first: the first of them."""
    detail = f"{lines:,} lines of the record are not trades, the first because: {first.detail}"
    return replace(first, detail=detail, payload=data, line=None, lines=lines)


def _decode_fast(batch: StreamBatch, limits: ArrivalLimits) -> DecodedBatch | None:
    """Decode the whole batch at once, or return None at the first doubt."""
    bodies = [record.data.removesuffix(b"\n") for record in batch.records]
    text = b"\n".join(bodies)
    if not text.startswith(b"{") or text.endswith(b"\n"):
        return None
    characters = np.frombuffer(text, np.uint8)
    line_ends = np.flatnonzero(characters == _NEWLINE)
    rows = len(line_ends) + 1
    # Escapes, and anything but ASCII, are legal JSON that parsers are known to read differently.
    if b"\\" in text or not text.isascii() or np.count_nonzero(characters == _QUOTE) != rows * QUOTES_PER_LINE:
        return None
    # Arrow skips empty lines and takes two trades from one line: each line must begin a trade, and nothing else may.
    if not (characters[line_ends + 1] == _BRACE).all() or np.count_nonzero(characters == _BRACE) != rows:
        return None
    records = _parse(text)
    if records is None or records.num_rows != rows or not _is_valid(records):
        return None
    # the newline after a record's last line is the first one at or behind the record's end
    record_ends = np.cumsum(np.fromiter(map(len, bodies), np.int64, len(bodies)) + 1) - 1
    record_of_row = np.searchsorted(record_ends, np.append(line_ends, len(text))).astype(np.int64)
    if not _have_come(int64_values(records["event_time_ns"]), record_of_row, batch.arrivals_ns + limits.ahead_ns):
        return None
    return DecodedBatch(with_derived_columns(records), record_of_row, ())


def _parse(text: bytes) -> pa.Table | None:
    try:
        return pa_json.read_json(
            io.BytesIO(text),
            # one block, because a line across two blocks would look like broken data
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pa_json.ParseOptions(explicit_schema=record_schema(), unexpected_field_behavior="error"),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _is_valid(records: pa.Table) -> bool:
    """Check the limits of `domain.trade`, and that nothing is null."""
    if any(column.null_count for column in records.columns):
        return False
    for name, allowed in FEW_VALUES.items():
        if not all(allowed(value) for value in pc.unique(records[name]).to_pylist()):
            return False
    return (
        _within(records["event_time_ns"], EARLIEST_EVENT_TIME_NS, LATEST_EVENT_TIME_NS)
        and _within(records["ingest_time_ns"], EARLIEST_EVENT_TIME_NS, LATEST_EVENT_TIME_NS)
        and _within(records["sequence"], 0, None)
        and _within(records["volume"], 0, MOST_SHARES_AT_ONCE)
        and _within(records["version"], 0, None)
        and _are_prices(records["price"])
        and _are_event_ids(records["event_id"])
    )


def _have_come(
    event_times_ns: npt.NDArray[np.int64], record_of_row: npt.NDArray[np.int64], latest_ns: npt.NDArray[np.int64]
) -> bool:
    """Check every trade against the latest time that its record's arrival allows."""
    return bool(event_times_ns.max() <= latest_ns.min() or (event_times_ns <= latest_ns[record_of_row]).all())


def _within(column: pa.ChunkedArray, low: int, high: int | None) -> bool:
    bounds = pc.min_max(column).as_py()
    return bool(bounds["min"] >= low and (high is None or bounds["max"] <= high))


def _are_prices(column: pa.ChunkedArray) -> bool:
    # Arrow's JSON reader refuses a seventh decimal place, but not more digits before the point than the type has
    bounds = pc.min_max(column).as_py()
    return bool(bounds["min"] > 0 and bounds["max"] <= MAX_PRICE)


def _are_event_ids(column: pa.ChunkedArray) -> bool:
    """Check `domain.trade.EVENT_ID` on the column's bytes: printable ASCII without blanks."""
    lengths = pc.min_max(pc.binary_length(column)).as_py()
    if lengths["min"] < _EVENT_ID_LENGTHS[0] or lengths["max"] > _EVENT_ID_LENGTHS[1]:
        return False
    for chunk in column.chunks:
        offsets = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        text = np.frombuffer(chunk.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
        if text.min() < 0x21 or text.max() > 0x7E:
            return False
    return True
