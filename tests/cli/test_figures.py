"""bnbench report --figures: what is written, and what is refused before anything is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

import bnbench
from bnbench import store
from bnbench.cli.figures import write_figures
from bnbench.figures import Figure
from bnbench.reports import Report, ReportView
from tests import warm
from tests.conftest import Program, make_spec
from tests.reports.hostile import HOSTILE

PROBES = "probes=[gradient_flow,landscape,covariate_shift_distribution,memory,step_time]"
SWEEP = (
    "model=mlp",
    "model.width=16",
    "norm=none,batch",
    "lr=0.1,1e6",
    "batch_size=32,64",
    "epochs=1",
    "seed=0,1",
    PROBES,
)


@pytest.fixture(scope="module")
def results(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of a sweep with two norms, one learning rate at which they diverge, and probes."""
    results = tmp_path_factory.mktemp("trained") / "results"
    bnbench.sweep(*SWEEP, name="s", jobs=1, results=results)
    return results


@pytest.fixture
def trained(program: Program, results: Path, tmp_path: Path) -> Path:
    """A copy of the sweep."""
    shutil.copytree(results, tmp_path / "results")
    return Path("results/s")


def test_all_figures_of_a_sweep_are_written_with_their_numbers(program: Program, trained: Path):
    result = program("report", "s", "--figures", "out/figures", "--figure-format", "svg,pdf,png")
    assert result.code == 0, result.err
    files = {path.name for path in Path("out/figures").iterdir()}
    tables = {name for name in files if name.endswith(".csv")}
    assert tables == {
        f"{name}.csv"
        for name in (
            "learning-curves", "steps-to-target", "performance-profiles", "learning-rates", "divergence", "batch-sizes",
            "gradient-norms", "covariate-shift", "landscape", "costs",
        )
    }  # fmt: skip
    for name in tables:
        figure = name.removesuffix(".csv")
        assert f"wrote out/figures/{name}" in result.err
        for panel in pd.read_csv(Path("out/figures") / name)["panel"].unique():
            ElementTree.parse(Path("out/figures") / f"{figure}-{panel}.svg")
            assert (Path("out/figures") / f"{figure}-{panel}.pdf").read_bytes().startswith(b"%PDF")
            assert (Path("out/figures") / f"{figure}-{panel}.png").read_bytes().startswith(b"\x89PNG")
    assert result.out == program("report", "s").out and "Probes" in result.out
    assert not [name for name in files if name.endswith(".tmp")]


def test_one_view_has_its_figures_alone_by_default_as_svg_and_pdf(program: Program, trained: Path):
    assert program("report", "s", "--view", "small-batch", "--figures", "f").code == 0
    assert {path.name for path in Path("f").iterdir()} == {
        "batch-sizes.csv", "batch-sizes-all.svg", "batch-sizes-all.pdf",
    }  # fmt: skip


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    """A sweep to report on, though nothing of it is trained."""
    store.enter_runs(tmp_path / "results" / "s", [make_spec()], {}, {})
    return tmp_path


def test_a_sweep_of_which_nothing_is_finished_has_no_figures_and_says_why(program: Program, planned: Path):
    result = program("report", "s", "--figures", "f")
    assert result.code == 0 and not Path("f").exists()
    assert "no figures" in result.err and "No run has finished" in result.err


def test_of_one_run_there_is_a_curve_and_the_rest_is_explained(program: Program):
    program("run", "--name", "s", "model=mlp", "epochs=1")
    result = program("report", "s", "--figures", "f", "--figure-format", "svg")
    assert result.code == 0 and Path("f/learning-curves-all.svg").exists() and Path("f/steps-to-target.csv").exists()
    assert "No figure performance-profiles: " in result.err


def test_of_runs_that_diverged_at_once_the_reason_is_told(program: Program):
    program("run", "--name", "s", "model=mlp", "epochs=1", "lr=1e9")
    result = program("report", "s", "--figures", "f")
    assert result.code == 0 and "wrote no figures to f: The runs have no evaluations on record." in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--figures", "file"], "file is a file"),
        (["--figures", "file/below"], "file is a file"),
        (["--figures", ""], "must name a folder"),
        (["--figures", "results/s/specs"], "part of a sweep's results"),
        (["--figures", "f", "--figure-format", "svg,pfd"], "'pfd': there is no such format; did you mean 'pdf'?"),
        (["--figures", "f", "--figure-format", ""], "'': there is no such format"),
    ],
)
def test_bad_requests_are_one_message_and_nothing_is_written(
    program: Program, planned: Path, words: list[str], message: str
):
    Path("file").write_text("mine")
    before = sorted(planned.rglob("*"))
    result = program("report", "s", *words)
    assert result.code == 2 and message.lower() in " ".join(result.err.split()).lower(), result.err
    assert "Traceback" not in result.err and not result.out
    assert sorted(planned.rglob("*")) == before and Path("file").read_text() == "mine"


def test_a_folder_in_which_nothing_may_be_written_is_refused(planned: Path):
    """A program without the rights of root, where the tests have them."""
    (planned / "closed").mkdir(mode=0o555)
    code = (
        "import os, sys; os.access = lambda path, mode: 'closed' not in str(path); from bnbench.cli import main; main()"
    )
    words = [sys.executable, "-c", code, "report", "s", "--figures", "closed/figures"]
    result = warm.run(words, cwd=planned, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "closed is not writable" in result.stderr


def test_nothing_of_a_sweep_is_overwritten_through_a_link(program: Program, trained: Path):
    runs = (trained / "runs.csv").read_bytes()
    Path("f").mkdir()
    Path("f/batch-sizes.csv").symlink_to(trained.absolute() / "runs.csv")
    result = program("report", "s", "--view", "small-batch", "--figures", "f")
    assert result.code == 2 and "is a file of a sweep's results" in result.err
    assert (trained / "runs.csv").read_bytes() == runs


def test_a_report_in_text_imports_nothing_that_draws(planned: Path):
    code = (
        "import sys, atexit; atexit.register(lambda: print(sorted(m for m in sys.modules if m in"
        " ('vl_convert', 'altair', 'torch', 'bnbench.figures.charts')), file=sys.stderr));"
        "from bnbench.cli import main; main()"
    )
    words = [sys.executable, "-c", code, "report", "s"]
    result = subprocess.run(words, cwd=planned, capture_output=True, text=True, check=True)
    assert result.stderr.strip().endswith("[]")


@pytest.mark.parametrize("name", ["script", "path", "long", "letters", "colour"])
def test_hostile_names_are_no_paths(name: str):
    from bnbench.figures.places import short, slug

    text = HOSTILE[name]
    assert "/" not in slug(text) and not slug(text).startswith(".") and len(slug(text)) <= 60
    assert short(text).isprintable() and len(short(text)) <= 32


def test_the_numbers_of_a_figure_are_no_formulas_of_a_spreadsheet(tmp_path: Path):
    data = pd.DataFrame({"series": [HOSTILE["formula"], HOSTILE["at"], HOSTILE["letters"]], "x": [-1.5, 2.0, 3.0]})
    figure = Figure("learning-rates", "", "", (), data)
    write_figures(tmp_path, ["svg"], Report("s", (), (ReportView("v", figures=(figure,)),)))
    lines = (tmp_path / "learning-rates.csv").read_text().splitlines()
    assert lines == ["series,x", f"'{HOSTILE['formula']},-1.5", f"'{HOSTILE['at']},2.0", f"{HOSTILE['letters']},3.0"]
