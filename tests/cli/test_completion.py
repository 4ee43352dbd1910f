"""Completion: what a shell asks, and what it is answered."""

import math
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bnbench import store
from bnbench.cli import listing
from bnbench.cli.completion import INSTRUCTION, LINE, settings
from bnbench.cli.options import SHELL_NAMES
from bnbench.cli.shell_script import SCRIPTS
from bnbench.config import GROUPS, Composer
from bnbench.launch import LAUNCHERS
from bnbench.norms import NORMS
from bnbench.reports import FORMATS, VIEWS
from bnbench.schema import Known
from bnbench.spec import run_id
from bnbench.study.catalog import SCALES
from tests.budget import slowness
from tests.conftest import Program, make_spec
from tests.products import long

PROGRAM = "import sys; sys.argv[0] = 'bnbench'; from bnbench.cli import main; main()"
"""By the name under which a shell knows it."""
PAGE = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
LOADING = {
    shell: line.replace("\\|", "|")
    for shell, line in re.findall(r"^\| (bash|zsh|fish)\b.*\| `(.*)` \|$", PAGE, flags=re.M)
}
"""By shell, the line that the documents tell to put into its start file."""
CPU_SECONDS = 0.3
"""That an answer may take on a usual machine; twice as much where its cores are shared."""


def path_of_shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} (Debian: {name})")
    return path


def said(folder: Path, *command: str, text: str | None = None) -> str:
    """What a shell prints that finds the program."""
    program = folder / "bnbench"
    if not program.exists():
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{PROGRAM}" "$@"\n')
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bash(folder: Path, line: str) -> list[str]:
    """What bash offers for the end of a line: what stands behind its last =, which it replaces."""
    script = f"""
        source {SCRIPTS / "bash"}
        COMP_LINE=$1 COMP_POINT=${{#1}}
        _bnbench bnbench
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return said(folder, path_of_shell("bash"), "--norc", "--noprofile", "-c", script, "bash", line).split()


def answers(reader: Program, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """What bash would offer, if it asked this process."""
    for name in (INSTRUCTION, LINE, "_TYPER_COMPLETE_FISH_ACTION"):  # the program sets them all
        monkeypatch.setenv(name, line)
    found = [answer.partition("\t")[0] for answer in reader().out.splitlines()]
    word = re.split(r"\s", line)[-1]
    cut = word[: word.rfind("=") + 1] if not word.startswith(("'", '"')) else ""
    return [answer.removeprefix(cut) for answer in found if answer]


def fish(folder: Path, line: str) -> list[str]:
    """What fish offers for the end of a line: whole words, or what it replaces of one."""
    script = f"{LOADING['fish']}; complete -C {shlex.quote(line)}"
    answers = said(folder, path_of_shell("fish"), "--no-config", "-c", script)
    return [answer.partition("\t")[0] for answer in answers.splitlines()]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sw", ["sweep"]),
        ("sweep no", [f"norm{option}=" for option in ("", ".eps", ".momentum", ".affine")]),
        ("sweep norm=ba", ["batch", "batch_instance"]),
        ("sweep norm=batch,gr", ["batch,group"]),
        ("sweep norm=", ["batch", "group", "none"]),
        ("sweep norm=batch mod", ["model=", "model.depth="]),
        ("sweep norm=batch lr_sc", ["lr_scaling=none", "lr_scaling=linear", "lr_scaling=sqrt"]),
        ("sweep 'norm=ba", ["norm=batch", "norm=batch_instance"]),
        ("run norm.affine=b", ["both"]),
        ("run model.name=resnet1", ["resnet101", "resnet152", "resnet18"]),
        ("study show small", ["small_batch"]),
        ("study run small_batch dataset=kmn", ["kmnist"]),
        ("compare gr", ["group"]),
        ("compare batch sync g", ["group", "ghost"]),
        ("compare batch --against l", ["layer", "l1_batch"]),
        ("compare batch --on mnist-", ["mnist-cnn"]),
        ("compare batch --on=digits-", ["digits-cnn"]),
        ("sweep nonsense=x", []),
    ],
)
def test_what_is_offered(
    reader: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, offered: list[str]
) -> None:
    """To bash itself where a word has an equals sign, a comma, a quote or none of them."""
    found = answers(reader, monkeypatch, f"bnbench {line}")
    assert set(offered) <= set(found) if offered else not found
    word = line.split()[-1]
    beginning = word.removeprefix("'") if word.startswith("'") else word.rpartition("=")[2]
    assert all(one.startswith(beginning) for one in found)
    if line in ("sw", "sweep norm=batch,gr", "sweep 'norm=ba", "compare batch --on=digits-", "sweep nonsense=x"):
        monkeypatch.undo()
        assert bash(tmp_path, f"bnbench {line}") == found


RUN = run_id(make_spec("model=mlp"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sweeps of which nothing is trained, one of them damaged, under results/ and elsewhere/."""
    folder = tmp_path_factory.mktemp("completed")
    first = [make_spec(f"norm={norm}", f"batch_size={size}") for norm in ("none", "batch") for size in (8, 32)]
    store.enter_runs(folder / "results/first", first, {}, {})
    store.enter_runs(folder / "results/second", [make_spec("model=mlp"), make_spec("model=cnn")], {}, {})
    store.enter_runs(folder / "elsewhere/third", [make_spec("lr=0.1"), make_spec("lr=0.2")], {}, {})
    store.change_tag(folder / "results/first", [run_id(first[0])], "best")
    store.change_tag(folder / "results/second", [RUN], "odd")
    with (folder / "results/second/tags.csv").open("a") as stream:
        stream.write(f'{RUN},;touch pwned,added,2026\n{RUN},$(pwned),added,2026\n{RUN},"a\x1b[2J",added,2026\n')
    shutil.copytree(folder / "results/first", folder / "results/fine-no-more")
    (folder / "results/fine-no-more/runs.csv").write_text("run_id")
    return folder


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("report ", ["fine-no-more", "first", "second"]),
        ("report first se", ["second"]),
        ("--results elsewhere report ", ["third"]),
        ("report --results elsewhere ", ["third"]),
        (f"show {RUN[:6]}", [RUN]),
        ("sweep --name f", ["fine-no-more", "first"]),
        ("run --name s", ["second"]),
        ("report first --baseline ", ["batch_size=", "norm="]),
        ("report first --baseline norm=", ["batch", "none"]),
        ("report first --baseline norm=n", ["none"]),
        ("report first --baseline=norm=n", ["none"]),
        ("report first --baseline=", ["batch_size=", "norm="]),
        ("report second --baseline m", ["model=cnn", "model=mlp"]),
        ("report fine-no-more --baseline ", []),
        ("report first --view ", list(VIEWS)),
        ("report first --format ", list(FORMATS)),
        ("report first --lr ", ["all", "best"]),
        ("ls first ", ["batch_size=", "fine-no-more", "first", "norm=", "second", "status=", "tag="]),
        ("ls first norm=", ["batch", "none"]),
        ("ls first s", ["second", "status=planned"]),
        ("ls tag=", ["best", "odd"]),
        ("ls first tag=", ["best"]),
        ("tag --remove r1 od", ["odd"]),
        (f"tag {RUN} be", ["best"]),
        ("study show --scale ", list(SCALES)),
        ("study run --scale g", ["gpu"]),
        ("sweep --launcher ", list(LAUNCHERS)),
        ("sweep --lanes ", ["auto", "off"]),
        ("list ", [*listing.GROUPS, "launchers", "probes", "settings", "studies", "tasks"]),
        ("list no", ["norms"]),
        ("completion ", list(SHELL_NAMES)),
    ],
)
def test_names_and_results(
    reader: Program, monkeypatch: pytest.MonkeyPatch, results: Path, line: str, offered: list[str]
) -> None:
    monkeypatch.chdir(results)
    assert sorted(answers(reader, monkeypatch, f"bnbench {line}")) == sorted(offered)
    if line in ("report ", "report first --baseline=norm=n", "--results elsewhere report "):
        monkeypatch.undo()
        assert sorted(bash(results, f"bnbench {line}")) == sorted(offered)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sweep norm=ba", ["norm=batch", "norm=batch_instance"]),
        ("report first --baseline norm=n", ["norm=none"]),
        ("report first --baseline ", ["batch_size=", "norm="]),
        ("sweep --plugin fi", []),
    ],
)
def test_fish(results: Path, line: str, offered: list[str]) -> None:
    assert sorted(fish(results, f"bnbench {line}")) == offered


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("bnbench sw", "bnbench sweep"),
        pytest.param("bnbench sweep norm=batch_i", "bnbench sweep norm=batch_instance", marks=long),
        pytest.param("bnbench sweep schedul", "bnbench sweep schedule", marks=long),
        pytest.param("bnbench report --baseline=x sec", "bnbench report --baseline=x second", marks=long),
        ("bnbench report --out=x sec", "bnbench report --out=x second"),
        ("true && bnbench report sec", "true && bnbench report second"),
        pytest.param("bnbench --results elsewhere report thi", "bnbench --results elsewhere report third", marks=long),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_key_is_pressed(results: Path, shell: str, line: str, completed: str) -> None:
    """In a shell on a terminal, which prints the line that it is left with."""
    start = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[shell]
    load = LOADING[shell]
    if shell == "zsh":
        load = f"autoload -U compinit; compinit -u -D; zstyle ':completion:*' insert-tab false; {load}"
    command = shlex.join([path_of_shell(shell), *start])
    typed = f"{load}\n{line}\t\x01echo '\x05' > said.txt\nexit\n"
    said(results, "script", "-qec", command, "/dev/null", text=typed)
    assert (results / "said.txt").read_text().strip() == completed


@pytest.mark.parametrize(
    "line",
    [
        "",
        "sweep norm=ba",
        pytest.param("sweep ", marks=long),
        pytest.param("compare b", marks=long),
        pytest.param("ls tag=", marks=long),
        pytest.param("report ", marks=long),
        "report first --baseline ",
        pytest.param("study show ", marks=long),
        "show r",
        "list ",
    ],
)
def test_an_answer_needs_no_torch_and_little_time(results: Path, line: str) -> None:
    environment = {**os.environ, "_BNBENCH_COMPLETE": f"bnbench {line}"}
    command = [sys.executable, "-X", "importtime", "-c", PROGRAM]
    seconds, allowed = [math.inf], 2 * CPU_SECONDS * slowness()
    while len(seconds) < 4 and min(seconds) >= allowed:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, cwd=results, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert done.stdout.strip()
    imported = {name.rpartition("|")[2].strip() for name in done.stderr.splitlines()}
    assert "typer" in imported and imported.isdisjoint({"torch", "pandas", "hydra"})
    assert min(seconds) < allowed


@pytest.mark.parametrize("shell", SHELL_NAMES)
def test_the_script_is_printed(reader: Program, shell: str) -> None:
    result = reader("completion", shell)
    assert (result.code, result.err, result.out) == (0, "", (SCRIPTS / shell).read_text())
    done = subprocess.run([path_of_shell(shell), "-n", SCRIPTS / shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_shell_that_there_is_not(reader: Program) -> None:
    result = reader("completion", "bahs")
    assert (result.code, result.out) == (2, "")
    assert "'bahs': there is no such shell; did you mean 'bash'? Allowed: bash, zsh, fish" in " ".join(
        result.err.split()
    )


def test_every_key_is_offered():
    composer = Composer(Known())
    options = {
        f"{group}.{o}"
        for group in GROUPS
        for name in composer.names(group) or ()
        for o in composer.options(group, name)
    }
    keys = {offer.removesuffix("=") for offer in settings("")}
    nested = {"split", "evaluate"}
    assert keys == {*GROUPS, *options} | {key for key in composer.defaults if key not in nested} | {
        f"{head}.{option}" for head in nested for option in composer.defaults[head]
    }
    assert settings("norm=") == [f"norm={name}" for name in sorted(NORMS)]
