"""Proves that a written version has exactly the winning rows of its inputs: nothing appears, and nothing is lost.

Each row that came in was written or dropped, by the sums of their hashes. Each dropped row was beaten by another of its
event id, by the domain's rule. And each event id that came in was written once. What came in is hashed as it was read,
and what was written is read from the stored file alone; sorting has no part in either.
"""

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from stock_pipeline.domain.trade import ABSENT_VOLUME, LAKE_ORDER, NULLABLE_COLUMN, PRECEDENCE
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.errors import ProofError
from stock_pipeline.lake.hash_spill import HashSpill
from stock_pipeline.lake.parquet_pieces import file_slices, named
from stock_pipeline.lake.row_hash import Hashes, hash_ids, hash_rows
from stock_pipeline.trade_table import trade_schema

_BATCH_ROWS = 262_144

_MASK = 2**64 - 1

_BEATS = "_of_the_winning_row"


class IdHashes(NamedTuple):
    """Number of distinct hashes of event ids, their sum, and those that occur more than once, sorted."""

    distinct: int
    total: int
    repeated: Hashes

    @classmethod
    def of(cls, spill: HashSpill) -> "IdHashes":
        distinct, total, repeated = 0, 0, [np.empty(0, np.uint64)]
        for (hashes,) in spill.parts():
            ordered = np.sort(hashes)
            is_first = np.ones(len(ordered), bool)
            is_first[1:] = ordered[1:] != ordered[:-1]
            distinct += int(is_first.sum())
            total += int(ordered[is_first].sum())
            repeated.append(np.unique(ordered[~is_first]))
        return cls(distinct, total, np.concatenate(repeated))

    def told_apart(self, event_ids: pl.Series) -> "IdHashes":
        """Count each of these distinct event ids for itself, although some share a hash."""
        hashes = hash_ids(event_ids)
        distinct = np.unique(hashes)
        more = len(hashes) - len(distinct)
        return self._replace(distinct=self.distinct + more, total=self.total + int(hashes.sum()) - int(distinct.sum()))


class InputRows:
    """Hashes of all rows that came in, repeats included; those of event ids are on disk."""

    def __init__(self, folder: Path) -> None:
        self._ids = HashSpill(folder, columns=1)
        self._sum = 0
        self.rows = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take in rows with the columns of `trade_schema`."""
        self._ids.add(hash_ids(rows["event_id"]))
        self._sum += int(hash_rows(rows).sum())
        self.rows += rows.height

    def event_ids(self) -> IdHashes:
        return IdHashes.of(self._ids)

    def without(self, dropped: "DroppedRows", event_ids: IdHashes) -> TradesDigest:
        """Return the row count and hashes that the written rows must have.

        `ProofError` if that is not one row of each event id.
        """
        rows = self.rows - dropped.rows
        if rows != event_ids.distinct:
            raise ProofError(
                f"session {dropped.session_date}: the inputs have {event_ids.distinct} event ids, and {rows} rows are "
                "left of them; nothing was published"
            )
        return TradesDigest(rows=rows, ids_hash=event_ids.total & _MASK, rows_hash=(self._sum - dropped.sum) & _MASK)


class DroppedRows:
    """Count and hashes of the rows that are not written."""

    def __init__(self, session_date: date) -> None:
        self.session_date = session_date
        self.rows = 0
        self.sum = 0

    def add(self, losing: pl.DataFrame, beat: pl.DataFrame, same: Sequence[str]) -> None:
        """Take in losing rows; `ProofError` if one is not beaten by the row of `beat` with the same values."""
        if losing.is_empty():
            return
        pairs = losing.join(beat, on=same, how="left", suffix=_BEATS)
        is_beaten = pairs.select(_is_beaten(same).fill_null(False)).to_series()
        if pairs.height != losing.height or not is_beaten.all():
            wrong = pairs.filter(~is_beaten)["event_id"].head(1).to_list()
            raise ProofError(
                f"session {self.session_date}: a row was dropped that no row of its event id beats {wrong}; nothing "
                "was published"
            )
        self.rows += losing.height
        self.sum += int(hash_rows(losing).sum())


def prove(expected: TradesDigest, written: Path, session_date: date) -> TradesDigest:
    """Return the written file's digest.

    `ProofError` names what is wrong: rows that are not the expected ones, unsorted, of another session, or torn.
    """
    found = TradesDigest()
    last: pl.DataFrame | None = None
    slices = file_slices(written, _BATCH_ROWS, trade_schema().names)
    for rows in named(slices, partial(_broken, session_date)):
        _check_rows(rows, session_date)
        order = rows.select(LAKE_ORDER)
        if not _is_ordered(order) or (last is not None and not _is_ordered(pl.concat([last, order.head(1)]))):
            raise ProofError(f"session {session_date}: the written file is not sorted; nothing was published")
        last = order.tail(1)
        found = found.plus(_digest(rows))
    for name in ("rows", "ids_hash", "rows_hash"):
        if getattr(found, name) != getattr(expected, name):
            raise ProofError(
                f"session {session_date}: {name} of the inputs is {getattr(expected, name)}, of the written file "
                f"{getattr(found, name)}; nothing was published"
            )
    return found


def ids_of_file(path: Path, folder: Path) -> IdHashes:
    """Return the hashes of a file's event ids; `folder` is for spilled ones."""
    spill = HashSpill(folder, columns=1)
    for rows in file_slices(path, _BATCH_ROWS, ["event_id"]):
        spill.add(hash_ids(rows["event_id"]))
    return IdHashes.of(spill)


def _is_beaten(same: Sequence[str]) -> pl.Expr:
    """Say of a pair that the second row is alike, or comes after by `PRECEDENCE`."""
    steps = [(column, each) for each in PRECEDENCE for column in each.columns if column not in same]
    beaten = pl.lit(True)
    for column, each in reversed(steps):
        loser, winner = (_comparable(name) for name in (column, f"{column}{_BEATS}"))
        comes_after = winner > loser if each.greater_wins else winner < loser
        beaten = comes_after | ((winner == loser) & beaten)
    return beaten


def _comparable(name: str) -> pl.Expr:
    return pl.col(name).fill_null(ABSENT_VOLUME) if name.removesuffix(_BEATS) == NULLABLE_COLUMN else pl.col(name)


def _check_rows(rows: pl.DataFrame, session_date: date) -> None:
    days = rows["session_date"].unique().to_list()
    if days != [session_date]:
        raise ProofError(f"session {session_date}: the written file has trades of {days}; nothing was published")
    if not (rows["event_time"].to_physical() == rows["event_time_ns"] // 1000).all():
        raise ProofError(
            f"session {session_date}: the written file has an event_time that is not its event_time_ns; nothing was "
            "published"
        )


def _is_ordered(rows: pl.DataFrame) -> bool:
    """Tell if each row comes after the one before it."""
    after = pl.lit(False)
    for name in reversed(LAKE_ORDER):
        later, earlier = pl.col(name), pl.col(name).shift(1)
        after = (later > earlier) | ((later == earlier) & after)
    return bool(rows.select(after.slice(1).all()).item())


def _digest(rows: pl.DataFrame) -> TradesDigest:
    times = rows["event_time_ns"].to_numpy()
    volume, fractions = rows.select(pl.col("volume", "volume_fraction").cast(pl.Int128).sum()).row(0)
    return TradesDigest(
        rows=rows.height,
        volume=volume,
        volume_fraction=fractions,
        ids_hash=int(hash_ids(rows["event_id"]).sum()),
        rows_hash=int(hash_rows(rows).sum()),
        min_event_time_ns=int(times.min()),
        max_event_time_ns=int(times.max()),
    )


def _broken(session_date: date, reason: str) -> ProofError:
    return ProofError(f"session {session_date}: the written file can't be read ({reason}); nothing was published")
