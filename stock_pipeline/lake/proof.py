"""Proves that a written version has exactly the trades of its inputs.

Expected: hashes of the inputs as they were read, and the domain's rule where rows of one event id differ; sorting has
no part in it. Found: the written file alone. Equal content hashes prove every column of every row.
"""

from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stock_pipeline.domain.trade import LAKE_ORDER, Trade, precedence
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import ProofError
from stock_pipeline.lake.hash_spill import HashSpill
from stock_pipeline.lake.parquet_pieces import named, parquet_pieces
from stock_pipeline.lake.row_hash import CODED, HASHED_COLUMNS, Hashes, column_array, hash_strings, hash_table
from stock_pipeline.trade_table import table_of_trades

_BATCH_ROWS = 262_144

_CODES = tuple(name for name in CODED if name != "symbol")
"""Hashed by their few values. Symbols are compared, too, and stay strings."""


class ExpectedRows:
    """Hashes of all input rows, repeats included, on disk."""

    def __init__(self, folder: Path) -> None:
        self._spill = HashSpill(folder, columns=2)
        self.rows_in = 0

    def add(self, id_hashes: Hashes, row_hashes: Hashes) -> None:
        self._spill.add(id_hashes, row_hashes)
        self.rows_in += len(id_hashes)

    def contested(self) -> Hashes:
        """Return the sorted hashes of event ids with rows that differ."""
        return np.concatenate([np.empty(0, np.uint64), *(_contested(*part) for part in self._spill.parts())])

    def digest(self, contested: Hashes, candidates: Iterable[Iterable[Trade]]) -> TradesDigest:
        """Return the row count and hashes that the winning rows must have.

        candidates: every row of the contested ids, in groups of whole ids.
        """
        total = TradesDigest()
        for ids, rows in self._spill.parts():
            if len(contested):
                alike = ~np.isin(ids, contested)
                ids, rows = ids[alike], rows[alike]
            total = total.plus(_hashes_digest(_distinct(ids), _distinct(rows)))
        for group in candidates:
            table = table_of_trades(_winning_trades(group))
            id_hashes = hash_strings(column_array(table["event_id"]))
            total = total.plus(_hashes_digest(id_hashes, hash_table(table, id_hashes)))
        return total


def _winning_trades(candidates: Iterable[Trade]) -> list[Trade]:
    winning: dict[str, Trade] = {}
    for trade in candidates:
        best = winning.get(trade.event_id)
        if best is None or precedence(trade) > precedence(best):
            winning[trade.event_id] = trade
    return list(winning.values())


def prove(
    expected: TradesDigest,
    written: Path,
    session_date: date,
    folder: Path,
    with_collisions: Callable[[Hashes], TradesDigest] | None = None,
) -> TradesDigest:
    """Return the written file's digest; `ProofError` names what is wrong.

    folder: for spilled hashes.
    with_collisions: returns what is expected if different event ids have these hashes.
    """
    found, collisions = _read(written, session_date, folder)
    if len(collisions) and with_collisions:
        expected = with_collisions(collisions)
    for name in ("rows", "ids_hash", "rows_hash"):
        if getattr(found, name) != getattr(expected, name):
            raise ProofError(
                f"session {session_date}: {name} of the inputs is {getattr(expected, name)}, of the written file "
                f"{getattr(found, name)}; nothing was published"
            )
    return found


def digest_of_file(path: Path, session_date: date, folder: Path) -> TradesDigest:
    """Return the file's digest, read in pieces.

    Raises `ProofError` if it is unsorted, repeats an event id, or has trades of another session.
    """
    return _read(path, session_date, folder)[0]


def _read(path: Path, session_date: date, folder: Path) -> tuple[TradesDigest, Hashes]:
    """Return the file's digest, and the hashes that different event ids share."""
    ids = HashSpill(folder, columns=1)
    total = TradesDigest()
    last: pa.Table | None = None
    columns = sorted({*HASHED_COLUMNS, "session_date"})
    pieces = parquet_pieces(path, _BATCH_ROWS, columns, _CODES)
    for batch in named(pieces, partial(_broken, session_date)):
        rows = pa.Table.from_batches([batch])
        id_hashes = hash_strings(column_array(rows["event_id"]))
        ids.add(id_hashes)
        total = total.plus(_table_digest(rows, id_hashes))
        days = pc.unique(rows["session_date"]).to_pylist()
        if days not in ([session_date], []):
            raise ProofError(f"session {session_date}: the written file has trades of {days}; nothing was published")
        order = rows.select(LAKE_ORDER)
        if not _is_ordered(order if last is None else pa.concat_tables([last, order])):
            raise ProofError(f"session {session_date}: the written file is not sorted; nothing was published")
        last = order.slice(max(0, rows.num_rows - 1))
    repeated = np.concatenate([np.empty(0, np.uint64), *(_repeated(part) for (part,) in ids.parts())])
    if len(repeated) and _repeats_ids(path, repeated):
        raise ProofError(f"session {session_date}: the written file repeats event ids; nothing was published")
    return total, repeated


def _broken(session_date: date, reason: str) -> ProofError:
    return ProofError(f"session {session_date}: the written file can't be read ({reason}); nothing was published")


def _repeats_ids(path: Path, hashes: Hashes) -> bool:
    """Tell if any of these hashes is of one event id in two rows, rather than of two ids."""
    seen: set[str] = set()
    for batch in parquet_pieces(path, _BATCH_ROWS, ["event_id"]):
        ids = batch.column(0)
        for event_id in ids.filter(pa.array(np.isin(hash_strings(ids), hashes))).to_pylist():
            if event_id in seen:
                return True
            seen.add(event_id)
    return False


def _table_digest(rows: pa.Table, id_hashes: Hashes) -> TradesDigest:
    hashes = _hashes_digest(id_hashes, hash_table(rows, id_hashes))
    bounds = pc.min_max(rows["event_time_ns"]).as_py()
    figures = TradesDigest(
        volume=pc.sum(rows["volume"]).as_py() or 0,
        volume_fraction=pc.sum(rows["volume_fraction"]).as_py() or 0,
        min_event_time_ns=bounds["min"],
        max_event_time_ns=bounds["max"],
    )
    return hashes.plus(figures)


def _hashes_digest(id_hashes: Hashes, row_hashes: Hashes) -> TradesDigest:
    return TradesDigest(rows=len(id_hashes), ids_hash=int(id_hashes.sum()), rows_hash=int(row_hashes.sum()))


def _contested(ids: Hashes, rows: Hashes) -> Hashes:
    # a row's hash includes its id's, so equal counts mean that equal ids have equal rows
    if len(_distinct(ids)) == len(_distinct(rows)):
        return np.empty(0, np.uint64)
    order = np.argsort(ids)
    ids, rows = ids[order], rows[order]
    differs = (ids[1:] == ids[:-1]) & (rows[1:] != rows[:-1])
    return np.unique(ids[1:][differs])


def _distinct(hashes: Hashes) -> Hashes:
    ordered = np.sort(hashes)
    kept = np.ones(len(ordered), bool)
    kept[1:] = ordered[1:] != ordered[:-1]
    return ordered[kept]


def _repeated(hashes: Hashes) -> Hashes:
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _is_ordered(rows: pa.Table) -> bool:
    """Tell if each row comes after the one before it."""
    earlier, later = rows.slice(0, max(0, rows.num_rows - 1)), rows.slice(1)
    after: pa.ChunkedArray | None = None
    for name in reversed(LAKE_ORDER):
        greater = pc.greater(later[name], earlier[name])
        after = greater if after is None else pc.or_(greater, pc.and_(pc.equal(later[name], earlier[name]), after))
    return bool(pc.all(after).as_py()) if rows.num_rows > 1 else True
