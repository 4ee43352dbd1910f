"""The example notebook runs, and what it shows is there; what a figure of a report does besides showing itself."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import bnbench
from bnbench.errors import InvalidRequest
from bnbench.reports import Document, report
from bnbench.reports.figure_display import FigureDisplay
from tests.page.example import make_report, make_runs
from tests.products import long

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first_ablation.ipynb"


def shown(cell: Any, kind: str) -> str:
    """What a cell shows in a format."""
    texts = [output["data"].get(kind, "") for output in cell.outputs if "data" in output]
    return "\n".join("".join(text) for text in texts)


@long
def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [output for cell in cells for output in cell.outputs if output.output_type in ("error", "stream")]
    trained, tables, figure = cells[1:4]
    progress, result = (output["data"]["text/plain"] for output in trained.outputs)
    assert re.match(r"36 of 36 runs, 0 running, 0 failed, elapsed \d+:\d\d$", progress), progress
    assert "'completed'" in result
    assert "<h2" in shown(tables, "text/html") and shown(tables, "text/html").count("<svg") >= 3
    assert "Validation accuracy by learning rate" in shown(tables, "text/plain")
    assert shown(figure, "text/html").count("<svg") == 2 and "<figure learning-rates" in shown(figure, "text/plain")
    saved = sorted(path.name for path in tmp_path.glob("*.pdf"))
    assert saved == ["learning-rates-batch-32.pdf", "learning-rates-batch-4.pdf"]


def test_the_notebook_has_no_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(make_report())


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<svg"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
def test_a_figure_is_saved_panel_by_panel(document: Document, tmp_path: Path, ending: str, start: bytes) -> None:
    files = document.figure("curves").save(tmp_path / f"mine.{ending}")
    assert files == [tmp_path / f"mine-first.{ending}", tmp_path / f"mine-second.{ending}"]
    assert all(file.read_bytes().startswith(start) for file in files)


def test_a_figure_of_one_panel_has_the_name_that_is_asked_for(document: Document, tmp_path: Path) -> None:
    one = next(figure for figure in document.figures.values() if len(figure.figure.panels) == 1)
    assert one.save(str(tmp_path / "one.svg")) == [tmp_path / "one.svg"]


def test_a_figure_has_its_numbers(document: Document) -> None:
    figure = document.figure("curves")
    pd.testing.assert_frame_equal(figure.to_frame(), figure.figure.data)
    frame = figure.to_frame()
    frame["step"] = 0
    assert set(figure.figure.data["step"]) == {1, 2, 3}


def test_a_figure_that_there_is_not(document: Document) -> None:
    with pytest.raises(InvalidRequest, match=r"figure 'curvse': there is no such figure; did you mean 'curves'\?"):
        document.figure("curvse")


def test_a_figure_for_which_there_is_nothing_to_draw() -> None:
    runs, metrics = make_runs()
    steady = runs[runs["status"] != "diverged"]
    with pytest.raises(InvalidRequest, match=r"No figure divergence: no run diverged\."):
        Document(report(steady, metrics)).figure("divergence")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a.jpg", "its ending is no format; did you mean 'png'? Allowed: svg, pdf, png"),
        ("a", "its ending is no format; Allowed: svg, pdf, png"),
        ("nowhere/a.svg", "there is no folder"),
        ("folder.svg", "cannot be written: Is a directory"),
    ],
)
def test_a_figure_that_cannot_be_saved(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    one = next(figure for figure in document.figures.values() if len(figure.figure.panels) == 1)
    with pytest.raises(InvalidRequest, match=re.escape(said)) as error:
        one.save(path)
    assert repr(path) in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.svg"]


def test_a_script_shows_no_progress(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bnbench.sweep("model=mlp", "epochs=1", name="quiet", jobs=1, results=tmp_path)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_figure_says_what_it_is(document: Document) -> None:
    assert repr(document.figure("curves")) == "<figure curves: Curves batch (first batch and second batch)>"
    assert isinstance(document.figures["curves"], FigureDisplay)
