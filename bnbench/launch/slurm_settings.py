"""The settings of Slurm jobs, and what Slurm says of them."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnbench.errors import BnbenchError, InvalidRequest, nearest
from bnbench.imports import imported_whole
from bnbench.launch.settings import PREFIX, Settings

CLUSTERS = ("slurm", "local")
WARNING_SECONDS = 90
"""Seconds before its limit of time in which a job is told of it, at most."""
ANSWER_SECONDS = 60
"""Seconds that sbatch has to answer."""


@dataclass(frozen=True)
class SlurmSettings(Settings):
    """The settings of ``--launcher slurm``; see ``conf/launcher/slurm.yaml``."""

    cluster: str
    partition: str | None
    account: str | None
    qos: str | None
    gres: str | None
    constraint: str | None
    time: float = field(metadata={"least": 0.0})
    cpus: int = field(metadata={"least": 1})
    memory: str | None
    setup: str | None
    jobs: int = field(metadata={"least": 1})
    requeues: int = field(metadata={"least": 0})
    array: int = field(metadata={"least": 1})

    @property
    def minutes(self) -> int:
        """The limit of time as Slurm takes it."""
        return max(1, math.ceil(self.time))

    @property
    def warning(self) -> int:
        """Seconds before its limit of time in which a job is told of it: a quarter of it at most."""
        minutes = self.minutes if self.cluster == "slurm" else self.time
        return int(min(WARNING_SECONDS, minutes * 15))

    @property
    def grace(self) -> float:
        """Seconds of these in which runs may write a checkpoint; in the rest the job is put back into the queue."""
        return self.warning * 2 / 3

    @property
    def asked(self) -> Mapping[str, Any]:
        """What is asked of Slurm for a job, by the names of sbatch's options."""
        wishes = {
            "partition": self.partition, "account": self.account, "qos": self.qos, "gres": self.gres,
            "constraint": self.constraint, "mem": self.memory, "time": self.minutes, "cpus-per-task": self.cpus,
        }  # fmt: skip
        return {name: value for name, value in wishes.items() if value is not None}


def slurm_problems(settings: SlurmSettings) -> Sequence[str]:
    """The reasons why no job can be submitted, as far as one look tells."""
    try:
        imported_submitit()
    except BnbenchError as error:
        return [str(error)]
    if settings.cluster not in CLUSTERS:
        return [f"{PREFIX}cluster={settings.cluster}: unknown; {nearest(settings.cluster, CLUSTERS)}"]
    missing = [command for command in ("sbatch", "srun") if shutil.which(command) is None]
    if settings.cluster == "slurm" and missing:
        remedy = f"give the command where Slurm's commands are; {PREFIX}cluster=local tries it with processes instead"
        return [f"--launcher slurm: there is no {' and no '.join(missing)} here; {remedy}"]
    return []


def imported_submitit() -> Any:
    """submitit, which must be installed.

    Raises:
        InvalidRequest: it is not.
    """
    try:
        imported_whole("submitit")
        import submitit
    except ModuleNotFoundError as error:
        raise InvalidRequest(["--launcher slurm needs submitit: pip install 'bnbench[slurm]'"]) from error
    return submitit


def check_accepted(settings: SlurmSettings) -> None:
    """Ask Slurm whether it would take such a job; nothing is submitted.

    Raises:
        BnbenchError: it would not; the message is Slurm's.
    """
    if settings.cluster != "slurm":
        return
    words = ["sbatch", "--test-only", *(f"--{name}={value}" for name, value in settings.asked.items()), "--wrap=true"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BnbenchError(f"--launcher slurm: sbatch does not answer: {error}") from error
    if said.returncode != 0:
        raise BnbenchError(refusal(said.stderr or said.stdout))


def refusal(said: str) -> str:
    """A refusal of sbatch in one sentence."""
    lines = [line.rpartition("error: ")[2].strip().rstrip(".") for line in said.splitlines() if "error:" in line]
    return f"--launcher slurm: sbatch refuses: {'; '.join(dict.fromkeys(lines)) or ' '.join(said.split())}"
