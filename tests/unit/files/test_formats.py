"""Each format: written and read back, it has what it can hold."""

import gzip
import json
import re
import tempfile
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.errors import InputFileError
from stock_pipeline.files.file_format import Declared
from stock_pipeline.files.reading import TradeFile
from stock_pipeline.files.values import decimal_text
from stock_pipeline.providers.alpaca.trade import read_rows
from stock_pipeline.providers.files.recorded_rows import recorded_rows
from tests.support.trade_files import (
    OPEN_NS,
    WRITERS,
    Print,
    algoseek,
    alpaca,
    dbn,
    nyse_taq,
    prints,
    read_file,
    session_csv,
)

PRINTS = [
    Print("ABCD", OPEN_NS + 1, "100.25", 100, "P", "F", 1),
    Print("ABCD", OPEN_NS + 1, "100.25", 100, "P", "F", 2),
    Print("BRK.B", OPEN_NS + 5_000_000_000, "7", 3, "D", "FI", 3),
]


@pytest.mark.parametrize("name", WRITERS)
@given(written=prints)
@settings(max_examples=25, deadline=None)
def test_rows_read_back_are_what_the_format_can_hold(name: str, written: list[Print]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trades_20240103"
        path.write_text(WRITERS[name](written))
        rows, bad = read_file(path, feed="sip")
    if name == "alpaca":
        written = sorted(written, key=lambda each: [p.symbol for p in written].index(each.symbol))
    assert bad == []
    assert rows["symbol"].to_list() == [p.symbol for p in written]
    assert rows["price"].to_list() == [Decimal(p.price) for p in written]
    assert rows["volume"].to_list() == [p.size for p in written]
    unit = 10**9 if name == "wrds-monthly" else 1
    assert rows["event_time_ns"].to_list() == [p.time_ns // unit * unit for p in written]
    assert rows["conditions"].to_list() == ["" if name == "databento" else p.conditions for p in written]
    assert rows["status"].unique().to_list() == ["good"]
    if name not in ("wrds-monthly", "algoseek"):
        assert rows["sequence"].to_list() == [p.sequence for p in written]


def test_a_cancel_without_an_id_voids_the_last_equal_trade_before_it(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    same = [PRINTS[0]._replace(time_ns=OPEN_NS + n) for n in range(3)]
    other = same[0]._replace(price="99.5", time_ns=OPEN_NS + 5)
    cancels = algoseek([same[0]._replace(time_ns=OPEN_NS + 9), other._replace(size=7)], "TRADE CANCELLED")
    path.write_text(algoseek([*same[:2], other]) + cancels.partition("\n")[2] + algoseek(same[2:]).partition("\n")[2])
    rows = recorded_rows(path)
    assert rows.bad == []
    read = [(row.event_time_ns - OPEN_NS, row.status) for row in rows.page(0, len(rows), 0).trades]
    assert read == [(0, "good"), (1, "cancelled"), (5, "good"), (9, "notice"), (5, "notice"), (2, "good")]
    assert len({row.event_id for row in rows.page(0, len(rows), 0).trades}) == 6


def test_quotes_are_passed_over_and_an_unknown_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    head, row = algoseek(PRINTS[:1]).splitlines()
    rows = [
        row,
        row.replace("TRADE", "QUOTE BID"),
        row.replace("TRADE", "TRADE NB"),
        row.replace("00000020", "40000000"),
    ]
    path.write_text("\n".join([head, *rows]) + "\n")
    read, bad = read_file(path)
    assert read.height == 2
    assert [each.reason for each in bad] == ["a sale condition is unknown"]


@given(written=prints, packed=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_binary_file_of_databentos_has_the_rows_of_its_text(written: list[Print], packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, text = dbn(written, Path(folder)), Path(folder) / "trades.csv"
        text.write_text(WRITERS["databento"](written))
        if packed:
            path.write_bytes(pa.compress(path.read_bytes(), codec="zstd", asbytes=True))
        assert TradeFile.open(path).verdict.form.name == "databento"
        (rows, bad), (expected, _) = read_file(path), read_file(text)
    assert bad == []
    assert rows.equals(expected)


@pytest.mark.parametrize("end", [3, 8, 60, -10])
def test_a_binary_file_that_is_cut_off_is_refused(end: int, tmp_path: Path) -> None:
    path = dbn(PRINTS, tmp_path)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(InputFileError):
        read_file(path)


updates = st.sampled_from([None, None, "corrected", "incorrect", "canceled"])


@given(written=prints, marks=st.lists(updates, min_size=20, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_page_in_a_file_has_the_rows_that_the_api_gives(written: list[Print], marks: list[str | None]) -> None:
    trades = json.loads(alpaca(written), parse_float=str)["trades"]
    expected = []
    for symbol, rows in trades.items():
        for row, mark in zip(rows, marks, strict=False):
            row |= {"u": mark} if mark else {}
            piece = re.sub(r'"p": "([0-9.]+)"', r'"p": \1', json.dumps(row)).encode()
            expected += read_rows(piece, symbol, "sip", 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.json"
        path.write_text(re.sub(r'"p": "([0-9.]+)"', r'"p": \1', json.dumps({"trades": trades})))
        found = recorded_rows(path, "sip")
    # the kind of a void trade's end is not told from a file: both count in nothing
    read = {replace(row, version=0) for row in found.page(0, len(found), 0).trades}
    assert found.bad == []
    assert read == {replace(row, version=0) for row in expected}


@pytest.mark.parametrize("name", WRITERS)
def test_a_format_is_told_by_its_first_bytes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "trades_20240103"
    path.write_text(WRITERS[name](PRINTS))
    assert TradeFile.open(path, feed="sip").verdict.form.name == name


def test_packed_files_are_told_by_their_bytes(tmp_path: Path) -> None:
    text = session_csv(PRINTS).encode()
    (tmp_path / "a").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "b", "w") as archive:
        archive.writestr("x.txt", text)
    with pa.CompressedOutputStream(str(tmp_path / "c"), "zstd") as stream:
        stream.write(text)
    (tmp_path / "d").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    (tmp_path / "e").write_bytes(text.replace(b",", b";"))
    for name in "abcde":
        assert read_file(tmp_path / name)[0].height == 3


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(session_csv(PRINTS * 2_000).encode())
    (tmp_path / "a.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputFileError, match="can't be read to its end"):
        read_file(tmp_path / "a.gz")


def test_a_zip_of_two_files_is_refused_with_their_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("x.txt", "1")
        archive.writestr("y.txt", "1")
    with pytest.raises(InputFileError, match=r"2 files in it \(x.txt, y.txt\)"):
        read_file(tmp_path / "b.zip")


def test_empty_and_unknown_files_are_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "odd").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(InputFileError, match="is empty"):
        read_file(tmp_path / "empty")
    with pytest.raises(InputFileError, match="--map price=LAST"):
        read_file(tmp_path / "odd")
    (tmp_path / "header").write_text(session_csv([]))
    assert read_file(tmp_path / "header")[1] == []


def test_odd_rows_are_set_aside_and_the_rest_goes_in(tmp_path: Path) -> None:
    text = session_csv(PRINTS)
    header = text.split("\n")[0]
    path = tmp_path / "a.csv"
    odd = ["1,2,3", header]
    good = "2024-01-03T15:00:00Z,ABCD,{},{},Q,@,0,9"
    odd += [good.format("-1", "1"), good.format("NaN", "1"), good.format("1", "-3"), good.format("1", "3,700")]
    odd += [good.format("0.0000001", "1"), good.format("1", "1").replace("T15:00:00Z", "T15:00:00")]
    path.write_text(text + "\n".join(odd) + "\n")
    rows, bad = read_file(path)
    assert rows.height == 3
    assert len(bad) == len(odd)
    assert {row.reason for row in bad} >= {"it has 3 fields, the header 8", "the time can't be read"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12 3/8", "12.375000"),
        ("3/8", "0.375000"),
        ("1.5e2", "150.000000"),
        ("12 8/8", None),
        ("1/3", None),
        ("1e-7", None),
        ("1,5", None),
        ("inf", None),
    ],
)
def test_a_number_is_exact_or_none(text: str, value: str | None) -> None:
    assert decimal_text(text) == value


def test_columns_are_mapped_by_name_and_times_need_a_zone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Day;Clock;Ticker;Last;Qty\n07/03/1998;09:30:01;IBM;12 3/8;200\n")
    columns = {"date": "Day", "time": "Clock", "symbol": "Ticker", "price": "Last", "size": "Qty"}
    rows, bad = read_file(path, declared=Declared(columns=columns, zone="America/New_York"))
    assert bad == []
    assert rows.select("event_time_ns", "price").row(0) == (899_472_601_000_000_000, Decimal("12.375"))
    with pytest.raises(InputFileError, match="--zone America/New_York"):
        read_file(path, declared=Declared(columns=columns))


def test_corrections_ids_and_tapes_can_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    head = "at,sym,px,qty,cond,corr,ref,plan\n"
    path.write_text(head + "1704292200,IBM,160.5,200,B,00,a7,3\n1704292200,IBM,160.5,200,B,08,a7,3\n")
    columns = dict(
        zip(
            ("time", "symbol", "price", "size", "conditions", "correction", "id", "tape"),
            head.strip().split(","),
            strict=True,
        )
    )
    rows, bad = read_file(path, declared=Declared(columns=columns, zone="UTC"))
    assert bad == []
    assert rows.select("trade_id", "tape", "status").rows() == [("a7", "C", "good"), ("a7", "C", "cancelled")]


def test_columns_without_names_are_mapped_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "IBM.txt"
    path.write_text("07/06/1998,09:30:01,12.5,12.25,12.75,200\n07/06/1998,09:30:02,12.75,12.5,13,x\n")
    columns = {"date": "1", "time": "2", "price": "3", "size": "6"}
    declared = Declared(columns=columns, zone="America/New_York", symbol="IBM")
    rows, bad = read_file(path, declared=declared)
    assert rows.select("symbol", "event_time_ns", "price", "volume").row(0) == (
        "IBM",
        899_731_801_000_000_000,
        Decimal("12.5"),
        200,
    )
    assert [(row.line, row.reason.split()[0]) for row in bad] == [(2, "size")]
    with pytest.raises(InputFileError, match="--symbol"):
        read_file(path, declared=Declared(columns=columns, zone="America/New_York"))
    with pytest.raises(InputFileError, match="--map names 9"):
        read_file(path, declared=Declared(columns=columns | {"exchange": "9"}, zone="America/New_York", symbol="IBM"))


def test_rows_that_are_no_trades_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "trades_20240103"
    lines = WRITERS["databento"](PRINTS).splitlines()
    quote = lines[1].replace(",T,", ",A,")
    assert quote != lines[1]
    path.write_text("\n".join([lines[0], quote, *lines[1:], quote]) + "\n")
    rows, bad = read_file(path)
    assert bad == []
    assert rows["price"].to_list() == [Decimal(each.price) for each in PRINTS]
    assert rows["event_time_ns"].to_list() == [each.time_ns for each in PRINTS]


def test_taq_without_a_date_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "trades.txt"
    path.write_text(nyse_taq(PRINTS))
    with pytest.raises(InputFileError, match="--date 2018-01-02"):
        read_file(path)


def integers(folder: Path, prices: list[int]) -> Path:
    """Write a session file whose prices are integers."""
    path = folder / "trades.parquet"
    rows = len(prices)
    columns = {
        "event_time": [f"2024-01-03T14:30:{number:02}Z" for number in range(rows)],
        "symbol": ["ABCD"] * rows,
        "price": prices,
        "size": ["0.5"] * rows,
        "exchange": ["P"] * rows,
        "sale_condition": [""] * rows,
        "correction": ["0"] * rows,
        "sequence": list(range(rows)),
    }
    pl.DataFrame(columns).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("scale", "price"), [(0, "1234500"), (4, "123.45"), (6, "1.2345"), (7, "0.12345"), (8, "0.012345"), (9, None)]
)
def test_integer_prices_need_their_scale(tmp_path: Path, scale: int, price: str | None) -> None:
    path = integers(tmp_path, [1234500])
    with pytest.raises(InputFileError, match="--scale"):
        read_file(path)
    rows, bad = read_file(path, declared=Declared(price_scale=scale))
    if price is None:  # a seventh place
        assert [each.reason for each in bad] == ["price is no number of up to 6 decimal places"]
    else:
        assert rows["price"].to_list() == [Decimal(price)]


@pytest.mark.parametrize("where", [0, 1, 2])
def test_prices_in_two_units_are_refused_at_the_end(tmp_path: Path, where: int) -> None:
    rows = [*PRINTS[:2], PRINTS[2]._replace(symbol="ABCD", price="100.5")]
    rows[where] = rows[where]._replace(price="1002500")
    path = tmp_path / "trades.csv"
    path.write_text(session_csv(rows))
    with pytest.raises(InputFileError, match="prices of ABCD jump by 10,000"):
        read_file(path)
