"""``bnbench report --format html``: where the page goes, opening it, following runs, and what is refused."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnbench import store
from bnbench.cli.page import fingerprint
from tests import warm
from tests.cli import finished
from tests.conftest import Program, make_spec

BNBENCH = (sys.executable, "-m", "bnbench")


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    """A sweep to report on, though nothing of it is trained."""
    folder = tmp_path / "results" / "s"
    store.enter_runs(folder, [make_spec()], {}, {})
    return folder


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--format", "html"], "s-report.html"),
        (["--out", "mine.html"], "mine.html"),
        (["--format", "html", "--out", "mine.txt"], "mine.txt"),
    ],
)
def test_a_page_is_written_to_a_file_that_is_said(
    program: Program, planned: Path, options: list[str], name: str
) -> None:
    result = program("report", "s", *options)
    assert (result.code, result.out, result.err) == (0, "", f"wrote {name}\n")
    text = Path(name).read_text()
    assert text.startswith("<!doctype html>") and "1 planned" in text and 'http-equiv="refresh"' not in text


def test_a_page_goes_to_standard_output(program: Program, planned: Path) -> None:
    result = program("report", "s", "--format", "html", "--out", "-")
    assert result.code == 0 and result.out.startswith("<!doctype html>") and result.out.endswith("</html>\n")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["results"]


def test_a_page_tells_how_to_train_a_run_again_from_where_it_is(program: Program, planned: Path) -> None:
    (run,) = store.load_runs(planned)["run_id"]
    planned.parent.rename("elsewhere")
    assert program("--results", "elsewhere", "report", "s", "--out", "a.html").code == 0
    command = f"bnbench run --name s --from elsewhere/s/specs/{run}.yaml --results elsewhere"
    assert command in Path("a.html").read_text()


def test_a_run_is_trained_again_from_the_folder_that_has_it(program: Program, tmp_path: Path) -> None:
    first, second = finished.make_spec(0), finished.make_spec(3)
    (here,) = finished.finish(Path("results/t"), [first])
    _, there = finished.finish(Path("more/t"), [first, second])
    assert program("report", "t", "more/t", "--out", "a.html").code == 0
    commands = [
        line.split(" --results")[0] for line in re.findall("<code>(bnbench run .*?)</code>", Path("a.html").read_text())
    ]
    assert sorted(commands) == sorted(
        f"bnbench run --name t --from {place}.yaml" for place in (f"results/t/specs/{here}", f"more/t/specs/{there}")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--open", "--format", "markdown"], "--open: only a page can be, and --format markdown is none"),
        (["--watch", "--format", "terminal"], "--watch: only a page can be, and --format terminal is none"),
        (["--open", "--watch", "--out", "-"], "--open and --watch: must have a file"),
        (["--open", "--out", "a.md"], "--open: only a page can be; end the name of --out in .html, not '.md'"),
        (["--format", "htm"], "format 'htm': there is no such format; did you mean 'html'"),
    ],
)
def test_a_page_that_cannot_be_is_refused(program: Program, planned: Path, options: list[str], message: str) -> None:
    result = program("report", "s", *options)
    assert result.code == 2 and message in result.err, result.err
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["results"]


def _start(folder: Path, *words: str, **variables: str) -> "subprocess.Popen[str]":
    plain = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return warm.Popen([*BNBENCH, "report", "s", *words], cwd=folder, env=plain | variables, text=True, **streams)


def test_a_page_is_opened_in_the_browser_that_is_there(planned: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o700)
    with _start(tmp_path, "--open", BROWSER=str(browser)) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "wrote s-report.html\n")
    assert (tmp_path / "opened").read_text().strip() == (tmp_path / "s-report.html").as_uri()


def test_without_a_browser_nothing_is_written_and_the_path_is_said(planned: Path, tmp_path: Path) -> None:
    with _start(tmp_path, "--open", PATH=str(tmp_path)) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and str(tmp_path / "s-report.html") in err.replace("\n", ""), err
    assert not (tmp_path / "s-report.html").exists()


def test_a_watched_page_loads_itself_again_until_the_watch_ends(planned: Path, tmp_path: Path) -> None:
    page = tmp_path / "s-report.html"
    with _start(tmp_path, "--watch") as process:
        deadline = time.monotonic() + 60
        while not page.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        text = page.read_text()
        assert '<meta http-equiv="refresh" content="30">' in text and "1 planned" in text
        before = fingerprint([planned])
        store.enter_runs(planned, [make_spec("seed=1")], {}, {})
        assert fingerprint([planned]) != before
        assert process.stderr is not None and process.stderr.readline() == "wrote s-report.html\n"
        assert process.stderr.readline() == "watching s; Ctrl-C ends it\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert 'http-equiv="refresh"' not in page.read_text() and "2 planned" in page.read_text()
