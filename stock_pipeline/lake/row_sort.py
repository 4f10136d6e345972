"""Sorts a session's rows and keeps the winning ones, in memory that does not grow with the session.

Rows are packed, written to disk as sorted runs, and read back in ranges of bounded size.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from stock_pipeline.domain.trade import Trade
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.lake.curated_file import PIECE_ROWS, PIECES_A_GROUP, curated_writer
from stock_pipeline.lake.packed_rows import Packing
from stock_pipeline.lake.proof import ExpectedRows
from stock_pipeline.lake.row_hash import Hashes, hash_strings
from stock_pipeline.lake.sorted_runs import SortedRuns, copied
from stock_pipeline.lake.winning_rows import drop_rows, losing_rows, winning_rows
from stock_pipeline.trade_table import trades_of_table

RUN_ROWS = 524_288
RANGE_ROWS = 262_144
CONTESTED_IDS = 50_000
"""Rows of contested ids are compared as objects, a kilobyte each."""


class RowSort:
    """`read` all rows of a session, then `write` the winning ones.

    folder: an empty one, for spilled rows.
    run_rows, range_rows, contested_ids: how many are in memory at once.
    """

    def __init__(
        self,
        session_date: date,
        folder: Path,
        run_rows: int = RUN_ROWS,
        range_rows: int = RANGE_ROWS,
        contested_ids: int = CONTESTED_IDS,
    ) -> None:
        self._packing = Packing(session_date)
        self._runs = SortedRuns(folder / "runs.arrow", self._packing)
        self._expected = ExpectedRows(folder / "inputs")
        self._run_rows, self._range_rows, self._contested_ids = run_rows, range_rows, contested_ids

    @property
    def rows_in(self) -> int:
        return self._expected.rows_in

    def read(self, frames: Iterable[pl.DataFrame]) -> None:
        """Take in rows with the columns of `trade_schema`."""
        buffer: list[pl.DataFrame] = []
        for frame in frames:
            for start in range(0, frame.height, self._run_rows):
                packed = self._packed(frame.slice(start, self._run_rows))
                if buffer and sum(piece.height for piece in buffer) + packed.height > self._run_rows:
                    self._runs.add(pl.concat(buffer))
                    buffer = []
                buffer.append(packed)
        if buffer:
            self._runs.add(pl.concat(buffer))

    def write(self, path: Path) -> TradesDigest:
        """Write the winning rows as a curated file; return the row count and hashes it must have."""
        contested = self._expected.contested()
        losing = [losing_rows(candidates, self._packing) for candidates in self._candidates(contested)]
        with curated_writer(path) as writer:
            for table in self._row_groups(pl.concat(losing) if losing else None):
                writer.write_table(table)
        return self._digest(contested)

    def expected_with(self, collisions: Hashes) -> TradesDigest:
        """Return what the written rows must have, if different event ids have these hashes."""
        return self._digest(np.union1d(self._expected.contested(), collisions))

    def _digest(self, contested: Hashes) -> TradesDigest:
        return self._expected.digest(contested, map(self._trades, self._candidates(contested)))

    def _candidates(self, contested: Hashes) -> Iterator[pl.DataFrame]:
        """Yield every row of the contested ids, in groups of whole ids."""
        for start in range(0, len(contested), self._contested_ids):
            yield self._runs.rows_with(contested[start : start + self._contested_ids])

    def _packed(self, rows: pl.DataFrame) -> pl.DataFrame:
        ids = rows["event_id"].to_arrow(compat_level=pl.CompatLevel.oldest())
        packed = self._packing.pack(rows, hash_strings(ids))
        self._expected.add(packed["id_hash"].to_numpy(), self._packing.hash_rows(packed))
        return packed

    def _row_groups(self, losing: pl.DataFrame | None) -> Iterator[pa.Table]:
        """Yield whole row groups, put together from pieces."""
        pieces: list[pa.Table] = []
        for piece in self._pieces(losing):
            pieces.append(piece)
            if len(pieces) == PIECES_A_GROUP:
                yield pa.concat_tables(pieces).unify_dictionaries()
                pieces.clear()
        if pieces:
            yield pa.concat_tables(pieces).unify_dictionaries()

    def _pieces(self, losing: pl.DataFrame | None) -> Iterator[pa.Table]:
        """Yield the winning rows in the lake's order, in pieces of one size.

        Pages end where pieces do, so equal rows give equal files only if the ranges don't decide where that is.
        """
        carried: pl.DataFrame | None = None
        for key_range in self._runs.ranges(self._range_rows):
            packed = self._runs.read(key_range)
            if losing is not None and losing.height:
                packed = drop_rows(packed, losing, self._packing)
            rows = winning_rows(packed, self._packing)
            rows = rows if carried is None else pl.concat([carried, rows])
            whole = rows.height // PIECE_ROWS * PIECE_ROWS
            yield from self._packing.tables(rows.head(whole), PIECE_ROWS)
            carried = copied(rows.slice(whole).to_arrow(compat_level=pl.CompatLevel.oldest()))
        if carried is not None and carried.height:
            yield from self._packing.tables(carried, PIECE_ROWS)

    def _trades(self, candidates: pl.DataFrame) -> Iterator[Trade]:
        for table in self._packing.tables(candidates, 10_000):
            yield from trades_of_table(table)
