"""The other commands, the program's start-up, and the public API."""

import math
import resource
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

import bnbench
from bnbench import store
from bnbench.cli.options import KIND_NAMES
from bnbench.errors import InvalidRequest
from bnbench.norms import NORMS
from bnbench.spec import run_id
from tests.budget import slowness
from tests.conftest import Program, make_spec

SMALL = ("model=mlp", "model.width=16", "epochs=1")


def test_help_is_quick_and_never_loads_torch():
    code = "import sys, bnbench.cli; assert not {'torch', 'pandas', 'hydra', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    times, allowed = [math.inf], 0.5 * slowness()
    while len(times) < 6 and min(times) >= allowed:  # seconds of the processor: other tests run at the same time
        start = processor_seconds()
        subprocess.run([sys.executable, "-m", "bnbench", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(processor_seconds() - start)
    assert min(times) < allowed


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


ENDS = """
import sys
from bnbench.cli import program

class Kept:
    def __del__(self):
        print("taken apart", flush=True)

sys.kept = Kept()
program()
"""


@pytest.mark.parametrize(("words", "code"), [(("ls",), 0), (("show", "zz"), 2)])
def test_the_process_ends_as_it_is_with_its_code_and_all_that_it_said(words, code, tmp_path: Path):
    asked = [sys.executable, "-c", ENDS, *words]
    said = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == code and "taken apart" not in said.stdout and (said.stdout or said.stderr)


@pytest.mark.parametrize(("words", "code"), [("ls", 0), ("show zz", 2), ("sweep model=mlpp", 2)])
def test_an_output_that_is_closed_is_no_error(words: str, code: int, tmp_path: Path):
    command = f"exec {sys.executable} -m bnbench {words} >&-"
    said = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == code and "Traceback" not in said.stderr and "unexpected" not in said.stderr


@pytest.mark.parametrize("words", [("ls",), ("report", "s"), ("show", "zz")])
def test_reading_results_never_loads_torch(words, tmp_path: Path):
    code = (
        "import sys\nsys.argv = ['bnbench', *sys.argv[1:]]\nfrom bnbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nassert 'torch' not in sys.modules"
    )
    store.enter_runs(tmp_path / "results" / "s", [make_spec()], {}, {})
    subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, check=True, capture_output=True)


def test_ls_of_a_file_is_refused(program: Program):
    Path("file").touch()
    result = program("--results", "file", "ls")
    assert result.code == 2 and "--results file: is not a folder" in result.err


def test_ls_and_show(program: Program):
    assert "no sweeps" in program("ls").out
    assert program("run", *SMALL, "--name", "one").code == 0
    assert "1 completed" in program("ls").out
    identity = next(Path("results/one/specs").glob("*.yaml")).stem
    shown = program("show", identity[:6])
    assert shown.code == 0 and identity in shown.out and "test_accuracy" in shown.out and "val_accuracy" in shown.out


def test_a_class_without_test_images_is_told(program: Program, tmp_path: Path):
    for place in ("train/a", "train/b", "test/b"):
        (tmp_path / "data/images" / place).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "data/images" / place / f"{number}.png")
    words = ("dataset=imagefolder", "dataset.size=8", "split.validation=0.25", "batch_size=4", "steps=1")
    note = "note: dataset=imagefolder: the test set has no example of 1 of 2 classes: 'a'"
    for command in (("run",), ("sweep", "--name", "s", "--dry-run")):
        result = program(*command, *words)
        assert result.code == 0 and note in result.out, result.err


def test_an_edited_spec_file_says_which_run_it_is_now(program: Program):
    assert program("run", "--name", "one", *SMALL).code == 0
    path = next(Path("results/one/specs").glob("*.yaml"))
    same = program("run", "--name", "two", "--from", str(path))
    assert same.code == 0 and "note:" not in same.out
    path.write_text(path.read_text().replace("\nseed: 0", "\nseed: 1"))
    edited = program("run", "--name", "two", "--from", str(path))
    assert edited.code == 0 and f"note: the file is named for run {path.stem}; what it holds now is run" in edited.out


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("settings", "batch_size"), ("norms", "groups=4"), ("models", "resnet20"), ("datasets", "digits"),
     ("optims", "momentum=0.0"), ("schedules", "milestones=[0.5,0.75]"), ("probes", "gradient_flow"),
     ("studies", "small_batch"), ("tasks", "digits-vit")],
)  # fmt: skip
def test_list(program: Program, kind, expected):
    result = program("list", kind)
    assert result.code == 0 and expected in result.out


def test_list_alone_names_every_kind(program: Program):
    said = program("list")
    assert said.code == 0 and [line.split()[0] for line in said.out.splitlines()] == ["kind", *KIND_NAMES]


def test_a_task_is_listed_with_its_data_and_network(program: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "140")
    lines = program("list", "tasks").out.splitlines()
    assert [line.split()[:3] for line in lines[1:8]] == [
        ["cifar-cnn", "cifar10", "cnn"],
        ["cifar-resnet20", "cifar10", "resnet20"],
        ["digits-cnn", "digits", "cnn"],
        ["digits-mlp", "digits", "mlp"],
        ["digits-vit", "digits", "vit"],
        ["mnist-cnn", "mnist", "cnn"],
        ["mnist-mlp", "mnist", "mlp"],
    ]
    assert lines[1].rstrip().endswith("three convolutions on CIFAR-10")
    assert "convergence, learning_rate, non_stationary, regularization and small_batch;" in lines[-1]


def test_list_norms_fits_a_terminal_of_100_columns(program: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "100")
    lines = program("list", "norms").out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line for line in lines if not line.startswith(" ")] == sorted(NORMS)
    start = lines.index("frn")
    expected = [
        "frn",
        "  what it is      Filter response normalization with its thresholded linear unit as activation",
        "  formula         max(weight * x / sqrt(mean(x^2) + eps) + bias, tau)",
        "  over            positions, for each channel of each example",
        "  in training     uses no batch statistics",
        "  smallest batch  1 example, of several positions per channel",
        "  paper           Singh & Krishnan 2020",
        "  options         eps=1e-06 learn_eps=false affine=both",
    ]
    assert [line.rstrip() for line in lines[start : start + len(expected)]] == expected


def test_a_norm_of_a_plugin_is_listed_without_facts(program: Program):
    source = "from torch import nn\nclass Mine(nn.Identity):\n    'One of mine.'\nNORMS = {'mine': Mine}"
    Path("mine.py").write_text(source)
    listed = program("list", "norms", "--plugin", "mine.py")
    assert listed.code == 0 and "mine\n  what it is  One of mine" in listed.out


def test_the_document_of_all_norms_is_what_the_program_says():
    docs = Path(__file__).parents[2] / "docs"
    written = runpy.run_path(str(docs / "norms.py"))["markdown"]()
    assert (docs / "norms.md").read_text() == written


def test_report_to_a_file_and_as_markdown(program: Program):
    assert program("sweep", "--name", "s", *SMALL, "norm=none,batch", "batch_size=32,64", "lr=0.1,0.01").code == 0
    markdown = program("report", "s", "--format", "markdown")
    assert markdown.code == 0 and "| " in markdown.out
    assert program("report", "s", "--out", "report.md").code == 0
    assert Path("report.md").read_text() == markdown.out
    bad = program("report", "s", "--view", "smal-batch", "--target", "2", "--baseline", "norm=nnoe")
    assert bad.code == 2
    assert all(word in bad.err for word in ("small-batch", "norm=nnoe", "none"))


def test_a_sweep_may_be_given_as_its_folder(program: Program, monkeypatch: pytest.MonkeyPatch):
    store.enter_runs(Path("results/s"), [make_spec()], {}, {})
    named = program("report", "s").out
    assert program("report", "./results/s/").out == named
    monkeypatch.chdir("results/s")
    assert program("report", ".").out == program("report", "../s").out == named


def test_of_many_runs_with_a_beginning_some_are_named(program: Program):
    specs = [make_spec(f"seed={seed}", "model=mlp") for seed in range(300)]
    store.enter_runs(Path("results/s"), specs, {}, {})
    counts = Counter(run_id(spec)[0] for spec in specs)
    beginning, count = counts.most_common(1)[0]
    refused = program("show", beginning)
    assert refused.code == 2 and f"could be one of {count} runs, {beginning}" in refused.err
    assert len(refused.err) < 300 and refused.err.endswith(", ...; give more of it\n")


def test_a_damaged_sweep_hides_no_other(program: Program):
    for name in ("bad", "good"):
        store.enter_runs(Path("results", name), [make_spec()], {}, {})
    Path("results/bad/runs.csv").write_text("nothing\n")
    listed = program("ls")
    assert listed.code == 1 and "damaged: " in listed.out and "results/bad/runs.csv" in listed.out
    assert "1 planned" in listed.out and "results" not in listed.out[: listed.out.index("good")]
    assert max(map(len, listed.out.splitlines()[:3])) < 60  # the reason stands below the table
    identity = run_id(make_spec())
    shown = program("show", identity[:4])
    assert shown.code == 1 and identity in shown.out and "results/bad/runs.csv" in shown.err
    missed = program("show", "zzz")
    assert missed.code == 2 and "no run starts with 'zzz'" in missed.err and "results/bad/runs.csv" in missed.err


def test_what_components_are_is_told_in_whole_sentences(program: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    listed = "".join(
        program("list", kind).out for kind in ("norms", "models", "datasets", "optims", "schedules", "probes")
    )
    assert "`" not in listed and "MNIST (LeCun et al. 1998): handwritten digits " in listed


def test_reports_of_two_sweeps_together(program: Program):
    for name, norm in (("a", "none"), ("b", "batch")):
        assert program("sweep", "--name", name, *SMALL, f"norm={norm}").code == 0
    report = program("report", "a", "b", "--view", "convergence")
    assert report.code == 0 and "none" in report.out and "batch" in report.out


def test_global_options_stand_anywhere(program: Program, tmp_path: Path):
    assert program("run", *SMALL, "--results", "elsewhere").code == 0
    assert program("--results", "elsewhere", "ls").out == program("ls", "--results=elsewhere").out
    assert (tmp_path / "elsewhere/runs/runs.csv").is_file()


def test_the_python_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    summary = bnbench.sweep(*SMALL, "norm=none,batch", name="s", jobs=1)
    assert summary.counts == {"completed": 2}
    row = bnbench.run(*SMALL, "norm=batch")
    runs, metrics = bnbench.load("s")
    assert set(runs["norm"]) == {"none", "batch"} and len(metrics) == 2
    (same,) = runs[runs["norm"] == "batch"]["test_accuracy"]
    assert row["test_accuracy"] == same
    assert "batch" in str(bnbench.report("s", baseline="norm=none"))


def test_the_python_api_takes_launchers_and_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    summary = bnbench.sweep(*SMALL, "norm=none", name="s", launcher="inline", timeout=600.0, checkpoint_every=math.inf)
    assert summary.counts == {"completed": 1}
    with pytest.raises(InvalidRequest) as refused:
        bnbench.sweep(*SMALL, "launcher.gpus=1", name="t", launcher="locl", timeout=0.0, checkpoint_every=-1.0)
    assert refused.value.problems == (
        "checkpoint_every=-1.0: must be above 0 seconds",
        "timeout=0.0: must be above 0 seconds",
        "launcher=locl: unknown; did you mean 'local'? Allowed: inline, local, ray, slurm",
    )
    assert not Path("results/t").exists()
