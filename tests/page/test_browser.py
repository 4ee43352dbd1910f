"""The page in Chromium, from a file: what a reader sees and does, and that nothing is asked for."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from bnbench.reports import Report, report
from bnbench.reports.page import MOST_RUNS, PageOptions, render_fragment, render_html
from bnbench.text import harmless
from tests.page.browser import Browser, browser, chromium
from tests.page.example import HOSTILE, make_hostile_report, make_large_report, make_report, make_runs
from tests.products import long
from tests.reports.test_where import matching

__all__ = ["browser", "chromium"]  # fixtures

SLOWER = 3
"""How much slower than a quiet one a machine may be on which pages are timed."""
VISIBLE = "return [...document.querySelectorAll('#runtable tbody tr')].filter(row => !row.hidden)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


def written(folder: Path, name: str, shown: Report) -> Path:
    path = folder / f"{name}.html"
    if not path.exists():
        options = PageOptions(lambda sweep, run_id, _: f"bnbench run again {sweep}/{run_id}", "all-runs.csv")
        path.write_text(render_html(shown, options), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    return written(folder, "example", make_report())


@pytest.fixture(scope="module")
def hostile(folder: Path) -> Path:
    return written(folder, "hostile", make_hostile_report())


@pytest.fixture(scope="module")
def large(folder: Path) -> Path:
    return written(folder, "large", make_large_report())


def cells(browser: Browser, column: int) -> list[str]:
    """The texts of a column of the list of runs, of the runs that are shown."""
    return list(browser.run(f"{VISIBLE}.map(row => row.cells[{column}].textContent)"))


def columns(browser: Browser) -> list[str]:
    return list(
        browser.run("return [...document.querySelectorAll('#runtable th[data-name]')].map(h => h.dataset.name)")
    )


@pytest.mark.parametrize("name", ["page", "hostile", "large"])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=long)])
def test_a_page_asks_for_nothing_and_complains_of_nothing(
    browser: Browser, name: str, scheme: str, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(name)
    browser.prefer(scheme)
    browser.open(path)
    browser.click("#theme")
    browser.run("document.querySelectorAll('details').forEach(details => { details.open = true })")
    time.sleep(0.2)
    assert browser.messages() == []
    assert browser.requests() == [path.as_uri()]
    assert "pwned" not in browser.driver.title or name == "hostile"
    browser.click("#theme")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, folder: Path, scheme: str) -> None:
    browser.prefer(scheme)
    browser.open(written(folder, "short", replace(make_report(), views=make_report().views[::3])))
    browser.run("document.querySelectorAll('details:not(#runtable *)').forEach(details => { details.open = true })")
    assert browser.faults("all" if scheme == "light" else "color-contrast") == []


def test_hostile_texts_are_text(browser: Browser, hostile: Path) -> None:
    browser.open(hostile)
    assert browser.driver.title.startswith(HOSTILE[0])
    shown = " ".join(browser.run("return document.querySelector('main').textContent").split())
    for text in HOSTILE:
        assert shown.count(" ".join(harmless(text).split())) >= 5, text
    elements = "main img, main script, main [onload], main [onerror]"
    assert browser.run("return document.querySelectorAll(arguments[0]).length", elements) == 0
    assert browser.run("return [...document.links].every(link => link.protocol === 'file:')")


@pytest.mark.parametrize("width", [360, pytest.param(768, marks=long), pytest.param(1200, marks=long)])
@pytest.mark.parametrize("name", ["page", "hostile"])
def test_no_page_is_wider_than_its_window(
    browser: Browser, name: str, width: int, request: pytest.FixtureRequest
) -> None:
    browser.size(width)
    browser.open(request.getfixturevalue(name))
    browser.run("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_runs_are_sorted_by_numbers_and_by_texts(browser: Browser, page: Path) -> None:
    browser.open(page, "#runs")
    names = columns(browser)
    for name in ("lr", "norm", "val_accuracy"):
        at, head = names.index(name), f'th[data-name="{name}"]'
        for order in ("ascending", "descending"):
            browser.click(f"{head} button")
            assert browser.run(f"return document.querySelector('{head}').ariaSort") == order
            texts = [text for text in cells(browser, at) if text]
            keys = texts if name == "norm" else list(map(float, texts))
            assert keys == sorted(keys, reverse=order == "descending")
            assert cells(browser, at)[: len(texts)] == texts, "what is missing comes last"
    assert browser.run("return document.querySelectorAll('#runtable th[aria-sort$=ing]').length") == 1


def test_runs_are_found_by_text_and_by_settings(browser: Browser, page: Path) -> None:
    browser.open(page, "#runs")
    names = columns(browser)
    assert len(cells(browser, 0)) == 54
    select = "const s = document.querySelector(`select[data-column=${arguments[0]}]`); s.value = arguments[1];"
    browser.run(f"{select} s.dispatchEvent(new Event('change'))", "norm", "batch")
    browser.run(f"{select} s.dispatchEvent(new Event('change'))", "batch_size", "32")
    assert set(cells(browser, names.index("norm"))) == {"batch"}
    assert len(cells(browser, 0)) == 9
    browser.driver.find_element("css selector", "#find").send_keys("COMPLETED 00000")
    shown = len(cells(browser, 0))
    assert shown == 0
    browser.driver.find_element("css selector", "#find").clear()
    browser.driver.find_element("css selector", "#find").send_keys("Completed")
    shown = len(cells(browser, 0))
    assert 0 < shown <= 9
    assert browser.run("return document.querySelector('#count').textContent") == f"{shown} of 54 runs"
    browser.click("#all")
    assert len(cells(browser, 0)) == 54
    browser.run(f"{select} s.dispatchEvent(new Event('change'))", "status", "failed")
    assert len(cells(browser, 0)) == 1


@pytest.mark.parametrize(
    ("text", "norm", "lr", "count"), [("97.2 ± 0.3", "batch", "0.123457", 6), ("div 3/3", "none", "1", 6)]
)
def test_a_number_leads_to_its_runs(browser: Browser, page: Path, text: str, norm: str, lr: str, count: int) -> None:
    browser.open(page)
    link = browser.driver.find_element("link text", text)
    browser.run("arguments[0].scrollIntoView({block: 'center'})", link)
    link.click()
    names = columns(browser)
    assert browser.run("return document.querySelector('#runs').open")
    assert set(cells(browser, names.index("norm"))) == {norm}
    assert set(cells(browser, names.index("lr"))) == {lr}
    assert len(cells(browser, 0)) == count
    assert browser.run("return document.querySelector('#runs').getBoundingClientRect().top") < 900
    browser.driver.refresh()
    assert len(cells(browser, 0)) == count, "the address says it"


def test_every_number_leads_to_the_runs_that_its_settings_say(browser: Browser, page: Path) -> None:
    browser.open(page)
    script = """const [done] = arguments, links = [...document.querySelectorAll('a[data-where]')], counts = [];
    const find = document.querySelector('#find');
    (async () => {
      for (const link of links) {
        const changed = new Promise(resolve => addEventListener('hashchange', resolve, {once: true}));
        const changes = link.hash !== location.hash;
        find.value = 'no run has it';
        find.dispatchEvent(new Event('input'));
        link.click();
        if (changes) await changed;
        const shown = [...document.querySelectorAll('#runtable tbody tr')].filter(row => !row.hidden);
        counts.push([link.dataset.where, shown.length]);
      }
      done(counts);
    })()"""
    counts = browser.driver.execute_async_script(script)
    runs, _ = make_runs()
    assert len(counts) > 100
    for where, count in dict(counts).items():
        assert count == len(matching(runs, dict(parse_qsl(where, keep_blank_values=True)))), where


@pytest.mark.parametrize(
    ("selector", "count"), [('a[data-where="norm=none&lr=1&model=cnn"]', 6), ("nav a[href='#runs']", 54)]
)
def test_a_link_shows_its_runs_again_when_it_is_clicked_again(
    browser: Browser, page: Path, selector: str, count: int
) -> None:
    browser.open(page)
    for _ in range(2):
        browser.click(selector)
        time.sleep(0.1)
        assert len(cells(browser, 0)) == count
        assert browser.run("return document.querySelector('#runs').open")
        browser.driver.find_element("css selector", "#find").send_keys("no run has it")
        assert cells(browser, 0) == []
        browser.run("document.querySelector('#runs').open = false")


@pytest.mark.parametrize(
    ("place", "column", "shown"),
    [
        ("sweep=7", "sweep", {"7"}),
        ("sweep=1e3", "sweep", {"1e3"}),
        ("sweep=null", "sweep", {"null"}),
        ("run_id=12e456789012", "run_id", {"12e456789012"}),
        ("run_id=12e456789012,123e45678901", "run_id", {"12e456789012", "123e45678901"}),
        ("lr=1e0", "lr", {"1"}),
        ("status=failed,completed&sweep=007", "sweep", {"007"}),
    ],
)
def test_names_that_look_like_numbers_are_names(
    browser: Browser, folder: Path, place: str, column: str, shown: set[str]
) -> None:
    runs, metrics = make_runs()
    names = ["007", "7", "1e3", "1000", "null", "demo"]
    runs = runs.assign(sweep=[names[at % len(names)] for at in range(len(runs))])
    runs.loc[runs.index[:2], "run_id"] = ["12e456789012", "123e45678901"]
    browser.open(written(folder, "names", report(runs, metrics)), f"#runs?{place}")
    texts = browser.run(
        f"{VISIBLE}.map(row => row.cells[{columns(browser).index(column)}]).map(cell => cell.textContent)"
    )
    assert {text.partition("bnbench")[0] for text in texts} == shown


def test_each_run_has_the_command_that_repeats_it(browser: Browser, page: Path) -> None:
    browser.open(page, "#runs")
    browser.click("#runtable tbody summary")
    text = browser.run("return document.querySelector('#runtable details[open] code').textContent")
    identity = browser.run("return document.querySelector('#runtable details[open] summary').textContent")
    assert text == f"bnbench run again demo/{identity}"
    browser.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.click("#runtable details[open] button")
    time.sleep(0.2)
    assert browser.run("return document.querySelector('#runtable details[open] button').textContent") in (
        "Copied",
        "Selected",
    )


def test_dark_follows_the_system_until_the_reader_chooses(browser: Browser, page: Path) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser.open(page)
    browser.run("localStorage.clear()")
    browser.driver.refresh()
    light = browser.run(ground)
    browser.prefer("dark")
    dark = browser.run(ground)
    assert light == "rgb(255, 255, 255)" != dark
    browser.click("#theme")
    assert browser.run(ground) == light
    browser.driver.refresh()
    assert browser.run(ground) == light, "the choice is remembered"
    browser.click("#theme")
    assert browser.run(ground) == dark


@pytest.mark.parametrize(
    ("selector", "name", "beginning"),
    [
        ("[data-kind=svg]", "curves-first.svg", b"<svg"),
        ("[data-kind=png]", "curves-first.png", b"\x89PNG"),
        ("[data-file=v1-f1]", "curves.csv", b"panel,norm,step,accuracy_percent\n"),
        ("[data-file=v1-t1]", "linked-numbers-1.csv", b"view,table,row,column,value,"),
    ],
)
def test_figures_and_tables_are_saved(
    browser: Browser, page: Path, tmp_path: Path, selector: str, name: str, beginning: bytes
) -> None:
    browser.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(page)
    browser.click(f".save {selector}")
    deadline = time.monotonic() + 10
    while not (tmp_path / name).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(beginning)
    assert b"currentColor" not in content or b' color="' in content
    assert browser.messages() == []


def test_everything_is_read_without_scripts(browser: Browser, page: Path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page)
    text = browser.driver.find_element("css selector", "body").text
    assert "Batch norm is best." in text and "97.2 ± 0.3" in text and "1 failed" in text
    browser.driver.find_element("css selector", "#runs > summary").click()
    assert "completed" in browser.driver.find_element("css selector", "#runtable").text
    assert not browser.driver.find_element("css selector", "#filters").is_displayed()
    assert not browser.driver.find_element("css selector", ".save").is_displayed()


@pytest.mark.parametrize("unfolded", [False, True])
def test_print_leaves_out_the_list_of_runs_and_shows_the_notes(browser: Browser, page: Path, unfolded: bool) -> None:
    browser.open(page, "#runs" if unfolded else "")
    browser.command("Emulation.setEmulatedMedia", media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    try:
        height = "return document.querySelector('#runtable').getBoundingClientRect().height"
        assert browser.run(height) == 0
        assert browser.run("return document.querySelector('details.notes li').checkVisibility()")
        assert not browser.run("return document.querySelector('#theme').checkVisibility()")
        assert browser.pdf().startswith(b"%PDF")
    finally:
        browser.command("Emulation.setEmulatedMedia", media="")


def test_a_large_page_is_small_and_quick(browser: Browser, large: Path) -> None:
    assert large.stat().st_size < 4_000_000
    browser.open(large)
    paint = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert browser.run(paint) < 1000 * SLOWER
    browser.open(large, "#runs?status=failed")
    assert len(cells(browser, 0)) == 3, "runs without a result are always listed"
    assert browser.run("return document.querySelectorAll('#runtable tbody tr').length") == MOST_RUNS
    note = browser.run("return document.querySelector('main').textContent")
    assert "2,000 of 10,000 runs are listed here" in note and "all-runs.csv" in note


def test_a_fragment_keeps_its_style_to_itself(browser: Browser, folder: Path) -> None:
    path = folder / "notebook.html"
    outside = "<!doctype html><html lang=en><title>t</title><p id=p>before</p><table id=t><tr><td>a</table>"
    path.write_text(outside + render_fragment(make_report()), encoding="utf-8")
    browser.open(path)
    assert browser.run("return getComputedStyle(document.querySelector('#t')).borderTopWidth") == "0px"
    assert browser.run("return document.querySelectorAll('.bnbench-report svg').length") == len(
        [panel for view in make_report().views for figure in view.figures for panel in figure.panels]
    )
    assert browser.run("return document.querySelectorAll('.bnbench-report table').length") >= 5
    assert browser.messages() == []
