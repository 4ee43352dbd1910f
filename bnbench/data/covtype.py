"""Forest cover types, as the UCI repository keeps them. N cells of forest, F = 54 features."""

from __future__ import annotations

import gzip
import warnings
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import torch

from bnbench.data.files import Files, own_file
from bnbench.data.options import printable
from bnbench.data.raw import Raw
from bnbench.data.room import Array
from bnbench.errors import BnbenchError, InvalidRequest

FEATURES = 54
MOST_ROWS = 581_012
"""Those of the whole file."""
COVERS = ("Spruce/Fir", "Lodgepole Pine", "Ponderosa Pine", "Cottonwood/Willow", "Aspen", "Douglas-fir", "Krummholz")
"""The classes, labelled 1 to 7 in the file."""
SOURCE = "https://archive.ics.uci.edu/dataset/31/covertype"
GZIP = b"\x1f\x8b"


def covtype(root: Path, *, path: str = "covtype.data.gz") -> Raw:
    """Forest cover types (Blackard & Dean 1999): 581,012 cells of forest by 54 measures, in 7 classes.

    Args:
        root: the data folder.
        path: the file of the UCI repository, relative to the data folder, packed or not: a line per cell of 54 whole
            numbers and a label from 1 to 7, separated by commas.

    Features become 54 channels of one pixel, float32 [N, 54, 1, 1].

    Raises:
        DataMissing: there is no such file.
        InvalidRequest: it holds something else.
        BnbenchError: it cannot be read.
    """
    (place,) = covtype_files(root, path).values()
    table = _table(place)
    if table.shape[1:] != (FEATURES + 1,) or not 0 < len(table) <= MOST_ROWS:
        received = f"{len(table):,} lines of {table.shape[1] if table.ndim == 2 else 0}"
        form = f"must have at most {MOST_ROWS:,} lines of {FEATURES + 1} numbers, received {received}"
        raise InvalidRequest([printable(f"{place}: {form}")])
    y_N = table[:, -1].astype(np.int64) - 1
    if wrong := y_N[(y_N < 0) | (y_N >= len(COVERS))].tolist():
        label = f"the last number of a line is its label, from 1 to {len(COVERS)}, received {wrong[0] + 1}"
        raise InvalidRequest([printable(f"{place}: {label}")])
    x_NF = torch.from_numpy(table[:, :-1].astype(np.float32))
    return Raw(x_NF[:, :, None, None], torch.from_numpy(y_N), classes=COVERS)


def covtype_files(root: Path, path: str) -> Files:
    """The file that :func:`covtype` reads, see :func:`own_file`."""
    return own_file(root, path, "covtype", f", which is covtype.data.gz of {SOURCE}")


def _table(place: str) -> Array:
    """[N, F + 1] int32, one row more than there can be if there are too many."""
    try:
        with _opened(place) as stream, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            return np.loadtxt(stream, np.int32, delimiter=",", ndmin=2, max_rows=MOST_ROWS + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        problem = f"must hold lines of whole numbers, separated by commas, packed by gzip or not: {error}"
        raise BnbenchError(printable(f"{place}: {problem}")) from error


def _opened(place: str) -> IO[str]:
    """The text of a file, which is unpacked where it is packed, whatever it is called."""
    with Path(place).open("rb") as stream:
        packed = stream.read(len(GZIP)) == GZIP
    return gzip.open(place, "rt", encoding="ascii") if packed else Path(place).open(encoding="ascii")
