"""Optuna's storage over the graph keeps Optuna's own contract, also among threads and processes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState, create_trial

from lineage.errors import Forbidden
from lineage.settings import Settings
from lineage.store import Store
from lineage.tuning.storage import GraphStorage
from lineage.tuning.studies import Studies
from tests.conftest import NOW
from tests.lineage.tuning.searches import a_search, ask, next_attempt, tell

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


@pytest.fixture
def rival(storage: GraphStorage, neo4j_settings: Settings) -> Iterator[GraphStorage]:
    """The same storage as another process has it."""
    rival = GraphStorage.of(neo4j_settings)
    yield rival
    rival.close()


class TestGraphStorage(StorageTestCase):
    """Optuna's conformance suite."""


def test_numbers_are_dense_among_threads(storage: GraphStorage, rival: GraphStorage) -> None:
    """Trials made by eight threads over two storages have numbers without gaps, and ids of their own."""
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda index: (storage, rival)[index % 2].create_new_trial(study_id), range(60)))

    assert list(range(60)) == [trial.number for trial in rival.get_all_trials(study_id)]
    assert sorted(ids) == [trial._trial_id for trial in storage.get_all_trials(study_id)]


def test_a_waiting_trial_goes_to_one(storage: GraphStorage, rival: GraphStorage) -> None:
    """Of all who start a waiting trial at once, one is told that it did."""
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    for _ in range(10):
        trial_id = storage.create_new_trial(study_id, create_trial(state=TrialState.WAITING))

        def start(index: int, trial_id: int = trial_id) -> bool:
            return (storage, rival)[index % 2].set_trial_state_values(trial_id, TrialState.RUNNING)

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(start, range(4))) == 1


def test_what_others_write_is_seen(storage: GraphStorage, rival: GraphStorage) -> None:
    """A trial that another process writes is seen as it is; when it is finished, it is so for all."""
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    trial_id = storage.create_new_trial(study_id)
    assert [{}] == [trial.params for trial in rival.get_all_trials(study_id)]

    storage.set_trial_param(trial_id, "x", 0.5, FloatDistribution(0, 1))
    assert {"x": 0.5} == rival.get_trial(trial_id).params
    assert rival.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])

    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_user_attr(trial_id, "late", 1)
    assert [TrialState.COMPLETE] == [trial.state for trial in storage.get_all_trials(study_id)]
    assert {} == storage.get_trial(trial_id).user_attrs


def test_a_waiting_trial_belongs_to_nobody(storage: GraphStorage, rival: GraphStorage) -> None:
    """Who queued a trial sees when another has started it."""
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    trial_id = storage.create_new_trial(study_id, create_trial(state=TrialState.WAITING))

    assert rival.set_trial_state_values(trial_id, TrialState.RUNNING)

    assert TrialState.RUNNING == storage.get_trial(trial_id).state


def test_two_processes_optimize_one_study(storage: GraphStorage, rival: GraphStorage) -> None:
    """Optuna's own loop runs over the graph from several places at once."""
    optuna.create_study(storage=storage, study_name="shared")

    def optimize(each: GraphStorage) -> None:
        study = optuna.load_study(study_name="shared", storage=each, sampler=optuna.samplers.RandomSampler())
        study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(optimize, (storage, rival)))

    study = optuna.load_study(study_name="shared", storage=storage)
    assert list(range(10)) == [trial.number for trial in study.trials]
    assert study.best_value == min(trial.value for trial in study.trials if trial.value is not None)


async def test_optuna_reads_the_study_of_a_run(store: Store, storage: GraphStorage) -> None:
    """A run's study loads under the run's id: lost trials have failed, metrics and slots are attributes."""
    run_id = await a_search(store, trials=3)
    studies = Studies(store.graph)
    await tell(studies, run_id, (await ask(studies, run_id)).number, 0.5, metrics={"f1": 0.25})
    await ask(studies, run_id)
    await next_attempt(store, run_id)
    await studies.abandon(run_id, before_attempt=2, now=NOW)

    study = optuna.load_study(study_name=run_id, storage=storage)

    assert (0.5, ["loss"]) == (study.best_value, study.metric_names)
    assert ["COMPLETE", "FAIL", "WAITING"] == [trial.state.name for trial in study.trials]
    assert {"slot": "0", "attempt": 1, "metric.f1": 0.25} == study.best_trial.user_attrs
    assert {"slot": "0", "attempt": 1, "reason": "LOST"} == study.trials[1].user_attrs
    assert study.trials[1].params == study.trials[2].params
    frame = study.trials_dataframe()
    assert ["COMPLETE", "FAIL", "WAITING"] == list(frame["state"])


async def test_a_trial_enqueued_with_optuna_is_asked_within_the_budget(store: Store, storage: GraphStorage) -> None:
    """Parameters that somebody enqueues with Optuna's tools are tried next, and count."""
    run_id = await a_search(store, trials=1)
    study = optuna.load_study(study_name=run_id, storage=storage)
    for n in (5, 6):
        study.enqueue_trial({"x": 0.5, "n": n})
    studies = Studies(store.graph)

    trial = await ask(studies, run_id)
    await tell(studies, run_id, trial.number)

    assert {"x": 0.5, "n": 5} == trial.params
    assert {"COMPLETE": 1, "WAITING": 1} == await studies.counts(run_id)


async def test_the_study_of_a_run_cannot_be_deleted(store: Store, storage: GraphStorage) -> None:
    """What a run has tried is part of the record."""
    run_id = await a_search(store)

    with pytest.raises(Forbidden, match=run_id):
        storage.delete_study(storage.get_study_id_from_name(run_id))
    assert [run_id] == [study.study_name for study in storage.get_all_studies()]
