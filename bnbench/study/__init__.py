"""Studies: claims as data, the runs that decide them, and the scorecard of their verdicts."""

from bnbench.study.catalog import SCALES, check_scale, load, names, names_of_all
from bnbench.study.definition import Scale, ScaleName, Study, StudyClaim
from bnbench.study.design import merged
from bnbench.study.files import check_files, scorecard_files, write
from bnbench.study.forecasts import StudyForecast, check_replicates, forecast_study
from bnbench.study.overrides import told_apart, varied
from bnbench.study.parser import read_study
from bnbench.study.registry import MEASURES
from bnbench.study.row import Row
from bnbench.study.runner import Findings, Place, check_places, execute, run_study, sweep_name, training_options
from bnbench.study.scorecards import scorecard
from bnbench.study.views import as_table, report

__all__ = [
    "MEASURES",
    "SCALES",
    "Findings",
    "Place",
    "Row",
    "Scale",
    "ScaleName",
    "Study",
    "StudyClaim",
    "StudyForecast",
    "as_table",
    "check_files",
    "check_places",
    "check_replicates",
    "check_scale",
    "execute",
    "forecast_study",
    "load",
    "merged",
    "names",
    "names_of_all",
    "read_study",
    "report",
    "run_study",
    "scorecard",
    "scorecard_files",
    "sweep_name",
    "told_apart",
    "training_options",
    "varied",
    "write",
]
