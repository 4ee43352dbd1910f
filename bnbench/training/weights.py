"""Trained weights as the bytes of a safetensors file, and back: those of ordinary layers, whatever trained them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from bnbench.data import Data
from bnbench.errors import BnbenchError
from bnbench.norms.common.copying import copied
from bnbench.norms.common.reparametrization import (
    ReparametrizedConv2d,
    ReparametrizedLinear,
    with_applied_weight,
)
from bnbench.spec import RunSpec, as_tree, run_id


class NoTensor(BnbenchError):
    """A network keeps something that is no tensor in its state, or one that has no place in a file."""


class Unreadable(BnbenchError):
    """The bytes are not those of such a file."""


@dataclass(frozen=True)
class Weights:
    """The weights of a trained network.

    Attributes:
        identity: run_id of its run.
        spec: digest of its spec, see :func:`digest_of_spec`.
        shape: channels, height and width of the images that it takes.
        classes: number of its outputs.
        tensors: parameters and buffers by their names in :func:`ordinary`, on the CPU, in the type of training.
    """

    identity: str
    spec: str
    shape: tuple[int, int, int]
    classes: int
    tensors: Mapping[str, Tensor]


@dataclass
class WeightSaver:
    """Writes the weights of networks that have been trained.

    Attributes:
        write: takes a run_id and the bytes of its file.
        tell: is told why a network has none.
        data: of each run.
        seconds: that this has taken so far.
    """

    write: Callable[[str, bytes], None]
    tell: Callable[[RunSpec, str], None]
    data: Mapping[RunSpec, Data]
    seconds: float = 0.0

    def __call__(self, spec: RunSpec, network: nn.Module) -> None:
        """Write the weights of a network as it is; it is left so."""
        start = time.monotonic()
        try:
            tensors = state_of(network)
        except NoTensor as error:
            self.tell(spec, f"its weights are not saved: {error}")
        else:
            data = self.data[spec]
            weights = Weights(run_id(spec), digest_of_spec(spec), data.shape, data.classes, tensors)
            self.write(weights.identity, encode(weights))
        self.seconds += time.monotonic() - start


def ordinary(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, in which each computed weight is a parameter with the value that evaluation takes.

    What computes weights goes: the layers of norms that act on weights, and torch's parametrizations.
    """
    network = copied(network).eval()
    for path, layer in list(network.named_modules()):
        if isinstance(layer, ReparametrizedConv2d | ReparametrizedLinear):
            network.set_submodule(path, with_applied_weight(layer))
        elif is_parametrized(layer):
            _remove_parametrizations(layer)
    return network


def _remove_parametrizations(layer: nn.Module) -> None:
    """Put the values of a layer's parametrizations into its parameters, and leave alone the layer that it is a copy of.

    torch makes a class for each layer with parametrizations, which its copies share, and takes them from that class.
    """
    shared = type(layer)
    parts = {name: part for name, part in vars(shared).items() if name not in ("__dict__", "__weakref__")}
    layer.__class__ = type(shared.__name__, shared.__bases__, parts)
    for name in list(layer.parametrizations):  # type: ignore[arg-type]
        remove_parametrizations(layer, name)


def state_of(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network's state as :func:`ordinary` has it, on the CPU, sharing memory with nothing.

    Raises:
        NoTensor: there is something in it that no file takes.
    """
    state: Mapping[str, Any] = ordinary(network).state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
            raise NoTensor(f"{name} is a {type(value).__name__} and must be a dense tensor")
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}


def digest_of_spec(spec: RunSpec) -> str:
    """SHA-256 of a spec, whatever version of bnbench reads it."""
    return hashlib.sha256(json.dumps(as_tree(spec), sort_keys=True).encode()).hexdigest()


def encode(weights: Weights) -> bytes:
    """The bytes of the file of some weights."""
    facts = {
        "run_id": weights.identity,
        "spec": weights.spec,
        "shape": "x".join(map(str, weights.shape)),
        "classes": str(weights.classes),
        "digest": _digest(weights),
        "version": version("bnbench"),
    }
    return save({**weights.tensors}, facts)


def decode(content: bytes) -> Weights:
    """The weights in the bytes of a file.

    Raises:
        Unreadable: they are not as they were written.
    """
    try:
        tensors = load(content)
        facts = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        channels, height, width = map(int, facts["shape"].split("x"))
        weights = Weights(facts["run_id"], facts["spec"], (channels, height, width), int(facts["classes"]), tensors)
        expected = facts["digest"]
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"it holds no weights that can be read ({' '.join(str(error).split())})") from error
    if _digest(weights) != expected:
        raise Unreadable("its content is not what was written")
    return weights


def _digest(weights: Weights) -> str:
    """SHA-256 of all that a file holds."""
    digest = hashlib.sha256(repr((weights.identity, weights.spec, weights.shape, weights.classes)).encode())
    for name, tensor in sorted(weights.tensors.items()):
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
