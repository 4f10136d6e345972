"""The page in a real browser: what it shows, that it follows, and that everybody can use it."""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from stock_pipeline.domain.price_alert import UNIT, Level, Rule
from stock_pipeline.serving.app import chart_path
from stock_pipeline.serving.shapes import (
    Action,
    Alarm,
    Backlog,
    DeadLetters,
    Finding,
    Pipeline,
    Processor,
    RejectedLine,
    Run,
)
from tests.browser.market import FEED, MINUTE_NS, OPEN_NS, ShownMarket, a_day, some_trade
from tests.support.trades import SESSION

pytestmark = pytest.mark.xdist_group("browser")

Open = Callable[..., Page]
SYMBOLS = ["AAPL", "AMZN", "BRK.A", "CAT", "GOOG", "IBM", "JPM", "MSFT", "NVDA", "TSLA", "XOM"]
EVENING = datetime(2018, 1, 2, 22, tzinfo=UTC)


def row(page: Page, symbol: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=symbol, exact=True))


def cell(page: Page, symbol: str, column: str) -> Locator:
    return row(page, symbol).locator(f".{column}")


def assert_accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    # what does not fit scrolls in its own box, never the page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def candle_pixels(page: Page) -> dict[str, int]:
    """Count the chart's pixels in the colours of candles."""
    found: dict[str, int] = page.evaluate(
        """() => {
            const colours = ["up", "down"].map((name) => {
                const probe = document.createElement("i");
                probe.style.color = `var(--${name})`;
                document.body.append(probe);
                const colour = getComputedStyle(probe).color.match(/[0-9]+/g).map(Number);
                probe.remove();
                return [name, colour];
            });
            const counts = { up: 0, down: 0 };
            for (const canvas of document.querySelectorAll(".chart td:nth-child(2) canvas")) {
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                for (let at = 0; at < data.length; at += 4)
                    for (const [name, colour] of colours)
                        if (colour.every((part, place) => data[at + place] === part)) counts[name] += 1;
            }
            return counts;
        }"""
    )
    return found


def closes_before(day: list[Any]) -> dict[str, Decimal]:
    first: dict[str, Decimal] = {}
    for each in day:
        first.setdefault(each.symbol, each.price)
    factors = (Decimal("1.012"), Decimal("0.995"), Decimal("0.988"))
    return {
        symbol: (price * factors[place % 3]).quantize(Decimal("0.01"))
        for place, (symbol, price) in enumerate(first.items())
    }


@pytest.fixture(scope="module")
def full_market() -> ShownMarket:
    """A day of eleven symbols, with a past, actions, and lines that are no trades. Tests only look at it."""
    market, day = ShownMarket(), a_day(SYMBOLS)
    market.yesterday(closes_before(day))
    market.trade(*day)
    corrected = replace(day[-4], price=day[-4].price + 1, version=1, status="corrected")
    market.trade(corrected, replace(day[-6], version=1, status="cancelled"))
    market.service.looked_at = EVENING
    market.actions = {
        "MSFT": [
            Action("cash_dividend", date(2017, 11, 15), cash_amount=Decimal("0.42")),
            Action("split", date(2017, 8, 1), Decimal(1), Decimal(2)),
        ]
    }
    lines = [
        RejectedLine("a:1:0", "schema", "price: required", '{"symbol": "XOM", "volume": 100}', EVENING),
        RejectedLine("a:2", "not_json", "no JSON: line 1 column 1", "<html>502 Bad Gateway</html>", EVENING),
    ]
    runs = [
        Run("session", "SUCCESS", EVENING, EVENING.replace(minute=3), "http://127.0.0.1:3000/runs/1"),
        Run("redrive_job", "FAILURE", EVENING, EVENING.replace(second=41), "http://127.0.0.1:3000/runs/2"),
        Run("garbage_collection", "STARTED", EVENING, None, "http://127.0.0.1:3000/runs/3"),
    ]
    market.pipeline = Pipeline(
        "local",
        EVENING,
        Finding(True, "the newest trade is 3 s old"),
        EVENING,
        DeadLetters(3, 1, {"schema": 2, "not_json": 1}, lines),
        SESSION,
        [Backlog(SESSION, 12, 3_400_000)],
        "",
        {"daily_bars": "no bars of 2018-01-02 yet"},
        4,
        Processor(3600, 0, 1_200_000, 32_000, 7),
        [
            Alarm("stock-pipeline-dev-lag", "ALARM", "over 60 seconds", "docs/runbook.md#lag"),
            Alarm("stock-pipeline-dev-dead", "OK", "", "https://example.com/runbook.md#dead"),
        ],
        runs,
        "http://127.0.0.1:3000",
    )
    return market


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
    """Those of the docs, which `PICTURES=docs/pictures` makes anew."""
    folder = Path(os.environ.get("PICTURES", tmp_path))
    with full_market.served() as address:
        page = open_page(address, height=620, time=EVENING)
        expect(row(page, "XOM").locator(".spark polyline")).to_be_visible()
        page.screenshot(path=folder / "market.png")
        page = open_page(f"{address}/#/symbol/XOM/{FEED}", 1280, 760, "dark", EVENING)
        expect(page.locator(".chart")).to_have_attribute("data-bars", "480")
        expect(page.locator("tr.cancelled")).to_be_visible()
        page.screenshot(path=folder / "symbol.png")


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


def level(symbol: str, price: int) -> Rule:
    return Rule(f"{symbol.lower()}-high", (symbol,), Level(price * UNIT, (price - 1) * UNIT, above=True))


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (360, "dark")])
def test_alerts_arrive_are_marked_and_are_taken_back(
    market: ShownMarket, open_page: Open, width: int, colours: str
) -> None:
    market.service.alerts = market.alerts(level("ABC", 20), level("TYPO", 9))
    market.trade(some_trade(0), some_trade(0, "XYZ"))
    with market.served() as address:
        page = open_page(address, width, 740, colours)
        panel = page.locator(".alerts")
        expect(panel.locator("summary")).to_have_text("Alerts 0 none in this session yet 1 rule to look at")
        crossing = some_trade(9, price=Decimal("20.50"))
        market.trade(crossing)
        expect(panel.locator(".newest")).to_have_text("ABC 20.50, at or above 20.00 · 12:00 ET")
        expect(row(page, "ABC").locator(".mark")).to_be_visible()
        expect(row(page, "XYZ").locator(".mark")).to_be_hidden()
        panel.locator("summary").press("Enter")
        expect(panel.get_by_text("nothing is known of TYPO")).to_be_visible()
        assert_accessible(page)
        panel.get_by_role("link", name="ABC").press("Enter")
        expect(page.get_by_role("region", name="Alerts", exact=True).get_by_role("listitem")).to_contain_text("20.50")
        assert_accessible(page)
        market.trade(replace(crossing, status="cancelled", version=1))
        market.trade(some_trade(10, price=Decimal("21")))
        told = page.get_by_role("region", name="Alerts", exact=True).get_by_role("listitem")
        # the cancelled one was of the same minute, which crosses again
        expect(told).to_have_count(1)
        market.trade(some_trade(10, price=Decimal("21"), status="cancelled", version=1))
        market.trade(some_trade(99, event_time_ns=OPEN_NS + 200 * MINUTE_NS, price=Decimal("25")))
        expect(told).to_have_count(2)
        expect(told.last).to_contain_text("taken back by a correction")


def test_a_symbol_of_which_nothing_is_known_is_said_so_until_it_trades(
    market: ShownMarket, open_page: Open, expected_errors: list[str]
) -> None:
    # without a feed there is nothing to ask for
    expected_errors += ["404"]
    market.trade(some_trade(0))
    market.yesterday({"OLD": Decimal(10)})
    with market.served() as address:
        for name in ("APPL", f"APPL/{FEED}"):
            page = open_page(f"{address}/#/symbol/{name}")
            unknown = page.get_by_role("heading", name="Nothing is known of APPL")
            expect(unknown).to_be_visible()
            expect(page.locator(".figures")).to_be_hidden()
            assert_accessible(page)
        market.trade(some_trade(1, "APPL"))
        expect(unknown).to_be_hidden()
        expect(page.locator(".chart")).to_have_attribute("data-bars", "1")
        page = open_page(f"{address}/#/symbol/OLD/{FEED}")
        page.get_by_role("button", name="One year, by days").click()
        expect(page.locator(".chart")).to_have_attribute("data-bars", re.compile("2[56][0-9]"))
        expect(page.get_by_text("Nothing is known")).to_be_hidden()


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


def test_prices_arrive_without_a_reload(market: ShownMarket, open_page: Open) -> None:
    market.trade(some_trade(0), some_trade(0, "XYZ"))
    with market.served() as address:
        page = open_page(address)
        expect(cell(page, "ABC", "price")).to_have_text("10.50")
        other = row(page, "XYZ").element_handle()
        market.trade(some_trade(7))
        expect(cell(page, "ABC", "price")).to_have_text("17.50")
        # of the other row nothing was drawn anew
        assert other is not None
        assert other.evaluate("(element) => element.isConnected")
        market.trade(some_trade(0, "NEW"))
        expect(row(page, "NEW")).to_be_visible()


def test_a_late_trade_redraws_its_candle_and_a_cancel_is_shown(market: ShownMarket, open_page: Open) -> None:
    minutes = [some_trade(n, event_time_ns=OPEN_NS + n * MINUTE_NS, price=Decimal(10 + n % 3)) for n in range(9)]
    market.trade(*minutes)
    with market.served() as address:
        page = open_page(f"{address}/#/symbol/ABC/{FEED}")
        chart = page.locator(".chart")
        expect(chart).to_have_attribute("data-bars", "9")
        page.get_by_text("These bars as a table").click()
        third = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="09:32"))
        expect(third.get_by_role("cell").nth(2)).to_have_text("12.00")
        before = candle_pixels(page)
        market.trade(some_trade(100, event_time_ns=OPEN_NS + 2 * MINUTE_NS + 1, price=Decimal(19)))
        expect(third.get_by_role("cell").nth(2)).to_have_text("19.00")
        expect(chart).to_have_attribute("data-redrawn", "1")
        assert candle_pixels(page) != before
        market.trade(replace(minutes[4], status="cancelled", version=1))
        expect(page.locator("tr.cancelled .badge")).to_have_text("cancelled")
        market.trade(replace(minutes[5], status="corrected", version=1, price=Decimal(11)))
        expect(page.locator("tr.corrected .badge")).to_have_text("corrected")


def test_a_lost_connection_is_said_and_comes_back(market: ShownMarket, open_page: Open) -> None:
    market.trade(some_trade(0))
    with market.served() as address:
        page = open_page(address)
        expect(page.get_by_role("status")).to_have_text("Live")
    expect(page.get_by_role("status")).to_contain_text("Offline since")
    # figures stay, and are said to be old
    expect(cell(page, "ABC", "price")).to_have_text("10.50")
    market.trade(some_trade(5))
    with market.served():
        expect(page.get_by_role("status")).to_have_text("Live")
        expect(cell(page, "ABC", "price")).to_have_text("15.50")
        market.trade(some_trade(6))
        expect(cell(page, "ABC", "price")).to_have_text("16.50")


def test_an_answer_from_between_does_not_end_the_stream_for_good(
    market: ShownMarket, open_page: Open, expected_errors: list[str]
) -> None:
    expected_errors.append("502")
    market.trade(some_trade(0))
    with market.served() as address:
        page = open_page("about:blank")
        page.route("**/api/v1/stream", lambda route: route.fulfill(status=502))
        page.goto(address)
        expect(page.get_by_role("status")).to_have_text("Offline, trying again")
        page.unroute("**/api/v1/stream")
        expect(page.get_by_role("status")).to_have_text("Live")


def test_an_empty_market_says_so_and_fills_by_itself(market: ShownMarket, open_page: Open) -> None:
    with market.served() as address:
        page = open_page(address)
        expect(page.get_by_role("heading", name="No trades yet")).to_be_visible()
        assert_accessible(page)
        market.trade(some_trade(0))
        expect(cell(page, "ABC", "price")).to_have_text("10.50")
        expect(page.get_by_role("heading", name="No trades yet")).to_be_hidden()


def test_five_thousand_symbols_cost_a_screen_of_rows(market: ShownMarket, open_page: Open) -> None:
    letters = "ABCDEFGHIJKLMNOPQR"
    names = ["".join(each) for each in product(letters, letters, letters)][:5000]
    market.trade(*(some_trade(1, name, price=Decimal(place + 1)) for place, name in enumerate(names)))
    with market.served() as address:
        page = open_page(address)
        expect(page.get_by_role("table", name="Latest prices")).to_have_attribute("aria-rowcount", "5001")
        assert page.locator(".rows .row").count() < 60
        page.locator(".board").evaluate("(board) => { board.scrollTop = board.scrollHeight; }")
        expect(row(page, names[-1])).to_be_visible()
        expect(row(page, names[-1])).to_have_attribute("aria-rowindex", "5001")
        market.trade(some_trade(2, names[-1], price=Decimal(77)))
        expect(cell(page, names[-1], "price")).to_have_text("77.00")
        # every frame of a long scroll shows rows from top to bottom
        gaps = page.locator(".board").evaluate(
            """async (board) => {
                let gaps = 0;
                for (let turn = 0; turn < 40; turn += 1) {
                    board.scrollTop = (turn * 7919) % board.scrollHeight;
                    await new Promise(requestAnimationFrame);
                    await new Promise(requestAnimationFrame);
                    const { left, bottom, width } = board.getBoundingClientRect();
                    const at = document.elementFromPoint(left + width / 2, Math.min(bottom, innerHeight) - 30);
                    gaps += at.closest(".row") ? 0 : 1;
                }
                return gaps;
            }"""
        )
        assert gaps == 0
        page.get_by_label("Filter symbols").fill(names[2500])
        expect(page.locator(".rows .row")).to_have_count(1)


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
