"""Generated session in the raw zone's layout, which compaction and query benchmarks read.

Trades of a skewed set of symbols in order of arrival, some delivered twice and some late, in files of equal size. The
same arguments give the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl

from stock_pipeline.domain.lake_layout import raw_key
from stock_pipeline.domain.session import session_bounds_ns
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import trade_schema

OPEN_SECONDS = 9.5 * 3600
CLOSE_SECONDS = 16 * 3600
LATEST_SECONDS = 120


def day_of(text: str) -> tuple[int, int]:
    rows, files = text.split("x")
    return int(rows), int(files)


@dataclass(frozen=True)
class GeneratedSession:
    """Session of `rows` distinct trades. Repeats come on top: the files hold `rows * (1 + repeated)` rows."""

    rows: int
    files: int
    symbols: int = 500
    repeated: float = 0.03
    late: float = 0.01
    session_date: date = date(2018, 1, 2)
    seed: int = 1

    @property
    def delivered(self) -> int:
        return self.rows + int(self.rows * self.repeated)

    def write(self, folder: Path) -> int:
        """Write the files under `folder`, by their object keys, and return the number of bytes."""
        written = 0
        for number, rows in enumerate(self._files()):
            path = folder / raw_key(
                self.session_date, "shardId-000000000000", f"{number:012}", f"{number:012}", f"{number:016x}"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            body = parquet_bytes(rows.to_arrow().cast(trade_schema()))
            path.write_bytes(body)
            written += len(body)
        return written

    def _files(self) -> Iterator[pl.DataFrame]:
        """Yield a frame a file; trades are drawn block by block, to bound memory."""
        chance = np.random.default_rng(self.seed)
        names = self.symbol_names()
        shares = 1 / np.arange(1, self.symbols + 1) ** 0.7
        shares /= shares.sum()
        bounds = np.linspace(0, self.delivered, self.files + 1).astype(np.int64)
        files_a_block = max(1, 500_000 * self.files // self.delivered)
        first_number = 0
        for first in range(0, self.files, files_a_block):
            last = min(first + files_a_block, self.files)
            delivered = int(bounds[last] - bounds[first])
            fresh = round(delivered / (1 + self.repeated)) if last < self.files else self.rows - first_number
            fresh = min(fresh, delivered)
            block = self._block(chance, names, shares, first_number, fresh, delivered - fresh)
            first_number += fresh
            for file in range(first, last):
                yield block.slice(int(bounds[file] - bounds[first]), int(bounds[file + 1] - bounds[file]))

    def _block(
        self,
        chance: np.random.Generator,
        names: "np.ndarray[tuple[int], np.dtype[np.object_]]",
        shares: "np.ndarray[tuple[int], np.dtype[np.float64]]",
        first_number: int,
        fresh: int,
        repeats: int,
    ) -> pl.DataFrame:
        start_ns, _ = session_bounds_ns(self.session_date)
        number = np.arange(first_number, first_number + fresh)
        day_ns = int((CLOSE_SECONDS - OPEN_SECONDS) * 1e9)
        arrival = start_ns + int(OPEN_SECONDS * 1e9) + (number * (day_ns / self.rows)).astype(np.int64)
        delay = np.where(
            chance.random(fresh) < self.late,
            (chance.random(fresh) * LATEST_SECONDS * 1e9).astype(np.int64),
            (chance.random(fresh) * 5e6).astype(np.int64),
        )
        event_time_ns = (arrival - delay) // 1000 * 1000
        symbol = chance.choice(self.symbols, fresh, p=shares)
        cents = 1_000 + (symbol * 97) % 30_000 + chance.integers(-100, 100, fresh)
        exchange = chance.integers(0, 16, fresh)
        frame = pl.DataFrame(
            {
                "symbol": names[symbol],
                "event_time_ns": event_time_ns,
                "sequence": number,
                "cents": cents,
                "volume": chance.integers(1, 20, fresh) * chance.choice([1, 100], fresh, p=[0.4, 0.6]),
                "exchange": np.array(list("ABCDHIJKLMNPQVXZ"), object)[exchange],
                "conditions": np.array(["", "F", "I", "FI", "T", "@"], object)[chance.integers(0, 6, fresh)],
                "tape": np.array(list("ABC"), object)[symbol % 3],
                "ingest_time_ns": arrival,
            },
            schema_overrides=dict.fromkeys(("symbol", "exchange", "conditions", "tape"), pl.String),
        )
        trades = frame.select(
            event_id=pl.format(
                "sim:{}:{}:{}:{}", "symbol", pl.lit(f"{self.session_date:%Y%m%d}"), "exchange", "sequence"
            ),
            feed=pl.lit("sim"),
            capture_mode=pl.lit("trade"),
            symbol="symbol",
            event_time=pl.from_epoch("event_time_ns", time_unit="ns")
            .dt.cast_time_unit("us")
            .dt.replace_time_zone("UTC"),
            event_time_ns="event_time_ns",
            sequence="sequence",
            price=pl.col("cents").cast(pl.Decimal(18, 6)) * pl.lit(Decimal("0.01")).cast(pl.Decimal(18, 6)),
            volume="volume",
            exchange="exchange",
            conditions="conditions",
            tape="tape",
            status=pl.lit("good"),
            version=pl.lit(0, pl.Int32),
            ingest_time=pl.from_epoch("ingest_time_ns", time_unit="ns")
            .dt.cast_time_unit("us")
            .dt.replace_time_zone("UTC"),
            session_date=pl.lit(self.session_date),
            volume_fraction=pl.lit(0, pl.Int32),
        ).with_columns(pl.col("price").cast(pl.Decimal(18, 6)))
        again = chance.integers(0, fresh, repeats)
        place = np.concatenate([np.arange(fresh), again + chance.random(repeats) * 20_000])
        return trades[np.concatenate([np.arange(fresh), again])[np.argsort(place, kind="stable")]]

    def symbol_names(self) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        names = [letters[n // 676 % 26] + letters[n // 26 % 26] + letters[n % 26] for n in range(self.symbols)]
        return np.array(names, object)
