"""A user's file, and its layers when they are made, change no mode, flag or random state of what else is trained."""

import csv
import decimal
import gc
import locale
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.global_state import preserved_global_state
from bnbench.training import prepare_process
from tests.conftest import Program, load_data

CHANGES = {
    "default_dtype": "torch.set_default_dtype(torch.float64)",
    "grad": "torch.set_grad_enabled(False)",
    "inference": "mode = torch.inference_mode()\nmode.__enter__()\nKEPT.append(mode)",
    "default_device": "torch.set_default_device('meta')",
    "device_entered": "torch.device('meta').__enter__()",
    "deterministic": "torch.use_deterministic_algorithms(True, warn_only=True)",
    "matmul_precision": "torch.set_float32_matmul_precision('medium')",
    "fp32_precision": "torch.backends.fp32_precision = 'tf32'",
    "convolutions": "torch.backends.mkldnn.conv.fp32_precision = 'bf16'",
    "cudnn_tf32": "torch.backends.cudnn.allow_tf32 = True",
    "cublas_tf32": "torch.backends.cuda.matmul.allow_tf32 = True",
    "cudnn": "torch.backends.cudnn.benchmark = True\ntorch.backends.cudnn.deterministic = False",
    "mkldnn": "torch.backends.mkldnn.enabled = False",
    "nnpack": "torch.backends.nnpack.set_flags(False)",
    "attention": "torch.backends.cuda.enable_flash_sdp(False)\ntorch.backends.mha.set_fastpath_enabled(False)",
    "threads": "torch.set_num_threads(2)",
    "anomaly": "torch.autograd.set_detect_anomaly(True)",
    "denormals": "torch.set_flush_denormal(False)",
    "seed": "torch.manual_seed(1)",
    "autocast": "torch.autocast('cpu', torch.bfloat16).__enter__()",
    "autocast_enabled": "torch.set_autocast_enabled('cpu', True)",
    "hooks": "torch.nn.modules.module.register_module_forward_hook(lambda layer, x, y: y * 2)",
    "conversion": "torch.__future__.set_overwrite_module_params_on_conversion(True)",
    "torch_printed": "torch.set_printoptions(precision=1)",
    "numpy_errors": "np.seterr(all='raise')",
    "numpy_seed": "np.random.seed(1)",
    "numpy_generator": "np.random.set_bit_generator(np.random.PCG64(1))",
    "numpy_printed": "np.set_printoptions(precision=1)",
    "python_seed": "random.seed(1)",
    "warnings": "warnings.simplefilter('ignore')",
    "environment": "os.environ['BNBENCH_NATIVE'] = 'off'\nos.environ.pop('PATH')",
    "folder": "os.chdir('/')",
    "recursion": "sys.setrecursionlimit(5000)",
    "locale": "locale.setlocale(locale.LC_ALL, 'C.UTF-8')",
    "decimal": "decimal.getcontext().prec = 3",
    "garbage": "gc.disable()\ngc.set_threshold(1)",
    "signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "output": "sys.stdout = sys.stderr = io.StringIO()",
}
HEAD = """
import decimal, gc, io, locale, os, random, signal, sys, warnings
import numpy as np, torch
from torch import nn

KEPT = []

class Gain(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_features))

    def forward(self, x):
        return x * self.gain.view(1, -1, *[1] * (x.dim() - 2))
"""
SMALL = ("model=mlp", "model.width=8", "model.depth=1", "epochs=1", "batch_size=256")


def at_import(*changes: str) -> str:
    return "\n".join([HEAD, *changes, "NORMS = {'gain': Gain}"])


def in_a_layer(*changes: str) -> str:
    lines = [f"        {line}" for change in changes for line in change.split("\n")]
    made = ["class Changes(Gain):", "    def __init__(self, num_features: int) -> None:"]
    return "\n".join([HEAD, *made, "        super().__init__(num_features)", *lines, "NORMS = {'gain': Changes}"])


PRECISIONS = [
    torch.get_float32_matmul_precision,
    lambda: torch.backends.fp32_precision,
    lambda: torch.backends.mkldnn.conv.fp32_precision,
    lambda: torch.backends.mkldnn.matmul.fp32_precision,
    lambda: torch.backends.cudnn.allow_tf32,
    lambda: torch.backends.cuda.matmul.allow_tf32,
]


def readable(read: Callable[[], object]) -> object:
    """A setting, or what torch says if it contradicts another one."""
    try:
        return read()
    except RuntimeError as error:
        return str(error)


def state() -> dict[str, object]:
    """What a change can be seen in, read in ways of its own."""
    backends = torch.backends
    modes = (torch.get_default_dtype(), torch.empty(0).device, torch.is_grad_enabled())
    tensor = torch.ones(1, requires_grad=True) * 2
    return {
        "modes": (*modes, torch.is_inference_mode_enabled(), tensor.is_inference(), tensor.requires_grad),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.get_deterministic_debug_mode()),
        "products": [readable(read) for read in PRECISIONS],
        "backends": (backends.cudnn.benchmark, backends.cudnn.deterministic, backends.mkldnn.enabled),
        "nnpack": torch._C._get_nnpack_enabled(),
        "attention": (backends.cuda.flash_sdp_enabled(), backends.mha.get_fastpath_enabled()),
        "threads": torch.get_num_threads(),
        "anomaly": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "denormals": (torch.full((1,), 1e-38, device="cpu") * 0.01).item(),
        "torch_random": bytes(torch.get_rng_state().numpy()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.autocast_increment_nesting()),
        "autocast_left": torch.autocast_decrement_nesting(),
        "hooks": torch.nn.Identity()(torch.ones(1, device="cpu")).item(),
        "conversion": torch.__future__.get_overwrite_module_params_on_conversion(),
        "printed": (repr(torch.tensor(1 / 3, device="cpu", dtype=torch.float32)), repr(np.array([1 / 3]))),
        "numpy": (np.geterr(), np.random.get_bit_generator(), str(np.random.get_state(legacy=False))),
        "python_random": random.getstate(),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "recursion": sys.getrecursionlimit(),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": decimal.getcontext().prec,
        "garbage": (gc.isenabled(), gc.get_threshold()),
        "signals": signal.getsignal(signal.SIGTERM),
        "output": (sys.stdout, sys.stderr),
    }


@pytest.fixture(autouse=True)
def _as_in_a_worker():
    with preserved_global_state():
        prepare_process()
        yield


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_would_be_seen(change):
    """The test's own readings tell every change of the table, so that the others cannot pass by looking away."""
    before = state()
    with preserved_global_state():
        exec(HEAD + CHANGES[change], {})
        changed = state()
    assert changed != before
    assert state() == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_plugin_changes_nothing_when_it_is_executed(tmp_path, change):
    path = tmp_path / "plugin.py"
    path.write_text(at_import(CHANGES[change]))
    before = state()
    components(path)
    assert state() == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_plugin_changes_nothing_when_it_fails(tmp_path, change):
    path = tmp_path / "plugin.py"
    path.write_text(at_import(CHANGES[change], "1 / 0"))
    before = state()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        components(path)
    assert state() == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_layer_changes_nothing_when_it_is_made(tmp_path, change):
    path = tmp_path / "plugin.py"
    path.write_text(in_a_layer(CHANGES[change]))
    parts = components(path)
    (spec,) = compose_request(["norm=gain", *SMALL], parts).specs
    data = load_data(spec)
    before = state()
    parts.build(spec, data)
    assert state() == before


def test_what_is_added_to_the_search_path_hides_nothing(tmp_path):
    (tmp_path / "hidden").mkdir()
    path = tmp_path / "plugin.py"
    path.write_text(at_import(f"sys.path.insert(0, {str(tmp_path / 'hidden')!r})"))
    before = list(sys.path)
    components(path)
    assert sys.path == [*before, str(tmp_path / "hidden")]


def metrics_of_batch(folder: Path) -> list[dict[str, str]]:
    with (folder / "runs.csv").open() as stream:
        known = {row["run_id"] for row in csv.DictReader(stream) if row["norm"] == "batch" and row["test_accuracy"]}
    with (folder / "metrics.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["run_id"] in known]
    assert rows
    return sorted(rows, key=lambda row: (row["run_id"], int(row["step"])))


@pytest.mark.parametrize("write", [at_import, in_a_layer], ids=["at_import", "in_a_layer"])
@pytest.mark.parametrize("launcher", [("--launcher", "inline"), ("--jobs", "2")], ids=["inline", "workers"])
def test_a_built_in_norm_beside_a_plugin_has_the_numbers_that_it_has_alone(
    program: Program, tmp_path: Path, launcher, write
):
    """All changes in one file."""
    (tmp_path / "plugin.py").write_text(write(*CHANGES.values()))
    words = ("sweep", *launcher, *SMALL, "seed=0,1")
    assert program(*words, "--name", "alone", "norm=batch").code == 0
    result = program(*words, "--name", "beside", "--plugin", "plugin.py", "norm=batch,gain")
    assert result.code == 0, result.out + result.err
    assert metrics_of_batch(tmp_path / "results/beside") == metrics_of_batch(tmp_path / "results/alone")
