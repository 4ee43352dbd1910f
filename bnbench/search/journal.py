"""The trials of a search in its sweep's folder, as a journal that Optuna and its dashboard read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnbench import store
from bnbench.config import Space
from bnbench.errors import BnbenchError, Damaged
from bnbench.search.tree_parzen import STOPPED, frozen, quiet
from bnbench.search.trial import Trial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import JournalStorage

JOURNAL = "search.journal"


class Journal:
    """The trials of the searches of one sweep, one study each, named as the arm is.

    Args:
        folder: of the sweep; may be missing.
        spaces: the space of all searches.
    """

    def __init__(self, folder: Path, spaces: Sequence[Space]) -> None:
        self._folder, self._spaces = folder, spaces

    def read(self, arm: str) -> list[Trial]:
        """The trials of an arm, in order; none without a journal.

        Raises:
            Damaged: it is not as it was written.
        """
        if not (self._folder / JOURNAL).exists():
            return []
        with quiet():
            study = self._study(self._open(), arm)
            return [] if study is None else self._trials(study, arm)

    def record(self, arm: str, known: int, trials: Sequence[Trial]) -> None:
        """Write trials, those that are there already if they have ended since. The sweep is held meanwhile.

        Args:
            known: the number of trials that were there when these were chosen.

        Raises:
            BnbenchError: another program holds the sweep, or has searched it meanwhile.
        """
        import optuna

        with store.locked(self._folder), quiet():
            storage = self._open()
            study = self._study(storage, arm)
            there = [] if study is None else self._trials(study, arm)
            if len(there) != known:
                raise BnbenchError(f"another program searches sweep {self._folder.name}; let it end")
            if study is None:
                study = optuna.create_study(storage=storage, study_name=_name(arm), direction="maximize")
            for trial in trials:
                if trial.number >= known:
                    study.add_trial(frozen(trial, self._spaces))
                elif there[trial.number].is_open and not trial.is_open:
                    state = optuna.trial.TrialState.FAIL if trial.is_impossible else None
                    study.tell(trial.number, trial.value, state=state)

    def _open(self) -> JournalStorage:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        path = self._folder / JOURNAL
        try:
            return JournalStorage(JournalFileBackend(str(path)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(path, f"it is no journal of Optuna ({type(error).__name__}: {error})") from error

    def _study(self, storage: JournalStorage, arm: str) -> Study | None:
        import optuna

        names = optuna.study.get_all_study_names(storage)
        return optuna.load_study(study_name=_name(arm), storage=storage) if _name(arm) in names else None

    def _trials(self, study: Study, arm: str) -> list[Trial]:
        from optuna.trial import TrialState

        keys = [space.key for space in self._spaces]
        every = study.get_trials(deepcopy=False)
        if wrong := next((one for one in every if {*one.params} != {*keys}), None):
            raise Damaged(self._folder / JOURNAL, f"trial {wrong.number} is of another search")
        return [
            Trial(
                arm,
                one.number,
                {key: one.params[key] for key in keys},
                one.value,
                one.state is TrialState.FAIL,
                one.user_attrs.get(STOPPED),
            )
            for one in every
        ]


def _name(arm: str) -> str:
    return arm or "search"
