"""The page follows the market: what arrives, what is taken back, and what interrupts it."""

import re
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from playwright.sync_api import expect

from stock_pipeline.domain.price_alert import UNIT, Level, Rule
from tests.browser.looking import Open, assert_accessible, candle_pixels, cell, row
from tests.browser.market import FEED, MINUTE_NS, OPEN_NS, ShownMarket, some_trade

pytestmark = pytest.mark.xdist_group("browser")


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
