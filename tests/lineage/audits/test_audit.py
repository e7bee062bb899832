"""The audit of a model that was recorded by hand: what it says, what it misses, what it finds changed."""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, artifact_id
from lineage.audits.audit import advance, audit
from lineage.audits.facts import Audit
from lineage.data import datasets
from lineage.endpoints import endpoint_id
from lineage.errors import InvalidInput, NotFound
from lineage.files import Files
from lineage.intake import EdgeInput, NodeInput, Ref, record_lineage
from lineage.runs import Outcome, RunKind, RunState
from lineage.store import Store
from tests.conftest import NOW
from tests.runs import a_run

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K, E = ArtifactKind, EdgeType
IMAGE = Artifact(kind=K.IMAGE, name="env", digest=hashlib.sha256(b"image").hexdigest(), body={"base": "debian"})


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An artifact store of the test's own."""
    return Files(str(tmp_path / "artifacts"))


async def complete(
    store: Store, files: Files, tmp_path: Path, *, without: Collection[ArtifactKind] = (), by_run: bool = True
) -> Artifact:
    """A model with everything that a reviewer asks for, but for the kinds in *without*."""
    (tmp_path / "flights.csv").write_text("flight,delay\n1,20\n2,3\n")
    profile = await datasets.profile(str(tmp_path / "flights.csv"), name="flights")
    data, columns = profile.dataset, list(profile.columns)
    kept = {name: (await files.put_bytes(name.encode())).sha256 for name in ("code", "lock", "train", "model")}
    feature = Artifact.defined(K.FEATURE, "late", {"expression": "delay > 15"})
    feature_set = Artifact.defined(K.FEATURE_SET, "set", {"features": [feature.id]})
    splits = {"train": {"sha256": kept["train"], "rows": 2, "bytes": 5}}
    training_set = Artifact.defined(K.TRAINING_SET, "training", {"splits": splits, "split": {"by": "HASH"}})
    code = Artifact.defined(K.MODEL_CODE, "code", {"entry": "m.py:build", "archive": kept["code"]})
    locked = [{"name": "scikit-learn", "version": "1.9.1"}]
    environment = Artifact.defined(K.ENVIRONMENT, "env", {"language": "python", "lock": kept["lock"], "locked": locked})
    values = Artifact.defined(K.HYPERPARAMETERS, "values", {"values": {"C": 1}})
    evaluation = Artifact.defined(K.EVALUATION, "e", {"split": "test", "values": {"f1": 0.9}, "passed": True})
    body = {"signature": {"inputs": []}, "observed": {"packages": {"scikit_learn": "1.9.1"}}, "task": "classification"}
    model = Artifact.defined(K.MODEL, "m", {**body, "files": [{"path": "model.skops", "sha256": kept["model"]}]})
    edges = [
        *profile.edges,
        *(Edge(type=E.DERIVED_FROM, source=feature.id, target=each.id) for each in columns),
        Edge(type=E.DERIVED_FROM, source=feature_set.id, target=feature.id),
        Edge(type=E.DERIVED_FROM, source=training_set.id, target=feature_set.id),
        Edge(type=E.DERIVED_FROM, source=training_set.id, target=data.id),
        Edge(type=E.TRAINED_ON, source=model.id, target=training_set.id),
        Edge(type=E.DERIVED_FROM, source=model.id, target=code.id),
        Edge(type=E.DERIVED_FROM, source=model.id, target=values.id),
        Edge(type=E.RUNS_IN, source=model.id, target=environment.id),
        Edge(type=E.EVALUATED_BY, source=model.id, target=evaluation.id),
    ]
    given = [data, *columns, feature, feature_set, training_set, code, environment, values, evaluation, model]
    nodes = [each for each in given if each.kind not in without]
    ids = {each.id for each in nodes}
    await _land(store, nodes, [each for each in edges if {each.source, each.target} <= ids], by_run=by_run)
    return model


async def _land(store: Store, nodes: list[Artifact], edges: list[Edge], *, by_run: bool) -> None:
    if not by_run:
        await store.artifacts.record(nodes, edges, now=NOW, by="ann")
        return
    await store.runs.create(a_run(RunKind.TRAIN, id="run-1"))
    lease = await store.runs.lease("w", executors=["process"], now=NOW, ttl=timedelta(seconds=30))
    assert lease is not None
    await store.artifacts.record([IMAGE], now=NOW, by="ann")
    lease = await store.runs.house(lease, IMAGE.id, now=NOW)
    await store.runs.finish(lease, Outcome(state=RunState.SUCCEEDED), now=NOW, artifacts=nodes, edges=edges)


def remove(path: str) -> None:
    """Take a file away."""
    Path(path).unlink()


def gaps(found: Audit) -> list[tuple[str, str]]:
    """The gaps as pairs of section and message."""
    return [(gap.section, gap.message) for gap in found.gaps]


async def test_a_complete_model_has_no_gaps(store: Store, files: Files, tmp_path: Path) -> None:
    """Every fact has the node that it comes from, and every byte is as it was recorded."""
    model = await complete(store, files, tmp_path)

    found = await audit(store, model.id, files=files, verify=True)

    assert [] == gaps(found)
    assert found.complete
    assert {"model", "data", "features", "columns", "code", "environment", "hyperparameters", "metrics", "runs"} == {
        fact.section for fact in found.facts
    }
    assert all(fact.source for fact in found.facts)
    assert {"dataset flights", "training train", "code code", "lock of env", "model model.skops"} == {
        each.what for each in found.verified
    }


@pytest.mark.parametrize(
    ("missing", "section", "message"),
    [
        (K.DATASET, "data", "no dataset is recorded"),
        (K.TRAINING_SET, "data", "no training set is recorded"),
        (K.FEATURE, "features", "no feature is recorded"),
        (K.COLUMN, "features", "no column is recorded that the features come from"),
        (K.MODEL_CODE, "code", "no model code is recorded"),
        (K.ENVIRONMENT, "environment", "no environment is recorded"),
        (K.HYPERPARAMETERS, "hyperparameters", "no hyperparameters are recorded"),
        (K.EVALUATION, "metrics", "the model was never evaluated"),
    ],
)
async def test_each_missing_piece_is_a_gap(
    store: Store, files: Files, tmp_path: Path, missing: ArtifactKind, section: str, message: str
) -> None:
    """What a reviewer would ask and the graph does not say is named in its section."""
    model = await complete(store, files, tmp_path, without=[missing])

    found = await audit(store, model.id)

    assert (section, message) in gaps(found)
    assert not found.complete


async def test_a_model_that_no_run_made_is_a_gap(store: Store, files: Files, tmp_path: Path) -> None:
    """Without a run nobody knows who trained it and when."""
    model = await complete(store, files, tmp_path, by_run=False)

    assert [("runs", "no run is recorded that trained the model")] == gaps(await audit(store, model.id))


async def test_a_retracted_dataset_is_a_gap(store: Store, files: Files, tmp_path: Path) -> None:
    """A tombstone below a model is seen at the model, with its reason."""
    model = await complete(store, files, tmp_path)
    dataset = await store.artifacts.get(K.DATASET, "flights")
    assert dataset is not None
    await store.artifacts.retract(dataset.id, reason="not ours", now=NOW)

    assert ("model", "Dataset flights was retracted: not ours") in gaps(await audit(store, model.id))


async def test_changed_bytes_are_found(store: Store, files: Files, tmp_path: Path) -> None:
    """A dataset that was edited where it lies, and a file that is gone, are told; the seal is of what is known."""
    model = await complete(store, files, tmp_path)
    before = await audit(store, model.id, files=files, verify=True)
    (tmp_path / "flights.csv").write_text("flight,delay\n1,21\n2,3\n")
    remove(files.address(model.body["files"][0]["sha256"]))

    after = await audit(store, model.id, files=files, verify=True)

    changed = {each.what: each.message for each in after.verified if not each.verified}
    assert {"dataset flights", "model model.skops"} == set(changed)
    assert all(changed.values())
    assert not after.complete
    assert before.seal == after.seal == after.export()["seal"]


async def test_equal_facts_have_equal_seals(store: Store, files: Files, tmp_path: Path) -> None:
    """Asked again, through an evaluation too, the seal is the same; another fact gives another one."""
    model = await complete(store, files, tmp_path)
    first = await audit(store, model.id)

    assert first.seal == (await audit(store, model.id)).seal
    evaluation = await store.artifacts.get(K.EVALUATION, "e")
    assert evaluation is not None
    assert first.seal == (await audit(store, evaluation.id)).seal
    await store.artifacts.set_alias(model.id, "champion", now=NOW, by="ann", reason="why")
    assert first.seal != (await audit(store, model.id)).seal


async def test_only_models_are_audited(store: Store, files: Files, tmp_path: Path) -> None:
    """A dataset is no model, and what is not there is not found."""
    await complete(store, files, tmp_path)
    dataset = await store.artifacts.get(K.DATASET, "flights")
    assert dataset is not None

    with pytest.raises(InvalidInput, match="Dataset"):
        await audit(store, dataset.id)
    with pytest.raises(NotFound):
        await audit(store, "model_none")


def outside(kind: ArtifactKind, name: str, **properties: object) -> NodeInput:
    """A node as another system would send it."""
    return NodeInput(kind=kind, name=name, version="1", properties=properties, digest="0" * 64)


async def audited(store: Store, files: Files, *nodes: NodeInput) -> Audit:
    """The verified audit of a model of another system that depends on *nodes*."""
    model = outside(K.MODEL, "theirs")
    ways = {K.TRAINING_SET: E.TRAINED_ON, K.ENVIRONMENT: E.RUNS_IN}
    start = Ref(kind=K.MODEL, name="theirs", version="1")
    middle = Ref(kind=K.TRAINING_SET, name="between", version="1")
    edges = [EdgeInput(type=E.TRAINED_ON, source=start, target=middle)]
    for node in nodes:
        source = middle if node.kind is K.DATASET else start
        end = Ref(kind=node.kind, name=node.name, version="1")
        edges.append(EdgeInput(type=ways.get(node.kind, E.DERIVED_FROM), source=source, target=end))
    await record_lineage(store, [model, *nodes], edges, by="them", now=NOW)
    id = artifact_id(K.MODEL, "default", "theirs", "1")
    return await audit(store, id, files=files, verify=True)


async def test_what_lies_at_an_address_is_not_told(store: Store, files: Files, tmp_path: Path) -> None:
    """A listing that does not fit learns that it does not, and not what would fit."""
    (tmp_path / "secret.txt").write_text("secret")
    listed = [{"path": "secret.txt", "sha256": "0" * 64, "bytes": 6}]
    found = await audited(store, files, outside(K.DATASET, "d", uri=f"{tmp_path}/secret.txt", files=listed))
    (checked,) = [each for each in found.verified if each.what == "dataset d"]
    assert (False, False) == (checked.verified, hashlib.sha256(b"secret").hexdigest() in str(checked))


async def test_a_name_that_no_file_can_have(store: Store, files: Files, tmp_path: Path) -> None:
    """A path too long for any file system is told as not verified, and does not raise."""
    listed = [{"path": "x" * 300, "sha256": "0" * 64, "bytes": 6}]
    found = await audited(store, files, outside(K.DATASET, "d", uri=f"{tmp_path}/", files=listed))
    assert [False] == [each.verified for each in found.verified if each.what == "dataset d"]


@pytest.mark.parametrize("path", ["../secret.txt", "a/../../secret.txt", "/etc/hostname"])
async def test_a_listing_leads_nowhere_else(store: Store, files: Files, tmp_path: Path, path: str) -> None:
    """A path that another system recorded is not followed out of the dataset's folder, even where its digest fits."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "data").mkdir()
    listed = [{"path": path, "sha256": hashlib.sha256(b"secret").hexdigest(), "bytes": 6}]

    found = await audited(store, files, outside(K.DATASET, "d", uri=f"{tmp_path}/data/", files=listed))

    (checked,) = [each for each in found.verified if each.what == "dataset d"]
    assert (False, True) == (checked.verified, "not a plain relative path" in (checked.message or ""))


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"uri": None, "files": [{"path": "a.csv", "sha256": "0" * 64}]},
        {"uri": 7, "files": 3},
        {"uri": "/nowhere/a.csv", "files": "a.csv"},
        {"uri": "/nowhere/a.csv", "files": [{"path": "a.csv"}], "columns": None},
        {"uri": "/nowhere/a.csv", "files": [None], "columns": 4},
    ],
)
async def test_a_dataset_that_cannot_be_read_again_is_said_so(
    store: Store, files: Files, properties: dict[str, object]
) -> None:
    """No address, no listing, a damaged one: none is passed over in silence, and none raises."""
    found = await audited(store, files, outside(K.DATASET, "d", **properties))

    assert [False] == [each.verified for each in found.verified if each.what == "dataset d"]
    assert not found.complete


@pytest.mark.parametrize(
    ("kind", "properties", "section"),
    [
        (K.TRAINING_SET, {"splits": {"train": {"rows": 3}}}, "data"),
        (K.TRAINING_SET, {"splits": [1]}, "data"),
        (K.ENVIRONMENT, {"locked": ["scikit-learn"], "lock": 5}, "environment"),
        (K.MODEL_CODE, {"git": "main", "archive": ["x"]}, "code"),
        (K.HYPERPARAMETERS, {"values": 3}, "search"),
    ],
)
async def test_an_odd_record_is_a_gap(
    store: Store, files: Files, kind: ArtifactKind, properties: dict[str, object], section: str
) -> None:
    """What other systems record may have any shape; the audit says that it could not read it."""
    found = await audited(store, files, outside(kind, "odd", **properties))

    assert "another shape" in " ".join(gap.message for gap in found.gaps if gap.section == section)


async def test_the_bytes_of_predictions_are_read_again(store: Store, files: Files) -> None:
    """What a model predicted is verified as well, and a record without its file is said so."""
    kept = await files.put_bytes(b"rows")
    model = Ref(kind=K.MODEL, name="m", version="1")
    nodes = [outside(K.MODEL, "m"), outside(K.PREDICTIONS, "kept", file=kept.sha256), outside(K.PREDICTIONS, "lost")]
    edges = [
        EdgeInput(type=E.DERIVED_FROM, source=Ref(kind=K.PREDICTIONS, name=name, version="1"), target=model)
        for name in ("kept", "lost")
    ]
    await record_lineage(store, nodes, edges, by="them", now=NOW)

    found = await audit(store, artifact_id(K.MODEL, "default", "m", "1"), files=files, verify=True)

    assert {"predictions kept": True, "Predictions lost": False} == {
        each.what: each.verified for each in found.verified
    }


async def test_what_features_read_where_it_ran_and_what_serves_it(store: Store, files: Files, tmp_path: Path) -> None:
    """Columns by feature, the image of each run, and from when until when a deployment was live."""
    model = await complete(store, files, tmp_path)
    versions = [Artifact.defined(K.DEPLOYMENT, "live", {"model": model.id, "replicas": n}) for n in (1, 2)]
    edges = [Edge(type=E.DERIVED_FROM, source=each.id, target=model.id) for each in versions]
    old, new = await store.artifacts.record(versions, edges, now=NOW, by="ann")
    endpoint, later = endpoint_id("default", "live"), NOW + timedelta(seconds=1)
    await store.endpoints.want(endpoint, new.id, executor="process", asked_at=NOW, now=NOW)
    (held,) = await store.endpoints.lease("c", executors=["process"], now=NOW, ttl=timedelta(minutes=1))
    await store.endpoints.switch(held, old.id, now=NOW)
    await store.endpoints.switch(held, new.id, now=later)

    facts = {(fact.section, fact.name): fact.value for fact in (await audit(store, model.id)).facts}

    assert ["flights.delay", "flights.flight"] == facts["columns", "late"]
    assert {"digest": IMAGE.digest, "base": "debian", "runs": ["run-1"]} == facts["environment", "image env"]
    assert [{"since": NOW.isoformat(), "until": later.isoformat()}] == facts["deployments", f"live {old.version}"]
    assert [{"since": later.isoformat(), "until": None}] == facts["deployments", f"live {new.version}"]


async def test_progress_is_told_before_each_digest(store: Store, files: Files, tmp_path: Path) -> None:
    """One word before each digest, with how many are done and what is read, and the same audit at the end."""
    model = await complete(store, files, tmp_path)

    steps = [each async for each in advance(store, model.id, files=files)]
    whole = await audit(store, model.id, files=files, verify=True)

    assert 5 == len(whole.verified)
    assert [(number, 5) for number in range(6)] == [(each.done, each.total) for each in steps]
    assert [*(each.what for each in whole.verified), None] == [each.reading for each in steps]
    assert [None] * 5 + [whole] == [each.audit for each in steps]


async def test_progress_without_bytes_is_the_audit_alone(store: Store, files: Files, tmp_path: Path) -> None:
    """Where nothing is read again there is one word."""
    model = await complete(store, files, tmp_path)

    assert [(0, 0)] == [(each.done, each.total) async for each in advance(store, model.id, files=None)]


async def test_what_a_reviewer_asks_of_a_search(store: Store, files: Files, tmp_path: Path) -> None:
    """Space, sampler, trials with the pruned and failed, bars, curves, dirty code, who, when, how often, what for."""
    made = await complete(store, files, tmp_path, by_run=False)
    space = Artifact.defined(K.SEARCH_SPACE, "space", {"parameters": {"C": {"low": 0.1, "high": 10}}})
    dirty = Artifact.defined(K.MODEL_CODE, "mine", {"entry": "m.py:build", "git": {"commit": "abc", "dirty": True}})
    verdicts, curves = [{"metric": "f1", "passed": False, "value": 0.5, "threshold": 0.6}], {"roc": {"fpr": [0, 1]}}
    said = {"split": "test", "values": {"f1": 0.5}, "passed": False, "verdicts": verdicts, "curves": curves}
    evaluation = Artifact.defined(K.EVALUATION, "of the search", said)
    model = Artifact.defined(K.MODEL, "searched", {"signature": {"inputs": []}})
    values = await store.artifacts.get(K.HYPERPARAMETERS, "values")
    assert values is not None
    edges = [
        *(Edge(type=E.DERIVED_FROM, source=model.id, target=each) for each in (values.id, dirty.id, made.id)),
        Edge(type=E.DERIVED_FROM, source=values.id, target=space.id),
        Edge(type=E.EVALUATED_BY, source=model.id, target=evaluation.id),
    ]
    spec = {"trials": 8, "sampler": "tpe", "pruner": "median", "seed": 3, "parallel": 2}
    await store.runs.create(a_run(RunKind.TUNE, id="run-2", spec=spec))
    lease = await store.runs.lease("w", executors=["process"], now=NOW, ttl=timedelta(seconds=30))
    assert lease is not None
    for token in "ab":
        lease = await store.runs.begin_attempt(lease, token_hash=token, now=NOW)
    outcome, nodes = Outcome(state=RunState.SUCCEEDED), [space, dirty, evaluation, model]
    await store.runs.finish(lease, outcome, now=NOW, result={"model": model.id}, artifacts=nodes, edges=edges)
    await store.artifacts.set_alias(model.id, "champion", now=NOW, by="bob", reason="better")
    scored = Artifact.defined(K.PREDICTIONS, "december", {"model": model.id, "rows": 28})
    await store.artifacts.record(
        [scored], [Edge(type=E.DERIVED_FROM, source=scored.id, target=model.id)], now=NOW, by="ann"
    )

    async def counts(run: str) -> dict[str, int]:
        return {"COMPLETE": 5, "PRUNED": 2, "FAIL": 1} if run == "run-2" else {}

    found = await audit(store, scored.id, trial_counts=counts)

    facts = {(fact.section, fact.name, fact.source): fact.value for fact in found.facts}
    assert model == replace(found.model, created_at=None, created_by="unknown")
    assert space.body["parameters"] == facts["search", "space", space.id]
    assert spec == {name: facts["search", name, "run-2"] for name in spec}
    assert {"COMPLETE": 5, "PRUNED": 2, "FAIL": 1} == facts["search", "trial_counts", "run-2"]
    assert (verdicts, curves) == (
        facts["metrics", "verdicts", evaluation.id],
        facts["metrics", "curves", evaluation.id],
    )
    assert (True, "abc") == (facts["code", "dirty", dirty.id], facts["code", "commit", dirty.id])
    assert ("code", "the tree of mine had changes that were not committed") in gaps(found)
    run = facts["runs", "run-2", "run-2"]
    assert ("process", "ann", 2, "SUCCEEDED") == (run["executor"], run["by"], run["attempts"], run["state"])
    assert NOW.isoformat() == run["started_at"] == run["ended_at"]
    moved = facts["promotions", "champion", model.id]
    assert {"since": NOW.isoformat(), "until": None, "by": "bob", "reason": "better"} == moved
    assert {"kind": "Predictions", "rows": 28} == facts["use", "december", scored.id]
