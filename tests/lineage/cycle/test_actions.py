"""Actions in a real graph: what a spec means at the moment of firing, and that one firing starts one run."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.cycle.actions import ACTIONS, Call, check, start, takes_executor
from lineage.cycle.specs import read
from lineage.cycle.triggers import CreateTrigger, create_trigger
from lineage.errors import InvalidInput, NotFound
from lineage.firings import Firing, FiringCause
from lineage.runs import Run, RunKind
from lineage.store import Store
from lineage.store.runs import RunFilter
from lineage.triggers import TriggerEvent
from tests.lineage.cycle.deaths import Killed, mortal
from tests.lineage.cycle.test_schedules import attend, finish

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
K, E = ArtifactKind, EdgeType


def version(kind: ArtifactKind, name: str, number: int = 1, **body: Any) -> Artifact:
    """A version of something."""
    return Artifact(kind=kind, name=name, version=f"v{number}", digest=f"{number:064}", body=body)


OLD, NEW = version(K.DATASET, "flights"), version(K.DATASET, "flights", 2)
WEATHER = version(K.DATASET, "weather")
TRAINING_SET = version(K.TRAINING_SET, "delays", splits={"train": {}, "test": {}})
ENVIRONMENT, CODE = version(K.ENVIRONMENT, "py"), version(K.MODEL_CODE, "code")
METRIC = version(K.METRIC_DEFINITION, "auc", metric="roc_auc", greater_is_better=True)
SPACE = version(K.SEARCH_SPACE, "space", parameters={"C": {"type": "float", "low": 0.1, "high": 1.0}})
MODEL, OTHER = version(K.MODEL, "delays"), version(K.MODEL, "delays", 2)
LEARNING = {
    "name": "delays",
    "trainingSet": "delays@newest",
    "modelCode": CODE.id,
    "environment": "py@newest",
    "metrics": ["auc@newest"],
}


@pytest.fixture
async def recorded(store: Store) -> Store:
    """A graph with a champion, what it was made of, and a newer version of one of its datasets."""
    made = [OLD, WEATHER, TRAINING_SET, ENVIRONMENT, CODE, METRIC, SPACE, MODEL]
    edges = [
        Edge(type=E.DERIVED_FROM, source=TRAINING_SET.id, target=OLD.id),
        Edge(type=E.DERIVED_FROM, source=TRAINING_SET.id, target=WEATHER.id),
        Edge(type=E.TRAINED_ON, source=MODEL.id, target=TRAINING_SET.id),
        Edge(type=E.RUNS_IN, source=MODEL.id, target=ENVIRONMENT.id),
    ]
    await store.artifacts.record(made, edges, now=START, by="t")
    await store.artifacts.record([NEW, OTHER], now=START.replace(hour=13), by="t")
    await store.artifacts.set_alias(MODEL.id, "champion", now=START, by="t", reason=None)
    return store


async def fired(
    store: Store, action: str, spec: dict[str, Any], id: str = "firing-1", namespace: str = "default"
) -> Run:
    """The run that a firing of *action* starts."""
    firing = Firing(id=id, source_id="s", at=START, cause=FiringCause.TIMETABLE, fired_at=START, not_before=START)
    run = await start(store, action, spec, Call(firing=firing, by="ann", now=START, namespace=namespace))
    assert run is not None
    return run


async def test_the_champion_scores_the_newest_data(recorded: Store) -> None:
    """Scoring takes the alias as it is now, and the newest version of each dataset that the model has seen."""
    run = await fired(recorded, "score", {"name": "scores", "model": "delays@champion"})
    trace = (await recorded.runs.traces([run.id]))[run.id]

    assert (RunKind.SCORE, MODEL.id) == (run.kind, run.spec["model"])
    assert {"flights": NEW.id, "weather": WEATHER.id} == run.spec["datasets"]
    assert {MODEL.id, NEW.id, WEATHER.id} == set(trace["used"])
    assert ("firing-1", "ann") == (run.idempotency_key, run.created_by)


async def test_each_new_version_is_scored_once(recorded: Store) -> None:
    """Every version that arrives is scored whole, by itself and once, while workers die; known bytes are no version."""
    spec = {"name": "scores", "model": "delays@champion", "datasets": {"flights": "$artifact"}}
    asked = CreateTrigger(name="rescore", event=TriggerEvent.NEW_VERSION, of="flights", action="score", spec=spec)
    await create_trigger(recorded, asked, by="ann", now=START.replace(hour=14))
    third, fourth = version(K.DATASET, "flights", 3), version(K.DATASET, "flights", 4)
    at = START.replace(hour=15)
    await recorded.artifacts.record([third, fourth, NEW, OLD], now=at, by="t")

    for words in range(1, 10, 2):
        with suppress(Killed):
            await attend(mortal(recorded, words, is_heard=bool(words % 4)), at + timedelta(seconds=words))
    for minutes in range(1, 6):
        await attend(recorded, at + timedelta(minutes=minutes))
        await finish(recorded, at + timedelta(minutes=minutes))
    await recorded.artifacts.record([third, fourth], now=at + timedelta(minutes=7), by="t")
    await attend(recorded, at + timedelta(minutes=8))

    runs = await recorded.runs.page(RunFilter(), first=10)
    assert [RunKind.SCORE, RunKind.SCORE] == [run.kind for run in runs]
    assert {third.id, fourth.id} == {run.spec["datasets"]["flights"] for run in runs}
    assert {WEATHER.id} == {run.spec["datasets"]["weather"] for run in runs}


async def test_a_dataset_that_is_named_stays_as_named(recorded: Store) -> None:
    """A version that the spec pins is scored, whatever is newer."""
    run = await fired(recorded, "score", {"name": "s", "model": MODEL.id, "datasets": {"flights": OLD.id}})

    assert {"flights": OLD.id, "weather": WEATHER.id} == run.spec["datasets"]


async def test_one_firing_is_one_run(recorded: Store) -> None:
    """The same firing again gives the first run back; another firing starts another one."""
    spec = {"name": "scores", "model": "delays@champion"}
    first, again, other = [await fired(recorded, "score", spec, id) for id in ("firing-1", "firing-1", "firing-2")]

    assert first.id == again.id != other.id
    assert 2 == len(await recorded.runs.page(RunFilter(), first=10))


@pytest.mark.parametrize(
    ("action", "spec", "expected"),
    [
        (
            "evaluate",
            {"model": "delays@champion", "metrics": ["auc@newest"]},
            {"model": MODEL.id, "metrics": [METRIC.id]},
        ),
        ("train", {**LEARNING, "hyperparameters": {"C": 0.5}}, {"training_set": TRAINING_SET.id, "seed": 0}),
        ("tune", {**LEARNING, "searchSpace": "space@newest", "trials": 3}, {"search_space": SPACE.id, "trials": 3}),
        ("registerDataset", {"name": "raw", "uri": "raw.csv"}, {"uri": "raw.csv", "namespace": "default"}),
    ],
)
async def test_names_become_ids(recorded: Store, action: str, spec: dict[str, Any], expected: dict[str, Any]) -> None:
    """What a spec calls by a name is, in the run, the version that it meant at that moment."""
    run = await fired(recorded, action, spec)

    assert expected == {name: run.spec[name] for name in expected}


async def test_what_is_watched_is_looked_up(recorded: Store) -> None:
    """Predictions, metrics and labels that a spec names are what they are when it fires."""
    rows: dict[str, Any] = {"splits": {"train": {"sha256": "a" * 64}}, "columns": [{"name": "x", "type": "DOUBLE"}]}
    seen = version(K.TRAINING_SET, "seen", **rows)
    label = version(K.FEATURE, "late", entity=["flights.id"], datasets={"f": OLD.id})
    features = version(K.FEATURE_SET, "features", entity=["flights.id"], label=label.id)
    model = version(K.MODEL, "other", task="classification")
    known: dict[str, Any] = {
        "model": model.id,
        "feature_set": features.id,
        "datasets": {"flights": OLD.id},
        "file": "b" * 64,
    }
    scores, psi = version(K.PREDICTIONS, "scores", **known), version(K.METRIC_DEFINITION, "psi", metric="psi")
    edges = [Edge(type=E.TRAINED_ON, source=model.id, target=seen.id)]
    await recorded.artifacts.record([seen, label, features, model, scores, psi], edges, now=START, by="t")

    drift = await fired(recorded, "measureDrift", {"predictions": "scores@newest", "metrics": ["psi@newest"]})
    spec = {"predictions": scores.id, "metrics": ["auc@newest"], "label": "late@newest"}
    quality = await fired(recorded, "measureQuality", spec, id="firing-2")

    assert (RunKind.DRIFT, scores.id, [psi.id]) == (drift.kind, drift.spec["predictions"], drift.spec["metrics"])
    assert ("firing-1", "firing-2") == (drift.idempotency_key, quality.idempotency_key)
    assert (RunKind.QUALITY, label.id, {"flights": NEW.id}) == (
        quality.kind,
        quality.spec["label"],
        quality.spec["datasets"],
    )
    trace = (await recorded.runs.traces([quality.id]))[quality.id]
    assert {scores.id, model.id, label.id, NEW.id, METRIC.id} == set(trace["used"])


async def test_a_name_is_looked_up_where_the_schedule_is(recorded: Store) -> None:
    """What a spec names without a namespace is in that of its schedule or trigger; what is made is there as well."""
    body = {"n": "eu"}
    place = Artifact.defined(K.ENVIRONMENT, "py", body, namespace="eu")
    rows = Artifact.defined(K.TRAINING_SET, "delays", {**body, "splits": {"test": {}}}, namespace="eu")
    model = Artifact.defined(K.MODEL, "delays", body, namespace="eu")
    edges = [
        Edge(type=E.TRAINED_ON, source=model.id, target=rows.id),
        Edge(type=E.RUNS_IN, source=model.id, target=place.id),
    ]
    await recorded.artifacts.record([place, rows, model], edges, now=START, by="t")
    spec = {"model": "delays@newest", "metrics": [METRIC.id]}

    found = await fired(recorded, "evaluate", spec, "firing-1", namespace="eu")
    scored = await fired(recorded, "score", {"name": "s", "model": "delays@newest"}, "firing-2", namespace="eu")
    other = await fired(recorded, "score", {**ELSEWHERE, "namespace": "default"}, "firing-3", namespace="eu")

    assert [model.id, model.id, MODEL.id] == [each.spec["model"] for each in (found, scored, other)]
    assert ["eu", "default"] == [each.spec["namespace"] for each in (scored, other)]


ELSEWHERE = {"name": "s", "model": "delays@champion"}


async def test_what_is_not_there_is_said(recorded: Store) -> None:
    """An alias or a name that there is not is NOT_FOUND, and no run is made."""
    for model in ("delays@challenger", "delay@newest", "model_x"):
        with pytest.raises(NotFound):
            await fired(recorded, "score", {"name": "s", "model": model})

    assert [] == await recorded.runs.page(RunFilter(), first=10)


@pytest.mark.parametrize(
    ("action", "spec", "says"),
    [
        ("scoer", {}, "did you mean 'score'"),
        ("score", {"name": "s"}, "lacks model"),
        ("score", {"name": "s", "model": "m", "modle": 1}, "did you mean 'model'"),
        ("tune", {**LEARNING, "searchSpace": "s", "trials": "many"}, "Expected `int`"),
        ("train", {**LEARNING, "resources": {"memoryBytes": "1g"}}, "Expected `int"),
        ("train", {**LEARNING, "resources": {"memory": 1}}, "did you mean 'memory_bytes'"),
    ],
)
def test_a_spec_is_checked_when_it_is_recorded(action: str, spec: dict[str, Any], says: str) -> None:
    """What an action could not take is refused at once, with what may have been meant."""
    with pytest.raises(InvalidInput, match=says) as refusal:
        check(action, spec)

    assert refusal.value.field in {"action", "spec"}


def test_objects_of_a_spec_may_be_spelled_as_in_graphql() -> None:
    """Resources are read whether they have a default or not, in either spelling."""
    train = read(ACTIONS["train"].spec, {**LEARNING, "resources": {"memoryBytes": 5}})
    again = read(ACTIONS["reproduce"].spec, {"of": "delays@champion", "resources": {"memory_bytes": 5}})

    assert (5, 5) == (train.resources.memory_bytes, again.resources.memory_bytes)
    assert (True, False, False) == (takes_executor("train"), takes_executor("reproduce"), takes_executor("x"))


async def test_what_lacks_a_recipe_is_not_reproduced(recorded: Store) -> None:
    """Reproducing takes the alias as it is now, and says what the graph does not know of the making."""
    with pytest.raises(InvalidInput, match="does not know its model sha256"):
        await fired(recorded, "reproduce", {"of": "delays@champion"})


def test_each_action_is_a_mutation() -> None:
    """Actions are called as the mutations are that do the same."""
    assert {"score", "evaluate", "train", "tune", "registerDataset"} <= ACTIONS.keys()
