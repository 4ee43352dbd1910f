"""Bad input: one clear message, exit code 2, nothing written, no traceback."""

import os
from pathlib import Path

import pytest

from bnbench import store
from tests.conftest import Program, make_spec

SWEEP = ("sweep", "--name", "s")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "nrm=batch"), ["nrm", "'norm'"]),
        (("run", "norm=bacth"), ["norm=bacth", "'batch'", "batch_instance"]),
        (("run", "norm=batch", "norm.groups=4"), ["norm.groups", "norm=batch", "momentum"]),
        (("run", "norm=group", "norm.group=4"), ["norm.group", "'groups'"]),
        (("run", "batch_size=many"), ["batch_size=many", "whole number"]),
        (("run", "lr=0"), ["lr=0.0", "above 0"]),
        (("run", "lr=-1", "epochs=0", "model=cn"), ["lr=-1.0", "epochs=0", "model=cn", "'cnn'"]),
        (("run", "batch_size=5000"), ["batch_size=5000", "training set of 1,294"]),
        (("run", "norm=group", "norm.groups=7"), ["groups=7", "16"]),
        (("run", "norm=ghost", "norm.chunk=31", "batch_size=32", "model=mlp"), ["chunk", "32"]),
        (("run", "norm=batch", "model=mlp", "batch_size=1"), ["batch_size=1", "at least two values"]),
        (("run", "lr=-1", "norm=group", "norm.groups=7"), ["lr=-1.0", "groups=7"]),
        (("run", "norm=batch,group"), ["2 runs", "bnbench sweep"]),
        (("run", "epochs=1", "steps=5"), ["epochs=1 steps=5", "exactly one"]),
        (("run", "lr=1e39"), ["lr=1e+39", "float32"]),
        (("run", "lr="), ["lr='': must be a finite number such as 0.1"]),
        (("run", "~lr"), ["lr=null: cannot be left out, with ~lr or null; must be a finite number such as 0.1"]),
        ((*SWEEP, "--jbs", "2"), ["--jbs", "--jobs"]),
        (("swep",), ["swep", "sweep"]),
        (("run", "steps=10000000000"), ["steps=10000000000", "at most 1,000,000,000"]),
        (("run", "epochs=1000000000"), ["epochs=1000000000: makes 20,000,000,000 steps", "at most 1,000,000,000"]),
        (("run", "model.depth=100000000"), ["model.depth=100000000", "at most 1,000"]),
        (("run", "model=mlp", "model.width=65536"), ["more than 1,000,000,000 parameters"]),
        (("run", "dataset=synthetic", "dataset.size=100000"), ["dataset.size=100000", "at most 16 GiB"]),
        (("run", "dataset.pad=8"), ["dataset.pad=8", "less than the images, 8x8"]),
        (("run", "model=torchvision", "model.name=googlenet"), ["model.name=googlenet", "8x8", "larger images"]),
        (("run", "batches=single"), ["batches=single", "'single_class'", "alternating"]),
        (("run", "batches=single_class", "batch_size=200"), ["batch_size=200", "smallest class, which has 125"]),
        (("run", "batches=single_class", "drop_last=false"), ["batches=single_class", "drop_last=true"]),
        (("run", "batches=alternating"), ["batches=alternating", "two domains or more", "domains=[]"]),
        (
            ("run", "batches=alternating", "domains=[plain,blur_1]", "batch_size=648"),
            ["batch_size=648", "smallest domain, which has 647"],
        ),
        (
            ("run", "domains=[plain,contrast_0.5]"),
            ["contrast_0.5 is not allowed", "did you mean 'contrast_0.", "13 in all"],
        ),
        (("run", "domains=plain"), ["domains=plain", "must be a list such as [plain]"]),
        (("run", "domains=[plain,plain]"), ["domains", "plain is named more than once"]),
        (("run", "device=tpu"), ["device=tpu", "cuda"]),
        (("run", "device=cuda:64"), ["device=cuda:64"]),
        (("run", "--name", "../x"), ["../x", "plain folder name"]),
        (("run", "--from", "absent.yaml"), ["absent.yaml"]),
        (("run", "dataset=mnist", "--data", "nowhere"), ["nowhere", "train-images-idx3-ubyte"]),
        (("run", "dataset=imagefolder", "dataset.path=pictures"), ["pictures"]),
        (("run", "dataset=csv", "dataset.path=table.csv"), ["dataset=csv: expected the file", "table.csv"]),
        (("run", "model=gpt", "dataset=text", "dataset.path=a.txt"), ["dataset=text: expected the file", "a.txt"]),
        (("run", "model=gpt", "dataset=text", "dataset.context=9999"), ["holds 65,537 characters", "at least 99,991"]),
        (("run", "model=gpt", "dataset=text", "domains=[plain,blur_1]"), ["text, which has no domains"]),
        (("run", "model=gpt", "dataset=text", "batches=single_class"), ["batches=single_class: text is of no class"]),
        (("run", "model=gpt"), ["model=gpt needs text", "take dataset=text"]),
        (("run", "dataset=text"), ["dataset=text has text", "take model=gpt"]),
        (("run", "model=torchvision", "model.name=resnet81"), ["resnet81", "'resnet18'"]),
        (("run", "model.activation=rellu"), ["model.activation=rellu", "'relu'", "gelu"]),
        ((*SWEEP, "seed=range(0)"), ["empty sweep"]),
        ((*SWEEP, "norm=none", "--exclude", "norm=none"), ["empty", "excluded"]),
        ((*SWEEP, "norm=none", "--exclude", "nrom=none"), ["nrom"]),
        ((*SWEEP, "lr=0.1", "lr=0.2"), ["lr", "more than once"]),
        ((*SWEEP, "--zip", "lr=0.1,0.2 seed=1,2,3"), ["equally many"]),
        ((*SWEEP, "norm=none", "--launcher", "cloud"), ["cloud", "local"]),
        ((*SWEEP, "norm=none", "--jobs", "0"), ["jobs=0"]),
        ((*SWEEP, "norm=none", "--jobs", "abc"), ["--jobs abc: must be a whole number", "as in --jobs 2"]),
        (("study", "run", "memory", "--jobs", "1.5"), ["--jobs 1.5: must be a whole number", "as in --jobs 2"]),
        ((*SWEEP, "norm=none", "--lanes", "many"), ["lanes=many", "auto"]),
        ((*SWEEP, "norm=none", "--plugin", "absent.py"), ["absent.py"]),
        (("report", "absent"), ["absent"]),
        (("list", "norm"), ["norms"]),
        (("show", "abc"), ["no run starts with 'abc' in results"]),
        (("show", ""), ["run ''", "beginning"]),
        (("report", ""), ["sweep ''", "name of a sweep"]),
        (("run", "dataset=mnist", "--data", "no/such/folder"), ["no/such/folder"]),
    ],
    ids=lambda value: "_".join(value)[:60] if isinstance(value, tuple) else None,
)
def test_is_refused_with_a_message(program: Program, tmp_path: Path, words, says):
    result = program(*words)
    assert result.code == 2
    for part in says:
        assert part in result.err
    assert "Traceback" not in result.err + result.out
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_refused_with_row_column_and_value(program: Program, tmp_path: Path):
    table = tmp_path / "t.csv"
    table.write_text("a,color,kind\n1,2,x\n3,red,y\n")
    result = program("run", "model=mlp", "dataset=csv", f"dataset.path={table}", "dataset.label=kind")
    assert result.code == 2 and "Traceback" not in result.err + result.out
    (line,) = [line for line in result.err.splitlines() if "row" in line]
    assert line.startswith("row 2 (line 3), column 'color': 'red' is no finite number")
    assert [*tmp_path.iterdir()] == [table]


def test_a_plugin_that_raises_shows_its_own_line(program: Program, tmp_path: Path):
    (tmp_path / "broken.py").write_text("import torch\n\nNORMS = {'x': undefined_name}\n")
    result = program("run", "--plugin", "broken.py")
    assert result.code == 2
    assert "NameError" in result.err and "broken.py:3" in result.err and "undefined_name" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("put", "kind"),
    [
        (os.mkfifo, "pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "device"),
        (Path.mkdir, "folder"),
    ],
    ids=["pipe", "device", "folder"],
)
@pytest.mark.parametrize(
    "words",
    [
        ("run", "--plugin", "given.yaml"),
        (*SWEEP, "--plugin", "given.yaml"),
        ("list", "norms", "--plugin", "given.yaml"),
        ("study", "show", "memory", "--plugin", "given.yaml"),
        ("run", "--from", "given.yaml"),
        ("study", "show", "given.yaml"),
        ("study", "run", "given.yaml"),
        ("compare", "rms", "--on", "given.yaml"),
    ],
    ids=" ".join,
)
def test_what_is_no_regular_file_is_not_read(program: Program, tmp_path: Path, words, put, kind: str):
    put(tmp_path / "given.yaml")
    result = program(*words)
    assert result.code == 2
    assert result.err.endswith(f"given.yaml: cannot be read: it must be a regular file, and is a {kind}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["given.yaml"]


def test_a_results_folder_that_cannot_be_written_is_named(program: Program, tmp_path: Path):
    (tmp_path / "taken").write_text("a file")
    result = program("run", "--results", "taken")
    assert result.code == 2 and "taken" in result.err


def test_zipped_settings_of_unequal_lengths_are_the_only_problem(program: Program):
    result = program(*SWEEP, "norm=batch", "model=mlp", "--zip", "batch_size=1,2,5000 lr=0.1,0.2")
    counted = "batch_size has 3, lr has 2"
    assert result.code == 2
    assert result.err == f"error: --zip: settings that advance together need equally many values; {counted}\n"


def test_an_unknown_command_or_option_is_a_usage_error(program: Program):
    assert program("swep").code == 2
    assert program("run", "--nmae", "x").code == 2


def test_debug_shows_the_traceback_and_keeps_the_exit_code(program: Program):
    result = program("run", "lr=-1", "--debug")
    assert result.code == 2
    assert "Traceback" in result.err and "InvalidRequest: lr=-1.0" in result.err


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "-x", "a b", "a\nb", "a\x1b[31m", "a/b", "x" * 101, "a\u202eb"])
def test_names_that_are_no_plain_folder_names(program: Program, tmp_path: Path, name: str):
    result = program("run", f"--name={name}")
    assert result.code == 2 and f"name={name!r:.20}"[:18] in result.err and "letters, digits" in result.err
    assert list(tmp_path.iterdir()) == []


def test_names_of_any_script_and_a_hundred_letters(program: Program, tmp_path: Path):
    for name in ("größe-1.2_b", "実験", "x" * 100):
        store.enter_runs(tmp_path / "results" / name, [make_spec()], {}, {})
        assert program("sweep", "--name", name, "--dry-run").code == 0


@pytest.mark.parametrize("option", ["--results", "--data"])
def test_an_empty_folder_name_is_refused(program: Program, tmp_path: Path, option: str):
    result = program("run", option, "")
    assert result.code == 2 and option in result.err and "must name a folder" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("results", ["loop", "dangling", "n" * 300, "/proc/bnbench"])
def test_a_results_folder_that_cannot_be(program: Program, tmp_path: Path, results: str):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("absent")
    before = sorted(tmp_path.iterdir())
    result = program("run", "--results", results)
    assert result.code == 2 and results in result.err and "choose another --results" in result.err
    assert sorted(tmp_path.iterdir()) == before


def test_how_to_train_is_checked_before_the_plan_is_told(program: Program):
    result = program(*SWEEP, "norm=none", "--launcher", "cloud", "--jobs", "0", "--lanes", "many")
    assert result.code == 2 and result.out == "planning s ...\n"
    assert all(part in result.err for part in ("launcher=cloud", "jobs=0", "lanes=many"))


def test_a_damaged_sweep_is_refused_whole(program: Program, tmp_path: Path):
    folder = tmp_path / "results" / "s"
    for name in ("runs.csv", "sweep.yaml"):
        store.enter_runs(folder, [make_spec()], {}, {})
        (folder / name).write_bytes(b"\x00\xff{\n")
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        result = program(*SWEEP, "norm=none")
        assert result.code == 2 and f"results/s/{name} is damaged" in result.err and result.out == "planning s ...\n"
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        (folder / name).unlink()
