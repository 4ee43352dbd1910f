"""The numbers of a reading, one per arm and replicate."""

from __future__ import annotations

import pandas as pd

from bnbench.study import Findings
from bnbench.study.questions import Reading


def replicate_values(findings: Findings, reading: Reading) -> pd.DataFrame:
    """A row per replicate, a column per arm; NaN where a run has no value, no rows where nothing was trained.

    A value that is known within bounds counts by its middle; one without an upper limit is infinite. Of two cells it is
    the difference in the first less the one in the second.
    """
    tables = findings.curves if reading.measure.every_lr else findings.tables
    if tables.runs.empty:
        return pd.DataFrame()
    values = reading.measure.values(tables)
    middle = (values["low"] + values["high"]) / 2
    cells = [middle.xs(cell, level="cell").unstack("arm") for cell in reading.cells]
    return cells[0] if len(cells) == 1 else cells[0] - cells[1]
