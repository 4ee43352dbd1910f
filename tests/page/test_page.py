"""The text of the page: complete, of one piece, and within its limits; for reports of all kinds."""

import base64
import gzip
import hashlib
import io
import json
import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnbench.figures import Figure
from bnbench.figures.scorecard import scorecard
from bnbench.reports import Document, Report, ReportView, report
from bnbench.reports.page import MOST_RUNS, PageOptions, render_fragment, render_html
from bnbench.reports.tidy import tidy
from tests.budget import slowness
from tests.figures.made_up import verdicts
from tests.page.example import make_figure, make_hostile_report, make_large_report, make_report, make_runs
from tests.reports.test_speed import big_sweep

NOTHING = Report("s", (), (ReportView("Convergence", notes=("There are no runs.",)),))
LARGEST, SECONDS = 4_000_000, 20


def data_of(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return dict(json.loads(text))


def without_results(status: str) -> Report:
    runs, metrics = make_runs()
    accuracies = {"val_accuracy": np.nan, "test_accuracy": np.nan, "error": ""}
    return report(runs.assign(status=status, **accuracies), metrics.iloc[:0])


def one_run() -> Report:
    runs, metrics = make_runs()
    return report(runs.iloc[:1], metrics[metrics["run_id"] == runs["run_id"].iloc[0]])


REPORTS = {
    "whole": make_report,
    "hostile": make_hostile_report,
    "large": make_large_report,
    "no runs": lambda: NOTHING,
    "empty": lambda: replace(NOTHING, runs=make_runs()[0].iloc[:0]),
    "one run": one_run,
    "planned": lambda: without_results("planned"),
    "diverged": lambda: without_results("diverged"),
    "failed": lambda: without_results("failed"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_holds_all_that_it_needs_and_runs_nothing_else(name: str) -> None:
    page = render_html(REPORTS[name]())
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src &#39;none&#39;;") and "unsafe" not in policy
    for kind in ("style", "script"):
        (text,) = re.findall(f"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src &#39;sha256-{digest}&#39;" in policy
    assert page.count("<script") == 2 and page.count("<style") == 1
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    data_of(page)
    assert len(page.encode()) < LARGEST


@pytest.mark.parametrize(("study", "is_wide"), [("a", False), ("batch_instance momentum=0.25 eps=1e-5", True)])
def test_a_wide_drawing_has_a_row_of_its_own(study: str, is_wide: bool) -> None:
    figure = scorecard(verdicts().iloc[:1].assign(study=study, claim="b"))
    assert isinstance(figure, Figure)
    page = render_html(Report("s", (), (ReportView("Verdicts", figures=(figure,)),)))
    assert re.findall(r'<div class="(panel\b.*?)">', page) == ["panel wide" if is_wide else "panel"]


@pytest.mark.parametrize("status", ["planned", "diverged", "failed"])
def test_how_runs_ended_is_never_hidden(status: str) -> None:
    page = render_html(without_results(status))
    assert re.search(rf"<b>54 runs</b>:\s*<a [^>]*>54 {status}</a>", page)
    assert len(re.findall(r'<th scope="row">(?:<details><summary>)?0\w{11}<', page)) == 54


def test_no_command_is_told_where_the_folder_of_the_runs_is_not_known() -> None:
    page = str(Document(make_report(), "html"))
    assert "bnbench run" not in page and "ValueError: a &lt;b&gt;text&lt;/b&gt;" in page
    assert "<summary>54 runs: settings and how each ended</summary>" in page


def test_a_number_that_a_figure_lacks_is_an_empty_cell() -> None:
    data = pd.DataFrame({"norm": ["none", None], "low": [np.nan, 0.5], "seeds": pd.array([pd.NA, 3], "Int64")})
    figure = replace(make_figure(), data=data)
    page = render_html(Report("s", (), (ReportView("Curves", figures=(figure,)),)))
    assert re.findall(r"<td>[^\n]*?(?=<tr>|</tbody>)", page) == ["<td>none<td><td>", "<td><td>0.5<td>3"]


def test_a_saved_table_holds_the_numbers_of_the_csv_format() -> None:
    whole = make_report()
    files = data_of(render_html(whole))["files"]
    texts = {key: gzip.decompress(base64.b64decode(file["gzip"])).decode() for key, file in files.items()}
    tables = [pd.read_csv(io.StringIO(text)) for key, text in texts.items() if "-t" in key]
    together = pd.concat(tables, ignore_index=True)
    expected = tidy(whole)
    assert together["text"].tolist() == expected["text"].str.lstrip("'").tolist()
    np.testing.assert_array_equal(together["value"], expected["value"])
    drawn, saved = whole.views[0].figures[0].data, pd.read_csv(io.StringIO(texts["v1-f1"]))
    pd.testing.assert_frame_equal(saved.drop(columns="panel"), drawn.drop(columns="panel"))


def test_ten_thousand_runs_are_written_in_time_and_room() -> None:
    runs, metrics = big_sweep()
    began = time.process_time()
    options = PageOptions(lambda sweep, run_id, _: f"bnbench run --from results/{sweep}/{run_id}.yaml", "a.csv")
    page = render_html(report(runs.assign(sweep="big"), metrics, baseline="norm=none"), options)
    assert time.process_time() - began < SECONDS * slowness()
    assert len(page.encode()) < LARGEST
    assert page.count('<th scope="row"><details>') == MOST_RUNS


def test_a_page_that_follows_runs_loads_itself_again() -> None:
    refresh = '<meta http-equiv="refresh" content="30">'
    assert refresh in render_html(make_report(), PageOptions(refresh=30))
    assert refresh not in render_html(make_report())


def test_a_notebook_shows_the_fragment() -> None:
    whole = make_report()
    shown = Document(whole)._repr_html_()
    assert shown == render_fragment(whole)
    assert shown.startswith('<div class="bnbench-report">') and shown.rstrip().endswith("</div>")
    assert "<script" not in shown and "97.2 ± 0.3" in shown and "<svg" in shown
