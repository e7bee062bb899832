"""What clients change, over HTTP."""

import base64
from datetime import timedelta
from typing import Any

import anyio
import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.writer import Room
from tests.api.serving import Client, serving
from tests.conftest import NOW
from tests.store.held import Held

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K, E = ArtifactKind, EdgeType


async def test_a_run_is_queued_with_what_was_asked(client: Client) -> None:
    """Registering a dataset queues a run whose spec says everything that the worker must know."""
    data = await client.ask(
        """mutation ($i: RegisterDatasetInput!) { registerDataset(input: $i) {
          run { kind state executor attempt maxAttempts createdBy spec log { text next } trials { totalCount } }
        } }""",
        {
            "i": {
                "name": "flights",
                "uri": "/x.csv",
                "tags": ["raw"],
                "resources": {"seconds": 60, "memoryBytes": 2**33},
            }
        },
    )

    run = data["registerDataset"]["run"]
    spec = run.pop("spec")
    assert "QUEUED" == run["state"]
    assert {"text": "", "next": 0} == run["log"]
    assert ("flights", "/x.csv", ["raw"]) == (spec["name"], spec["uri"], spec["tags"])
    unsaid = {"processes": None, "cpus": None, "disk_bytes": None, "network": False}
    assert {"memory_bytes": 2**33, "seconds": 60, **unsaid} == spec["resources"]


async def test_the_same_key_starts_one_run(client: Client) -> None:
    """A call that is repeated with its idempotency key gives the first run back."""
    query = "mutation ($i: RegisterDatasetInput!) { registerDataset(input: $i) { run { id } } }"
    asked = {"i": {"name": "flights", "uri": "/x.csv", "idempotencyKey": "once"}}

    assert await client.ask(query, asked) == await client.ask(query, asked)


async def test_an_unknown_executor(client: Client) -> None:
    """A run for an executor that is not installed is refused before it is queued."""
    query = 'mutation { registerDataset(input: {name: "f", uri: "/x", executor: "proces"}) { run { id } } }'

    error = await client.refused(query)

    assert ("executor", "process") == (error["field"], error["nearest"][0])


async def test_source_code_in_text_and_base64(client: Client) -> None:
    """The files of a source tree come as text or as base64, and the same tree gives the same artifact."""
    query = """mutation ($i: RegisterModelCodeInput!) { registerModelCode(input: $i) {
      modelCode { id entry contract git { commit dirty branch } files { path bytes } } } }"""
    text = "def build(params): ..."
    plain = {"path": "model.py", "content": text}
    coded = {"path": "model.py", "content": base64.b64encode(text.encode()).decode(), "isBase64": True}
    asked = {"name": "m", "entry": "model.py:build", "git": {"commit": "abc", "dirty": False}}

    first = await client.ask(query, {"i": {**asked, "files": [plain]}})
    second = await client.ask(query, {"i": {**asked, "files": [coded]}})
    bad = await client.refused(query, {"i": {**asked, "files": [{**plain, "isBase64": True}]}})

    code = first["registerModelCode"]["modelCode"]
    assert first == second
    assert {"commit": "abc", "dirty": False, "branch": None} == code["git"]
    assert [{"path": "model.py", "bytes": len(text)}] == code["files"]
    assert "files" == bad["field"]


async def test_a_search_space_must_be_an_object(client: Client) -> None:
    """JSON of another shape is INVALID_INPUT that names the field."""
    query = 'mutation { defineSearchSpace(input: {name: "s", parameters: [1]}) { searchSpace { id } } }'

    assert "parameters" == (await client.refused(query))["field"]


async def test_a_search_space_is_recorded(client: Client) -> None:
    """A search space comes back with its parameters."""
    query = """mutation ($p: JSON!) { defineSearchSpace(input: {name: "s", parameters: $p}) {
      searchSpace { parameters } } }"""
    parameters = {"C": {"type": "float", "low": 0.1, "high": 10.0, "log": True}}

    data = await client.ask(query, {"p": parameters})

    assert parameters["C"].items() <= data["defineSearchSpace"]["searchSpace"]["parameters"]["C"].items()


async def _model(store: Store, letter: str, *, passed: bool, at: int = 0) -> Artifact:
    model = Artifact(kind=K.MODEL, name="m", digest=letter * 64)
    verdict = {"metric": "f1", "value": 0.9 if passed else 0.1, "threshold": 0.5, "passed": passed}
    body: dict[str, Any] = {
        "split": "test",
        "values": {"f1": verdict["value"]},
        "verdicts": [verdict],
        "passed": passed,
    }
    evaluation = Artifact.defined(K.EVALUATION, f"m {letter}", body)
    edge = Edge(type=E.EVALUATED_BY, source=model.id, target=evaluation.id)
    await store.artifacts.record([model, evaluation], [edge], now=NOW + timedelta(seconds=at), by="t")
    return model


PROMOTE = """mutation ($i: PromoteInput!) { promote(input: $i) {
  alias asset { name } model { id aliases } former { id aliases }
  evaluation { passed } verdicts { metric passed } } }"""


async def test_a_promotion_moves_the_alias(client: Client, store: Store) -> None:
    """The second promotion takes the alias from the first model, and says so."""
    first, second = await _model(store, "a", passed=True), await _model(store, "b", passed=True, at=1)

    await client.ask(PROMOTE, {"i": {"model": first.id}})
    data = await client.ask(PROMOTE, {"i": {"model": second.id}})

    assert {
        "alias": "champion",
        "asset": {"name": "m"},
        "model": {"id": second.id, "aliases": ["champion"]},
        "former": {"id": first.id, "aliases": []},
        "evaluation": {"passed": True},
        "verdicts": [{"metric": "f1", "passed": True}],
    } == data["promote"]


async def test_a_missed_bar_wants_force_and_a_reason(client: Client, store: Store) -> None:
    """A model that missed its bar is CONFLICT; with force and a reason the alias moves."""
    model = await _model(store, "a", passed=False)

    refused = await client.refused(PROMOTE, {"i": {"model": model.id}})
    wordless = await client.refused(PROMOTE, {"i": {"model": model.id, "force": True}})
    forced = await client.ask(PROMOTE, {"i": {"model": model.id, "force": True, "reason": "the only one"}})

    assert ("CONFLICT", "reason") == (refused["code"], wordless["field"])
    assert ["champion"] == forced["promote"]["model"]["aliases"]


async def test_a_promotion_may_say_what_it_saw(client: Client, store: Store) -> None:
    """Where the alias was moved since, the promotion is CONFLICT and names what it points to."""
    first, second = await _model(store, "a", passed=True), await _model(store, "b", passed=True, at=1)
    await client.ask(PROMOTE, {"i": {"model": first.id, "expected": ""}})

    late = await client.refused(PROMOTE, {"i": {"model": second.id, "expected": ""}})
    data = await client.ask(PROMOTE, {"i": {"model": second.id, "expected": first.id}})

    assert ("CONFLICT", True) == (late["code"], first.id in late["message"])
    assert first.id == data["promote"]["former"]["id"]


async def test_several_mutations_see_each_other(client: Client, store: Store) -> None:
    """What one mutation of a request changes, the next one shows."""
    model = await _model(store, "a", passed=True)

    data = await client.ask(
        """mutation ($id: ID!) {
          one: promote(input: {model: $id, alias: "one"}) { model { aliases } }
          two: promote(input: {model: $id, alias: "two"}) { model { aliases } }
        }""",
        {"id": model.id},
    )

    assert [["one"], ["one", "two"]] == [data[name]["model"]["aliases"] for name in ("one", "two")]


async def test_a_waiting_run_is_cancelled_at_once(client: Client) -> None:
    """A run that nobody has taken yet is CANCELED by the call itself."""
    queued = await client.ask('mutation { registerDataset(input: {name: "f", uri: "/x"}) { run { id } } }')
    run = queued["registerDataset"]["run"]["id"]

    data = await client.ask("mutation ($id: ID!) { cancelRun(input: {id: $id}) { run { id state } } }", {"id": run})

    assert {"id": run, "state": "CANCELED"} == data["cancelRun"]["run"]


async def test_a_retraction_needs_a_reason(client: Client, store: Store) -> None:
    """A tombstone says why."""
    model = await _model(store, "a", passed=True)
    query = "mutation ($i: RetractInput!) { retract(input: $i) { artifact { retractedReason } } }"

    refused = await client.refused(query, {"i": {"id": model.id, "reason": " "}})
    data = await client.ask(query, {"i": {"id": model.id, "reason": "leaks the label"}})

    assert "reason" == refused["field"]
    assert {"retractedReason": "leaks the label"} == data["retract"]["artifact"]


async def test_what_finds_no_room_is_unavailable(settings: Settings, store: Store) -> None:
    """While as much waits as may, a call has the code of what can be sent again, and then it can."""
    held, record = Held(store.graph), "mutation ($i: RecordLineageInput!) { recordLineage(input: $i) { nodes } }"
    given = [{"i": {"nodes": [{"kind": "MODEL", "name": name, "version": "1"}]}} for name in ("one", "two")]
    answers: list[Any] = []
    async with serving(settings, Store(held, room=Room(items=1))) as client:

        async def ask(variables: Any) -> None:
            answers.append(await client.ask(record, variables))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, given[0])
            await held.reached.wait()
            refused = await client.refused(record, given[1])
            held.goes_on.set()
        await ask(given[1])

    assert "UNAVAILABLE" == refused["code"]
    assert "LINEAGE_QUEUE_ITEMS" in refused["message"]
    assert 2 * [{"recordLineage": {"nodes": 1}}] == answers


async def test_lineage_from_other_systems(client: Client) -> None:
    """Nodes and edges come in bulk; an edge that cannot be is refused with its index, and nothing is kept."""
    query = "mutation ($i: RecordLineageInput!) { recordLineage(input: $i) { nodes edges } }"
    model = {"kind": "MODEL", "name": "theirs", "version": "1"}
    code = {"kind": "MODEL_CODE", "name": "theirs", "version": "7"}
    good = {"type": "DERIVED_FROM", "source": model, "target": code}
    bad = {"type": "TRAINED_ON", "source": model, "target": code}
    node = {**model, "properties": {"task": "classification"}, "tags": ["foreign"]}

    refused = await client.refused(query, {"i": {"nodes": [node], "edges": [good, bad]}})
    before = await client.ask("{ artifacts { totalCount } }")
    data = await client.ask(query, {"i": {"nodes": [node], "edges": [good], "producer": "airflow"}})
    found = await client.ask(
        '{ artifact(kind: MODEL, name: "theirs") { createdBy ... on Model { task code { version isPlaceholder } } } }'
    )

    assert ("INVALID_INPUT", "edges") == (refused["code"], refused["field"])
    assert "edges[1]" in refused["message"]
    assert {"totalCount": 0} == before["artifacts"]
    assert {"nodes": 1, "edges": 1} == data["recordLineage"]
    assert {
        "createdBy": "airflow",
        "task": "classification",
        "code": {"version": "7", "isPlaceholder": True},
    } == found["artifact"]


async def test_an_environment_is_imported_and_built(client: Client, store: Store) -> None:
    """An environment.yml queues a resolution of what it asks for; one that is there may be built ahead."""
    text = "name: x\nchannels: [conda-forge]\ndependencies: [python=3.11, numpy>=2, {pip: [six]}]"
    query = "mutation ($i: ImportEnvironmentInput!) { importEnvironment(input: $i) { run { kind spec } } }"
    run = (await client.ask(query, {"i": {"text": text}}))["importEnvironment"]["run"]
    body = {"language": "python", "version": "3.11", "locked": [{"name": "six", "version": "1.17.0"}]}
    made = Artifact.defined(K.ENVIRONMENT, "x", body)
    await store.artifacts.record([made], now=NOW, by="t")
    query = "mutation ($i: BuildEnvironmentInput!) { buildEnvironment(input: $i) { run { kind used { id } } } }"
    build = (await client.ask(query, {"i": {"environment": made.id}}))["buildEnvironment"]["run"]
    shown = await client.ask("query ($id: ID!) { node(id: $id) { ... on Environment { yaml } } }", {"id": made.id})

    conda = {"channels": ["conda-forge"], "packages": ["python=3.11", "numpy>=2"]}
    assert ("RESOLVE", "x", ["six"], conda) == (run["kind"], *(run["spec"][k] for k in ("name", "packages", "conda")))
    assert {"kind": "BUILD", "used": [{"id": made.id}]} == build
    assert "- six==1.17.0" in shown["node"]["yaml"]
