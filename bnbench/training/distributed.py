"""One process of a run that is trained by several, each with its part of every batch.

Legend: B examples of a whole batch, P positions of an epoch.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn

from bnbench.data import Data, Draws
from bnbench.norms.common.copying import copied
from bnbench.norms.common.processes import apart
from bnbench.spec import RunSpec, stream
from bnbench.training.forward import dtype_of, forward
from bnbench.training.randomness import GlobalStream

PATIENCE = timedelta(days=100)
"""How long a process waits for the others: an evaluation may take any time, and one that ends is told otherwise."""
if TYPE_CHECKING:
    from torch._C._distributed_c10d import TCPStore

HOME = "127.0.0.1"
"""This machine, as its own processes reach it."""


@dataclass(frozen=True)
class Member:
    """A process among those that train a run; a run on one device has one, which is alone.

    Attributes:
        rank: from 0; the first one evaluates.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def layers_seed(self, seed: int) -> int:
        """The seed of what layers draw in training; each process draws other numbers."""
        return stream(seed, "layers", *([str(self.rank)] if self.rank else []))

    def part(self, draws: Draws, batch_size: int) -> Draws:
        """Its positions of an epoch: the same part of each batch, in order.

        A smaller batch at the end is shared out as evenly as may be, the first processes taking more.

        Args:
            draws: of P positions.
            batch_size: B, a multiple of the number of processes.
        """
        if self.size == 1:
            return draws
        position_P = torch.arange(len(draws.order), device=draws.order.device)
        whole = len(position_P) - len(position_P) % batch_size
        mine = position_P[:whole].view(-1, self.size, batch_size // self.size)[:, self.rank].flatten()
        rest = torch.tensor_split(position_P[whole:], self.size)[self.rank]
        index = torch.cat([mine, rest])
        return draws.each(lambda values: values[index])

    def joined(self, spec: RunSpec, network: nn.Module, data: Data) -> nn.Module:
        """A network whose gradients are the mean of those of all processes, and whose buffers are the first one's."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(
            network, find_unused_parameters=_leaves_parameters_out(spec, network, data)
        )

    def together(self, loss: Tensor, right: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
        """The mean loss, the right answers and the examples of the whole batch, from those of its part."""
        if self.size == 1:
            return loss, right, count
        sums = torch.stack([loss.double() * count, right.double(), torch.tensor(count).to(loss).double()])
        distributed.all_reduce(sums)
        return sums[0] / sums[2], sums[1].long(), int(sums[2].item())

    def weighted(self, loss: Tensor, count: int, whole: int) -> Tensor:
        """The mean loss of a part, with the weight by which the mean over the processes is that of the whole batch."""
        return loss if count * self.size == whole else loss * (count * self.size / whole)

    def told(self, find: Callable[[], tuple[float, float]], device: torch.device) -> tuple[float, float]:
        """Two numbers that the first process alone finds."""
        if self.size == 1:
            return find()
        values = torch.zeros(2, dtype=torch.float64, device=device)
        if self.rank == 0:
            with apart():
                values += torch.tensor(find(), dtype=torch.float64, device=device)
        distributed.broadcast(values, 0)
        first, second = values.tolist()
        return first, second


ALONE = Member()


def _leaves_parameters_out(spec: RunSpec, network: nn.Module, data: Data) -> bool:
    """True if the outputs of a network do not depend on each trained parameter, for which others must not wait."""
    trial = copied(network)
    x_NCHW = torch.zeros(max(2, spec.part(spec.batch_size)), *data.shape, dtype=dtype_of(spec), device=data.device)
    with apart(), GlobalStream(0, data.device):
        logits = forward(spec, trial, x_NCHW)
    trained = [parameter for parameter in trial.parameters() if parameter.requires_grad]
    return any(gradient is None for gradient in torch.autograd.grad(logits.sum(), trained, allow_unused=True))


def meeting() -> TCPStore:
    """A place where the processes of a run find each other, on this machine alone; it is there as long as the object.

    Its ``port`` is what they must know.
    """
    with socket.create_server((HOME, 0)) as server:
        port = server.getsockname()[1]
        return distributed.TCPStore(  # type: ignore[attr-defined]
            HOME, port, is_master=True, wait_for_workers=False, master_listen_fd=server.detach()
        )


def join(member: Member, port: int, device: torch.device) -> None:
    """Have this process be one of those that train a run; it is until it ends.

    Args:
        port: of their :func:`meeting`.
        device: on which the process trains.
    """
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # nobody else is to reach it
    backend = "nccl" if device.type == "cuda" else "gloo"
    store = distributed.TCPStore(HOME, port, is_master=False)  # type: ignore[attr-defined]
    distributed.init_process_group(backend, store=store, rank=member.rank, world_size=member.size, timeout=PATIENCE)
