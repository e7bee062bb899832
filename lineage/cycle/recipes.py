"""Recipes: how an artifact was made, read back from the graph alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import InvalidInput
from lineage.requests import Resources
from lineage.runs import Run, RunState
from lineage.store import Store
from lineage.watch import watch_of

K = ArtifactKind


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model was made: what went in, how it was measured, and the run that did it, where one of ours did."""

    model: Artifact
    training_set: str
    model_code: str
    environment: str
    metrics: Sequence[str]
    params: Mapping[str, Any]
    evaluate_on: str
    seed: int
    #: What the run was asked for; empty for a model that another system has recorded.
    spec: Mapping[str, Any] = field(default_factory=dict)
    executor: str = "process"
    evaluation: Artifact | None = None

    @property
    def is_tuned(self) -> bool:
        """Whether its hyperparameters were searched for."""
        return "trials" in self.spec


async def maker_of(store: Store, artifact: Artifact) -> Run | None:
    """The first run that made *artifact* and succeeded, or None where no run of ours did."""
    runs = (await store.runs.makers([artifact.id])).get(artifact.id, [])
    return next((run for run in runs if run.state is RunState.SUCCEEDED), None)


def resources_of(spec: Mapping[str, Any]) -> Resources:
    """What a run was allowed to take."""
    given = spec.get("resources") or {}
    return Resources(**{name: given[name] for name in Resources.__dataclass_fields__ if given.get(name) is not None})


async def recipe_of(store: Store, model: Artifact) -> Recipe:
    """How *model* was made; raise InvalidInput naming everything that the graph does not know about it."""
    run = await maker_of(store, model)
    spec = run.spec if run is not None and {"training_set", "model_code"} <= set(run.spec) else {}
    rows = await store.artifacts.dependencies([model.id])
    linked = await store.artifacts.by_ids([str(row["target"]) for row in rows])
    seen = _first(linked, rows)
    evaluation = _evaluation(linked, spec, seen)
    found = {
        "training_set": spec.get("training_set") or seen.get(K.TRAINING_SET),
        "model_code": spec.get("model_code") or seen.get(K.MODEL_CODE),
        "environment": spec.get("environment") or seen.get(K.ENVIRONMENT),
        "metrics": spec.get("metrics") or await _measured(store, evaluation),
        "params": model.body.get("params", _values(linked, seen)),
        "evaluate_on": spec.get("evaluate_on") or (evaluation and evaluation.body.get("split")),
        "seed": model.body.get("seed", spec.get("seed")),
    }
    missing = [name.replace("_", " ") for name, value in found.items() if value is None or value == []]
    if missing:
        what = ", ".join(missing)
        raise InvalidInput(f"the graph does not know how {model.name!r} was made; it lacks: {what}", field="of")
    executor = run.executor if run is not None and spec else "process"
    return Recipe(model=model, spec=spec, executor=executor, evaluation=evaluation, **found)


def _first(linked: Mapping[str, Artifact], rows: Sequence[Mapping[str, Any]]) -> dict[ArtifactKind, str]:
    """The artifact of each kind that was linked first."""
    seen: dict[ArtifactKind, str] = {}
    for row in sorted(rows, key=lambda row: str(row["recorded_at"])):
        target = linked.get(str(row["target"]))
        if target is not None:
            seen.setdefault(target.kind, target.id)
    return seen


def _evaluation(
    linked: Mapping[str, Artifact], spec: Mapping[str, Any], seen: Mapping[ArtifactKind, str]
) -> Artifact | None:
    """The evaluation that the making of the model ended with: that of its own training set, on the split asked for."""
    rows = spec.get("training_set") or seen.get(K.TRAINING_SET)
    for each in sorted(linked.values(), key=lambda each: (str(each.created_at), each.id)):
        if each.kind is not K.EVALUATION or watch_of(each) or each.body.get("training_set", rows) != rows:
            continue
        if not spec or each.body.get("split") == spec["evaluate_on"]:
            return each
    return None


async def _measured(store: Store, evaluation: Artifact | None) -> list[str]:
    """The metrics that an evaluation was measured against, by id."""
    if evaluation is None:
        return []
    rows = await store.artifacts.dependencies([evaluation.id])
    found = await store.artifacts.by_ids([str(row["target"]) for row in rows])
    return sorted(each.id for each in found.values() if each.kind is K.METRIC_DEFINITION)


def _values(linked: Mapping[str, Artifact], seen: Mapping[ArtifactKind, str]) -> Mapping[str, Any] | None:
    """The hyperparameters that a model hangs on."""
    values = linked.get(seen.get(K.HYPERPARAMETERS, ""))
    return None if values is None else values.body.get("values")
