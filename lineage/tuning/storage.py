"""Optuna's storage over the graph: every Optuna tool reads and writes our studies.

Each write of a trial raises its study's revision under the study's lock, so a process that keeps what it has seen
asks for what is newer. Trials that are finished never change; those that this storage made and that still run are
its own to write, so neither is read again before it is changed.
"""

import copy
import threading
import uuid
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState, create_trial

from lineage.errors import Forbidden
from lineage.settings import Settings
from lineage.store.graph import Row
from lineage.tuning import nodes
from lineage.tuning.bridge import Address, Bridge
from lineage.tuning.known import KnownStudy

UNNAMED = "no-name-"  # what Optuna's own storages put before a name that they make up


class GraphStorage(BaseStorage):
    """Studies and trials as nodes; safe for threads and for any number of processes."""

    def __init__(self, uri: str, user: str = "neo4j", password: str = "", *, database: str = "neo4j") -> None:
        self._bridge = Bridge(Address(uri=uri, user=user, password=password, database=database))
        self._start()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """A storage over the graph that *settings* name."""
        at = settings
        return cls(at.neo4j_uri, at.neo4j_user, at.neo4j_password, database=at.neo4j_database)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._studies: dict[int, KnownStudy] = {}

    def __getstate__(self) -> Mapping[str, Any]:
        return {"_bridge": self._bridge}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._bridge = state["_bridge"]
        self._start()

    def close(self) -> None:
        """Give the connection back; the next call opens it anew."""
        self._bridge.close()

    def remove_session(self) -> None:
        """Nothing to do: the connection is shared by all threads."""

    # Studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Make a study and return its id; raise DuplicatedStudyError when the name is taken."""
        name = f"{UNNAMED}{uuid.uuid4()}" if study_name is None else study_name
        names = [direction.name for direction in directions]
        row = self._bridge.one("create_study", name=name, directions=names, now=datetime.now(UTC))
        if row is None:
            raise DuplicatedStudyError(f"there is a study named {name!r} already; load it with optuna.load_study")
        return self._know(row["study"]).id

    def delete_study(self, study_id: int) -> None:
        """Delete a study and its trials; one that belongs to a run stays, since it is part of the record."""
        row = self._bridge.one("delete_study", study_id=study_id)
        if row is None:
            raise _no_study(study_id)
        if row["run_id"] is not None:
            raise Forbidden(f"study {study_id} is the record of run {row['run_id']} and stays")
        with self._lock:
            self._studies.pop(study_id, None)

    def get_study_id_from_name(self, study_name: str) -> int:
        """The id of the study named *study_name*."""
        row = self._bridge.one("study_by_name", name=study_name)
        if row is None:
            raise KeyError(f"there is no study named {study_name!r}")
        return self._know(row["study"]).id

    def get_study_name_from_id(self, study_id: int) -> str:
        """The name of a study."""
        return self._known(study_id).name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """The directions of a study."""
        return list(self._known(study_id).directions)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """The user attributes of a study."""
        return nodes.unpack(self._study(study_id), "user")

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The attributes that Optuna itself has given a study."""
        return nodes.unpack(self._study(study_id), "system")

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a study."""
        self._put_study(study_id, user=nodes.pack({key: value}))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute that Optuna itself gives a study."""
        self._put_study(study_id, system=nodes.pack({key: value}))

    def get_all_studies(self) -> list[FrozenStudy]:
        """Every study, the first first."""
        return [
            FrozenStudy(
                study_name=row["study"]["name"],
                direction=None,
                directions=nodes.directions_of(row["study"]),
                user_attrs=nodes.unpack(row["study"], "user"),
                system_attrs=nodes.unpack(row["study"], "system"),
                study_id=row["study"]["study_id"],
            )
            for row in self._bridge.many("all_studies")
        ]

    # Trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Add a trial, a running one unless *template_trial* says otherwise, and return its id."""
        trial = template_trial or create_trial(state=TrialState.RUNNING)
        row = self._bridge.one("create_trial", study_id=study_id, span=nodes.SPAN, trial=nodes.node_of(trial))
        if row is None:
            raise _no_study(study_id)
        return self._own(row["trial"])._trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter; raise ValueError when another trial of the study drew it from something incompatible."""
        study = self._known(trial_id // nodes.SPAN)
        if param_name not in study.types:
            self._sync(study.id)
        self.check_trial_is_updatable(trial_id, self.get_trial(trial_id).state)
        if param_name in study.types:
            check_distribution_compatibility(study.types[param_name], distribution)
        value = distribution.to_external_repr(param_value_internal)
        self._write(trial_id, params=nodes.pack_params({param_name: value}, {param_name: distribution}))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Move a trial to another state; False when it was asked to run and another had it running first."""
        row = self._bridge.one(
            "set_trial_state",
            trial_id=trial_id,
            state=state.name,
            values=nodes.floats(values),
            now=datetime.now(UTC),
        )
        if row is None:
            raise _no_trial(trial_id)
        former = nodes.state_from(row["former"])
        if former.is_finished():
            self._keep(row["trial"])
            raise _finished(row["trial"])
        is_moved = not (state is TrialState.RUNNING and former is TrialState.RUNNING)
        self._own(row["trial"]) if is_moved else self._keep(row["trial"])
        return is_moved

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Set the value that a trial reports for *step*."""
        self._write(trial_id, steps=nodes.pack_steps({step: intermediate_value}))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a trial."""
        self._write(trial_id, user=nodes.pack({key: value}))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute that Optuna itself gives a trial."""
        self._write(trial_id, system=nodes.pack({key: value}))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The id of the trial with *trial_number*."""
        trial_id = study_id * nodes.SPAN + trial_number
        self.get_trial(trial_id)
        return trial_id

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """One trial; only one that others may be writing is read anew."""
        study_id, number = divmod(trial_id, nodes.SPAN)
        trial = self._cached(study_id, number)
        if trial is not None:
            return trial
        trials = self._sync(study_id, missing=_no_trial(trial_id)).trials
        if number not in trials:
            raise _no_trial(trial_id)
        return trials[number]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study in order, at most those in *states*."""
        study = self._sync(study_id)
        with self._lock:
            trials = study.ordered()
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    # What this process has seen

    def _know(self, row: Row) -> KnownStudy:
        with self._lock:
            return self._studies.setdefault(row["study_id"], KnownStudy(row))

    def _study(self, study_id: int) -> Row:
        row = self._bridge.one("study_by_id", study_id=study_id)
        if row is None:
            raise _no_study(study_id)
        self._know(row["study"])
        study: Row = row["study"]
        return study

    def _known(self, study_id: int) -> KnownStudy:
        with self._lock:
            known = self._studies.get(study_id)
        return known or self._know(self._study(study_id))

    def _cached(self, study_id: int, number: int) -> FrozenTrial | None:
        with self._lock:
            study = self._studies.get(study_id)
            return study.settled(number) if study else None

    def _sync(self, study_id: int, *, missing: KeyError | None = None) -> KnownStudy:
        """The study with all that is new in it; raise *missing*, or a KeyError that names it, when it is gone."""
        with self._lock:
            known = self._studies.get(study_id)
        revision = known.revision if known else -1
        row = self._bridge.one("trials_since", study_id=study_id, revision=revision)
        if row is None:
            with self._lock:
                self._studies.pop(study_id, None)
            raise missing or _no_study(study_id)
        known = known or self._known(study_id)
        with self._lock:
            known.merge(row["trials"], revision=row["revision"])
        return known

    def _own(self, row: Row) -> FrozenTrial:
        return self._keep(row, owned=True)

    def _keep(self, row: Row, *, owned: bool = False) -> FrozenTrial:
        study = self._known(row["study_id"])
        with self._lock:
            return study.put(row, owned=owned)

    # Writing

    def _put_study(self, study_id: int, **changes: Any) -> None:
        changes = {"user": nodes.EMPTY, "system": nodes.EMPTY, **changes}
        if self._bridge.one("put_study_attributes", study_id=study_id, **changes) is None:
            raise _no_study(study_id)

    def _write(self, trial_id: int, **changes: Any) -> None:
        row = self._bridge.one("write_trial", trial_id=trial_id, **{**nodes.NOTHING, **changes})
        if row is None:
            raise _no_trial(trial_id)
        if self._keep(row["trial"]).state.is_finished():
            raise _finished(row["trial"])


def _no_study(study_id: int) -> KeyError:
    return KeyError(f"there is no study with the id {study_id}")


def _no_trial(trial_id: int) -> KeyError:
    return KeyError(f"there is no trial with the id {trial_id}")


def _finished(row: Row) -> UpdateFinishedTrialError:
    return UpdateFinishedTrialError(f"trial {row['number']} is finished and cannot be changed")
