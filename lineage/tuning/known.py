"""What one process has seen of one study: its trials, and up to which revision it knows them."""

from collections.abc import Iterable

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from lineage.tuning import nodes
from lineage.tuning.nodes import Row


class KnownStudy:
    """Trials are replaced, never changed, since callers hold them; whoever shares it must hold a lock."""

    def __init__(self, row: Row) -> None:
        self.id: int = row["study_id"]
        self.name: str = row["name"]
        self.directions = nodes.directions_of(row)
        #: All changes up to here have been merged.
        self.revision = -1
        self.trials: dict[int, FrozenTrial] = {}
        #: What each parameter was first drawn from; later draws must be compatible.
        self.types: dict[str, BaseDistribution] = {}
        self._revisions: dict[int, int] = {}
        self._owned: set[int] = set()

    def merge(self, rows: Iterable[Row], *, revision: int) -> None:
        """Take in what changed up to *revision*, in whatever order answers arrive."""
        for row in rows:
            self.put(row)
        self.revision = max(self.revision, revision)

    def put(self, row: Row, *, owned: bool = False) -> FrozenTrial:
        """Take in one trial, unless a newer state of it is here; *owned* when it runs in our hands."""
        number: int = row["number"]
        if row["revision"] > self._revisions.get(number, -1):
            trial = self.trials[number] = nodes.trial_from(row)
            self._revisions[number] = row["revision"]
            for name, type_ in trial.distributions.items():
                self.types.setdefault(name, type_)
        if owned and row["state"] == "RUNNING":
            self._owned.add(number)
        return self.trials[number]

    def settled(self, number: int) -> FrozenTrial | None:
        """A trial that nobody else changes: finished, or running in our hands; None when it must be read."""
        trial = self.trials.get(number)
        if trial is None or not (trial.state.is_finished() or number in self._owned):
            return None
        return trial

    def ordered(self) -> list[FrozenTrial]:
        """All trials by number."""
        return [self.trials[number] for number in sorted(self.trials)]
