"""Training and tuning: a search over trials where one is asked for, then one fit, evaluated and landed whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.jobs import stage
from executors.jobs.job import Job, Landing
from executors.jobs.landing import measured, model_of
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.errors import ExecutionFailed
from lineage.metrics import METRICS
from lineage.runs import Outcome, RunState
from lineage.searchspace import SearchSpace

K = ArtifactKind
#: States of trials that count as done.
ENDED = ("COMPLETE", "PRUNED", "FAIL")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a fit stands on, read from the graph once."""

    code: Artifact
    environment: Artifact
    training_set: Artifact
    metrics: Sequence[Artifact]

    @classmethod
    async def load(cls, job: Job) -> "Inputs":
        """Read the inputs that the run names."""
        spec = job.spec
        single = ("model_code", "environment", "training_set")
        found = await job.store.artifacts.by_ids([*(spec[name] for name in single), *spec["metrics"]])
        return cls(
            code=found[spec["model_code"]],
            environment=found[spec["environment"]],
            training_set=found[spec["training_set"]],
            metrics=[found[id] for id in spec["metrics"]],
        )

    @property
    def names(self) -> list[str]:
        """The metrics that are collected."""
        return [str(each.body["metric"]) for each in self.metrics]

    def files(self, *splits: str) -> dict[str, str]:
        """The splits that a stage reads, as path → sha256."""
        return {f"data/{split}.parquet": self.training_set.body["splits"][split]["sha256"] for split in splits}

    def job(self, *splits: str, seed: int) -> dict[str, Any]:
        """The part of job.json that search and fit share."""
        body = self.training_set.body
        return {
            "code": {"path": "code", "entry": self.code.body["entry"], "contract": self.code.body["contract"]},
            "data": {split: f"data/{split}.parquet" for split in splits},
            "features": body["features"],
            "label": body["label"],
            "entity": body["entity"],
            "task": METRICS[self.names[0]].task,
            "metrics": self.names,
            "seed": seed,
        }


async def train(job: Job) -> Landing:
    """Fit one model with the hyperparameters given."""
    named = job.spec.get("search_space")
    space = await job.store.artifacts.one(named, K.SEARCH_SPACE) if named else None
    return await _fit(job, await Inputs.load(job), dict(job.spec["hyperparameters"]), space=space)


async def tune(job: Job) -> Landing:
    """Search for the best hyperparameters with parallel trials, then fit them."""
    inputs = await Inputs.load(job)
    space = await job.store.artifacts.one(job.spec["search_space"], K.SEARCH_SPACE)
    await _search(job, inputs, space)
    given_up = await _given_up(job)
    if given_up is not None:
        raise ExecutionFailed(given_up, reason="USER_CODE")
    best = await job.studies.best(job.run.id)
    if best is None:
        raise ExecutionFailed(f"no trial succeeded; the last failure: {await _last_error(job)}", reason="USER_CODE")
    return await _fit(job, inputs, dict(best.params), space=space)


async def _given_up(job: Job) -> str | None:
    """Why the search is over before its time, when more trials have failed than may."""
    failed, most = (await job.studies.counts(job.run.id)).get("FAIL", 0), job.spec["max_failed_trials"]
    if most is None or failed <= most:
        return None
    return f"{failed} trials failed, more than the {most} that may; the last failure: {await _last_error(job)}"


async def _last_error(job: Job) -> str:
    failed = [trial for trial in await job.studies.trials(job.run.id) if trial.error and trial.ended_at]
    last = max(failed, key=lambda trial: (trial.ended_at, trial.number), default=None)
    return last.error or "" if last else "none was reported"


async def _search(job: Job, inputs: Inputs, space: Artifact) -> None:
    metric = job.spec["objective"] or inputs.names[0]
    greater_is_better = METRICS[metric].greater_is_better
    await job.studies.ensure(
        job.run.id,
        space=SearchSpace.parse(space.body).fixed(job.spec["hyperparameters"]),
        metric=metric,
        greater_is_better=greater_is_better,
        trials=job.spec["trials"],
        sampler=job.spec["sampler"],
        pruner=job.spec["pruner"],
        seed=job.spec["seed"],
        max_failed=job.spec["max_failed_trials"],
    )

    async def give_up(slot: int) -> Outcome | None:
        """What a slot left running is asked again of another one; too many failures end the others too."""
        await job.studies.abandon(job.run.id, slot=str(slot), attempt=job.run.attempt, now=job.now())
        message = await _given_up(job)
        return None if message is None else Outcome(state=RunState.FAILED, reason="USER_CODE", message=message)

    async def progress() -> float:
        """The part of the trials that have ended."""
        counts = await job.studies.counts(job.run.id)
        return min(sum(counts.get(state, 0) for state in ENDED) / int(job.spec["trials"]), 1.0)

    await stage.run(
        job,
        "search",
        environment=inputs.environment,
        slots=min(job.spec["parallel"], job.spec["trials"]),
        spec={
            "mode": "tune",
            "objective": {"metric": metric, "greater_is_better": greater_is_better, "split": "validate"},
            "trial_seconds": _trial_limit(job),
            **inputs.job("train", "validate", seed=job.spec["seed"]),
        },
        files=inputs.files("train", "validate"),
        code=inputs.code,
        ended=give_up,
        progress=progress,
    )


def _trial_limit(job: Job) -> float:
    """Seconds that one trial may take: as asked, or by the settings but never more than half of the run's time.

    So a trial that hangs in one slot leaves time for the others, the fit and the evaluation.
    """
    whole = (job.spec.get("resources") or {}).get("seconds") or job.settings.run_timeout
    return float(job.spec.get("trial_seconds") or min(job.settings.trial_timeout, whole / 2))


async def fitted(job: Job, inputs: Inputs, params: dict[str, Any]) -> Path:
    """Fit one model and predict the held-out split; the folder of what came out."""
    held_out = job.spec["evaluate_on"]
    splits = tuple(dict.fromkeys(("train", held_out)))
    return await stage.run(
        job,
        "fit",
        environment=inputs.environment,
        slots=1,
        spec={
            "mode": "fit",
            "params": params,
            "allow_pickle": job.settings.allow_pickle,
            "predict": {"splits": [held_out]},
            **inputs.job(*splits, seed=job.spec["seed"]),
        },
        files=inputs.files(*splits),
        code=inputs.code,
    )


async def _fit(job: Job, inputs: Inputs, params: dict[str, Any], *, space: Artifact | None) -> Landing:
    out = await fitted(job, inputs, params)
    await job.advance(phase="landing")
    return await _land(job, inputs, out, params, space)


async def _land(job: Job, inputs: Inputs, out: Path, params: dict[str, Any], space: Artifact | None) -> Landing:
    held_out = job.spec["evaluate_on"]
    values = Artifact.defined(K.HYPERPARAMETERS, job.spec["name"], {"values": params}, namespace=job.spec["namespace"])
    model = await model_of(job, out, params, environment=inputs.environment, training_set=inputs.training_set)
    predictions = stage.manifest(out)[f"predictions/{held_out}.parquet"]
    evaluation, edges = await measured(
        job, model, predictions, inputs.metrics, training_set=inputs.training_set, split=held_out
    )
    edges += [
        Edge(type=EdgeType.DERIVED_FROM, source=model.id, target=inputs.code.id),
        Edge(type=EdgeType.DERIVED_FROM, source=model.id, target=values.id),
        Edge(type=EdgeType.TRAINED_ON, source=model.id, target=inputs.training_set.id),
        Edge(type=EdgeType.RUNS_IN, source=model.id, target=inputs.environment.id),
    ]
    if space is not None:
        edges.append(Edge(type=EdgeType.DERIVED_FROM, source=values.id, target=space.id))
    former = job.spec.get("retrain_of")
    if former not in {None, model.id}:  # the very same bytes are the same version
        edges.append(Edge(type=EdgeType.DERIVED_FROM, source=model.id, target=former))
    result = {"model": model.id, "evaluation": evaluation.id, "hyperparameters": values.id}
    return Landing(artifacts=[values, model, evaluation], edges=edges, result=result)
