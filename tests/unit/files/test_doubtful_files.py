"""Files that could be read as something else than they mean: read rightly, or refused with what to type."""

import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stock_pipeline.errors import InputFileError
from stock_pipeline.files.file_format import Declared
from stock_pipeline.files.reading import TradeFile
from tests.support.trade_files import Print, massive, nyse_taq, read_file, session_csv, wrds

OPEN_NS = 1_704_292_200_000_000_000  # 2024-01-03 09:30 in New York
PRINTS = [Print("ABCD", OPEN_NS, "100.25", 100, "P", "F", 1), Print("ABCD", OPEN_NS, "100.5", 100, "P", "F", 2)]
COLUMNS = {"time": "time", "symbol": "symbol", "price": "price", "size": "size"}
MAPPED = Declared(columns=COLUMNS, zone="America/New_York")


def written(folder: Path, text: str | bytes, name: str = "trades_20240103") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def session(*rows: str) -> str:
    """A session file whose rows are given by condition and correction: `@,0`."""
    head = "event_time,symbol,price,size,exchange,sale_condition,correction,sequence\n"
    return head + "".join(f"2024-01-03T15:00:00Z,ABCD,10.5,1,Q,{row},{n}\n" for n, row in enumerate(rows))


def mapped(*rows: str) -> str:
    return "time,symbol,price,size\n" + "".join(f"{row}\n" for row in rows)


def parquet(folder: Path, **columns: Any) -> Path:
    rows = max((len(values) for values in columns.values()), default=1)
    given = {
        "event_time": ["2024-01-03T15:00:00Z"] * rows,
        "symbol": ["ABCD"] * rows,
        "price": pa.array([10.5] * rows),
        "size": ["1"] * rows,
        "exchange": ["P"] * rows,
        "sale_condition": [""] * rows,
        "correction": ["0"] * rows,
        "sequence": [str(number) for number in range(rows)],
    }
    path = folder / "trades.parquet"
    pq.write_table(pa.table(given | columns), path)
    return path


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_a_number_of_a_time_has_the_unit_that_its_size_says(unit: int, tmp_path: Path) -> None:
    stamp = str(OPEN_NS // unit)
    rows, bad = read_file(written(tmp_path, massive(PRINTS).replace(str(OPEN_NS), stamp)))
    assert (rows["event_time_ns"].to_list(), bad) == ([OPEN_NS, OPEN_NS], [])
    rows, _ = read_file(written(tmp_path, mapped(f"{stamp},ABCD,10.5,1")), declared=MAPPED)
    assert rows["event_time_ns"].to_list() == [OPEN_NS]


def test_seconds_have_nine_places_and_a_float_of_nanoseconds_is_refused(tmp_path: Path) -> None:
    rows, bad = read_file(
        written(tmp_path, mapped("1704292200.000000001,ABCD,10.5,1", "1.7042922e+18,ABCD,10.5,1", "0,ABCD,10.5,1")),
        declared=MAPPED,
    )
    assert rows["event_time_ns"].to_list() == [OPEN_NS + 1]
    assert [row.reason for row in bad] == ["the time can't be read"] * 2


@pytest.mark.parametrize(
    ("stamp", "nanoseconds"),
    [("093000123", 123_000_000), ("93000123", 123_000_000), ("093000123456", 123_456_000), ("93000000000007", 7)],
)
def test_nyse_clocks_of_three_six_and_nine_places(stamp: str, nanoseconds: int, tmp_path: Path) -> None:
    text = nyse_taq(PRINTS).replace("093000000000000", stamp)
    assert read_file(written(tmp_path, text))[0]["event_time_ns"].to_list() == [OPEN_NS + nanoseconds] * 2


@pytest.mark.parametrize("rest", ["||||||||||||", "|"], ids=["all fields", "fewer fields"])
def test_a_file_with_other_rows_than_its_last_line_says_is_refused(rest: str, tmp_path: Path) -> None:
    head, *prints = nyse_taq(PRINTS).splitlines()[:-1]

    def ends(count: str, lines: list[str]) -> Path:
        return written(tmp_path, "\n".join([head, *lines, f"END|20240103|{count}{rest}"]) + "\n")

    broken = [*prints, "093000000000000|N|ABCD"]
    assert read_file(ends("2", prints))[0].height == 2
    rows, bad = read_file(ends("3", broken))
    assert (rows.height, len(bad)) == (2, 1)
    for count in ("4", " ", "4 "):  # with the header and itself; without a count
        assert read_file(ends(count, prints))[0].height == 2
    for count, lines in (("5", prints), ("1", prints), ("2", broken)):
        with pytest.raises(InputFileError, match="its line END says"):
            read_file(ends(count, lines))


def test_an_extract_without_a_last_line_is_read(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, nyse_taq(PRINTS).partition("END")[0]))[0].height == 2


def test_a_clock_of_another_length_is_refused(tmp_path: Path) -> None:
    text = nyse_taq(PRINTS).replace("093000000000000", "93000")
    assert [row.reason for row in read_file(written(tmp_path, text))[1]] == ["the time can't be read"] * 2


def test_years_begin_with_the_calendar(tmp_path: Path) -> None:
    text = session_csv(PRINTS).replace("2024-01-03T14", "1992-12-31T14", 1).replace("2024-01-03T14", "1993-01-04T14")
    rows, bad = read_file(written(tmp_path, text))
    assert [datetime.fromtimestamp(ns // 10**9, UTC).year for ns in rows["event_time_ns"]] == [1993]
    assert [row.reason for row in bad] == ["the time is not between 1993, where the calendar begins, and 2100"]


@pytest.mark.parametrize(
    ("day", "iso"), [("01/03/2024", "2024-01-03"), ("1/3/2024", "2024-01-03"), ("03JAN2024", "2024-01-03")]
)
def test_dates_have_the_month_first_or_its_name(day: str, iso: str, tmp_path: Path) -> None:
    rows, _ = read_file(written(tmp_path, wrds(PRINTS).replace("2024-01-03", day)))
    assert {f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d}" for ns in rows["event_time_ns"]} == {iso}


def test_dates_with_the_day_first_are_refused_as_a_whole(tmp_path: Path) -> None:
    text = wrds(PRINTS).replace("2024-01-03", "03/01/2024", 1).replace("2024-01-03", "31/01/2024")
    with pytest.raises(InputFileError, match="the day first"):
        read_file(written(tmp_path, text))


def test_a_date_that_lacks_digits_is_refused(tmp_path: Path) -> None:
    assert len(read_file(written(tmp_path, wrds(PRINTS).replace("2024-01-03", "2024113")))[1]) == 2


@pytest.mark.parametrize("offset", ["+99:99", "+15:00", "+05:60"])
def test_an_offset_that_no_zone_has_is_refused(offset: str, tmp_path: Path) -> None:
    text = session("@,0").replace("Z,", f"{offset},")
    assert [row.reason for row in read_file(written(tmp_path, text))[1]] == ["the time can't be read"]


@pytest.mark.parametrize("word", ["OPEN", "CASH", "ODD", "SWEEP", "NULL"])
def test_words_that_look_like_letters_are_refused(word: str, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="is a number or a word"):
        read_file(written(tmp_path, session(f"{word},0")))


def test_digits_alone_are_of_no_alphabet_until_it_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "time,symbol,price,size,code\n1704292200,ABCD,10.5,1,4\n1704292200,ABCD,10.5,1,\n")
    columns = COLUMNS | {"conditions": "code"}
    with pytest.raises(InputFileError, match="--conditions tape, massive or none"):
        read_file(path, declared=Declared(columns=columns, zone="UTC"))
    for alphabet, letters in (("tape", "4"), ("none", "")):
        declared = Declared(columns=columns, zone="UTC", alphabet=alphabet)
        assert read_file(path, declared=declared)[0]["conditions"].to_list() == [letters, ""]
    path = written(tmp_path, path.read_text() + "1704292200,ABCD,10.5,1,@\n")
    assert read_file(path, declared=Declared(columns=columns, zone="UTC"))[0].height == 3


def test_a_large_session_file_of_digits_is_refused(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, session(*["4,0"] * 999)))[0].height == 999
    with pytest.raises(InputFileError, match="all conditions are digits, such as 4"):
        read_file(written(tmp_path, session(*["4,0"] * 1_000)))


def test_whole_prices_of_columns_that_are_mapped_need_their_unit(tmp_path: Path) -> None:
    path = written(tmp_path, mapped("1704292200,ABCD,1234500,1", "1704292200,ABCD,1234600,1"))
    with pytest.raises(InputFileError, match=r"such as 1234500, .*--scale 4"):
        read_file(path, declared=MAPPED)
    declared = Declared(columns=COLUMNS, zone="UTC", price_scale=4)
    assert read_file(path, declared=declared)[0]["price"].to_list() == [Decimal("123.45"), Decimal("123.46")]


@pytest.mark.parametrize(
    ("code", "status"), [("0.0", "good"), ("1.0", "corrected"), ("08", "cancelled"), ("12.0", "notice"), ("", "good")]
)
def test_a_correction_code_may_have_been_a_float(code: str, status: str, tmp_path: Path) -> None:
    assert read_file(written(tmp_path, session(f"@,{code}")))[0]["status"].to_list() == [status]


def test_an_unknown_correction_code_is_refused(tmp_path: Path) -> None:
    bad = read_file(written(tmp_path, session("@,0.5", "@,e")))[1]
    assert [row.reason for row in bad] == ["the correction indicator is unknown"] * 2


def test_codes_that_went_through_floats_are_the_codes(tmp_path: Path) -> None:
    whole = read_file(written(tmp_path, massive(PRINTS)))[0]
    text = massive(PRINTS).replace(",3,0,0\n", ",3.0,0.0,0.0\n").replace(",0,P,1,", ",0.0,P,1.0,")
    assert text != massive(PRINTS)
    assert read_file(written(tmp_path, text))[0].equals(whole)


@pytest.mark.parametrize("nothing", ["nan", "None", "<NA>"])
def test_a_suffix_that_a_table_made_of_nothing_is_none(nothing: str, tmp_path: Path) -> None:
    text = wrds(PRINTS).replace("ABCD,,", f"ABCD,{nothing},")
    assert nothing in text
    assert read_file(written(tmp_path, text))[0]["symbol"].to_list() == ["ABCD", "ABCD"]


@pytest.mark.parametrize("feed", ["SIP", "a b", "a:b", "x" * 17])
def test_a_feed_that_the_contract_has_not_is_refused(feed: str, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=f"--feed {feed} can't be used"):
        TradeFile.open(written(tmp_path, session("@,0")), feed=feed)


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path) -> None:
    declared = Declared(columns={"time": "1", "price": "2", "size": "3"}, zone="UTC", symbol="IBM")
    path = written(tmp_path, b"\xef\xbb\xbf" + b"1704292200,10.5,1\r\n1704292200,10.5,2\r\n")
    rows, bad = read_file(path, declared=declared)
    assert (rows["volume"].to_list(), bad) == ([1, 2], [])


@pytest.mark.parametrize("columns", ["time,symbol,price,price,size", "time,symbol,price,PRICE,size"])
def test_a_name_of_two_columns_is_refused(columns: str, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="more than one column"):
        read_file(written(tmp_path, f"{columns}\n1704292200,ABCD,1.5,2.5,1\n"), declared=MAPPED)


def test_what_a_float32_can_not_hold_is_refused(tmp_path: Path) -> None:
    """12345.67 has the seven digits that survive; 700123.45 comes back as 700123.44."""
    prices = pa.array([12345.67, 0.0001, 12000.25], pa.float32())
    assert [str(price) for price in read_file(parquet(tmp_path, price=prices))[0]["price"]] == [
        "12345.670000", "0.000100", "12000.250000",
    ]  # fmt: skip
    rows, bad = read_file(parquet(tmp_path, price=pa.array([700123.45, 3500.1234], pa.float32())))
    assert rows.height == 0
    assert ["in float" in row.text for row in bad] == [True, True]
    assert len(read_file(parquet(tmp_path, size=pa.array([100.123456], pa.float32())))[1]) == 1


def test_whole_floats_are_numbers_without_an_exponent(tmp_path: Path) -> None:
    rows, bad = read_file(parquet(tmp_path, sequence=pa.array([1.93e15, 1.93e15 + 1]), size=pa.array([1e10, 0.25])))
    assert bad == []
    assert rows["sequence"].to_list() == [1_930_000_000_000_000, 1_930_000_000_000_001]
    assert rows["volume"].to_list() == [10**10, Decimal("0.25")]


def test_lists_of_conditions_are_their_letters(tmp_path: Path) -> None:
    letters = pa.array([["@", "I"], [], None], pa.list_(pa.string()))
    assert read_file(parquet(tmp_path, sale_condition=letters))[0]["conditions"].to_list() == ["@I", "", ""]
    with pytest.raises(InputFileError, match="is a number or a word"):
        read_file(parquet(tmp_path, sale_condition=pa.array([[12, 37]])))


def test_parquet_that_is_packed_or_cut_off_is_refused(tmp_path: Path) -> None:
    whole = parquet(tmp_path).read_bytes()
    with pytest.raises(InputFileError, match="unpack it"):
        read_file(written(tmp_path, gzip.compress(whole)))
    with pytest.raises(InputFileError, match="can't be read to its end"):
        read_file(written(tmp_path, whole[:-30]))


@pytest.mark.parametrize("end", [-3, 200], ids=["its end", "half"])
def test_zstd_that_is_cut_off_is_refused(end: int, tmp_path: Path) -> None:
    packed = pa.compress(session(*["@,0"] * 20_000).encode(), codec="zstd", asbytes=True)
    with pytest.raises(InputFileError, match="can't be read to its end"):
        read_file(written(tmp_path, packed[:end]))


def test_archives_of_several_members_are_one_file(tmp_path: Path) -> None:
    head, row = session("@,0").encode().split(b"\n", 1)
    pieces = [head + b"\n", row, row.replace(b",0\n", b",1\n")]
    assert read_file(written(tmp_path, b"".join(map(gzip.compress, pieces))))[0].height == 2
    packed = b"".join(pa.compress(piece, codec="zstd", asbytes=True) for piece in pieces)
    assert read_file(written(tmp_path, packed))[0].height == 2


def page(*trades: dict[str, Any]) -> str:
    common = {"t": "2024-01-03T15:00:00Z", "x": "P", "p": 10.5, "s": 1, "c": ["@"], "z": "C"}
    return json.dumps({"trades": {"ABCD": [common | each for each in trades]}, "next_page_token": None})


def test_pages_longer_than_the_first_bytes_are_told_one_a_line(tmp_path: Path) -> None:
    pages = [page(*({"i": 1_000 * n + m} for m in range(1_000))) for n in range(3)]
    voided = page({"i": 9_000}, {"i": 9_001, "u": "canceled"})
    text = "\n".join(pages).encode()
    for content in (text, pa.compress(text, codec="zstd", asbytes=True), gzip.compress(text)):
        assert read_file(written(tmp_path, content), feed="sip")[0].height == 3_000
    rows = read_file(written(tmp_path, "\n".join([*pages, voided, pages[0]])), feed="sip")[0]
    assert rows.filter(rows["status"] == "cancelled")["line"].to_list() == [3_002, 3_002]
    pretty = json.dumps(json.loads(pages[0]), indent=1)
    assert read_file(written(tmp_path, pretty), feed="sip")[0].height == 1_000


def test_a_page_that_is_cut_off_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, page({"i": 1})[:-40])
    with pytest.raises(InputFileError, match=f"{path.name} is no page"):
        read_file(path, feed="sip")


def test_trades_of_a_page_without_an_id_stay_as_many_as_they_are(tmp_path: Path) -> None:
    rows, bad = read_file(written(tmp_path, page({}, {})), feed="sip")
    assert (rows["trade_id"].to_list(), bad) == ([None, None], [])


def test_an_odd_field_of_a_page_is_its_rows_fault_only(tmp_path: Path) -> None:
    odd = [{"p": None}, {"p": True}, {"s": "many"}, {"t": 5}, {"u": "x"}, {"u": "canceled", "p": None}]
    rows, bad = read_file(written(tmp_path, page({"i": 0}, *(each | {"i": 1} for each in odd))), feed="sip")
    assert rows.height == 1
    assert [row.line for row in bad] == [2, 3, 4, 5, 6, 7]


def test_a_file_is_told_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    table = io.BytesIO()
    pq.write_table(pq.read_table(parquet(tmp_path)), table)
    assert TradeFile.open(written(tmp_path, table.getvalue(), "trades.csv")).verdict.container == "parquet"
