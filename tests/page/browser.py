"""Chromium without a window, driven by the tests: pages from files, what they say on the console and ask for."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parents[2] / ".browser" / "axe.min.js"
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


def _absent(reason: str) -> None:
    """Skip a test for which something is absent; where CI runs, all must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Browser:
    """A Chromium."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, part: str = "") -> None:
        """Go to a page, anew; ``part`` is what follows its name."""
        self.driver.get("about:blank")
        self.messages(), self.requests()
        self.driver.get(f"{path.as_uri()}{part}")

    def run(self, script: str, *arguments: object) -> Any:
        """The value of a script's ``return``."""
        return self.driver.execute_script(script, *arguments)

    def command(self, name: str, **options: object) -> Any:
        """Carry out a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, options)

    def messages(self) -> list[str]:
        """The console's messages since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses of all that was asked for since the last call, but data inside the page."""
        entries = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [entry["params"]["request"] for entry in entries if entry["method"] == "Network.requestWillBeSent"]
        return [each["url"] for each in sent if not each["url"].startswith(("data:", "blob:", "about:"))]

    def size(self, width: int, height: int = 900) -> None:
        """Show pages in a window of so many pixels."""
        options = {"deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, **options)

    def prefer(self, scheme: str) -> None:
        """Have the system say that it is ``light`` or ``dark``."""
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def click(self, selector: str) -> None:
        """Click on the first element of a selector, as a mouse does."""
        element = self.driver.find_element("css selector", selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.command("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])

    def faults(self, rule: str = "all") -> list[str]:
        """What axe-core finds that is serious or critical, with the elements, by one rule or by all."""
        if not AXE.is_file():
            _absent(f"no axe-core: {AXE} is absent; .ci/browser fetches it")
        self.run(AXE.read_text(encoding="utf-8"))
        options = {} if rule == "all" else {"runOnly": [rule]}
        script = "axe.run(arguments[0]).then(arguments[1])"
        found = self.driver.execute_async_script(script, options)["violations"]
        serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        return [f"{fault['id']}: {[node['html'][:200] for node in fault['nodes'][:3]]}" for fault in serious]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A Chromium for the tests of a file."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        _absent("no chromium and chromedriver; .ci/browser installs them")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(program)
    for option in QUIET:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(driver)))
    try:
        yield Browser(session)
    finally:
        session.quit()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The Chromium as it begins: wide, light, with scripts."""
    chromium.size(1200)
    chromium.prefer("light")
    chromium.command("Emulation.setScriptExecutionDisabled", value=False)
    return chromium
