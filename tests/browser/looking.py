"""What tests look at on the page."""

import base64
from collections.abc import Callable
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

Open = Callable[..., Page]


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


ALIKE = 0.1
"""Of 1: fonts and their smoothing differ between machines by less, a chart that is away or another colour by more."""


def picture_difference(page: Page, one: Path, other: Path) -> float:
    """Return the largest difference in brightness, from 0 to 1, of the 40 by 24 cells that the pictures shrink to."""
    pictures = [f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in (one, other)]
    blank = page.context.new_page()
    found: float = blank.evaluate(
        """async (pictures) => {
            const cells = await Promise.all(pictures.map(async (source) => {
                const image = new Image();
                image.src = source;
                await image.decode();
                const canvas = document.createElement("canvas");
                [canvas.width, canvas.height] = [40, 24];
                const context = canvas.getContext("2d");
                context.imageSmoothingQuality = "high";
                context.drawImage(image, 0, 0, 40, 24);
                const { data } = context.getImageData(0, 0, 40, 24);
                const sum = (at) => data[4 * at] + data[4 * at + 1] + data[4 * at + 2];
                return Array.from({ length: 40 * 24 }, (_, at) => sum(at) / 765);
            }));
            return Math.max(...cells[0].map((value, at) => Math.abs(value - cells[1][at])));
        }""",
        pictures,
    )
    blank.close()
    return found
