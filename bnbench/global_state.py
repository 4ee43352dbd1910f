"""State that all code of a process shares, in torch, numpy and Python: a user's code changes it for itself only.

A run's identity names the user's file only if the run uses it, so the file must not change what others compute.
"""

from __future__ import annotations

import decimal
import gc
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.overrides
import torch.utils._device
from torch.nn.modules import module as torch_modules

torch_any: Any = torch  # for what it has no public name for
torch_c: Any = torch._C
numpy_random: Any = np.random  # whose stubs lack some names


class Setting(NamedTuple):
    """One piece of state; it is written back only where it is not equal to what was read before."""

    read: Callable[[], Any]
    write: Callable[[Any], Any]


class GeneratorStates(NamedTuple):
    """States of the global generators of random numbers: torch's on the CPU and on GPUs, Python's and numpy's.

    Those of Python and numpy are empty where only torch's were asked for.
    """

    torch: torch.Tensor
    cuda: list[torch.Tensor]
    python: tuple[Any, ...]
    numpy: dict[str, Any]


def generator_states(torch_only: bool = False) -> GeneratorStates:
    """The states as they are now; there are none of GPUs as long as nobody uses one."""
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    python, numbers = ((), {}) if torch_only else (random.getstate(), numpy_random.get_state(legacy=False))
    return GeneratorStates(torch.get_rng_state(), on_gpus, python, numbers)


def set_generator_states(states: GeneratorStates) -> None:
    """Let the global generators go on from some states."""
    torch.set_rng_state(states.torch)
    for index, state in enumerate(states.cuda):
        torch.cuda.set_rng_state(state, index)
    if states.python:
        random.setstate(states.python)
        np.random.set_state(states.numpy)


def advanced(before: GeneratorStates, after: GeneratorStates) -> tuple[str, ...]:
    """Whose generators were drawn from, or seeded, in between: ``torch``, ``Python``, ``numpy``."""
    tensors = zip([before.torch, *before.cuda], [after.torch, *after.cuda], strict=False)
    moved = {
        "torch": not all(one is other or torch.equal(one, other) for one, other in tensors),
        "Python": before.python != after.python,
        "numpy": not _same(before.numpy, after.numpy),
    }
    return tuple(name for name, has in moved.items() if has)


def _same(one: Any, other: Any) -> bool:
    """True if two states of numpy are equal, which are dictionaries of numbers and arrays."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    return np.array_equal(one, other)


def plain_states(states: GeneratorStates) -> dict[str, Any]:
    """States as tensors, numbers and texts; :func:`states_of_plain` has them back."""
    return {**states._asdict(), "numpy": _plain(states.numpy)}


def states_of_plain(plain: Mapping[str, Any]) -> GeneratorStates:
    """See :func:`plain_states`."""
    return GeneratorStates(**{**plain, "numpy": _of_plain(plain["numpy"])})


def _plain(value: Any) -> Any:
    """A state of numpy with its arrays as pairs of a type and a tensor."""
    match value:
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case np.ndarray():
            return value.dtype.str, torch.from_numpy(value.astype(np.int64))
        case np.generic():
            return value.item()
        case _:
            return value


def _of_plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _of_plain(part) for name, part in value.items()}
        case (str(kind), torch.Tensor() as numbers):
            return numbers.numpy().astype(kind)
        case _:
            return value


@contextmanager
def seeded_generators(seed: int, torch_only: bool = False) -> Iterator[None]:
    """Seed the global generators within a block, and let them go on afterwards as if it had not been there.

    Args:
        torch_only: leave those of Python and numpy alone.
    """
    states = generator_states(torch_only)
    torch.default_generator.manual_seed(seed)
    if states.cuda:
        torch.cuda.manual_seed_all(seed)
    if not torch_only:
        random.seed(seed)
        np.random.seed([seed >> 32, seed & 0xFFFFFFFF])
    try:
        yield
    finally:
        set_generator_states(states)


@contextmanager
def preserved_global_state() -> Iterator[None]:
    """Give torch, numpy and Python their modes, flags and random states back after a block.

    That is all of :data:`SETTINGS`, the filters of warnings, gradient and inference mode, and the global generators.
    What a block adds to ``sys.path`` stays, but behind all else, where it hides no other module.
    """
    states, bit_generator, search = generator_states(), numpy_random.get_bit_generator(), list(sys.path)
    before = [_read(setting) for setting in SETTINGS]
    gradients = torch.is_grad_enabled()
    try:
        with warnings.catch_warnings(), torch.inference_mode(torch.is_inference_mode_enabled()):
            torch.set_grad_enabled(gradients)
            yield
    finally:
        for setting, value in zip(SETTINGS, before, strict=True):
            if value is not UNREADABLE and _read(setting) != value:
                setting.write(value)
        sys.path[:] = [*search, *(entry for entry in sys.path if entry not in search)]
        numpy_random.set_bit_generator(bit_generator)
        set_generator_states(states)


UNREADABLE = object()
"""Stands for what cannot be read, as the current folder once it is gone, or flags of torch that contradict another."""


def _read(setting: Setting) -> Any:
    try:
        return setting.read()
    except (OSError, RuntimeError):
        return UNREADABLE


def _attributes(owner: Any, *names: str) -> list[Setting]:
    return [Setting(partial(getattr, owner, name), partial(setattr, owner, name)) for name in names]


def _mapping(mapping: MutableMapping[Any, Any]) -> Setting:
    """The items of a mapping."""

    def write(before: dict[Any, Any]) -> None:
        for key in mapping.keys() - before.keys():
            del mapping[key]
        for key, value in before.items():
            if key not in mapping or mapping[key] is not value:
                mapping[key] = value

    return Setting(lambda: dict(mapping), write)


Modes = tuple[list[Any], Any, Any]


def _modes() -> Modes:
    """The modes of ``with torch.device(...)`` and its like, and the device of ``torch.set_default_device``."""
    default = getattr(torch_any._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return torch_any.overrides._get_current_function_mode_stack(), default, torch_any.utils._device.CURRENT_DEVICE


def _set_modes(before: Modes) -> None:
    modes, default, device = before
    for _ in _modes()[0]:
        torch_any.overrides._pop_mode()
    for mode in modes:
        torch_any.overrides._push_mode(mode)
    torch_any._GLOBAL_DEVICE_CONTEXT.device_context, torch_any.utils._device.CURRENT_DEVICE = default, device


def _flushes_denormals() -> bool:
    return sys.float_info.min * 0.5 == 0


def _autocast_nesting() -> int:
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _set_autocast_nesting(count: int) -> None:
    """Leave autocast; weights that it has cast are stale after the next step."""
    while _autocast_nesting() > count:
        torch.autocast_decrement_nesting()
    torch.clear_autocast_cache()


def _autocast(device: str) -> list[Setting]:
    return [
        Setting(lambda: torch.is_autocast_enabled(device), lambda value: torch.set_autocast_enabled(device, value)),
        Setting(lambda: torch.get_autocast_dtype(device), lambda value: torch.set_autocast_dtype(device, value)),
    ]


def _precision(backend: str, operation: str) -> Setting:
    """The rounding of float32 that an operation of a backend may take."""
    return Setting(
        lambda: torch_c._get_fp32_precision_getter(backend, operation),
        lambda value: torch_c._set_fp32_precision_setter(backend, operation, value),
    )


def _set_handlers(before: dict[signal.Signals, Any]) -> None:
    if threading.current_thread() is threading.main_thread():  # no other may set any
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _products() -> Iterable[Setting]:
    """The precision of products. One way of setting it changes the others, so some are looked at twice."""
    settings = [
        _precision(backend, operation)
        for backend, operations in {"generic": ["all"], "cuda": ["all", "matmul", "conv", "rnn"]}.items()
        for operation in operations
    ]
    settings += [_precision("mkldnn", operation) for operation in ("all", "matmul", "conv", "rnn")]
    yield from settings
    yield from _attributes(torch.backends.cudnn, "allow_tf32")
    yield from _attributes(torch.backends.cuda.matmul, "allow_tf32")
    yield Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
    yield from settings


CUDA = torch.backends.cuda
HOOKS = [
    value for name, value in vars(torch_modules).items() if name.startswith("_global_") and isinstance(value, dict)
]

SETTINGS: tuple[Setting, ...] = (
    Setting(torch.get_default_dtype, torch.set_default_dtype),
    Setting(_modes, _set_modes),
    Setting(
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
    ),
    *_attributes(torch.utils.deterministic, "fill_uninitialized_memory"),
    Setting(torch.get_num_threads, torch.set_num_threads),
    Setting(
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda value: torch.set_anomaly_enabled(*value),
    ),
    Setting(torch.is_warn_always_enabled, torch.set_warn_always),
    Setting(_flushes_denormals, torch.set_flush_denormal),
    *_autocast("cpu"),
    *_autocast("cuda"),
    Setting(torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    Setting(_autocast_nesting, _set_autocast_nesting),
    *_products(),
    *_attributes(torch.backends.cudnn, "enabled", "deterministic", "benchmark", "benchmark_limit"),
    *_attributes(torch.backends.mkldnn, "enabled", "deterministic"),
    *_attributes(torch.backends.opt_einsum, "enabled", "strategy"),
    *_attributes(
        CUDA.matmul,
        *(
            "allow_fp16_accumulation",
            "allow_fp16_reduced_precision_reduction",
            "allow_bf16_reduced_precision_reduction",
        ),
    ),
    Setting(CUDA.flash_sdp_enabled, CUDA.enable_flash_sdp),
    Setting(CUDA.mem_efficient_sdp_enabled, CUDA.enable_mem_efficient_sdp),
    Setting(CUDA.math_sdp_enabled, CUDA.enable_math_sdp),
    Setting(CUDA.cudnn_sdp_enabled, CUDA.enable_cudnn_sdp),
    Setting(CUDA.preferred_linalg_library, CUDA.preferred_linalg_library),
    Setting(torch_c._get_nnpack_enabled, torch_c._set_nnpack_enabled),
    Setting(torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
    Setting(
        torch.__future__.get_overwrite_module_params_on_conversion,
        torch.__future__.set_overwrite_module_params_on_conversion,
    ),
    Setting(
        torch.__future__.get_swap_module_params_on_conversion, torch.__future__.set_swap_module_params_on_conversion
    ),
    _mapping(vars(torch._tensor_str.PRINT_OPTS)),
    *map(_mapping, HOOKS),
    Setting(np.geterr, lambda value: np.seterr(**value)),
    Setting(np.geterrcall, np.seterrcall),
    Setting(np.get_printoptions, lambda value: np.set_printoptions(**value)),
    Setting(lambda: decimal.getcontext().copy(), decimal.setcontext),
    Setting(lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    Setting(sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    *_attributes(sys, "stdout", "stderr", "excepthook", "dont_write_bytecode"),
    _mapping(os.environ),
    Setting(os.getcwd, os.chdir),
    Setting(lambda: {number: signal.getsignal(number) for number in signal.valid_signals()}, _set_handlers),
    Setting(gc.isenabled, lambda value: gc.enable() if value else gc.disable()),
    Setting(gc.get_threshold, lambda value: gc.set_threshold(*value)),
)
