"""What the graph holds about a model, read once for its audit."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind, asset_id
from lineage.endpoints import endpoint_id
from lineage.runs import Run
from lineage.store import Store
from lineage.store.walks import Direction

K = ArtifactKind
MOST = 5_000  # artifacts that one audit takes in

Counts = Callable[[str], Awaitable[Mapping[str, int]]]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the graph holds about a model, read once: all that it depends on, and what was done with it."""

    model: Artifact
    upstream: Mapping[ArtifactKind, Sequence[Artifact]]
    evaluations: Sequence[Artifact]
    made: Sequence[Artifact]
    makers: Sequence[Run]
    is_cut: bool
    runs: Sequence[Run]
    aliases: Sequence[Mapping[str, Any]]
    trials: Mapping[str, int]
    #: What each feature reads, by its id: names as `dataset.column`.
    columns: Mapping[str, Sequence[str]]
    #: What its runs ran in besides environments, each with the runs.
    images: Sequence[tuple[Artifact, Sequence[str]]]
    #: From when until when each deployment was live, by its id.
    served: Mapping[str, Sequence[Mapping[str, Any]]]

    def of(self, kind: ArtifactKind) -> Sequence[Artifact]:
        """The artifacts of *kind* that the model depends on."""
        return self.upstream.get(kind, ())


async def read(store: Store, model: Artifact, trial_counts: Counts | None) -> Record:
    """All that there is about *model*; *trial_counts* tells how many trials of a run ended in which way."""
    walk = await store.walks.walk([model.id], Direction.UP, first=MOST, retracted=True)
    upstream: dict[ArtifactKind, list[Artifact]] = {}
    for step in walk.steps:
        upstream.setdefault(step.artifact.kind, []).append(step.artifact)
    edges = await store.artifacts.dependencies([model.id])
    evaluations = await store.artifacts.by_ids([each["target"] for each in edges if each["type"] == "EVALUATED_BY"])
    rows = await store.graph.many("predictions_of", model=model.id)
    made = await store.artifacts.by_ids([row["id"] for row in rows])
    known = [model.id, *(step.artifact.id for step in walk.steps), *evaluations, *made]
    makers = await store.runs.makers(known)
    runs = {run.id: run for each in makers.values() for run in each}
    tunes = [run for run in runs.values() if run.kind == "TUNE" and run.result.get("model") == model.id]
    return Record(
        model=model,
        upstream=upstream,
        evaluations=sorted(evaluations.values(), key=lambda each: each.id),
        made=[made[row["id"]] for row in rows],
        makers=makers.get(model.id, []),
        is_cut=walk.has_next or not walk.complete,
        runs=sorted(runs.values(), key=lambda run: (run.created_at, run.id)),
        aliases=await store.artifacts.alias_history(asset_id(model.kind, model.namespace, model.name)),
        trials=await trial_counts(tunes[0].id) if tunes and trial_counts else {},
        columns=await _columns(store, upstream),
        images=await _images(store, list(runs)),
        served=await _served(store, [each for each in made.values() if each.kind is K.DEPLOYMENT]),
    )


async def _columns(store: Store, upstream: Mapping[ArtifactKind, Sequence[Artifact]]) -> dict[str, list[str]]:
    """What each feature reads; a column is called by its dataset's name and its own."""
    names = {column.id: column.name for column in upstream.get(K.COLUMN, ())}
    found: dict[str, list[str]] = {feature.id: [] for feature in upstream.get(K.FEATURE, ())}
    for edge in await store.artifacts.dependencies(list(found)):
        if edge["target"] in names:
            found[edge["source"]].append(names[edge["target"]])
    return {id: sorted(read) for id, read in found.items()}


async def _images(store: Store, runs: Sequence[str]) -> list[tuple[Artifact, Sequence[str]]]:
    """The images that *runs* ran in, by name."""
    housed: dict[str, list[str]] = {}
    for id, trace in (await store.runs.traces(runs)).items():
        for place in trace["housed"]:
            housed.setdefault(place, []).append(id)
    found = await store.artifacts.by_ids(list(housed))
    images = sorted((each for each in found.values() if each.kind is K.IMAGE), key=lambda each: (each.name, each.id))
    return [(each, sorted(housed[each.id])) for each in images]


async def _served(store: Store, deployments: Sequence[Artifact]) -> dict[str, list[Mapping[str, Any]]]:
    """When each of *deployments* was live; versions of one name share an endpoint."""
    found: dict[str, list[Mapping[str, Any]]] = {each.id: [] for each in deployments}
    for endpoint in sorted({endpoint_id(each.namespace, each.name) for each in deployments}):
        for live in await store.endpoints.history(endpoint):
            if live["deployment"] in found:
                found[live["deployment"]].append(live)
    return found
