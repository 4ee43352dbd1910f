"""The pages that are read from top to bottom work in that order, in one folder."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bnbench
from bnbench.figures import reasons
from bnbench.launch import LAUNCHERS, described_settings
from tests import warm
from tests.conftest import Program
from tests.products import long

DOCS = Path(__file__).parents[1] / "docs"
README = DOCS.parent / "README.md"
SMALL = ("model=mlp", "norm=none,batch,group", "batch_size=4,32", "lr=0.01,0.1", "seed=0,1", "epochs=2")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def commands(name: str) -> list[list[str]]:
    """The words of the commands that a page shows, but for the installation."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page(name), flags=re.S) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("bnbench ")]


def carried_out(program: Program, name: str) -> list[str]:
    """What the commands of a page say."""
    said = []
    for words in commands(name):
        result = program(*words)
        assert result.code == 0, (words, result.err)
        said.append(result.out + result.err)
    return said


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, compiled: None) -> Path:
    """A results folder with the sweep ``small``."""
    results = tmp_path_factory.mktemp("trained") / "results"
    bnbench.sweep(*SMALL, name="small", jobs=1, results=results)
    return results


@pytest.fixture
def small(program: Program, trained: Path, tmp_path: Path) -> Program:
    """The program in a folder with a copy of the sweep ``small``."""
    shutil.copytree(trained, tmp_path / "results")
    return program


@long
def test_the_tutorial(program: Program) -> None:
    said = carried_out(program, "tutorial")
    trained, report, verdict = said[2], said[3], said[-1]
    assert "trained 54 in" in trained and "5 diverged; results in results/first" in trained
    assert "div 3/3" in report and "supported  x 1.9" in verdict, verdict
    assert Path("first.html").is_file() and list(Path("figures").glob("batch-sizes-*.svg"))


@long
def test_the_page_on_own_data(program: Program) -> None:
    for text in re.findall(r"```python\n(.*?)```", page("own-data"), flags=re.S):
        exec(compile(text, "own-data.md", "exec"), {})
    said = carried_out(program, "own-data")
    assert "12 completed" in said[0] and "8 completed" in said[2] and "4 completed" in said[4]


@long
def test_the_page_on_searches(program: Program) -> None:
    said = carried_out(program, "search")
    assert "12 trials, best is trial" in said[0] and "24 of 24 runs are trials" in said[1]
    assert "norm=none: 12 trials, best is trial" in said[2] and "norm=batch: 12 trials, best is trial" in said[2]
    assert "9 trials (8 stopped at a rung), best is trial" in said[3] and "2 completed, 16 stopped" in said[3]
    (example,) = re.findall(r"```python\n(.*?)```", page("search"), flags=re.S)
    exec(example, {})
    counts = bnbench.load("python")[0].groupby("norm")["status"].value_counts().to_dict()
    assert counts == {
        (norm, status): n for norm in ("batch", "none") for status, n in (("completed", 2), ("stopped", 16))
    }


def test_the_page_on_gpus(program: Program) -> None:
    (said,) = carried_out(program, "gpu")
    assert "32 to train on " in said


def here(words: list[str]) -> list[str]:
    """A command that needs no Slurm but two processes of this machine in its place, which have no partitions."""
    others = [word for word in words if not word.startswith(("launcher.partition", "launcher.gres"))]
    if "slurm" not in words:
        return others
    if "--jobs" in others:
        place = others.index("--jobs")
        del others[place : place + 2]
    return [*others, "launcher.cluster=local", "--jobs", "2"]


@long
def test_the_page_on_clusters(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands are those of this machine, but for Slurm, in whose place there are processes."""
    pytest.importorskip("ray", reason="it is not installed: pip install 'bnbench[ray]'")
    pytest.importorskip("submitit", reason="it is not installed: pip install 'bnbench[slurm]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    said = []
    for words in commands("clusters"):
        if "--detach" in words:  # its jobs outlive a program, and this one does not end
            done = warm.run([sys.executable, "-m", "bnbench", *here(words)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
        else:
            result = program(*here(words))
            assert result.code == 0, (words, result.err)
            said.append(result.out)
    laptop, box, slurm, left, collected, ray = said
    assert "32 to train on" in box and "left to jobs" in left
    assert all("12 completed" in text for text in (laptop, slurm, collected, ray))


def test_the_page_on_clusters_names_all_settings() -> None:
    text = page("clusters")
    for name in LAUNCHERS:
        for key in described_settings(name):
            assert f"`{key}`" in text, (name, key)


@long
def test_the_page_on_reports(small: Program) -> None:
    carried_out(small, "reports")
    names = ("small.html", "small.md", "small.tex", "small.csv", "small-report.html", "figures/batch-sizes-all.png")
    for name in names:
        assert Path(name).is_file(), name


def test_the_page_on_reports_names_all_figures(small: Program) -> None:
    """Those of what probes measured, which this sweep has none of, are in the last row."""
    *rows, probed = re.findall(r"^\| (`.*`) \|", page("reports").partition("\n| figure |")[2], flags=re.M)
    figures = []
    for view in bnbench.report("small").report.views:
        figures += [figure.name for figure in view.figures]
        figures += [re.findall(r"No figure ([\w-]+)", reason)[0] for reason in reasons(view.figures)]
    assert sorted(f"`{name}`" for name in figures) == sorted(rows) and "`gradient-norms`" in probed


def test_the_program_of_the_page_on_reports(small: Program, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", page("reports"), flags=re.S)))
    done = warm.run([sys.executable, "example.py"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "rates-batch-4.pdf" in done.stdout and Path("rates-batch-32.pdf").is_file()
    assert "batch=4, norm=none" in done.stdout and "panel" in done.stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex (Debian: texlive-science)")
def test_the_paper_of_the_page_on_reports(small: Program) -> None:
    (document,) = re.findall(r"```tex\n(.*?)```", page("reports"), flags=re.S)
    (words,) = [words for words in commands("reports") if "tables.tex" in words]
    assert small(*words).code == 0
    Path("paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=120)
    assert done.returncode == 0 and "LaTeX Error" not in done.stdout, done.stdout[-2000:]


@long
def test_the_page_on_comparisons(program: Program) -> None:
    """The first command is the README's, and tried as such; tests/comparison/test_recompute.py tries the last one."""
    (norm,) = [code for code in re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S) if "NORMS" in code]
    Path("my_norms.py").write_text(norm)
    whole, smoke, on_own_task, on_tasks, _ = commands("comparisons")
    assert shlex.join(["bnbench", *whole]) in README.read_text()
    (task,) = re.findall(r"```yaml\n(.*?)```", page("comparisons"), flags=re.S)
    Path("my_task.yaml").write_text(task)
    exec(re.findall(r"```python\n(.*?)```", page("own-data"), flags=re.S)[0], {})
    asked, own, together = program(*smoke), program(*on_own_task, "--dry-run"), program(*on_tasks, "--dry-run")
    assert own.code == 0 and "accuracy, my_task" in own.out, own.out + own.err
    assert asked.code == 0 and "max against layer: inconclusive in 17 of 17 readings." in asked.out, (
        asked.out + asked.err
    )
    assert together.code == 0 and "accuracy, digits-cnn" in together.out, together.out + together.err
    assert "How it was decided" in Path("dossier.html").read_text()
