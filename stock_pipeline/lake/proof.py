"""The proof that a written version holds exactly the trades of its inputs.

It is computed from the bytes that were written, by other means than the compaction itself, and before anybody can read
them through the catalog.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from stock_pipeline.errors import ProofError
from stock_pipeline.lake.trade_rows import PRECEDENCE, is_in_lake_order


@dataclass(frozen=True, slots=True)
class Digest:
    """What must be equal between inputs and output, whatever the order of rows.

    id_hash: the wrapping sum of a 64-bit hash of each distinct event id.
    volume: total shares of the standing rows.
    """

    event_ids: int
    id_hash: int
    volume: int
    newest_event_time_ns: int


def digest_of_inputs(rows: pl.DataFrame) -> Digest:
    """The digest of the rows that stand, found by elimination instead of sorting: of each event id's rows those stay
    that are greatest in one column of the precedence after the other."""
    count = pl.len().over("event_id")
    repeated = rows.filter(count > 1)
    for column in PRECEDENCE:
        rank = pl.col(column).fill_null(-1) if column == "volume" else pl.col(column)
        repeated = repeated.filter(rank == rank.max().over("event_id"))
    once = rows.filter(count == 1)
    return _digest(pl.concat([once, repeated.unique("event_id")]))


def digest_of_output(rows: pl.DataFrame) -> Digest:
    return _digest(rows)


def prove(inputs: Digest, output: pl.DataFrame, session_date: date) -> Digest:
    """The output's digest, or `ProofError` naming what differs."""
    found = digest_of_output(output)
    if found != inputs:
        raise ProofError(f"session {session_date}: the inputs hold {inputs}, the written file {found}")
    if output["event_id"].n_unique() != output.height:
        raise ProofError(f"session {session_date}: the written file repeats event ids")
    if output.height and output["session_date"].unique().to_list() != [session_date]:
        raise ProofError(f"session {session_date}: the written file has trades of another session")
    if not is_in_lake_order(output):
        raise ProofError(f"session {session_date}: the written file is not sorted")
    return found


def _digest(rows: pl.DataFrame) -> Digest:
    newest = rows["event_time_ns"].max()
    return Digest(
        event_ids=rows.height,
        id_hash=int(rows["event_id"].hash(seed=0).sum()),
        volume=int(rows["volume"].sum()),
        newest_event_time_ns=newest if isinstance(newest, int) else 0,
    )
