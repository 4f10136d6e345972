"""`stock-pipeline import` as a user types it, on AWS services on loopback."""

import csv
from datetime import date
from decimal import Decimal
from operator import attrgetter
from pathlib import Path

import pytest

from stock_pipeline.cli import main
from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.lake.raw_import import RawImport
from stock_pipeline.local.stack import LocalStack
from tests.support.raw_files import read_trades
from tests.support.trade_files import Print, nyse_taq, wrds_monthly

pytestmark = pytest.mark.xdist_group("lake")

OPEN_NS = 1_704_292_200_000_000_000  # 2024-01-03 09:30 in New York
DAY_NS = 86_400 * 10**9
PRINTS = [Print("ABCD", OPEN_NS + 10**9 * n, f"1{n}.5", 100, "P", "F", n + 1) for n in range(5)]


def raw_keys(stack: LocalStack) -> list[str]:
    return [listed.key for listed in stack.wiring.objects.list(RAW_PREFIX)]


def test_imported_once_or_twice_the_lake_has_each_trade_once(
    stack: LocalStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "EQY_US_ALL_TRADE_20240103"
    path.write_text(nyse_taq([*PRINTS, PRINTS[0]]))
    assert main(["import", str(path), "--dry-run"]) == 0
    assert "would write 1 files, 6 rows of 1 symbols" in capsys.readouterr().out
    assert raw_keys(stack) == []
    assert main(["import", str(path)]) == 0
    (key,) = raw_keys(stack)
    assert main(["import", str(path)]) == 0
    assert raw_keys(stack) == [key]
    trades = read_trades(stack.wiring.objects.get(key))
    assert {(t.event_id, t.price) for t in trades} == {
        (f"taq:ABCD:20240103:P:{p.sequence}", Decimal(p.price)) for p in PRINTS
    }
    capsys.readouterr()
    assert main(["compact", "--session", "2024-01-03"]) == 0
    assert "6 rows in = 5 rows + 1 duplicates" in capsys.readouterr().out


@pytest.mark.parametrize("cancelled_first", [False, True])
def test_a_later_file_that_cancels_a_trade_wins(
    stack: LocalStack, tmp_path: Path, cancelled_first: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    as_reported = nyse_taq(PRINTS)
    texts = [as_reported, as_reported.replace("||00|3|", "||08|3|")]
    for number, text in enumerate(reversed(texts) if cancelled_first else texts):
        path = tmp_path / f"trades-{number}.txt"
        path.write_text(text)
        assert main(["import", str(path), "--date", "2024-01-03"]) == 0
        assert main(["compact", "--session", "2024-01-03"]) == 0
    manifest = stack.wiring.partition(date(2024, 1, 3)).published()
    assert manifest is not None
    rows = read_trades(stack.wiring.objects.get(manifest.place.data_key))
    assert [row.status for row in sorted(rows, key=attrgetter("sequence"))] == [
        "good",
        "good",
        "cancelled",
        "good",
        "good",
    ]


def test_equal_trades_without_sequence_stay_two(stack: LocalStack, tmp_path: Path) -> None:
    path = tmp_path / "month.csv"
    path.write_text(wrds_monthly([PRINTS[0], PRINTS[0], PRINTS[1]]))
    assert main(["import", str(path)]) == 0
    (key,) = raw_keys(stack)
    assert len({trade.event_id for trade in read_trades(stack.wiring.objects.get(key))}) == 3


def test_a_killed_import_run_again_writes_what_is_missing(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "month.csv"
    path.write_text(wrds_monthly([each._replace(time_ns=each.time_ns + n * DAY_NS) for n, each in enumerate(PRINTS)]))
    put, count = RawImport._put, [0]

    def killed(self: RawImport, *arguments: object) -> bool:
        count[0] += 1
        if count[0] == 2:
            raise KeyboardInterrupt
        return put(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(RawImport, "_put", killed)
    assert main(["import", str(path)]) == 130
    assert len(raw_keys(stack)) == 1
    assert main(["import", str(path)]) == 0
    keys = raw_keys(stack)
    assert len(keys) == 5
    trades = [trade for key in keys for trade in read_trades(stack.wiring.objects.get(key))]
    assert sorted(trade.price for trade in trades) == [Decimal(each.price) for each in PRINTS]


def test_a_day_on_which_the_exchange_is_closed_is_named(
    stack: LocalStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "month.csv"
    path.write_text(wrds_monthly([each._replace(time_ns=each.time_ns + 3 * DAY_NS) for each in PRINTS]))
    assert main(["import", str(path), "--dry-run"]) == 0
    assert "feed taq has no session on that day" in capsys.readouterr().out
    assert main(["import", str(path), "--dry-run", "--feed", "crypto_kraken"]) == 0
    assert "no session" not in capsys.readouterr().out


def test_rows_that_cannot_be_read_lie_in_a_file_with_names(stack: LocalStack, tmp_path: Path) -> None:
    path, rejected = tmp_path / "IBM.txt", tmp_path / "rejected.csv"
    path.write_text("01/03/2024,09:30:01,160.5,200\n01/03/2024,09:30:02,160.5,many\n")
    places = [part for place in ("date=1", "time=2", "price=3", "size=4") for part in ("--map", place)]
    options = [*places, "--symbol", "IBM", "--zone", "America/New_York", "--rejected", str(rejected)]
    assert main(["import", str(path), *options]) == 0
    names, (file, line, reason, text) = csv.reader(rejected.read_text().splitlines())
    assert names == ["file", "line", "reason", "text"]
    assert (file, line, text) == (str(path), "2", "01/03/2024,09:30:02,160.5,many")
    assert reason.startswith("size is no number")
    (key,) = raw_keys(stack)
    (trade,) = read_trades(stack.wiring.objects.get(key))
    assert (trade.symbol, trade.price) == ("IBM", Decimal("160.5"))
