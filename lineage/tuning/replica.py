"""A study in memory, kept in step with the graph: what samplers and pruners look at, without a query for each look."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from lineage.searchspace import SearchSpace
from lineage.tuning import nodes, strategies
from lineage.tuning.nodes import Row


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a draw has set: to be written to the graph before anybody hears of it."""

    params: dict[str, list[str]]
    #: What the space holds fixed, as JSON: the trial's too, though nothing that a sampler draws.
    constants: str
    system: dict[str, list[str]]
    study_system: dict[str, list[str]]


class Replica:
    """One study; trials have their number as id. Not safe for threads: whoever uses it holds the study's lock."""

    def __init__(self, row: Row, space: SearchSpace) -> None:
        self.space = space
        self.revision = -1
        self._sampler, self._seed = row["sampler"], row["seed"]
        self._storage = InMemoryStorage()
        self._id = self._storage.create_new_study(nodes.directions_of(row), row["name"])
        self._name: str = row["name"]
        self._pruner = strategies.make_pruner(row["pruner"])

    def merge(self, study: Row, trials: Iterable[Row]) -> None:
        """Take in what changed in the graph up to the revision of *study*."""
        known = self._storage.get_study_system_attrs(self._id)
        for key, value in _changes(known, nodes.unpack(study, "system")).items():
            self._storage.set_study_system_attr(self._id, key, value)
        count = self._storage.get_n_trials(self._id)
        for row in sorted(trials, key=lambda row: int(row["number"])):
            trial = nodes.trial_from(row)
            if trial.number < count:
                self._renew(self._storage.get_trial(trial.number), trial)
            else:
                self._storage.create_new_trial(self._id, trial)
        self.revision = study["revision"]

    def trial(self, number: int) -> FrozenTrial:
        """The trial *number* as it is known."""
        return self._storage.get_trial(number)

    def draw(self, number: int) -> Drawn:
        """Let the sampler draw the parameters of a running trial."""
        attributes = self._storage.get_study_system_attrs(self._id)
        sampler = strategies.make_sampler(self._sampler, seed=self._seed, number=number)
        values = self.space.suggest(Trial(self._study(sampler), number))
        trial = self.trial(number)
        return Drawn(
            params=nodes.pack_params(trial.params, trial.distributions),
            constants=json.dumps({name: value for name, value in values.items() if name not in trial.params}),
            system=nodes.pack(trial.system_attrs),
            study_system=nodes.pack(_changes(attributes, self._storage.get_study_system_attrs(self._id))),
        )

    def prune(self, number: int) -> tuple[bool, dict[str, list[str]]]:
        """Whether the pruner would stop a running trial, and the attributes by which it remembers the trial."""
        before = self.trial(number)
        is_pruned = bool(self._pruner.prune(self._study(), before))  # some pruners answer with a bool of NumPy
        return is_pruned, nodes.pack(_changes(before.system_attrs, self.trial(number).system_attrs))

    def _study(self, sampler: BaseSampler | None = None) -> optuna.Study:
        """A study made for one question, since Optuna's remembers trials between the asks that it is told of."""
        return optuna.load_study(study_name=self._name, storage=self._storage, sampler=sampler, pruner=self._pruner)

    def _renew(self, old: FrozenTrial, new: FrozenTrial) -> None:
        if old.state.is_finished():
            return
        number, storage = old.number, self._storage
        if old.state is TrialState.WAITING and new.state is not TrialState.WAITING:
            storage.set_trial_state_values(number, TrialState.RUNNING)
        for name, value in _changes(old.params, new.params).items():
            type_ = new.distributions[name]
            storage.set_trial_param(number, name, type_.to_internal_repr(value), type_)
        for step, value in _changes(old.intermediate_values, new.intermediate_values).items():
            storage.set_trial_intermediate_value(number, step, value)
        for key, value in _changes(old.system_attrs, new.system_attrs).items():
            storage.set_trial_system_attr(number, key, value)
        if new.state.is_finished():
            storage.set_trial_state_values(number, new.state, new.values)


def _changes(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in new.items() if key not in old or old[key] != value}
