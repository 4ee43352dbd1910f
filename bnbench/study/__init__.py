"""Studies: claims as data, the runs that decide them, and the scorecard of their verdicts."""

from bnbench.study.conduct import Findings, Place, check_places, conduct, execute, sweep_name
from bnbench.study.definition import Scale, ScaleName, Study, StudyClaim
from bnbench.study.design import merged
from bnbench.study.files import check_files, scorecard_files, write
from bnbench.study.library import SCALES, check_scale, load, names
from bnbench.study.outlook import Outlook, outlook
from bnbench.study.reading import read_study
from bnbench.study.registry import MEASURES
from bnbench.study.row import Row
from bnbench.study.scorecard import scorecard
from bnbench.study.variation import told_apart, varied
from bnbench.study.view import as_table, view

__all__ = [
    "MEASURES",
    "SCALES",
    "Findings",
    "Outlook",
    "Place",
    "Row",
    "Scale",
    "ScaleName",
    "Study",
    "StudyClaim",
    "as_table",
    "check_files",
    "check_places",
    "check_scale",
    "conduct",
    "execute",
    "load",
    "merged",
    "names",
    "outlook",
    "read_study",
    "scorecard",
    "scorecard_files",
    "sweep_name",
    "told_apart",
    "varied",
    "view",
    "write",
]
