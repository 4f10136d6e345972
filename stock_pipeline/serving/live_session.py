"""The bars of one session, folded from its files as they come, equal to dbt's for the same trades.

New trades are added up. What adding can't do (a correction, a cancellation, an id forgotten, two trades of one instant
that contend for open or close) makes its minute anew from the files that reach into it. So memory is bounded by symbols
and minutes, not by trades. The rows of closing auctions, a few a symbol, are kept: which of them is the close is
decided when a bar is read.

A source that gives one event id to two symbols, or to two minutes so far apart that the first is forgotten, breaks the
rule of `Trade`: both rows count here, until the session is published.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from stock_pipeline.domain.bar import MINUTE_NS
from stock_pipeline.domain.feed_session import SESSION_PARTS
from stock_pipeline.domain.price_alert import Minute
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.serving.bar_slots import EMPTY, SHARE_PARTS, BarSlots
from stock_pipeline.serving.id_table import NEW, OTHER, IdTable
from stock_pipeline.serving.live_bar import KeptRow, LiveBar, bar_of
from stock_pipeline.serving.partial_bars import partial_bars
from stock_pipeline.serving.session_minutes import SessionMinutes
from stock_pipeline.serving.trade_rows import marked, prints, winning


class SessionFile(NamedTuple):
    """A file that the session was folded from, and the minutes that it reaches into."""

    key: str
    first_minute: int
    last_minute: int


class LiveDay(NamedTuple):
    """A symbol's day: time (ns) and price (millionths) of its newest execution, the newest price that the tape takes
    for its last one, and its bar."""

    latest_ns: int
    latest_price: int
    eligible_price: int | None
    bar: LiveBar | None


_KEPT = KeptRow._fields
_CODED = {"symbol": pl.String, "feed": pl.String, "series": pl.Int64}
_INSTANT = ["series", "event_time_ns", "sequence"]

Place = tuple[int, int]
"""A series and a minute of the session's day."""


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
        self._codes_by_name = pl.DataFrame(schema=_CODED)
        self._of_day = SessionMinutes(session_date)
        self._read = read
        self._ids = IdTable(remembered)
        self._minutes, self._days = BarSlots(), BarSlots()
        self._slots = np.full((16, self._of_day.count), -1, np.int32)
        self._kept: dict[int, dict[str, KeptRow]] = {}
        self._linked: dict[Place, set[Place]] = {}

    def add(self, files: Iterable[tuple[str, pl.DataFrame]]) -> set[SymbolKey]:
        """Fold the rows of files; return the symbols that they may have changed."""
        frames = []
        for key, rows in files:
            if rows.height:
                minutes = (rows["event_time_ns"] - self._of_day.start_ns) // MINUTE_NS
                self.files.append(SessionFile(key, int(minutes.min()), int(minutes.max())))  # type: ignore[arg-type]
                frames.append(rows)
        if not frames:
            return set()
        rows = marked(pl.concat(frames), self._of_day)
        rows = rows.with_columns(series=self._codes(rows), print=prints(rows))
        new, again = self._news(rows)
        self._fold(new, again)
        self._make_anew(again)
        touched = set(new["series"].unique().to_list()) | {series for series, _ in again}
        names = list(self.series)
        return {names[series] for series in touched}

    def minute_bars(self, key: SymbolKey) -> list[LiveBar]:
        """Return the bars in the order of time: one for each minute and part of the session."""
        series = self.series.get(key)
        if series is None:
            return []
        close = self._closing_print(series)
        kept: dict[Place, list[KeptRow]] = {}
        parts = self._of_day.parts(key.feed)
        places = {(minute, int(parts[minute])) for minute in np.flatnonzero(self._slots[series] >= 0).tolist()}
        for row in self._kept.get(series, {}).values():
            kept.setdefault((row.minute, row.part), []).append(row)
        bars = []
        ordered = sorted(places)
        slots = self._slots[series, [minute for minute, _ in ordered]].astype(np.int64)
        sums_of = dict(zip(ordered, self._minutes.rows(slots), strict=True))
        for minute, part in sorted(places | kept.keys()):
            # what was added up lies in the minute's part; closing prints are regular at any hour
            sums = sums_of.get((minute, part), EMPTY)
            start_ns = self._of_day.start_ns + minute * MINUTE_NS
            bar = bar_of(sums, kept.get((minute, part), ()), close, start_ns, SESSION_PARTS[part])
            if bar is not None:
                bars.append(bar)
        return bars

    def minutes(self, key: SymbolKey) -> list[Minute]:
        """Return what alerts see of `minute_bars`, for a twentieth of its time."""
        series = self.series.get(key)
        if series is None:
            return []
        # a kept row changes what was added up, and whole bars know how
        kept = {row.minute for row in self._kept.get(series, {}).values()}
        found = [
            Minute(bar.start_ns, bar.part, bar.high, bar.low, bar.close, bar.volume)
            for bar in (self.minute_bars(key) if kept else ())
            if (bar.start_ns - self._of_day.start_ns) // MINUTE_NS in kept
        ]
        minutes = np.flatnonzero(self._slots[series] >= 0)
        slots = self._slots[series, minutes].astype(np.int64)
        minutes, slots = (each[self._minutes["rows"][slots] > 0] for each in (minutes, slots))
        parts = self._of_day.parts(key.feed)[minutes]
        names = ("high", "low", "last_ns", "last_price", "alone_ns", "alone_price", "shares", "share_parts")
        columns = (self._minutes[name][slots].tolist() for name in names)
        for minute, part, high, low, last_ns, last, alone_ns, alone, shares, share_parts in zip(
            minutes.tolist(), parts.tolist(), *columns, strict=True
        ):
            if minute not in kept:
                close = last if last_ns != EMPTY["last_ns"] else alone if alone_ns != EMPTY["alone_ns"] else None
                start_ns, volume = self._of_day.start_ns + minute * MINUTE_NS, shares * SHARE_PARTS + share_parts
                highest, lowest = (high, low) if high >= 0 else (None, None)
                found.append(Minute(start_ns, SESSION_PARTS[part], highest, lowest, close, volume))
        return sorted(found, key=lambda each: (each.start_ns, SESSION_PARTS.index(each.part)))

    def day_bar(self, key: SymbolKey) -> LiveBar | None:
        """Return the day's bar; None if nothing counts."""
        series = self.series.get(key)
        if series is None:
            return None
        return self._day_bar(series, next(self._days.rows(np.array([series]))))

    def days(self, keys: Sequence[SymbolKey]) -> Iterator[LiveDay | None]:
        """Make each symbol's figures in turn, None if it has no execution. Together they cost a third."""
        known = np.array([self.series[key] for key in keys if key in self.series], np.int64)
        rows = self._days.rows(known)
        for key in keys:
            sums = next(rows) if key in self.series else EMPTY
            if sums["latest_ns"] < 0:
                yield None
            else:
                eligible = sums["eligible_price"] if sums["eligible_ns"] >= 0 else None
                bar = self._day_bar(self.series[key], sums)
                yield LiveDay(sums["latest_ns"], sums["latest_price"], eligible, bar)

    def _day_bar(self, series: int, sums: dict[str, int]) -> LiveBar | None:
        kept: list[KeptRow] = []
        if own := self._kept.get(series):
            # of prints outside of the hours that make prices, only the shares count
            kept = [row if row.priced else row._replace(high_low=False, open_close=False) for row in own.values()]
        bar = bar_of(sums, kept, self._closing_print(series) if kept else None, self._of_day.start_ns, "")
        return bar if bar is not None and bar.trade_count else None

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
        found = self._coded_by_name(rows)
        if not found.null_count():
            return found
        for symbol, feed in rows.filter(found.is_null()).select("symbol", "feed").unique().iter_rows():
            self.series.setdefault(SymbolKey(symbol, feed), len(self.series))
        self._codes_by_name = pl.DataFrame(
            [(*key, code) for key, code in self.series.items()], schema=_CODED, orient="row"
        )
        if len(self.series) > len(self._slots):
            wider = np.full((2 * len(self.series), self._of_day.count), -1, np.int32)
            wider[: len(self._slots)] = self._slots
            self._slots = wider
        self._days.grow(len(self.series))
        return self._coded_by_name(rows)

    def _coded_by_name(self, rows: pl.DataFrame) -> pl.Series:
        return rows.join(self._codes_by_name, on=["symbol", "feed"], how="left", maintain_order="left")["series"]

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
        instants = rows.filter("apart").select(_INSTANT).unique().with_columns(kept=True)
        rows = rows.join(instants, on=_INSTANT, how="left", maintain_order="left").with_columns(
            pl.col("kept").fill_null(False)
        )
        for series, *values in rows.filter("kept").select("series", *_KEPT).iter_rows():
            row = KeptRow(*values)
            self._kept.setdefault(series, {})[row.event_id] = row
        minutes = partial_bars(rows, ["series", "minute"])
        series, minute = minutes["series"].to_numpy(), minutes["minute"].to_numpy()
        contended = self._minutes.merge(self._slots_of(series, minute), _columns(minutes))
        again |= set(zip(series[contended].tolist(), minute[contended].tolist(), strict=True))
        for each in self._kept.keys() & set(series.tolist()):
            again |= {(each, row.minute) for row in self._kept[each].values() if self._contends(each, row)}
        # a day's contention is one of its minutes', too, and the day is made of those
        daily = [(pl.col(name) & pl.col("priced")).alias(name) for name in ("high_low", "open_close")]
        days = partial_bars(rows.with_columns(daily), ["series"])
        self._days.merge(days["series"].to_numpy(), _columns(days))

    def _contends(self, series: int, row: KeptRow) -> bool:
        """Tell if the row is of the instant of a first or last trade that was added up."""
        slot = self._slots[series, row.minute]
        return slot >= 0 and any(
            (self._minutes[f"{end}_ns"][slot], self._minutes[f"{end}_sequence"][slot])
            == (row.event_time_ns, row.sequence)
            for end in ("first", "last", "alone")
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
                minute_of = ((pl.col("event_time_ns") - self._of_day.start_ns) // MINUTE_NS).cast(pl.Int32)
                rows = rows.with_columns(minute=minute_of)
                found.append(rows.join(wanted, on=["symbol", "feed", "minute"], how="inner").drop("minute"))
        for series, minute in again:
            kept = self._kept.get(series, {})
            for event_id in [row.event_id for row in kept.values() if row.minute == minute]:
                del kept[event_id]
        codes, places = wanted["series"].to_numpy(), wanted["minute"].to_numpy()
        self._minutes.clear(self._slots_of(codes, places))
        rows = marked(winning(pl.concat(found)), self._of_day)
        self._fold(rows.join(wanted, on=["symbol", "feed", "minute"], how="left", maintain_order="left"), set())
        for series in sorted({series for series, _ in again}):
            minutes_of_day = np.flatnonzero(self._slots[series] >= 0)
            slots = self._slots[series][minutes_of_day].astype(np.int64)
            priced = slots[self._of_day.makes_prices(names[series].feed)[minutes_of_day]]
            self._days.clear(np.array([series]))
            self._days.merge(np.array([series]), self._minutes.combined(slots, priced))

    def _closing_print(self, series: int) -> KeptRow | None:
        return max((row for row in self._kept.get(series, {}).values() if row.closing), default=None)


def _minutes_of(rows: pl.DataFrame) -> set[Place]:
    return set(rows.select("series", "minute").unique().iter_rows())


def _columns(bars: pl.DataFrame) -> dict[str, Any]:
    return {name: bars[name].to_numpy() for name in bars.columns}
