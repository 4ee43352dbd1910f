"""A recorder for the CPU: what a CUDA graph is on a GPU.

It keeps every operation with its tensors and numbers and does exactly that again, so that a number of Python that
changes from step to step is frozen in it as it would be in a CUDA graph; and like there, reading a value is an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class Tape(TorchDispatchMode):
    """A recorder.

    Attributes:
        recorded: how many recordings of steps were begun.
        played: how many playbacks of them were done.
        evaluations_recorded, evaluations_played: of what computes no gradients.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recorded = self.played = self.evaluations_recorded = self.evaluations_played = 0
        self._calls: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self._before: dict[int, tuple[UntypedStorage, UntypedStorage]] = {}
        self._made: set[int] = set()

    def stream(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def rehearsal(self) -> Iterator[list[str]]:
        yield []

    def record(self, body: Callable[[], object]) -> Callable[[], None]:
        steps = torch.is_grad_enabled()
        self.recorded += steps
        self.evaluations_recorded += not steps
        self._calls, self._before, self._made = [], {}, set()
        try:
            with self:
                body()
        finally:  # as if nothing had been done
            for storage, value in self._before.values():
                storage.copy_(value)
        calls = self._calls

        @torch.no_grad()
        def play() -> None:
            self.played += steps
            self.evaluations_played += not steps
            for function, arguments, named, outputs in calls:
                again = list(_tensors(function(*arguments, **named)))
                for output, value in zip(outputs, again, strict=True) if outputs else ():
                    output.copy_(value)

        return play

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if function is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        for tensor in _tensors((args, named)):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._made | self._before.keys():
                self._before[storage.data_ptr()] = storage, storage.clone()
        result = function(*args, **named)
        new = all(output.alias_info is None for output in function._schema.returns)  # no view, and not done in place
        outputs = list(_tensors(result)) if new else []
        self._made.update(output.untyped_storage().data_ptr() for output in outputs)
        self._calls.append((function, *tree_map_only(Tensor, Tensor.detach, (args, named, outputs))))
        return result


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
