"""The page in a real browser: what it shows, that it follows, and that everybody can use it."""

import hashlib
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from stock_pipeline.serving.app import chart_path
from tests.browser.full_market import EVENING, SYMBOLS
from tests.browser.looking import ALIKE, Open, assert_accessible, candle_pixels, cell, picture_difference, row
from tests.browser.market import FEED, OPEN_NS, ShownMarket, some_trade

pytestmark = pytest.mark.xdist_group("browser")

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


@pytest.mark.parametrize(("width", "height", "colours"), [(1280, 800, "light"), (360, 740, "dark")])
def test_everybody_can_use_every_view(
    full_market: ShownMarket, open_page: Open, width: int, height: int, colours: str
) -> None:
    with full_market.served() as address:
        page = open_page(address, width, height, colours, EVENING)
        expect(row(page, "MSFT").locator(".spark polyline")).to_be_visible()
        assert_accessible(page)
        page.goto(f"{address}/#/symbol/MSFT/{FEED}")
        expect(page.locator(".chart")).to_have_attribute("data-bars", "480")
        assert min(candle_pixels(page).values()) > 100
        assert_accessible(page)
        page.goto(f"{address}/#/pipeline")
        page.locator("summary").first.click()
        expect(page.get_by_text('"volume": 100')).to_be_visible()
        expect(page.get_by_role("link", name="redrive_job")).to_have_attribute("href", "http://127.0.0.1:3000/runs/2")
        alarm = page.get_by_role("link", name="stock-pipeline-dev-dead: ok")
        expect(alarm).to_have_attribute("href", "https://example.com/runbook.md#dead")
        expect(page.get_by_text("What to do: docs/runbook.md#lag")).to_be_visible()
        assert_accessible(page)


def test_the_figures_are_the_apis(full_market: ShownMarket, open_page: Open) -> None:
    with full_market.served() as address:
        page = open_page(address, time=EVENING)
        (quote,) = page.request.get(f"{address}/api/v1/latest/CAT").json()["quotes"]
        for column, name in {"price": "price", "eligible": "lastEligible", "high": "high", "low": "low"}.items():
            expect(cell(page, "CAT", column)).to_have_text(f"{Decimal(quote[name]):.2f}")
        change = Decimal(quote["changePercent"])
        expect(cell(page, "CAT", "percent")).to_have_text(f"{change:+.2f}%".replace("-", "−"))
        expect(page.locator("#attribution")).to_contain_text("TradingView Lightweight Charts™")


def test_pictures(full_market: ShownMarket, open_page: Open, tmp_path: Path) -> None:
    """Those of the docs, which `PICTURES=docs/pictures` makes anew; the page still looks as they do."""
    folder = Path(os.environ.get("PICTURES", tmp_path))
    with full_market.served() as address:
        page = open_page(address, height=620, time=EVENING)
        expect(row(page, "XOM").locator(".spark polyline")).to_be_visible()
        page.screenshot(path=folder / "market.png")
        page = open_page(f"{address}/#/symbol/XOM/{FEED}", 1280, 760, "dark", EVENING)
        expect(page.locator(".chart")).to_have_attribute("data-bars", "480")
        expect(page.locator("tr.cancelled")).to_be_visible()
        page.screenshot(path=folder / "symbol.png")
        market, symbol = PICTURES / "market.png", PICTURES / "symbol.png"
        assert picture_difference(page, folder / "market.png", market) < ALIKE
        assert picture_difference(page, folder / "symbol.png", symbol) < ALIKE
        assert picture_difference(page, market, symbol) > 3 * ALIKE


def test_sorting_and_filter_by_keyboard(full_market: ShownMarket, open_page: Open) -> None:
    with full_market.served() as address:
        page = open_page(address, time=EVENING)
        page.get_by_role("button", name="Price", exact=True).press("Enter")
        links = page.locator(".rows a")
        expect(page.get_by_role("columnheader", name="Price")).to_have_attribute("aria-sort", "descending")
        expect(row(page, "XOM")).to_have_attribute("aria-rowindex", "2")
        page.keyboard.press("/")
        page.keyboard.type("am")
        expect(links).to_have_text(["AMZN"])
        page.get_by_label("Filter symbols").fill("")
        expect(links).to_have_count(len(SYMBOLS))
        row(page, "XOM").get_by_role("link").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("TSLA")
        page.go_back()
        expect(page.locator("h1")).to_have_text("Market")


def test_without_rules_nothing_is_said_of_alerts(market: ShownMarket, open_page: Open) -> None:
    market.trade(some_trade(0))
    with market.served() as address:
        page = open_page(address)
        expect(cell(page, "ABC", "price")).to_have_text("10.50")
        expect(page.locator(".alerts")).to_be_hidden()


def test_daily_bars_have_splits_and_dividends_in_words(full_market: ShownMarket, open_page: Open) -> None:
    with full_market.served() as address:
        page = open_page(f"{address}/#/symbol/MSFT/{FEED}", time=EVENING)
        page.get_by_role("button", name="One year, by days").click()
        expect(page.get_by_text("Dividend 0.42 on Wed, 15 Nov 2017")).to_be_visible()
        expect(page.get_by_text("Split 2:1 on Tue, 1 Aug 2017")).to_be_visible()
        expect(page.locator(".chart")).to_have_attribute("data-bars", re.compile("2[56][0-9]"))


def test_colours_follow_the_system_until_somebody_chooses(market: ShownMarket, open_page: Open) -> None:
    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    with market.served() as address:
        page = open_page(address, colours="dark")
        dark = ground()
        page.get_by_role("button", name="Colours").click()
        assert ground() != dark
        page.reload()
        expect(page.get_by_role("button", name="Colours: light")).to_be_visible()
        assert ground() != dark
        page.get_by_role("button", name="Colours").click()
        assert ground() == dark


def test_times_are_new_yorks_in_any_browser(market: ShownMarket, open_page: Open) -> None:
    market.trade(some_trade(0, event_time_ns=OPEN_NS))
    with market.served() as address:
        page = open_page(f"{address}/#/symbol/ABC/{FEED}")
        expect(page.locator(".when")).to_contain_text("09:30:00 ET, Tue, 2 Jan 2018")
        page.get_by_text("These bars as a table").click()
        expect(page.get_by_role("rowheader")).to_have_text("2 Jan, 09:30")
        assert_accessible(page)


def test_the_axis_is_new_yorks_clock_also_where_an_hour_is_twice_or_missing(
    market: ShownMarket, open_page: Open
) -> None:
    with market.served() as address:
        page = open_page(address)
        found = page.evaluate(
            """async (times) => {
                const { chartTime, merged } = await import("/static/bars.js");
                const bar = { open: "1", high: "2", low: "1", close: "2", volume: "3", tradeCount: 1 };
                const place = ({ time }) => new Date(chartTime(time) * 1000).toISOString().slice(0, 16);
                return merged(times.map((time) => ({ ...bar, time }))).map((each) => [place(each), each.volume]);
            }""",
            [
                *("2018-01-02T14:30:00Z", "2018-03-11T06:59:00Z", "2018-03-11T07:00:00Z"),
                *("2018-11-04T05:30:00Z", "2018-11-04T06:29:00Z", "2018-11-04T06:30:00Z", "2018-11-05T05:00:00Z"),
            ],
        )
        assert found == [
            ["2018-01-02T09:30", "3"],
            ["2018-03-11T01:59", "3"],
            ["2018-03-11T03:00", "3"],
            ["2018-11-04T01:29", "3"],
            ["2018-11-04T01:30", "6"],
            ["2018-11-05T00:00", "3"],
        ]


def test_without_the_charting_library_the_page_says_what_to_install(
    market: ShownMarket, open_page: Open, expected_errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected_errors += ["404", "MIME type"]
    monkeypatch.setattr("stock_pipeline.serving.app.chart_path", lambda: None)
    market.trade(some_trade(0))
    with market.served() as address:
        page = open_page(f"{address}/#/symbol/ABC/{FEED}")
        expect(page.get_by_text("pip install lwcharts")).to_be_visible()
        expect(page.get_by_role("table", name="Bars of ABC")).to_be_visible()


def test_the_charting_library_is_the_published_file() -> None:
    path = chart_path()
    assert path is not None
    # dist/lightweight-charts.standalone.production.js of npm's lightweight-charts 5.2.0
    published = "c0992580867c4912cc9385b3c2728315bcc1a76c7f1087dca908430fccdf31d7"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == published
