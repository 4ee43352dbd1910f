"""Slips of the pen: the message says how it is written right, the exit code is 2, and nothing is written."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from torchvision import models

from bnbench import store
from bnbench.schema.torchvision_names import torchvision_name, torchvision_names
from tests.conftest import Program, make_spec

SLIPS = [
    # what the shell tears apart at blanks
    ("norm=batch, layer", ["'norm=batch, layer': leave no blank after a comma: write norm=batch,layer, or quote"]),
    ("norm=batch ,layer", ["leave no blank", "write norm=batch,layer"]),
    ("probes=[memory, landscape]", ["leave no blank after a comma", "write 'probes=[memory,landscape]'"]),
    ("norm = batch", ["'norm = batch': leave no blank", "write norm=batch"]),
    ("norm= batch", ["leave no blank", "write norm=batch"]),
    ("seed=range 3", ["leave no blank", "write 'seed=range(3)'"]),
    ("seed=range(0, 3)", ["leave no blank", "write 'seed=range(0,3)'"]),
    ("lr=0.1, norm=batch", ["'lr=0.1,' is not an override: a value is missing at a comma; write lr=0.1"]),
    (
        "--zip batch_size=32,128 lr=0.05,0.2",
        ["--zip batch_size=32,128: advances with nothing", "--zip 'batch_size=32,128 lr=0.05,0.2'"],
    ),
    (
        "seed=0,1,2 --zip batch_size=32,128 lr=0.05,0.2",
        ["--zip batch_size=32,128: advances with nothing", "--zip 'batch_size=32,128 lr=0.05,0.2'"],
    ),
    # ranges
    ("seed=0:3", ["write 'seed=range(0,3)'"]),
    ("seed=3..5", ["write 'seed=range(3,6)'"]),
    ("seed=1-3", ["write 'seed=range(1,4)'"]),
    ("'seed=range 3'", ["write 'seed=range(3)'"]),
    ("'seed=range(3'", ["a bracket is not closed; write 'seed=range(3)'"]),
    ("lr=1e-1:1e-3", ["write lr=1e-1,1e-3"]),
    # lists and several values
    ("lr=0.1,,0.2", ["a value is missing at a comma; write lr=0.1,0.2"]),
    ("lr=[0.1,0.2]", ["write lr=0.1,0.2"]),
    ("'lr=(0.1,0.2)'", ["several values stand without brackets; write lr=0.1,0.2"]),
    ("'lr={0.1,0.2}'", ["several values stand without brackets; write lr=0.1,0.2"]),
    ("'lr=0.1;0.2'", ["values are separated by commas; write lr=0.1,0.2"]),
    ("'lr=0.1 0.2'", ["write lr=0.1,0.2"]),
    ("norm=batch/layer", ["write norm=batch,layer"]),
    ("norm=all", ["write 'norm=glob(*)'"]),
    ("probes=memory,landscape", ["probes=memory,landscape: must be a list", "write 'probes=[memory,landscape]'"]),
    ("probes=a,b", ["write 'probes=[a,b]'", "a is not allowed", "landscape"]),
    ("domains=plain", ["write 'domains=[plain]'"]),
    # kinds of values
    ("batch_size=32.0", ["batch_size=32.0: must be a whole number; write batch_size=32"]),
    ("epochs=5e0", ["write epochs=5"]),
    ("drop_last=yes", ["must be true or false; write drop_last=true"]),
    ("drop_last=0", ["must be true or false; write drop_last=false"]),
    ("steps=none", ["write steps=null"]),
    ("lr=\"'0.1'\"", ["must be a finite number", "write lr=0.1"]),
    ("device=gpu", ["write device=cuda"]),
    ("device=cuda0", ["write device=cuda:0"]),
    ("device=GPU:1", ["write device=cuda:1"]),
    # names
    ("norm=Batch", ["did you mean 'batch'?"]),
    ("norm=bacth", ["did you mean 'batch'?", "--plugin FILE"]),
    ("model=my_model", ["unknown model", "--plugin FILE"]),
    ("dataset=cifar-10", ["did you mean 'cifar10'?"]),
    ("dataset=MNIST", ["did you mean 'mnist'?"]),
    ("optim=SGD", ["did you mean 'sgd'?"]),
    ("model=resnet18", ["write model=torchvision model.name=resnet18"]),
    ("model=ResNet-50", ["write model=torchvision model.name=resnet50"]),
    ("model=vgg11_bn", ["write model=torchvision model.name=vgg11_bn"]),
    # keys
    ("norm=batch norm.groups=8", ["no option 'groups' in norm=batch", "norm=group, norm=ws have it"]),
    ("norm.chunk=8", ["no option 'chunk' in norm=batch", "norm=ghost, norm=ghost_noise have it"]),
    ("seeds=3", ["did you mean 'seed'?", "write 'seed=range(3)'"]),
    ("batch=32", ["did you mean 'batch_size'?"]),
    ("learning_rate=0.1", ["did you mean 'lr'?"]),
    ("momentum=0.9", ["did you mean 'optim.momentum'?"]),
    ("wd=", ["did you mean 'optim.weight_decay'?"]),
    ("epoch=3", ["did you mean 'epochs'?"]),
    ("data=mnist", ["--data", "dataset=mnist"]),
    # what is between key and value, and dashes
    ("norm:batch", ["a key and its value are joined by =; write norm=batch"]),
    ("norm==batch", ["there is one = too many; write norm=batch"]),
    ("'norm =batch'", ["blanks stand around the key; write norm=batch"]),
    ("batch", ["norm is chosen by key=value; write norm=batch"]),
    ("--norm batch", ["--norm: a setting has no dashes; write norm=batch"]),
    ("--batch-size=8", ["a setting has no dashes; write batch_size=8"]),
    ("--norm.groups 8", ["a setting has no dashes; write norm.groups=8"]),
    ("-lr=0.1", ["a setting has no dashes; write lr=0.1"]),
    ("-n mine", ["-n: no such option", "--name"]),
]


@pytest.mark.parametrize(("slip", "says"), SLIPS, ids=[slip for slip, _ in SLIPS])
def test_is_answered_with_how_it_is_written(program: Program, tmp_path: Path, slip: str, says: list[str]):
    words = slip.split() if "range(0, 3)" in slip or ", landscape" in slip else shlex.split(slip)
    result = program("sweep", *words)
    assert result.code == 2, result.out
    assert all(part in result.err for part in says), result.err
    assert "Traceback" not in result.err and not list(tmp_path.iterdir())


MISSING = "dataset=npz dataset.path=nowhere.npz "
MISNAMED = "model.name=resnt18: did you mean 'resnet18'?"
TOGETHER = [
    (f"{MISSING} model=torchvision model.name=resnt18", [MISNAMED, "nowhere.npz"]),
    ("model=torchvision model.name=resnt18 lr=abc", [MISNAMED, "lr=abc: must be"]),
    (
        f"{MISSING} model=torchvision model.name=resnt18 norm=group,batch norm.groups=0 norm.momentum=3",
        ["model.name=resnt18", "norm.groups=0: must be at least 1", "norm.momentum=3.0: must be", "nowhere.npz"],
    ),
    (
        "model=torchvision model.name=resnt18 norm=group,batch norm.groups=0 norm.momentum=3",
        [MISNAMED, "norm.groups=0: must be at least 1", "norm.momentum=3.0: must be"],
    ),
    (f"{MISSING} model=mlp model.width=0", ["model.width=0: must be at least 1", "nowhere.npz"]),
    ("dataset=npz,imagefolder dataset.path=nowhere", ["dataset=npz: expected", "dataset=imagefolder: expected"]),
    ("model=torchvision model.name=resnt18,resnet18", [MISNAMED]),
]


@pytest.mark.parametrize(("words", "says"), TOGETHER, ids=[words for words, _ in TOGETHER])
def test_is_told_beside_data_that_are_missing(program: Program, tmp_path: Path, words: str, says: list[str]):
    """One message has all that is wrong, each once, whether or not a part of it is known before there are data."""
    result = program("sweep", *words.split())
    assert result.code == 2 and [result.err.count(part) for part in says] == [1] * len(says), result.err
    assert "Traceback" not in result.err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("setting", ["lr=.1,.2 ", "norm=batch, layer", "lr=0.1 , 0.2"])
def test_harmless_blanks_are_no_slips(program: Program, tmp_path: Path, setting: str):
    result = program("sweep", setting, "model=mlp", "--dry-run")
    assert result.code == 0 and not list(tmp_path.iterdir()), result.err


WRITTEN = [says[-1].split("write ")[-1] for _, says in SLIPS if says[-1].count("write ") and "range(" in says[-1]]


@pytest.mark.parametrize("answer", WRITTEN)
def test_an_answer_can_be_pasted_into_a_shell(program: Program, answer: str):
    """Bash hands it over as one word, and the program takes it."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {answer}"], capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    assert len(words) == 1 and program("sweep", "model=mlp", *words, "--dry-run").code == 0


def test_the_names_of_torchvision_are_its_own():
    assert list(torchvision_names()) == sorted(models.list_models(module=models))
    assert torchvision_name("ViT-B-16") == "vit_b_16" and torchvision_name("resnet19") is None


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    """A sweep to report on, though nothing of it is trained."""
    store.enter_runs(tmp_path / "results" / "s", [make_spec()], {}, {})
    return tmp_path


@pytest.mark.parametrize("ending", [".json", ".pdf", ".mdd", ".xlsx", ".PDF"])
def test_a_report_is_not_written_under_an_ending_that_it_has_no_format_for(
    program: Program, planned: Path, ending: str
):
    result = program("report", "s", "--out", f"report{ending}")
    assert result.code == 2 and f"--out report{ending}: there is no format for '{ending.lower()}'" in result.err
    assert ".md (markdown), .txt (terminal)" in result.err and "--format" in result.err
    assert [path.name for path in planned.iterdir()] == ["results"]
    assert program("report", "s", "--out", f"report{ending}", "--format", "latx").code == 2
    assert [path.name for path in planned.iterdir()] == ["results"]
    assert program("report", "s", "--out", f"report{ending}", "--format", "markdown").code == 0


def test_the_ending_of_a_report_says_its_format(program: Program, planned: Path):
    markdown, text = program("report", "s", "--format", "markdown").out, program("report", "s").out
    for name, expected in (("a.md", markdown), ("a.MD", markdown), ("a.txt", text), ("a", text)):
        assert program("report", "s", "--out", name).code == 0
        assert Path(name).read_text() == expected


def test_a_dash_is_standard_output_and_a_file_of_that_name_has_its_folder(program: Program, planned: Path):
    for how in ((), ("--format", "markdown")):
        result = program("report", "s", "--out", "-", *how)
        assert (result.code, result.err) == (0, "") and result.out == program("report", "s", *how).out
    assert not Path("-").exists()
    assert program("report", "s", "--out", "./-").code == 0 and Path("-").is_file()
