"""A browser for all tests, and for each a page of its own, whose every error fails the test."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.full_market import full_market
from tests.browser.looking import Open
from tests.browser.market import ShownMarket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
]


# not of the session: while it is there its event loop runs, and no other test of the process could have one
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("no chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def market() -> Iterator[ShownMarket]:
    market = ShownMarket()
    yield market
    market.service.follower.close()


@pytest.fixture
def expected_errors() -> list[str]:
    """Parts of what a test lets the console say."""
    # the server goes before the page
    return ["net::ERR_"]


@pytest.fixture
def open_page(browser: Browser, expected_errors: list[str]) -> Iterator[Open]:
    """Opens a page of a width, in light or dark."""
    errors: list[str] = []
    contexts = []

    def opened(address: str, width: int = 1280, height: int = 800, colours: Any = "light", time: Any = None) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=1,
            timezone_id="Asia/Tokyo",
            locale="en-GB",
            reduced_motion="reduce",
            color_scheme=colours,
        )
        contexts.append(context)
        context.set_default_timeout(10_000)
        if time is not None:
            context.clock.set_fixed_time(time)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [error for error in errors if not any(part in error for part in expected_errors)] == []


@pytest.fixture(scope="session", name="full_market")
def _full_market() -> ShownMarket:
    """One for all tests, which only look at it."""
    return full_market()
