"""What the documents repeat of other files is what those say today."""

import csv
import re
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

import bnbench.norms
from bnbench.cli.options import KIND_NAMES
from bnbench.comparison import load_tasks, task_names
from bnbench.paths import conf_dir
from bnbench.schema import Known
from bnbench.stats import ALPHA, detectable_effect
from bnbench.study import load
from bnbench.study.catalog import family_size
from bnbench.study.questions import load_questions, question_names

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results/reference"
RESULTS = (ROOT / "benchmarks/RESULTS.md").read_text()
DOCUMENTS = sorted(
    {path for one in runpy.run_path(str(ROOT / "docs/links.py"))["DOCUMENTS"] for path in ROOT.glob(one)}
)


def read(path: str) -> str:
    """A document in one line."""
    return " ".join((ROOT / path).read_text().split())


def scorecard(name: str) -> list[dict[str, str]]:
    with (REFERENCE / f"study-scorecard-cpu{name}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("path", "name", "intro"),
    [
        ("README.md", "", "decides {} claims on two cores in under five minutes:"),
        ("docs/studies.md", "-transformers", "Of the {} claims"),
    ],
)
def test_the_counts_of_verdicts(path: str, name: str, intro: str):
    rows = scorecard(name)
    counts = Counter(row["verdict"] for row in rows)
    said = read(path).replace(" are supported", " supported")
    words = [f"{counts['supported']} supported", f"{counts['contradicted']} contradicted"]
    none, open_ones = counts["no difference"], counts["inconclusive"]
    words += [f"{none} show{'s' if none == 1 else ''} no difference and {open_ones} stay inconclusive"]
    assert f"{intro.format(len(rows))} {', '.join(words)}" in said


def test_the_verdicts_that_studies_tell():
    """The last table of docs/studies.md has a row per claim, and names the verdict of most."""
    claims = {(row["study"], row["claim"]): row["verdict"] for row in scorecard("")}
    text = (ROOT / "docs/studies.md").read_text()
    rows = re.findall(r"^\| (\w+)(?:, (\w+))? \| (.*?) \| (.*?) \|", text, flags=re.M)
    told = 0
    for study, claim, _, found in rows:
        if (named := re.search(r": (supported|contradicted|inconclusive|no difference)$", found)) is None:
            continue
        verdicts = {verdict for (one, other), verdict in claims.items() if one == study and claim in ("", other)}
        assert verdicts == {named[1]}, (study, claim)
        told += 1
    assert told >= 18


@pytest.mark.parametrize(
    ("title", "cells", "plain", "in_memory"),
    [
        ("MLP", "digits-mlp mnist-mlp", "18.4-88.3", "2.0-71.6"),
        ("small CNN", "digits-cnn", "14.8-57.0", "2.8-56.0"),
        ("small CNN", "mnist-cnn", "3.6-14.2", "1.8-10.6"),
        ("ResNet-20", "cifar-resnet20", "1.7-6.0", "1.6-5.1"),
    ],
)
def test_the_speeds_on_a_cpu(title: str, cells: str, plain: str, in_memory: str):
    rows = [row for cell in cells.split() for row in rows_of(cell) if row[5].strip().isdigit()]
    for column, said in ((6, plain), (7, in_memory)):
        times = [float(row[column].partition("x")[0]) for row in rows]
        assert [float(end) for end in said.split("-")] == [min(times), max(times)]
    (row,) = [
        line for line in (ROOT / "README.md").read_text().splitlines() if line.endswith(f"| {plain} | {in_memory} |")
    ]
    assert row.startswith(f"| {title}, ")


def rows_of(cell: str) -> list[list[str]]:
    """The rows of the benchmark's first table for a cell, each a list of its columns."""
    table = RESULTS.partition("| cell | batch | runs | bnbench s |")[2].partition("\n\n")[0]
    return [line.strip("| ").split("|") for line in table.splitlines() if line.startswith(f"| {cell} |")]


def test_the_speeds_on_a_gpu():
    """A stack of 64 runs and batches of 2, against the plain script and against one recorded step."""
    table = RESULTS.partition("| x plain | x single |")[2].partition("\n\n")[0]
    found = [re.split(r" *\| *", line.strip("| ")) for line in table.splitlines() if "| 2 | 64 |" in line]
    plain, single = [[float(row[column]) for row in found] for column in (-2, -1)]
    mlp, cnn, resnet = plain
    assert f"takes {mlp:.0f} (MLP), {cnn:.0f} (CNN) and {resnet:.0f} (ResNet-20) times as long" in read("README.md")
    mlp, cnn, resnet = single
    assert f"recorded by hand, {mlp:.0f}, {cnn:.0f} and {resnet:.0f} times." in read("README.md")


def test_the_time_with_an_own_norm():
    own = RESULTS.partition("A norm that bnbench does not know")[2].partition("\n## ")[0]
    ratios = []
    for cell, batch, seconds in re.findall(r"^\| ([\w-]+)-own \| (\d+) \| \d+ \| ([\d.]+) \|", own, flags=re.M):
        (usual,) = [float(row[3]) for row in rows_of(cell) if row[1].strip() == batch]
        ratios.append(float(seconds) / usual)
    assert len(ratios) == 6
    assert f"a sweep takes {min(ratios):.1f} to {max(ratios):.1f} times as long as with `batch`" in read("README.md")


def test_what_the_replicates_of_the_gpu_scale_find():
    studies = load(["convergence", "small_batch", "placement"])
    assert {study.scales["gpu"].seeds for study in studies} == {12}
    effect = detectable_effect(12, ALPHA / family_size(studies[0]))
    assert f"12 replicates: an effect of {effect:.1f} standard deviations is found in 80%" in read("docs/studies.md")
    effect = detectable_effect(12, ALPHA / 85)
    assert f"they find {effect:.1f} standard deviations" in read("docs/comparisons.md")


def test_the_norms_that_no_gpu_has_tried():
    """Those that were made after the 23 that were tried; a new one is to be named as well."""
    text = read("docs/gpu.md")
    (named,) = re.findall(r"of (\d+) norms in three networks .*? timed\. (.*?) came later\.", text)
    later = re.findall(r"`(\w+)`", named[1])
    assert int(named[0]) + len(later) == len(bnbench.norms.NORMS) and set(later) <= set(bnbench.norms.NORMS)


def test_the_tasks_that_there_are():
    rows = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \| `(\w+)` \| (.*?) \|$", comparisons(), flags=re.M)
    tasks = load_tasks(task_names(), Known())
    assert rows == [(one.name, one.value("dataset"), one.value("model"), one.about) for one in tasks]
    spread = [f"`{one.name}`" for one in load_questions(question_names()) if one.on_tasks]
    assert f"The questions {', '.join(spread[:-1])} and {spread[-1]} are asked on tasks" in read("docs/comparisons.md")


def comparisons() -> str:
    return (ROOT / "docs/comparisons.md").read_text()


def test_the_example_of_a_task_is_one(tmp_path: Path):
    (text,) = re.findall(r"```yaml\n(.*?)```", comparisons(), flags=re.S)
    (tmp_path / "my_task.yaml").write_text(text)
    (task,) = load_tasks([str(tmp_path / "my_task.yaml")], Known())
    assert (task.name, task.target, task.lr) == ("my_task", 0.9, (0.01, 0.03, 0.1, 0.3))


def test_the_readings_that_are_compared():
    questions = [[one for one in question.readings if one.compared] for question in load_questions(question_names())]
    readings = [one.short for question in questions for one in question]
    assert (len([one for one in questions if one]), len(readings)) == (10, 17)
    others = [question for question in load_questions(question_names()) if not question.name.startswith("transformer")]
    assert sum(not one.compared for question in others for one in question.readings) == 2
    table = comparisons().partition("| reading | question |")[2].partition("\n\n")[0]
    told = re.findall(r"^\| ([^-].*?) \|", table, flags=re.M)
    assert sorted(name for cell in told for name in re.split(r"[,;] (?!sigmoid|ReLU)", cell)) == sorted(readings)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_row_of_a_table_has_a_cell_per_column(path: Path):
    for table in tables(path.read_text()):
        counts = {len(re.split(r"(?<!\\)\|", line.strip())) for line in table}
        assert len(table) > 2 and len(counts) == 1, "\n".join(table)


def tables(text: str) -> list[list[str]]:
    """The lines of each table of a document."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return [block.strip().splitlines() for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.M)]


def test_the_rows_of_a_table_differ():
    for path in sorted(ROOT.glob("docs/*.md")):
        for table in tables(path.read_text()):
            assert len(set(table)) == len(table), (path.name, [row for row, n in Counter(table).items() if n > 1])


def test_the_version_to_be_cited_is_that_of_the_package():
    cited: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    (version,) = re.findall(r'^version = "(.*)"$', project, flags=re.M)
    assert cited["version"] == version and f"with its version, {version} here" in read("README.md")
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


def test_the_kinds_of_list_are_those_that_there_are():
    groups = {f"{path.name}s" for path in conf_dir().iterdir() if path.is_dir()} - {"papers", "questions"}
    assert {*groups, "probes", "settings"} == {*(name.replace("studies", "studys") for name in KIND_NAMES)}


def test_which_norm_is_for_what():
    """The table of norms and readings is what the atlas says."""
    with (REFERENCE / "atlas.csv").open(newline="") as stream:
        cells = [row for row in csv.DictReader(stream) if row["view"] == "Overview"]
    said = {(row["column"], row["row"].removeprefix("arm=")): row["text"][-1:] for row in cells}
    (table,) = re.findall(r"\| you want \(reading\).*?\n\n", (ROOT / "docs/comparisons.md").read_text(), flags=re.S)
    _, *rows = re.findall(r"^\| [^|]*\(([^|]*)\) \| (.*?) \| (.*?) \| (.*?) \|$", table, flags=re.M)
    assert len(rows) == 11
    for reading, *named in rows:
        for sign, names in zip(">=<", named, strict=True):
            expected = {norm for (column, norm), verdict in said.items() if column == reading and verdict == sign}
            assert set(re.findall(r"`(\w+)`", names)) == expected, (reading, sign)


def test_the_atlas_is_of_all_norms():
    """One that comes later is to be compared as well."""
    text = (REFERENCE / "atlas.csv").read_text()
    named = set(re.findall(r"^Overview,[^\n]*?arm=(\w+),", text, flags=re.M))
    assert named == set(bnbench.norms.NORMS)
