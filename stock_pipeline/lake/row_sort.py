"""Sorts a session's rows and keeps the winning ones, in memory that does not grow with the session.

Rows are packed, written to disk as sorted runs, and read back in ranges of bounded size.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa

from stock_pipeline.domain.trade import LAKE_ORDER
from stock_pipeline.domain.trades_digest import TradesDigest
from stock_pipeline.lake.curated_file import PIECE_ROWS, PIECES_A_GROUP, curated_writer
from stock_pipeline.lake.packed_rows import Packing
from stock_pipeline.lake.proof import DroppedRows, IdHashes, InputRows, ids_of_file
from stock_pipeline.lake.row_hash import Hashes
from stock_pipeline.lake.sorted_runs import SortedRuns, copied
from stock_pipeline.lake.winning_rows import Chosen, choose_of_contested, choose_rows, drop_rows

RUN_ROWS = 524_288
RANGE_ROWS = 262_144
CONTESTED_IDS = 50_000


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
        self._inputs = InputRows(folder / "inputs")
        self._folder = folder
        self._run_rows, self._range_rows, self._contested_ids = run_rows, range_rows, contested_ids

    @property
    def rows_in(self) -> int:
        return self._inputs.rows

    def read(self, frames: Iterable[pl.DataFrame]) -> None:
        """Take in rows with the columns of `trade_schema`."""
        buffer: list[pl.DataFrame] = []
        for frame in frames:
            for start in range(0, frame.height, self._run_rows):
                rows = frame.slice(start, self._run_rows)
                self._inputs.add(rows)
                packed = self._packing.pack(rows)
                if buffer and sum(piece.height for piece in buffer) + packed.height > self._run_rows:
                    self._runs.add(pl.concat(buffer))
                    buffer = []
                buffer.append(packed)
        if buffer:
            self._runs.add(pl.concat(buffer))

    def write(self, path: Path) -> TradesDigest:
        """Write the winning rows as a curated file; return the row count and hashes it must have.

        Rows of one event id are neighbours, unless a source is wrong. Then an id is written twice, and all again.
        """
        dropped = DroppedRows(self._packing.session_date)
        event_ids = self._inputs.event_ids()
        self._write(path, dropped, None)
        if self.rows_in - dropped.rows > event_ids.distinct:
            contested = ids_of_file(path, self._folder / "written").repeated
            dropped = DroppedRows(self._packing.session_date)
            losing, event_ids = self._losing_far_apart(contested, dropped, event_ids)
            self._write(path, dropped, losing)
        return self._inputs.without(dropped, event_ids)

    def _write(self, path: Path, dropped: DroppedRows, losing: pl.DataFrame | None) -> None:
        with curated_writer(path) as writer:
            for table in self._row_groups(dropped, losing):
                writer.write_table(table)

    def _losing_far_apart(
        self, contested: Hashes, dropped: DroppedRows, event_ids: IdHashes
    ) -> tuple[pl.DataFrame, IdHashes]:
        """Return the `LAKE_ORDER` of rows that lose to another one that is no neighbour, and what ids there are.

        contested: sorted hashes of all ids with such rows.
        """
        losing: list[pl.DataFrame] = []
        for start in range(0, len(contested), self._contested_ids):
            rows = self._runs.rows_with(contested[start : start + self._contested_ids])
            event_ids = event_ids.told_apart(rows["event_id"].unique())
            chosen = choose_of_contested(rows, self._packing)
            self._drop(chosen, dropped, ["event_id"])
            losing.append(chosen.losing.select(LAKE_ORDER).unique())
        return pl.concat(losing), event_ids

    def _drop(self, chosen: Chosen, dropped: DroppedRows, same: Sequence[str]) -> None:
        dropped.add(self._packing.readable(chosen.losing), self._packing.readable(chosen.beat), same)

    def _row_groups(self, dropped: DroppedRows, losing: pl.DataFrame | None) -> Iterator[pa.Table]:
        """Yield whole row groups, put together from pieces."""
        pieces: list[pa.Table] = []
        for piece in self._pieces(dropped, losing):
            pieces.append(piece)
            if len(pieces) == PIECES_A_GROUP:
                yield pa.concat_tables(pieces).unify_dictionaries()
                pieces.clear()
        if pieces:
            yield pa.concat_tables(pieces).unify_dictionaries()

    def _pieces(self, dropped: DroppedRows, losing: pl.DataFrame | None) -> Iterator[pa.Table]:
        """Yield the winning rows in the lake's order, in pieces of one size.

        Pages end where pieces do, so equal rows give equal files only if the ranges don't decide where that is.
        """
        carried: pl.DataFrame | None = None
        for key_range in self._runs.ranges(self._range_rows):
            packed = self._runs.read(key_range)
            if losing is not None:
                packed = drop_rows(packed, losing)
            chosen = choose_rows(packed, self._packing)
            self._drop(chosen, dropped, LAKE_ORDER)
            rows = chosen.winning if carried is None else pl.concat([carried, chosen.winning])
            whole = rows.height // PIECE_ROWS * PIECE_ROWS
            yield from self._packing.tables(rows.head(whole), PIECE_ROWS)
            carried = copied(rows.slice(whole).to_arrow(compat_level=pl.CompatLevel.oldest()))
        if carried is not None and carried.height:
            yield from self._packing.tables(carried, PIECE_ROWS)
