"""A past session read page by page: whatever dies where, the lake gets each row once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pytest

from stock_pipeline.domain.capture import Capture, UnreadablePayload
from stock_pipeline.domain.lake_layout import HISTORY_PREFIX, RAW_PREFIX, reopened_key
from stock_pipeline.domain.session import session_bounds_ns
from stock_pipeline.domain.vendor_bars import VendorBar
from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.lake.session_history import HistoryProgress, SessionHistory, kept_bars
from stock_pipeline.streaming.raw_files import parquet_bytes
from tests.fakes.stores import FakeObjectStore
from tests.support.raw_files import read_trades
from tests.support.trades import SESSION, trade

START_NS, NEXT_NS = session_bounds_ns(SESSION)
PAGES = 4


class Died(Exception):
    """The process is gone."""


@dataclass
class Source:
    """Four pages of two trades. trouble: raised at its call, if any."""

    query: str = "aapl"
    arrival_ns: int = 1
    trouble: dict[int, Exception] = field(default_factory=dict)
    unreadable: tuple[UnreadablePayload, ...] = ()
    asked: list[tuple[int, int, str | None]] = field(default_factory=list)

    def trades(self, start_ns: int, end_ns: int, page_token: str | None) -> tuple[Capture, str | None]:
        number = len(self.asked)
        self.asked.append((start_ns, end_ns, page_token))
        if number in self.trouble:
            raise self.trouble[number]
        page = int(page_token or 0)
        rows = tuple(trade(2 * page + n, ingest_time_ns=self.arrival_ns) for n in (1, 0))
        return Capture(rows, self.unreadable if page == 1 else ()), str(page + 1) if page + 1 < PAGES else None


@dataclass
class Kept:
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    set_aside: list[UnreadablePayload] = field(default_factory=list)

    def read(
        self,
        source: Source,
        now_ns: int = NEXT_NS,
        on_page: Callable[[HistoryProgress], None] = lambda _: None,
        feed: str = "sim",
    ) -> HistoryProgress:
        history = SessionHistory(self.store, SESSION, feed, parquet_bytes, self.set_aside.extend)
        return history.read(source, now_ns, on_page)

    def raw_files(self) -> list[str]:
        return [listed.key for listed in self.store.list(RAW_PREFIX)]

    def ids(self) -> list[str]:
        return [row.event_id for key in self.raw_files() for row in read_trades(self.store.get(key))]


WHOLE = [f"sim:ABC:20180102:X:{number}" for number in range(2 * PAGES)]


def test_a_session_is_read_whole_into_sorted_files_and_looked_at_again() -> None:
    kept, source = Kept(), Source()
    done = kept.read(source)
    assert kept.ids() == WHOLE
    assert (done.pages, done.trades, done.symbols, done.resumed_at) == (PAGES, 2 * PAGES, {"ABC": 2 * PAGES}, 0)
    assert {asked[:2] for asked in source.asked} == {(START_NS, NEXT_NS - 1)}
    assert kept.store.read(reopened_key(SESSION)) is not None


def test_read_twice_it_writes_nothing_new() -> None:
    kept = Kept()
    kept.read(Source())
    files = kept.raw_files()
    done = kept.read(Source(arrival_ns=2))
    assert kept.raw_files() == files
    assert (done.pages, done.resumed_at) == (PAGES, 0)


@pytest.mark.parametrize("page", range(PAGES))
@pytest.mark.parametrize("error", [RetryableError("unavailable"), PermanentError("refused"), Died()])
def test_what_dies_on_a_page_goes_on_at_that_page(page: int, error: Exception) -> None:
    kept = Kept()
    with pytest.raises(type(error)):
        kept.read(Source(trouble={page: error}))
    second = Source()
    done = kept.read(second)
    assert [token for _, _, token in second.asked] == [str(n) if n else None for n in range(page, PAGES)]
    assert (sorted(kept.ids()), done.pages, done.trades, done.resumed_at) == (WHOLE, PAGES, 2 * PAGES, page)


def test_a_process_that_dies_before_a_page_is_noted_reads_it_again() -> None:
    kept = Kept()
    put, kept.store.put = kept.store.put, _dying_at(kept.store.put, HISTORY_PREFIX)  # type: ignore[method-assign]
    with pytest.raises(Died):
        kept.read(Source())
    kept.store.put = put  # type: ignore[method-assign]
    kept.read(Source(arrival_ns=2))
    assert sorted(kept.ids()) == WHOLE


def _dying_at(put: Callable[[str, bytes], None], prefix: str) -> Callable[[str, bytes], None]:
    def dying(key: str, body: bytes) -> None:
        if key.startswith(prefix):
            raise Died
        put(key, body)

    return dying


def test_an_expired_page_begins_the_session_anew_once() -> None:
    kept = Kept()
    with pytest.raises(RetryableError):
        kept.read(Source(trouble={2: RetryableError("unavailable")}))
    expired = Source(trouble={0: PermanentError("the page token has expired")})
    done = kept.read(expired)
    assert [token for _, _, token in expired.asked] == ["2", None, "1", "2", "3"]
    assert (sorted(kept.ids()), done.pages) == (WHOLE, PAGES)
    with pytest.raises(PermanentError):
        kept.read(Source(trouble={0: PermanentError("refused")}))


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b"\xff"])
def test_a_torn_place_begins_the_session_anew(torn: bytes) -> None:
    kept = Kept()
    with pytest.raises(RetryableError):
        kept.read(Source(trouble={2: RetryableError("unavailable")}))
    (place,) = [listed.key for listed in kept.store.list(HISTORY_PREFIX)]
    kept.store.put(place, torn)
    assert kept.read(Source()).resumed_at == 0
    assert sorted(kept.ids()) == WHOLE


def test_other_symbols_do_not_go_on_at_the_page_of_these() -> None:
    kept = Kept()
    with pytest.raises(RetryableError):
        kept.read(Source(trouble={2: RetryableError("unavailable")}))
    other = Source(query="msft")
    kept.read(other)
    assert other.asked[0][2] is None


def test_a_session_that_is_not_over_is_refused() -> None:
    source = Source()
    with pytest.raises(PermanentError, match="2018-01-02 is not over"):
        Kept().read(source, now_ns=START_NS + 12 * 3600 * 10**9)
    assert source.asked == []


def test_until_midnight_it_is_read_up_to_now() -> None:
    source, evening = Source(), START_NS + 21 * 3600 * 10**9
    Kept().read(source, now_ns=evening)
    assert {end_ns for _, end_ns, _ in source.asked} == {evening}


def test_pieces_that_are_no_trades_are_set_aside() -> None:
    piece = UnreadablePayload("schema", "no price", b"{}")
    kept = Kept()
    assert kept.read(Source(unreadable=(piece,))).unreadable == 1
    assert kept.set_aside == [piece]
    assert kept.ids() == WHOLE


def test_bars_come_back_as_they_were_kept() -> None:
    store = FakeObjectStore()
    bar = VendorBar("ABC", Decimal("10.5"), Decimal(11), Decimal("10.25"), Decimal("10.75"), Decimal("100.5"))
    SessionHistory(store, SESSION, "sim", parquet_bytes, lambda _: None).keep_bars([bar], ["ABC", "XYZ"])
    kept = kept_bars(store, SESSION, "sim")
    assert kept is not None
    assert (kept.asked, kept.bars) == (["ABC", "XYZ"], [bar])
    assert kept_bars(store, SESSION, "iex") is kept_bars(store, date(2018, 1, 3), "sim") is None


def test_torn_bars_say_how_to_get_new_ones() -> None:
    store = FakeObjectStore()
    SessionHistory(store, SESSION, "sim", parquet_bytes, lambda _: None).keep_bars([], [])
    (key,) = [listed.key for listed in store.list("reference/")]
    store.put(key, b"{")
    with pytest.raises(PermanentError, match="materialize history of 2018-01-02 again"):
        kept_bars(store, SESSION, "sim")
