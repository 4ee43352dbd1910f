"""The plain script under Hydra's ``--multirun`` with the joblib launcher: as many runs at a time as there are cores."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig

from benchmarks.cells import Job
from benchmarks.peers.plain import train


@hydra.main(version_base=None, config_path=None)
def main(config: DictConfig) -> None:
    """One run of the multirun; its times go into a file."""
    torch.set_num_threads(1)
    times = train(Job.read(config.job))
    Path(config.times, f"{config.seed}-{os.getpid()}.json").write_text(json.dumps(asdict(times)))


if __name__ == "__main__":
    main()
