"""Builders: runs that search, and slots that try what they are asked to."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lineage.runs import RunKind, RunState
from lineage.searchspace import SearchSpace
from lineage.store import Store
from lineage.tuning.studies import AskedTrial, Studies
from tests.conftest import NOW
from tests.runs import a_run

BOWL = {"x": {"type": "float", "low": -4.0, "high": 4.0}, "n": {"type": "int", "low": 1, "high": 8}}
KERNELS = {
    "kernel": {"type": "categorical", "choices": ["linear", "rbf"]},
    "gamma": {"type": "float", "low": 0.01, "high": 1.0, "log": True, "when": {"kernel": ["rbf"]}},
}
POINTS = {
    "kernel": {"type": "categorical", "choices": ["linear", "rbf"]},
    "depth": {"type": "int", "low": 1, "high": 3, "when": {"kernel": ["rbf"]}},
}


def bowl(params: Mapping[str, Any]) -> float:
    """An objective whose best is 0, at x = 0 and n = 1."""
    return float(params["x"] ** 2 + params["n"] - 1)


async def a_tuning_run(store: Store, *, attempt: int = 1) -> str:
    """A tuning run in the midst of an attempt, with no study yet."""
    run = await store.runs.create(a_run(RunKind.TUNE, state=RunState.RUNNING, attempt=attempt))
    return run.id


async def next_attempt(store: Store, run_id: str) -> None:
    """What a worker does when it starts the work of a run anew."""
    await store.graph.script(f"MATCH (r:Run {{id: '{run_id}'}}) SET r.attempt = r.attempt + 1")


async def a_search(store: Store, parameters: Mapping[str, Any] = BOWL, *, trials: int = 5, **config: Any) -> str:
    """A run with a study that looks for the least value."""
    run_id = await a_tuning_run(store)
    config = {"metric": "loss", "greater_is_better": False, "seed": 7, **config}
    space = SearchSpace.parse({"parameters": parameters})
    await Studies(store.graph).ensure(run_id, space=space, trials=trials, **config)
    return run_id


async def ask(studies: Studies, run_id: str, *, slot: str = "0", attempt: int = 1) -> AskedTrial:
    """A trial, which must be there."""
    asked = await studies.ask(run_id, slot=slot, attempt=attempt, now=NOW)
    assert asked.trial is not None
    return asked.trial


async def tell(studies: Studies, run_id: str, number: int, value: float | None = 1.0, **more: Any) -> None:
    """Tell how a trial ended; COMPLETE unless *more* says otherwise."""
    told: dict[str, Any] = {"attempt": 1, "state": "COMPLETE", "now": NOW + timedelta(seconds=number + 1), **more}
    await studies.tell(run_id, number, value=value, **told)


async def run_slot(studies: Studies, run_id: str, *, slot: str = "0") -> list[dict[str, Any]]:
    """Try what a slot is asked until the search is done; the parameters tried, in order."""
    tried: list[dict[str, Any]] = []
    while True:
        asked = await studies.ask(run_id, slot=slot, attempt=1, now=NOW)
        if asked.done:
            return tried
        if asked.trial is not None:
            tried.append(dict(asked.trial.params))
            await tell(
                studies, run_id, asked.trial.number, bowl(asked.trial.params) if "x" in asked.trial.params else 0.0
            )
