"""Session files, Parquet and CSV, and replaying them at once or at a chosen speed."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from stock_pipeline.domain.bar import daily_bar, session_part_bars
from stock_pipeline.domain.capture import Capture
from stock_pipeline.domain.feed_session import feed_session_hours
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InputFileError
from stock_pipeline.providers.files.recorded_rows import recorded_rows
from stock_pipeline.providers.files.replay import TICK_SECONDS, ReplayFile
from stock_pipeline.providers.files.sample_session import SAMPLE_TRADES
from stock_pipeline.streaming.trade_json import decode_trade, encode_trade
from tests.support.clock import SECOND, Clock
from tests.support.trade_files import Print, nyse_taq
from tests.support.trades import NOON

HEADER = "event_time,symbol,price,size,exchange,sale_condition,correction,sequence\n"
FOREVER = 2**62
BUGS = Path(__file__).parents[3] / "data" / "bugs"


def csv_file(folder: Path, *rows: str, name: str = "session.csv", header: str = HEADER) -> Path:
    path = folder / name
    path.write_text(header + "".join(row + "\n" for row in rows))
    return path


def rows_of(captures: Iterator[Capture]) -> list[Trade]:
    return [trade for capture in captures for trade in capture.trades]


def replayed(path: Path) -> list[Trade]:
    return rows_of(ReplayFile(path, lambda: NOON).poll(None, FOREVER))


@lru_cache(maxsize=1)
def the_sample() -> list[Trade]:
    return replayed(SAMPLE_TRADES)


def test_the_sample_as_csv_gives_the_trades_of_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    pa_csv.write_csv(pq.read_table(SAMPLE_TRADES), path)
    packed = tmp_path / "sample.CSV.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert len(the_sample()) == 39_470
    assert replayed(path) == the_sample()
    assert replayed(packed) == the_sample()


def test_a_price_is_exact_and_has_no_more_digits_than_it_needs(tmp_path: Path) -> None:
    texts = ["157.8", "157.800000", "0.000001", "160", "999999999999.999999"]
    path = csv_file(tmp_path, *(f"2018-01-02T14:30:0{n}Z,XXX,{text},100,P,,0,{n}" for n, text in enumerate(texts)))
    trades = replayed(path)
    assert [f"{trade.price:f}" for trade in trades] == ["157.8", "157.8", "0.000001", "160", "999999999999.999999"]
    assert [decode_trade(encode_trade(trade)) for trade in trades] == trades


def test_decimal_prices_of_a_parquet_file_are_read_like_doubles(tmp_path: Path) -> None:
    table = pq.read_table(SAMPLE_TRADES).slice(0, 500)
    decimals = table.set_column(table.column_names.index("price"), "price", table["price"].cast(pa.decimal128(18, 6)))
    pq.write_table(decimals, tmp_path / "decimals.parquet")
    assert [str(trade.price) for trade in replayed(tmp_path / "decimals.parquet")] == [
        f"{trade.price.normalize():f}" for trade in the_sample()[:500]
    ]


@pytest.mark.parametrize("name", ["prices_eight_decimals.csv", "prices_eight_decimals.parquet"])
def test_a_price_of_more_than_six_places_is_refused_in_every_form(name: str) -> None:
    (capture,) = ReplayFile(BUGS / name, lambda: NOON).poll(None, FOREVER)
    assert capture.trades == ()
    assert {bad.detail for bad in capture.unreadable} == {"price is no number of up to 6 decimal places"}
    assert len(capture.unreadable) == 3


def test_prices_of_four_bytes_are_those_that_were_written() -> None:
    prices = {trade.price for trade in replayed(BUGS / "prices_float32.parquet")}
    assert prices == {Decimal("157.04"), Decimal("158.3"), Decimal("159.39"), Decimal("156.03")}


def test_parts_of_a_share_are_exact() -> None:
    trades = replayed(BUGS / "fractional_sizes.csv")
    assert sum(Decimal(trade.volume or 0) for trade in trades) == Decimal("204.25")
    assert [decode_trade(encode_trade(trade)) for trade in trades] == trades


def test_prices_in_two_units_are_refused(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path, *(f"2018-01-02T14:30:0{n}Z,XXX,{price},100,P,,0,{n}" for n, price in enumerate(["157.8", "1578100"]))
    )
    with pytest.raises(InputFileError, match="prices of XXX jump by 10,000"):
        recorded_rows(path)


def test_csv_times_keep_nanoseconds_in_columns_of_any_order(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "7,note,0,,P,100,157.8,NA,2018-01-02T09:30:00.123456789-05:00",
        header="sequence,remark,correction,sale_condition,exchange,size,price,symbol,event_time\n",
    )
    (trade,) = replayed(path)
    assert (trade.symbol, trade.sequence, trade.volume) == ("NA", 7, 100)
    assert trade.event_time_ns == 1_514_903_400_123_456_789


def test_a_row_that_is_no_trade_comes_with_its_reason(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "2018-01-02T14:30:00Z,XXX,157.8,100,P,,0,1",
        "2018-01-02T14:30:01Z,XXX,0,100,P,,0,2",
        "2018-01-02T14:30:02Z,XXX,157.8000001,100,P,,0,3",
        ",XXX,157.8,100,P,,0,4",
        "2018-01-02T14:30:04Z,XXX,157.8,100,P,,99,5",
        "2018-01-02T14:30:05Z,XXX,,100,P,,0,6",
        "2018-01-02T14:30:06Z,XXX,expensive,100,P,,0,7",
        "2018-01-02T14:30:07Z,XXX,157.8,a lot,P,,0,8",
        "2018-01-02T14:30:08Z,XXX,157.8,0.0000001,P,,0,9",
        "2018-01-02T14:30:09Z,XXX,157.8,9223372036854775808,P,,0,10",
        f"2018-01-02T14:30:10Z,XXX,0.{'9' * 40},100,P,,0,11",
        "2018-01-02T14:30:11Z,XXX,1_000,100,P,,0,12",
    )
    (capture,) = ReplayFile(path, lambda: NOON).poll(None, FOREVER)
    assert [trade.sequence for trade in capture.trades] == [1]
    assert [bad.detail.partition(" is no")[0] for bad in capture.unreadable] == [
        "price",
        "price",
        "the time can't be read",
        "the correction indicator is unknown",
        "price",
        "price",
        "size",
        "size",
        "size",
        "price",
        "price",
    ]
    assert b"157.8000001" in capture.unreadable[1].payload


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        (HEADER + "2018-01-02T14:30:00Z,\xff\xfe,157.8,100,P,,0,1\n", "UTF8"),
        ("symbol,price\nXXX,1\n", "no format has"),
        (HEADER.replace("symbol", "symbol,symbol") + "2018-01-02T14:30:00Z,X,X,1,1,P,,0,1\n", "more than one column"),
    ],
)
def test_a_bad_csv_file_is_refused_in_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "session.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputFileError) as refused:
        recorded_rows(path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("row", ["2018-01-02 14:30:00,XXX,157.8,100,P,,0,2", "2018-01-02T14:30:00Z,XXX,157.8"])
def test_a_broken_row_is_set_aside_and_the_others_are_replayed(tmp_path: Path, row: str) -> None:
    path = csv_file(
        tmp_path, "2018-01-02T14:30:00Z,XXX,157.8,100,P,,0,1", row, "2018-01-02T14:31:00Z,XXX,158,100,P,,0,3"
    )
    (capture,) = ReplayFile(path, lambda: NOON).poll(None, FOREVER)
    assert [trade.sequence for trade in capture.trades] == [1, 3]
    assert [bad.payload.decode() for bad in capture.unreadable] == [row]
    assert capture.checkpoint == "3"


def test_a_repeated_row_is_the_same_trade_and_equal_numbers_are_no_key(tmp_path: Path) -> None:
    row = "2018-01-02T14:30:00Z,XXX,1,1,P,,0,1"
    first, second = replayed(csv_file(tmp_path, row, row))
    assert first == second
    without_key = [f"2018-01-02T14:30:0{n}Z,XXX,1,1,P,,0,0" for n in (1, 2, 2)]
    assert len({trade.event_id for trade in replayed(csv_file(tmp_path, *without_key))}) == 3


def test_a_vendors_file_is_replayed_as_it_is_imported(tmp_path: Path) -> None:
    prints = [Print("ABCD", NOON + SECOND * n, f"1{n}.5", 100, "P", "F", n + 1) for n in range(5)]
    path = tmp_path / "EQY_US_ALL_TRADE_20180102"
    path.write_text(nyse_taq(prints))
    trades = replayed(path)
    assert [(trade.event_id, f"{trade.price:f}") for trade in trades] == [
        (f"taq:ABCD:20180102:P:{each.sequence}", each.price) for each in prints
    ]


def test_a_csv_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="does not exist"):
        recorded_rows(tmp_path / "nothing.csv")


def timed_session(folder: Path, *seconds: float | None) -> Path:
    """Write a row for each number of seconds after 14:30; None is a row without a time."""
    times = ["" if at is None else f"2018-01-02T14:{30 + int(at) // 60}:{at % 60:09.6f}Z" for at in seconds]
    return csv_file(folder, *(f"{time},XXX,10,100,P,,0,{n}" for n, time in enumerate(times)))


def sent_at(path: Path, speed: float, checkpoint: str | None = None, deadline: float = 1e9) -> dict[float, list[int]]:
    """Which rows went out how many seconds after the start."""
    clock = Clock(NOON)
    replay = ReplayFile(path, clock.now_ns, speed=speed, wait=clock.wait)
    sent: dict[float, list[int]] = {}
    for capture in replay.poll(checkpoint, NOON + round(deadline * SECOND)):
        rows = [*(trade.sequence for trade in capture.trades), *(-1 for _ in capture.unreadable)]
        sent.setdefault((clock.ns - NOON) / SECOND, []).extend(rows)
    return sent


def test_at_speed_1_rows_go_out_when_they_were_recorded(tmp_path: Path) -> None:
    path = timed_session(tmp_path, 0, 0, 2, 2.05, 90)
    assert sent_at(path, speed=1) == {0: [0, 1], 2: [2], 2 + TICK_SECONDS: [3], 90: [4]}


def test_at_speed_60_a_minute_takes_a_second(tmp_path: Path) -> None:
    path = timed_session(tmp_path, 0, 60, 600)
    assert sent_at(path, speed=60) == {0: [0], 1: [1], 10: [2]}


def test_late_and_untimed_rows_go_out_at_their_recorded_place(tmp_path: Path) -> None:
    path = timed_session(tmp_path, None, 10, 3, None, 20)
    assert sent_at(path, speed=1) == {0: [1, 2, -1, -1], 10: [4]}


def test_a_replay_resumes_at_its_checkpoint_until_its_deadline(tmp_path: Path) -> None:
    path = timed_session(tmp_path, 0, 10, 20, 30)
    assert sent_at(path, speed=1, checkpoint="1") == {0: [1], 10: [2], 20: [3]}
    assert sent_at(path, speed=1, deadline=15) == {0: [0], 10: [1]}
    assert sent_at(path, speed=1, checkpoint="4") == {}


def test_a_very_slow_replay_ends_at_its_deadline(tmp_path: Path) -> None:
    path = timed_session(tmp_path, 0, 1)
    assert sent_at(path, speed=1e-12, deadline=5) == {0: [0]}


def test_a_speed_changes_when_trades_go_out_but_not_which(tmp_path: Path) -> None:
    clock = Clock(NOON)
    at_speed = rows_of(ReplayFile(SAMPLE_TRADES, clock.now_ns, speed=600, wait=clock.wait).poll(None, FOREVER))
    assert [replace(trade, ingest_time_ns=NOON) for trade in at_speed] == the_sample()
    recorded = (at_speed[-1].event_time_ns - at_speed[0].event_time_ns) / 600 / SECOND
    assert recorded <= (clock.ns - NOON) / SECOND < recorded + 1


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed above 0"):
        ReplayFile(SAMPLE_TRADES, lambda: NOON, speed=speed, wait=lambda seconds: None)
    with pytest.raises(ValueError, match="wait with"):
        ReplayFile(SAMPLE_TRADES, lambda: NOON, speed=1)


def test_prices_of_doubles_are_the_prices_that_were_written(tmp_path: Path) -> None:
    doubles = pq.read_table(SAMPLE_TRADES, columns=["price"])["price"].to_pylist()
    assert [trade.price for trade in the_sample()] == [Decimal(str(price)) for price in doubles]


def one_row(**columns: pa.Array) -> pa.Table:
    row = {
        "event_time": pa.array([NOON], pa.timestamp("ns", tz="UTC")),
        "symbol": pa.array(["ABC"]),
        "price": pa.array([10.5]),
        "size": pa.array([100]),
        "exchange": pa.array(["N"]),
        "sale_condition": pa.array(["F"]),
        "correction": pa.array(["0"]),
        "sequence": pa.array([1]),
    }
    return pa.table(row | columns)


@pytest.mark.parametrize(
    "columns",
    [
        {"symbol": pa.array(["ABC"]).dictionary_encode(), "exchange": pa.array(["N"], pa.large_string())},
        {"correction": pa.array([0]), "size": pa.array([100], pa.uint16()), "sequence": pa.array([1], pa.int32())},
        {
            "correction": pa.array([0.0]),
            "event_time": pa.array([NOON // 1000], pa.timestamp("us", tz="America/New_York")),
        },
    ],
)
def test_types_that_hold_the_same_values_give_the_same_trade(tmp_path: Path, columns: dict[str, pa.Array]) -> None:
    plain, other = tmp_path / "plain.parquet", tmp_path / "other.parquet"
    pq.write_table(one_row(), plain)
    pq.write_table(one_row(**columns), other)
    assert replayed(other) == replayed(plain)
    assert len(replayed(plain)) == 1


@pytest.mark.parametrize(
    "columns",
    [
        {"symbol": pa.array([b"\xff"])},
        {"correction": pa.array([b"\xff"])},
        {"event_time": pa.array([253_402_300_799_000], pa.timestamp("ms", tz="UTC"))},
        {"size": pa.array([date(2018, 1, 2)])},
    ],
)
def test_a_column_of_another_type_is_no_trade(tmp_path: Path, columns: dict[str, pa.Array]) -> None:
    pq.write_table(one_row(**columns), tmp_path / "odd.parquet")
    assert refused_or_set_aside(tmp_path / "odd.parquet")


def refused_or_set_aside(path: Path) -> bool:
    """A file whose bytes are no text is refused in a sentence; a value that is none of a trade costs its row."""
    try:
        (capture,) = ReplayFile(path, lambda: NOON).poll(None, FOREVER)
    except InputFileError as error:
        return "\n" not in str(error)
    return (len(capture.trades), len(capture.unreadable)) == (0, 1)


def test_a_session_of_the_night_is_one_with_prices(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    path.write_text(
        "event_time,symbol,price,size,exchange,sale_condition,correction,sequence\n"
        "2025-06-17T00:30:00Z,ABC,20.50,10,B,@T,0,1\n"  # 20:30 of the evening before
        "2025-06-17T07:59:59Z,ABC,21.25,20,B,@TI,0,2\n"
        "2025-06-17T08:00:00Z,ABC,20.75,30,B,@T,0,3\n"
    )
    (capture,) = ReplayFile(path, lambda: 0, "boats").poll(None, 1)
    assert {one.event_id[:18] for one in capture.trades} == {"boats:ABC:20250617"}
    hours = feed_session_hours(date(2025, 6, 17), "boats")
    bar = daily_bar(capture.trades, hours)
    assert bar is not None
    figures = [str(figure) for figure in (bar.session_date, bar.open, bar.high, bar.low, bar.close, bar.volume)]
    assert figures == ["2025-06-17", "20.5", "20.75", "20.5", "20.75", "60"]
    parts = {part: (bar.volume, bar.trade_count) for part, bar in session_part_bars(capture.trades, hours).items()}
    assert parts == {"overnight": (30, 2), "pre": (30, 1)}
