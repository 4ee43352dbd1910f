"""Machines that lack data are sent them, where they are here; what cannot be sent or written is said by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench import session
from bnbench.errors import InvalidRequest
from bnbench.launch import Done, Site
from bnbench.session import survey
from bnbench.session.survey import Machine, Visit, check_machines, examine, receive


@dataclass
class Elsewhere:
    """A machine on which each path is another folder's; it does what it is asked by the functions for machines."""

    root: Path

    def __call__(
        self, function: Callable[[Any], Any], task: Any, only: Collection[str] | None = None
    ) -> list[tuple[str, Done]]:
        value = function(self._moved(task))
        if isinstance(value, Machine):
            there = {self.there(path): path for path in (task.files if isinstance(task, Visit) else ())}
            value = replace(value, missing=tuple(there[path] for path in value.missing))
        return [("other", Done(0, value))]

    def there(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    def _moved(self, task: Any) -> Any:
        if isinstance(task, Visit):
            return replace(task, files=self._files(task.files))
        return self._files(task)

    def _files(self, files: Mapping[Path, Any]) -> dict[Path, Any]:
        return {self.there(path): content for path, content in files.items()}


@pytest.fixture
def plan(tmp_path: Path) -> session.Plan:
    """Runs on a user's arrays."""
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", x=images, y=np.arange(60) % 2)
    words = ["dataset=npz", f"dataset.path={tmp_path / 'mine.npz'}", "model=mlp", "norm=none", "batch_size=8"]
    return session.plan_sweep(session.Grid(words), "s", session.Paths(tmp_path / "results", tmp_path / "data"))


def test_data_that_are_missing_are_sent_once(plan: session.Plan, tmp_path: Path) -> None:
    elsewhere, file = Elsewhere(tmp_path / "other"), tmp_path / "mine.npz"
    check_machines(plan, Site(None, ask_each=elsewhere))  # type: ignore[arg-type]
    assert elsewhere.there(file).read_bytes() == file.read_bytes()
    before = elsewhere.there(file).stat().st_mtime_ns
    check_machines(plan, Site(None, ask_each=elsewhere))  # type: ignore[arg-type]
    assert elsewhere.there(file).stat().st_mtime_ns == before
    assert [path.name for path in elsewhere.there(file).parent.iterdir()] == ["mine.npz"]


@pytest.mark.parametrize(
    ("obstacle", "says"),
    [
        ("other file", "mine.npz is another file there; copy the one from here, or remove it"),
        ("no folder", "cannot be written there (File exists); copy it there"),
        ("too large", "GiB, such as"),
    ],
)
def test_data_that_cannot_be_sent(
    plan: session.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str, says: str
) -> None:
    elsewhere = Elsewhere(tmp_path / "other")
    there = elsewhere.there(tmp_path / "mine.npz")
    match obstacle:
        case "other file":
            there.parent.mkdir(parents=True)
            there.write_bytes(b"another")
        case "no folder":
            there.parent.parent.mkdir(parents=True)
            there.parent.touch()
        case "too large":
            monkeypatch.setattr(survey, "MOST_BYTES", 100)
    with pytest.raises(InvalidRequest, match="node other: ") as refused:
        check_machines(plan, Site(None, ask_each=elsewhere))  # type: ignore[arg-type]
    assert says in str(refused.value)


def test_a_machine_tells_of_itself() -> None:
    machine = examine(Visit(None, {Path("/nowhere/at/all"): 3}))
    assert machine.missing == (Path("/nowhere/at/all"),) and not machine.problem
    assert set(machine.versions) == {"python", "bnbench", "torch"} and all(machine.versions.values())
    assert receive({}) == ""
