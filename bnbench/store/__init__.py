"""The results folder: append-only CSV by many writers, and tidy tables back."""

from bnbench.store.access import check_name, check_place, check_writable
from bnbench.store.attempts import attempt_name, part_name
from bnbench.store.checkpoints import (
    Checkpoint,
    current_version,
    forget_checkpoints,
    list_checkpoints,
    read_checkpoint,
    remove_checkpoint,
    unfitness,
)
from bnbench.store.checks import checked_rows, foreign_folders, is_sweep, statuses, sweep_folders
from bnbench.store.columns import FAILURES, HELD_BACK, METRICS, OUTCOME, PROBES, RESULTS, STOPPED, Status
from bnbench.store.data_versions import data_versions
from bnbench.store.files import check_file_place, content
from bnbench.store.folder import belongs_to_sweep, enter_runs, join, renew, restore_specs
from bnbench.store.following import Segments
from bnbench.store.foreign_files import foreign
from bnbench.store.growth import Growth, Piece, Watcher, luggage, put_down
from bnbench.store.history import read_history, update_last_entry
from bnbench.store.lease import NO_LEASE, Hold
from bnbench.store.lock import check_free, is_locked, locked
from bnbench.store.merge_plan import CONFLICTS, Merged, Merging, merged_in_words
from bnbench.store.merging import merge_sweeps
from bnbench.store.ownership import check_owner
from bnbench.store.pulse import Pulse, pulses
from bnbench.store.renaming import rename_sweep
from bnbench.store.result_index import Found, ResultIndex
from bnbench.store.results import differing_results, is_over
from bnbench.store.segment import Segment, log_file, nothing, spec_file
from bnbench.store.silence import Silences, last_signs
from bnbench.store.single_runs import SingleRun, load_single_runs
from bnbench.store.state import rank, segment_rows
from bnbench.store.tables import check_sweep, load_metrics, load_probes, load_runs, load_sweep_probes, load_sweeps
from bnbench.store.tags import change_tag, check_tag, read_tags
from bnbench.store.taking_over import take_over, taken_over
from bnbench.store.trash import TRASH, empty_trash, find_trashed, remove_runs, remove_sweep, restore, trashed
from bnbench.store.weights import weights_path

__all__ = [
    "CONFLICTS",
    "FAILURES",
    "HELD_BACK",
    "METRICS",
    "NO_LEASE",
    "OUTCOME",
    "PROBES",
    "RESULTS",
    "STOPPED",
    "TRASH",
    "Checkpoint",
    "Found",
    "Growth",
    "Hold",
    "Merged",
    "Merging",
    "Piece",
    "Pulse",
    "ResultIndex",
    "Segment",
    "Segments",
    "Silences",
    "SingleRun",
    "Status",
    "Watcher",
    "attempt_name",
    "belongs_to_sweep",
    "change_tag",
    "check_file_place",
    "check_free",
    "check_name",
    "check_owner",
    "check_place",
    "check_sweep",
    "check_tag",
    "check_writable",
    "checked_rows",
    "content",
    "current_version",
    "data_versions",
    "differing_results",
    "empty_trash",
    "enter_runs",
    "find_trashed",
    "foreign",
    "foreign_folders",
    "forget_checkpoints",
    "is_locked",
    "is_over",
    "is_sweep",
    "join",
    "last_signs",
    "list_checkpoints",
    "load_metrics",
    "load_probes",
    "load_runs",
    "load_single_runs",
    "load_sweep_probes",
    "load_sweeps",
    "locked",
    "log_file",
    "luggage",
    "merge_sweeps",
    "merged_in_words",
    "nothing",
    "part_name",
    "pulses",
    "put_down",
    "rank",
    "read_checkpoint",
    "read_history",
    "read_tags",
    "remove_checkpoint",
    "remove_runs",
    "remove_sweep",
    "rename_sweep",
    "renew",
    "restore",
    "restore_specs",
    "segment_rows",
    "spec_file",
    "statuses",
    "sweep_folders",
    "take_over",
    "taken_over",
    "trashed",
    "unfitness",
    "update_last_entry",
    "weights_path",
]
