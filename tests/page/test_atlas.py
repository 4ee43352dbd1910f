"""The atlas that is kept, in Chromium: it says nothing on the console, fits its window, and can be read by all."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.page.browser import Browser, browser, chromium
from tests.products import long

__all__ = ["browser", "chromium"]  # fixtures

ATLAS = Path(__file__).parents[2] / "results" / "reference" / "atlas.html"
UNFOLDED = "document.querySelectorAll('details').forEach(details => { details.open = true })"


@pytest.mark.parametrize("width", [400, 1300])
def test_it_fits_its_window_and_complains_of_nothing(browser: Browser, width: int) -> None:
    browser.size(width)
    browser.open(ATLAS)
    assert browser.run("return document.querySelectorAll('main table').length") > 10
    browser.run(UNFOLDED)
    time.sleep(0.2)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.messages() == [] and browser.requests() == [ATLAS.as_uri()]


@long
def test_axe_finds_nothing_serious(browser: Browser) -> None:
    browser.open(ATLAS)
    browser.run(UNFOLDED)
    assert browser.faults() == []
