"""The client against a real server with a real worker."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from lineage.artifacts import ArtifactKind
from lineage.cli import stack
from lineage.cli.stack import Stack
from lineage.client import AuditProgress, Client, Run, sources
from lineage.errors import Conflict, ExecutionFailed, InvalidInput, NotFound, Unavailable
from lineage.runs import RunState
from lineage.settings import Settings
from lineage.store.graph import Graph

pytestmark = pytest.mark.neo4j
ROWS = "id,day,amount,late\n" + "".join(f"{n},{n % 7},{n * 1.5},{n % 3 == 0}\n" for n in range(60))


async def empty(settings: Settings) -> None:
    """Leave nothing in the graph but its schema, so that the worker finds no runs of other tests."""
    graph = await Graph.open(settings.neo4j_uri, settings.neo4j_user, settings.neo4j_password, timeout=30)
    await graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    await graph.close()


@pytest.fixture(scope="module")
def served(neo4j_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Stack]]:
    """An API and a worker as processes, over the session's Neo4j."""
    home = tmp_path_factory.mktemp("served")
    settings = Settings(**{**vars(neo4j_settings), "home": home, "port": 0})
    anyio.run(empty, settings)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(stack.running(settings)) as running:
        yield settings, running
    anyio.run(empty, settings)


@pytest.fixture
def client(served: tuple[Settings, Stack]) -> Iterator[Client]:
    """A client of the API of the data directory."""
    with Client(settings=served[0]) as client:
        yield client


def a_name(prefix: str = "thing") -> str:
    """A name that no other test has."""
    return f"{prefix}_{uuid.uuid4().hex[:8]}"


def a_dataset(client: Client, folder: Path, text: str = ROWS) -> tuple[str, Run]:
    """A dataset that was registered, and the run that did it."""
    name = a_name("sales")
    (folder / f"{name}.csv").write_text(text)
    return name, client.wait(client.register_dataset(name, folder / f"{name}.csv"))


def test_a_dataset_is_read(client: Client, tmp_path: Path) -> None:
    """A file becomes a dataset with its columns, made by the run."""
    name, run = a_dataset(client, tmp_path)

    dataset = run.made("DATASET")
    assert (RunState.SUCCEEDED, 60) == (run.state, dataset.body["row_count"])
    assert dataset == client.artifact("Dataset", name)
    assert 4 == sum(each.kind is ArtifactKind.COLUMN for each in run.generated)


def test_training_set_from_features(client: Client, tmp_path: Path) -> None:
    """Features, a feature set and a training set stand on the columns that their SQL uses."""
    name, _ = a_dataset(client, tmp_path)
    amount = client.define_feature(a_name("amount"), f"{name}.amount * 2", name, [f"{name}.id"])
    late = client.define_feature(a_name("late"), f"{name}.late", name, [f"{name}.id"])
    feature_set = client.define_feature_set(a_name("set"), [amount], late)
    split = {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 3}
    run = client.wait(client.create_training_set(a_name("training"), feature_set, split))

    training_set = run.made(ArtifactKind.TRAINING_SET)
    assert 60 == sum(each["rows"] for each in training_set.body["splits"].values())
    column = client.artifact("COLUMN", f"{name}.amount")
    walk = client.impact(column)
    assert [amount.id, feature_set.id, training_set.id] == [each.artifact.id for each in walk.reached]
    assert [1, 2, 3] == [each.distance for each in walk.reached]
    assert {"Feature": 1, "FeatureSet": 1, "TrainingSet": 1} == walk.counts
    facets = client.facets(column, stop_kinds=["FeatureSet"], stops_shown=False)
    assert (1, {"Feature": 1}, True) == (facets.total, facets.kinds, facets.complete)
    rows = list(client.rows(column, page=2))
    names = list(client.rows(column, page=2, columns=["name"]))
    assert [each.artifact.id for each in walk.reached] == [row["id"] for row in rows]
    assert [1, 2, 3] == [row["distance"] for row in rows]
    assert [{name: row[name] for name in ("distance", "id", "name")} for row in rows] == names
    ways, more = client.why(column, node=training_set)
    assert ([3], False) == ([len(way.links) for way in ways], more)


def test_a_walk_is_a_picture_and_a_frame(client: Client, tmp_path: Path) -> None:
    """In a notebook a walk draws itself; as a data frame it has a row for each artifact."""
    name, run = a_dataset(client, tmp_path)

    walk = client.impact(run.made("Dataset"))
    svg = walk._repr_svg_()
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert 4 == svg.count("<title>DERIVED_FROM</title>")
    assert f"{name}.amount" in svg
    assert ["Column"] * 4 == list(walk.to_frame()["kind"])


def test_lists_are_frames(client: Client) -> None:
    """A list of answers is a data frame with a column for each field."""
    name = a_name()
    client.define_metric(name, "roc_auc", threshold=0.5, tags=("mine",))

    found = client.artifacts(kinds=["METRIC_DEFINITION"], name=name)
    assert 1 == found.total
    assert [name] == list(found.to_frame()["name"])
    assert [("mine",)] == list(found.to_frame()["tags"])


def test_lists_are_paged(client: Client) -> None:
    """More than a page is fetched page by page, each item once."""
    tag = a_name("tag")
    nodes = [
        {"kind": "DATASET", "name": f"{tag}-{n}", "version": "1", "digest": f"{n:064x}", "tags": [tag]}
        for n in range(130)
    ]
    client.record_lineage(nodes)

    found = client.artifacts(tag=tag, first=125)
    assert (125, 125, 130) == (len(found), len({each.id for each in found}), found.total)


def test_lineage_of_others_has_paths(client: Client) -> None:
    """Lineage in bulk is walked like our own, and the way from one to the other is shown."""
    name = a_name()
    nodes = [{"kind": "DATASET", "name": f"{name}-{n}", "version": "1", "digest": f"{n:064x}"} for n in range(3)]
    refs = [{key: node[key] for key in ("kind", "name", "version")} for node in nodes]
    edges = [{"type": "DERIVED_FROM", "source": refs[n], "target": refs[n + 1]} for n in range(2)]
    assert {"nodes": 3, "edges": 2, "refused": []} == client.record_lineage(nodes, edges)

    last, first = (client.artifact("Dataset", f"{name}-{n}") for n in (0, 2))
    (path,) = client.paths(last, first)
    assert [f"{name}-{n}" for n in range(3)] == [node.name for node in path.nodes]
    assert [f"{name}-1", f"{name}-2"] == [each.artifact.name for each in client.provenance(last).reached]


def test_the_same_content_is_the_same_node(client: Client) -> None:
    """Defining the same twice gives one node, and other content another version."""
    name = a_name()
    space = {"C": {"type": "float", "low": 0.1, "high": 1.0}}

    first, again = (client.define_search_space(name, space) for _ in range(2))
    assert first.id == again.id
    other = client.define_search_space(name, {"C": {"type": "float", "low": 0.1, "high": 2.0}})
    assert first.version != other.version


def test_a_key_finds_the_first_run(client: Client, tmp_path: Path) -> None:
    """A run that is asked for twice with one key is one run; another request with that key is refused."""
    path, key, name = tmp_path / "rows.csv", uuid.uuid4().hex, a_name()
    path.write_text(ROWS)

    first, again = (client.register_dataset(name, path, idempotency_key=key) for _ in range(2))
    assert first.id == again.id
    with pytest.raises(Conflict, match="differs in name"):
        client.register_dataset(a_name(), path, idempotency_key=key)
    client.wait(first)


def test_a_dataset_may_move(client: Client, tmp_path: Path) -> None:
    """The same bytes registered at another place are the same version, which is read there from then on."""
    name, run = a_dataset(client, tmp_path)
    dataset = run.made("DATASET")
    moved = (tmp_path / f"{name}.csv").rename(tmp_path / "moved.csv")
    again = client.wait(client.register_dataset(name, moved)).made("DATASET")

    found = client.query("query ($id: ID!) { node(id: $id) { ... on Dataset { uri locations } } }", id=again.id)
    feature = client.define_feature("amount", f"{name}.amount", name, [f"{name}.id"])
    label = client.define_feature("late", f"{name}.late", name, [f"{name}.id"])
    members = client.define_feature_set(name, [feature], label)
    rule = {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 1}
    made = client.wait(client.create_training_set(name, members, rule))

    assert dataset.id == again.id
    assert {"uri": dataset.body["uri"], "locations": [str(moved)]} == found["node"]
    assert RunState.SUCCEEDED is made.state


def test_code_registered_in_a_notebook_comes_from_it(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside of Jupyter the notebook that runs is the source of the code; elsewhere one may be named."""
    (tmp_path / "model.py").write_text("def build(params): ...\n")
    cells = [{"cell_type": "code", "source": f"# {tmp_path}", "outputs": [], "execution_count": 1, "metadata": {}}]
    path = tmp_path / "try.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))

    name = a_name()
    named = client.register_model_code(name, tmp_path / "model.py", "model.py:build", notebook=path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    within = client.register_model_code(name, tmp_path / "model.py", "model.py:build")

    assert named == within
    assert ["try"] == [each.artifact.name for each in client.provenance(within).reached]
    with pytest.raises(NotFound, match="no notebook"):
        client.register_model_code(name, tmp_path / "model.py", "model.py:build", notebook=tmp_path / "none.ipynb")


def test_model_code_has_its_commit(client: Client, tmp_path: Path) -> None:
    """Code in a repository is registered with its commit, and whether it was changed since."""
    (tmp_path / "model.py").write_text("def build(params): ...\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)

    clean = client.register_model_code(a_name(), tmp_path, "model.py:build")
    assert (40, False) == (len(clean.body["git"]["commit"]), clean.body["git"]["dirty"])
    (tmp_path / "model.py").write_text("def build(params): return 1\n")
    assert client.register_model_code(a_name(), tmp_path, "model.py:build").body["git"]["dirty"]


def test_remotes_have_no_passwords() -> None:
    """What stands before the host of a remote is not sent."""
    assert "https://example.org/a.git" == sources._plain("https://me:secret@example.org/a.git")


def test_files_of_a_tree(tmp_path: Path) -> None:
    """A tree is sent without what is no source; bytes that are no text go as base64."""
    (tmp_path / "pkg" / "__pycache__").mkdir(parents=True)
    (tmp_path / "pkg" / "__pycache__" / "a.pyc").write_bytes(b"x")
    (tmp_path / "pkg" / "a.py").write_text("A = 1\n")
    (tmp_path / "data.bin").write_bytes(b"\xff\xfe")

    found = sources.read(tmp_path)
    assert ["data.bin", "pkg/a.py"] == [each["path"] for each in found]
    assert [True, False] == [each.get("is_base64", False) for each in found]


def test_errors_are_ours(client: Client, tmp_path: Path) -> None:
    """What the API refuses is raised as the error that it is."""
    with pytest.raises(InvalidInput, match="roc_auc") as caught:
        client.define_metric(a_name(), "roc_auk")
    assert ("metric", ["roc_auc"]) == (caught.value.field, caught.value.nearest[:1])
    with pytest.raises(NotFound, match="no Dataset 'nowhere'"):
        client.artifact("Dataset", "nowhere")
    with pytest.raises(NotFound, match="run-0"):
        client.run("run-0")
    with pytest.raises(InvalidInput, match="kind"):
        client.artifact("Datasat", "x")
    with pytest.raises(NotFound, match="no file or folder"):
        client.register_model_code("x", tmp_path / "none", "model.py:build")


def test_promotion_of_what_never_passed(client: Client) -> None:
    """A model without an evaluation is not promoted."""
    name = a_name()
    client.record_lineage([{"kind": "MODEL", "name": name, "version": "1", "digest": "0" * 64}])

    model = client.artifact("Model", name)
    with pytest.raises(Conflict, match="never evaluated"):
        client.promote(model)
    promotion = client.promote(model, force=True, reason="a test")
    assert ("champion", model.id) == (promotion.alias, client.artifact("Model", name, "@champion").id)
    steps: list[AuditProgress] = []
    audit = client.audit(model, progress=steps.append)
    assert (False, len(audit.verified_digests)) == (audit.complete, steps[-1].done)
    assert audit.gaps == client.audit(model, verify=False).gaps
    with pytest.raises(NotFound):
        client.audit("model_none")
    assert (0, True) == ((same := client.compare(model, model)).omitted_files, same.complete)


def test_retraction_leaves_a_tombstone(client: Client) -> None:
    """What is retracted stays, with the reason."""
    metric = client.define_metric(a_name(), "f1")

    assert "wrong" == client.retract(metric, "wrong").retracted_reason


def test_a_run_that_fails_says_why(client: Client, tmp_path: Path) -> None:
    """Waiting for a run that fails raises its reason; without the check it is returned."""
    run = client.register_dataset(a_name(), tmp_path / "nowhere.csv", max_attempts=1)

    with pytest.raises(ExecutionFailed, match=r"nowhere\.csv"):
        client.wait(run)
    assert RunState.FAILED is client.wait(run, check=False).state
    assert run.id in [each.id for each in client.runs(states=["failed"])]


def test_the_client_outlives_its_server(client: Client, served: tuple[Settings, Stack]) -> None:
    """A server that is killed starts again by itself, and a client waits for it."""
    pid = served[1].children[0].pid
    assert pid is not None
    before = client.status()
    os.kill(pid, signal.SIGKILL)

    assert before == client.status()


def test_no_server_says_what_to_do(tmp_path: Path) -> None:
    """Without a server the error says how to start one."""
    settings = Settings(home=tmp_path)
    with Client(settings=settings, patience=0) as client, pytest.raises(Unavailable, match="lineage up"):
        client.status()
    elsewhere = Client("http://127.0.0.1:9", settings=settings, patience=0)
    with elsewhere as client, pytest.raises(Unavailable, match="cannot be reached"):
        client.status()


def test_lineage_from_a_file(served: tuple[Settings, Stack], client: Client, tmp_path: Path) -> None:
    """`lineage record` sends a file of lines in calls, counts, and tells what was refused by its place in the file."""
    tag = a_name("bulk")
    nodes = [{"kind": "DATASET", "name": f"{tag}-{n}", "version": "1", "tags": [tag]} for n in range(2_500)]
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps({"nodes": [node]}) + "\n" for node in [*nodes, {**nodes[0], "name": ""}]))
    words = [sys.executable, "-m", "lineage.cli", "record", str(file), "--home", str(served[0].home), "--json"]

    whole = subprocess.run(words, capture_output=True, text=True, check=False)
    rest = subprocess.run([*words, "--keep-rest"], capture_output=True, text=True, check=False)

    assert (1, "") == (whole.returncode, whole.stdout)
    assert "nodes[2000]" in whole.stderr
    assert "2000 nodes and 0 edges before are recorded" in whole.stderr
    assert {"nodes": 2_500, "edges": 0} == {name: json.loads(rest.stdout)[name] for name in ("nodes", "edges")}
    assert [("nodes", 2_500)] == [(each["list"], each["index"]) for each in json.loads(rest.stdout)["refused"]]
    assert 2_500 == client.artifacts(tag=tag, first=1).total


@pytest.mark.parametrize("text", ["", "[]", "{", '{"nodes": 1}', '{"nodes": []}\n{"edgse": []}\n'])
def test_a_file_that_is_no_lineage(served: tuple[Settings, Stack], tmp_path: Path, text: str) -> None:
    """What cannot be read is one line that says so."""
    (tmp_path / "bad.json").write_text(text)
    words = [sys.executable, "-m", "lineage.cli", "record", "bad.json", "--home", str(served[0].home)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (1, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))


def test_a_worker_fires_schedules_and_triggers(client: Client, tmp_path: Path) -> None:
    """A schedule that is run by hand reads a dataset, whose version fires a trigger, whose run is done as well."""
    name, copy = a_name("sales"), a_name("copy")
    (tmp_path / "rows.csv").write_text(ROWS)
    spec = {"name": name, "uri": str(tmp_path / "rows.csv")}
    trigger = client.create_trigger(a_name(), "new-version", "registerDataset", {**spec, "name": copy}, of=name)
    schedule = client.create_schedule(a_name(), "@yearly", "registerDataset", spec, timezone="Europe/Berlin")
    client.run_schedule(schedule.id)

    deadline = time.monotonic() + 90
    while not [each for each in client.firings(trigger.id) if each.state == "DONE"] and time.monotonic() < deadline:
        time.sleep(0.5)
    (by_hand,), (event,) = client.firings(schedule.id), client.firings(trigger.id)
    client.delete_trigger(trigger.id)
    client.delete_schedule(schedule.id)

    made = client.run(str(by_hand.run)).made(ArtifactKind.DATASET)
    assert ("DONE", "DONE", made.id) == (by_hand.state, event.state, event.artifact)
    assert made.digest == client.run(str(event.run)).made(ArtifactKind.DATASET).digest
