"""What a model comes from as a document of W3C PROV, in the form PROV-JSON (member submission of 24 April 2013).

Artifacts are entities, runs are activities, and whoever asked for a run is an agent. The type of an edge stands in
`prov:type` of the derivation.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import LimitExceeded
from lineage.runs import Run
from lineage.store import Store
from lineage.store.walks import Direction

MOST = 5_000  # artifacts of one document
PREFIXES = {"lineage": "urn:lineage:", "xsd": "http://www.w3.org/2001/XMLSchema#"}

Records = dict[str, dict[str, Any]]


async def document(store: Store, id: str) -> dict[str, Any]:
    """Everything that the artifact *id* comes from, its evaluations, and the runs that made all that, as PROV-JSON.

    Raise NotFound when it is not there, LimitExceeded when it comes from more than MOST artifacts.
    """
    start = await store.artifacts.one(id)
    walk = await store.walks.walk([id], Direction.UP, first=MOST, retracted=True)
    if walk.has_next or not walk.complete:
        raise LimitExceeded(f"it comes from more than {MOST:,} artifacts, which one document does not hold")
    known = {start.id: start, **{step.artifact.id: step.artifact for step in walk.steps}}
    edges = await store.artifacts.dependencies(list(known))
    known |= await store.artifacts.by_ids([each["target"] for each in edges if each["type"] == "EVALUATED_BY"])
    makers = await store.runs.makers(list(known))
    runs = {run.id: run for each in makers.values() for run in each}
    traces = await store.runs.traces(list(runs))
    places = sorted({place for trace in traces.values() for place in trace["housed"]} - known.keys())
    known |= await store.artifacts.by_ids(places)
    edges += await store.artifacts.dependencies(places)
    return {
        "prefix": PREFIXES,
        "entity": {_name(each.id): _entity(each) for each in _sorted(known)},
        "activity": {_name(run): _activity(runs[run]) for run in sorted(runs)},
        "agent": {_agent(run): {"prov:label": run.created_by} for run in runs.values()},
        "wasDerivedFrom": _derivations(edges, known),
        "wasGeneratedBy": _numbered("g", (_generation(id, run) for id in sorted(makers) for run in makers[id])),
        "used": _numbered("u", (_usage(run, id) for run in sorted(runs) for id in _taken(traces[run], known))),
        "wasAssociatedWith": _numbered("a", (_association(runs[run]) for run in sorted(runs))),
    }


def _taken(trace: Mapping[str, Any], known: Mapping[str, Artifact]) -> Iterable[str]:
    """What a run read, and the images that it ran in."""
    return (id for id in dict.fromkeys([*trace["used"], *trace["housed"]]) if id in known)


def _sorted(known: Mapping[str, Artifact]) -> Iterable[Artifact]:
    return (known[id] for id in sorted(known))


def _name(id: str) -> str:
    return f"lineage:{id}"


def _agent(run: Run) -> str:
    """A qualified name for whoever asked for *run*; a user's name may have letters that those do not."""
    return _name(f"agent-{hashlib.sha256(run.created_by.encode()).hexdigest()[:16]}")


def _type(word: str) -> dict[str, str]:
    return {"$": _name(word), "type": "prov:QUALIFIED_NAME"}


def _entity(artifact: Artifact) -> dict[str, Any]:
    said: dict[str, Any] = {"prov:label": artifact.name, "prov:type": _type(artifact.kind.value)}
    said |= {f"lineage:{name}": getattr(artifact, name) for name in ("namespace", "version", "digest")}
    if artifact.created_at is not None:
        said["lineage:recordedAt"] = {"$": artifact.created_at.isoformat(), "type": "xsd:dateTime"}
    if artifact.retracted_at is not None:
        said["lineage:retractedAt"] = {"$": artifact.retracted_at.isoformat(), "type": "xsd:dateTime"}
    if artifact.kind is ArtifactKind.FEATURE:
        said["lineage:expression"] = artifact.body.get("expression")
    return {name: value for name, value in said.items() if value is not None}


def _activity(run: Run) -> dict[str, Any]:
    said = {"prov:type": _type(run.kind.value), "lineage:executor": run.executor, "lineage:state": run.state.value}
    for name, moment in (("prov:startTime", run.started_at), ("prov:endTime", run.ended_at)):
        if moment is not None:
            said[name] = moment.isoformat()
    return said


def _derivations(edges: Iterable[Mapping[str, Any]], known: Mapping[str, Artifact]) -> Records:
    found = sorted({(each["source"], each["target"], each["type"]) for each in edges if each["target"] in known})
    return _numbered("d", (_derivation(*each) for each in found))


def _derivation(source: str, target: str, type_: str) -> dict[str, Any]:
    # An evaluation is made from the model that points to it: PROV says so the other way round.
    if type_ == "EVALUATED_BY":
        source, target = target, source
    return {"prov:generatedEntity": _name(source), "prov:usedEntity": _name(target), "prov:type": _type(type_)}


def _generation(id: str, run: Run) -> dict[str, Any]:
    return {"prov:entity": _name(id), "prov:activity": _name(run.id)}


def _usage(run: str, id: str) -> dict[str, Any]:
    return {"prov:activity": _name(run), "prov:entity": _name(id)}


def _association(run: Run) -> dict[str, Any]:
    return {"prov:activity": _name(run.id), "prov:agent": _agent(run)}


def _numbered(letter: str, records: Iterable[dict[str, Any]]) -> Records:
    return {f"_:{letter}{number}": record for number, record in enumerate(records)}
