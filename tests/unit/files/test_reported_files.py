"""Every file of `tests/data/bugs`, once read wrongly: its right value, or why it is refused."""

import base64
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.bar import Bar, daily_bar
from stock_pipeline.domain.feed_session import feed_session_date, feed_session_hours
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InputFileError
from stock_pipeline.providers.files.recorded_rows import recorded_rows
from stock_pipeline.streaming.batch_decoder import decode_batch
from stock_pipeline.streaming.kinesis_event import StreamBatch, StreamRecord
from tests.support.redrive_world import RedriveWorld

BUGS = Path(__file__).parents[2] / "data" / "bugs"
SEVERAL_FEEDS = "alpaca_page_fractional.json"


def trades(name: str, feed: str = "") -> list[Trade]:
    rows = recorded_rows(BUGS / name, feed or ("sip" if name == SEVERAL_FEEDS else ""))
    assert rows.bad == []
    return list(rows.page(0, len(rows), 0).trades)


def bar(name: str, feed: str = "") -> Bar:
    rows = trades(name, feed)
    (session_date,) = {feed_session_date(row.event_time_ns, row.feed) for row in rows}
    found = daily_bar(rows, feed_session_hours(session_date, rows[0].feed))
    assert found is not None
    return found


def test_each_file_is_judged() -> None:
    here = Path(__file__).read_text()
    assert [path.name for path in BUGS.iterdir() if path.name not in here and path.name != "README.md"] == []


@pytest.mark.parametrize(("name", "volume"), [("fractional_sizes.csv", "204.25"), (SEVERAL_FEEDS, "200.25")])
def test_parts_of_a_share_are_kept(name: str, volume: str) -> None:
    assert bar(name).volume == Decimal(volume)


@pytest.mark.parametrize("name", ["numeric_conditions.csv", "condition_words.csv"])
def test_numbers_and_words_are_no_letters_of_the_tape(name: str) -> None:
    with pytest.raises(InputFileError, match="is a number or a word"):
        recorded_rows(BUGS / name)


def test_a_float32_is_its_shortest_text() -> None:
    assert {row.price for row in trades("prices_float32.parquet")} == {
        Decimal(text) for text in ("157.04", "158.3", "159.39", "156.03")
    }


@pytest.mark.parametrize("name", ["prices_eight_decimals.csv", "prices_eight_decimals.parquet"])
def test_a_price_of_more_than_six_places_is_refused_alike(name: str) -> None:
    rows = recorded_rows(BUGS / name)
    assert rows.lines.size == 0
    assert {row.reason for row in rows.bad} == {"price is no number of up to 6 decimal places"}


def test_zero_shares_make_no_price() -> None:
    found = bar("zero_share_print.csv")
    assert (found.low, found.high) == (Decimal(1380), Decimal(1405))


def test_the_night_belongs_to_the_venues_next_session() -> None:
    found = bar("overnight_session.csv", "boats")
    assert (found.session_date, found.volume) == (date(2025, 2, 11), 300)


def test_an_official_print_is_not_the_latest_price() -> None:
    rows = trades("latest_is_no_execution.csv")
    state = SymbolState(SymbolKey("ABCD", "taq"), ()).merged_with(rows, (20,))
    assert state.latest == rows[1]
    assert [average.price for average in state.averages((20,))] == [Decimal("304.15")]


def test_both_batches_of_a_notification_are_redriven() -> None:
    world = RedriveWorld()
    for name in ("failed_batch_1.json", "failed_batch_2.json"):
        world.objects["lake", f"aws/lambda/id/{name}"] = (BUGS / name).read_bytes()
    world.add("both", (BUGS / "s3_notification_two_records.json").read_bytes())
    assert world.run().counts == {"published": 1}
    assert len(world.stream) == 2


def test_an_aggregated_record_is_one_message_that_says_so() -> None:
    data = base64.b64decode((BUGS / "kpl_aggregated_record.b64").read_text())
    batch = StreamBatch("shardId-000000000000", (StreamRecord("1", "bucket-0001", data, 5e9),))
    (rejection,) = decode_batch(batch, ArrivalLimits()).rejections
    assert (rejection.reason, rejection.payload) == (Reason.NOT_JSON, data)
    assert "KPL" in rejection.detail
