"""The bars of one session, folded from its files as they come, equal to dbt's for the same trades.

New trades are added up. What adding can't do (a correction, a cancellation, an id forgotten, two trades of one instant
that contend for open or close) makes its minute anew from the files that reach into it. So memory is bounded by symbols
and minutes, not by trades. The rows of closing auctions, a few a symbol, are kept: which of them is the close is
decided when a bar is read.

A source that gives one event id to two symbols, or to two minutes so far apart that the first is forgotten, breaks the
rule of `Trade`: both rows count here, until the session is published.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from stock_pipeline.domain.session import session_bounds_ns
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.serving.bar_slots import MOST, BarSlots
from stock_pipeline.serving.id_table import NEW, OTHER, IdTable
from stock_pipeline.serving.trade_rows import MINUTE_NS, marked, prints, winning

MINUTES = 25 * 60
"""Of the longest day in New York."""


class SessionFile(NamedTuple):
    """A file that the session was folded from, and the minutes that it reaches into."""

    key: str
    first_minute: int
    last_minute: int


class KeptRow(NamedTuple):
    """A row that may be the closing print, or one of the same instant. Compares as `domain.bar.closing_print` does."""

    is_corrected_close: bool
    shares: int
    share_parts: int
    event_time_ns: int
    sequence: int
    event_id: str
    price: int
    minute: int
    counted: bool
    high_low: bool
    open_close: bool
    barred: bool
    closing: bool


_KEPT = KeptRow._fields
_INSTANT = ["series", "event_time_ns", "sequence"]

Place = tuple[int, int]
"""A series and a minute of the session's day."""


@dataclass(frozen=True, slots=True)
class LiveBar:
    """A bar in units: prices in millionths, shares in millionths of a share, turnover in 10^-12 dollars."""

    start_ns: int
    open: int | None
    high: int | None
    low: int | None
    close: int | None
    volume: int
    priced_volume: int
    turnover: int
    trade_count: int


class LiveSession:
    """Bars by symbol and feed.

    read: returns the rows of a file again (`trade_rows.read_rows`).
    remembered: event ids kept to tell repeats.
    """

    def __init__(self, session_date: date, read: Callable[[str], pl.DataFrame], remembered: int = 4_000_000) -> None:
        self.session_date = session_date
        self.files: list[SessionFile] = []
        self.series: dict[SymbolKey, int] = {}
        self.rows_read_again = 0
        self._start_ns, _ = session_bounds_ns(session_date)
        self._read = read
        self._ids = IdTable(remembered)
        self._minutes, self._days = BarSlots(), BarSlots()
        self._slots = np.full((16, MINUTES), -1, np.int32)
        self._kept: dict[int, dict[str, KeptRow]] = {}
        self._linked: dict[Place, set[Place]] = {}

    def add(self, files: Iterable[tuple[str, pl.DataFrame]]) -> set[SymbolKey]:
        """Fold the rows of files; return the symbols that they may have changed."""
        frames = []
        for key, rows in files:
            if rows.height:
                minutes = (rows["event_time_ns"] - self._start_ns) // MINUTE_NS
                self.files.append(SessionFile(key, int(minutes.min()), int(minutes.max())))  # type: ignore[arg-type]
                frames.append(rows)
        if not frames:
            return set()
        rows = marked(pl.concat(frames), self.session_date)
        rows = rows.with_columns(series=self._codes(rows), print=prints(rows))
        new, again = self._news(rows)
        self._fold(new, again)
        self._make_anew(again)
        touched = set(new["series"].unique().to_list()) | {series for series, _ in again}
        names = list(self.series)
        return {names[series] for series in touched}

    def minute_bars(self, key: SymbolKey) -> list[LiveBar]:
        """Return the bars in the order of time."""
        series = self.series.get(key)
        if series is None:
            return []
        close = self._closing_print(series)
        bars = []
        kept = list(self._kept.get(series, {}).values())
        minutes = np.flatnonzero(self._slots[series] >= 0).tolist()
        for minute in minutes:
            rows = [row for row in kept if row.minute == minute]
            bar = self._bar(self._minutes.row(self._slots[series, minute]), rows, close, minute)
            if bar is not None:
                bars.append(bar)
        return bars

    def day_bar(self, key: SymbolKey) -> LiveBar | None:
        """Return the day's bar; None if nothing counts."""
        series = self.series.get(key)
        if series is None:
            return None
        rows = list(self._kept.get(series, {}).values())
        bar = self._bar(self._days.row(series), rows, self._closing_print(series), 0)
        return bar if bar is not None and bar.trade_count else None

    def latest(self, key: SymbolKey) -> tuple[int, int] | None:
        """Return time (ns) and price (millionths) of the newest effective trade."""
        series = self.series.get(key)
        if series is None or self._days["latest_ns"][series] < 0:
            return None
        return int(self._days["latest_ns"][series]), int(self._days["latest_price"][series])

    def closes(self, key: SymbolKey, count: int) -> list[int]:
        """Return the last prices of the newest `count` minutes that have one, oldest first."""
        series = self.series.get(key)
        if series is None:
            return []
        slots = self._slots[series]
        slots = slots[slots >= 0]
        priced = slots[self._minutes["last_ns"][slots] >= 0][-count:]
        return [int(price) for price in self._minutes["last_price"][priced]]

    def _codes(self, rows: pl.DataFrame) -> pl.Series:
        pairs = rows.select("symbol", "feed").unique()
        for symbol, feed in pairs.iter_rows():
            self.series.setdefault(SymbolKey(symbol, feed), len(self.series))
        if len(self.series) > len(self._slots):
            wider = np.full((2 * len(self.series), MINUTES), -1, np.int32)
            wider[: len(self._slots)] = self._slots
            self._slots = wider
        self._days.grow(len(self.series))
        codes = [self.series[SymbolKey(*pair)] for pair in pairs.iter_rows()]
        coded = pairs.with_columns(series=pl.Series(codes, dtype=pl.Int64))
        return rows.join(coded, on=["symbol", "feed"], how="left", maintain_order="left")["series"]

    def _news(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, set[Place]]:
        """Return rows that can be added, and the minutes to make anew."""
        distinct = rows.unique(["id_hash", "print"], keep="first", maintain_order=True)
        first = distinct["id_hash"].is_first_distinct()
        again = _minutes_of(distinct.filter(distinct["id_hash"].is_duplicated()))
        self._link(distinct.filter(distinct["id_hash"].is_duplicated()))
        distinct = distinct.filter(first)
        known, minutes = self._ids.look_up(
            distinct["id_hash"].to_numpy(), distinct["print"].to_numpy(), distinct["minute"].to_numpy()
        )
        others = distinct.with_columns(earlier=pl.Series(minutes)).filter(pl.Series(known == OTHER))
        again |= _minutes_of(others)
        for series, minute, earlier in others.select("series", "minute", "earlier").iter_rows():
            self._link_places({(series, minute), (series, earlier)})
        new = distinct.filter(pl.Series(known == NEW))
        if self._ids.forgotten:
            again |= _minutes_of(new.filter(pl.col("minute").is_in(list(self._ids.forgotten))))
        return new, again

    def _link(self, versions: pl.DataFrame) -> None:
        """Remember which minutes have versions of one id, because they can only be made anew together."""
        for (_,), places in versions.group_by("id_hash"):
            self._link_places(_minutes_of(places))

    def _link_places(self, places: set[Place]) -> None:
        if len(places) > 1:
            together = places.union(*(self._linked.get(place, ()) for place in places))
            self._linked |= dict.fromkeys(together, together)

    def _fold(self, rows: pl.DataFrame, again: set[Place]) -> None:
        """Add rows up. Minutes that need more than that go to `again`."""
        instants = rows.filter("closing").select(_INSTANT).unique().with_columns(kept=True)
        rows = rows.join(instants, on=_INSTANT, how="left", maintain_order="left").with_columns(
            pl.col("kept").fill_null(False)
        )
        for series, *values in rows.filter("kept").select("series", *_KEPT).iter_rows():
            row = KeptRow(*values)
            self._kept.setdefault(series, {})[row.event_id] = row
        minutes = _partial_bars(rows, ["series", "minute"])
        series, minute = minutes["series"].to_numpy(), minutes["minute"].to_numpy()
        contended = self._minutes.merge(self._slots_of(series, minute), _columns(minutes))
        again |= set(zip(series[contended].tolist(), minute[contended].tolist(), strict=True))
        for each in self._kept.keys() & set(series.tolist()):
            again |= {(each, row.minute) for row in self._kept[each].values() if self._contends(each, row)}
        # a day's contention is one of its minutes', too, and the day is made of those
        days = _partial_bars(rows, ["series"])
        self._days.merge(days["series"].to_numpy(), _columns(days))

    def _contends(self, series: int, row: KeptRow) -> bool:
        """Tell if the row is of the instant of a first or last trade that was added up."""
        slot = self._slots[series, row.minute]
        return slot >= 0 and any(
            (self._minutes[f"{end}_ns"][slot], self._minutes[f"{end}_sequence"][slot])
            == (row.event_time_ns, row.sequence)
            for end in ("first", "last")
        )

    def _slots_of(self, series: npt.NDArray[Any], minute: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        slots = self._slots[series, minute]
        new = slots < 0
        if new.any():
            taken = self._minutes.size
            self._minutes.grow(taken + int(new.sum()))
            slots[new] = np.arange(taken, self._minutes.size)
            self._slots[series, minute] = slots
        return np.asarray(slots, np.int64)

    def _make_anew(self, again: set[Place]) -> None:
        """Fold these minutes from the files that reach into them."""
        if not again:
            return
        again |= set().union(*(self._linked.get(place, ()) for place in again))
        names = list(self.series)
        wanted = pl.DataFrame(
            [(*names[series], series, minute) for series, minute in sorted(again)],
            schema={"symbol": pl.String, "feed": pl.String, "series": pl.Int64, "minute": pl.Int32},
            orient="row",
        )
        minutes = {minute for _, minute in again}
        found = []
        for file in self.files:
            if any(file.first_minute <= minute <= file.last_minute for minute in minutes):
                rows = self._read(file.key)
                self.rows_read_again += rows.height
                minute_of = ((pl.col("event_time_ns") - self._start_ns) // MINUTE_NS).cast(pl.Int32)
                rows = rows.with_columns(minute=minute_of)
                found.append(rows.join(wanted, on=["symbol", "feed", "minute"], how="inner").drop("minute"))
        for series, minute in again:
            kept = self._kept.get(series, {})
            for event_id in [row.event_id for row in kept.values() if row.minute == minute]:
                del kept[event_id]
        codes, places = wanted["series"].to_numpy(), wanted["minute"].to_numpy()
        self._minutes.clear(self._slots_of(codes, places))
        rows = marked(winning(pl.concat(found)), self.session_date)
        self._fold(rows.join(wanted, on=["symbol", "feed", "minute"], how="left", maintain_order="left"), set())
        for series in sorted({series for series, _ in again}):
            slots = self._slots[series]
            self._days.clear(np.array([series]))
            self._days.merge(np.array([series]), self._minutes.combined(slots[slots >= 0].astype(np.int64)))

    def _closing_print(self, series: int) -> KeptRow | None:
        return max((row for row in self._kept.get(series, {}).values() if row.closing), default=None)

    def _bar(self, sums: dict[str, int], kept: Sequence[KeptRow], close: KeptRow | None, minute: int) -> LiveBar | None:
        """Return a slot's bar together with the kept rows that lie in it; None if it has no trade."""
        firsts = [(sums["first_ns"], sums["first_sequence"], "", sums["first_price"])]
        firsts = firsts if sums["last_ns"] >= 0 else []
        lasts = [(sums["last_ns"], sums["last_sequence"], "", sums["last_price"])] if firsts else []
        highs = [sums["high"]] if sums["high"] >= 0 else []
        lows = [sums["low"]] if sums["high"] >= 0 else []
        shares, priced = _whole(sums, "share"), _whole(sums, "priced_share")
        turnover = sums["turnover"] * 10**12 + sums["turnover_parts"]
        trades, rows = sums["trades"], sums["rows"]
        for row in kept:
            own = row.shares * 10**6 + row.share_parts
            place = (row.event_time_ns, row.sequence, row.event_id, row.price)
            if row.open_close or row is close:
                firsts.append(place)
                lasts.append(place)
            if row.high_low or row is close:
                highs.append(row.price)
                lows.append(row.price)
                if row.counted:
                    priced += own
                    turnover += row.price * own
            if row.counted:
                shares += own
                trades += 1
            rows += row.barred or row is close
        if not rows:
            return None
        last = close.price if close in kept and close else max(lasts)[3] if lasts else None
        return LiveBar(
            self._start_ns + minute * MINUTE_NS,
            min(firsts)[3] if firsts else None,
            max(highs, default=None),
            min(lows, default=None),
            last,
            shares,
            priced,
            turnover,
            trades,
        )


def _whole(sums: dict[str, int], name: str) -> int:
    return sums[f"{name}s"] * 10**6 + sums[f"{name}_parts"]


def _minutes_of(rows: pl.DataFrame) -> set[Place]:
    return set(rows.select("series", "minute").unique().iter_rows())


def _columns(bars: pl.DataFrame) -> dict[str, Any]:
    return {name: bars[name].to_numpy() for name in bars.columns}


def _partial_bars(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Add up rows, sorted by `order_key`. Kept rows only count for `latest`."""
    adds = ~pl.col("kept")
    open_close, high_low = adds & pl.col("open_close"), adds & pl.col("high_low")
    counted = adds & pl.col("counted")
    priced = counted & high_low
    units = pl.col("shares").cast(pl.Int128) * 10**6 + pl.col("share_parts").cast(pl.Int128)
    turnover = pl.col("price").cast(pl.Int128) * units

    def end(column: str, of: pl.Expr, last: bool, empty: int) -> pl.Expr:
        some = pl.col(column).filter(of)
        return (some.last() if last else some.first()).fill_null(empty)

    return (
        rows.group_by(by)
        .agg(
            first_ns=end("event_time_ns", open_close, False, MOST),
            first_sequence=end("sequence", open_close, False, MOST),
            first_price=end("price", open_close, False, 0),
            last_ns=end("event_time_ns", open_close, True, -1),
            last_sequence=end("sequence", open_close, True, -1),
            last_price=end("price", open_close, True, 0),
            latest_ns=end("event_time_ns", pl.col("effective"), True, -1),
            latest_sequence=end("sequence", pl.col("effective"), True, -1),
            latest_price=end("price", pl.col("effective"), True, 0),
            high=pl.col("price").filter(high_low).max().fill_null(-1),
            low=pl.col("price").filter(high_low).min().fill_null(MOST),
            rows=(adds & pl.col("barred")).sum().cast(pl.Int64),
            trades=counted.sum().cast(pl.Int64),
            shares=pl.col("shares").filter(counted).sum(),
            share_parts=pl.col("share_parts").filter(counted).sum(),
            priced_shares=pl.col("shares").filter(priced).sum(),
            priced_share_parts=pl.col("share_parts").filter(priced).sum(),
            dollars=turnover.filter(priced).sum().fill_null(0),
        )
        .with_columns(
            turnover=(pl.col("dollars") // 10**12).cast(pl.Int64),
            turnover_parts=(pl.col("dollars") % 10**12).cast(pl.Int64),
        )
        .drop("dollars")
    )
