"""The run protocol as started work speaks it: a token for each attempt, calls that may be repeated, fencing."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from lineage.errors import Unavailable
from lineage.files import Files
from lineage.runs import Lease, Outcome, RunKind, RunState
from lineage.searchspace import SearchSpace
from lineage.settings import Settings
from lineage.store import Store
from lineage.tuning.studies import Studies
from tests.api.serving import Client
from tests.conftest import NOW
from tests.runs import a_run

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
TTL = timedelta(seconds=30)
SPACE = SearchSpace.parse({"parameters": {"x": {"type": "float", "low": 0.0, "high": 1.0}}})


async def _attempt(store: Store, lease: Lease, token: str) -> Lease:
    return await store.runs.begin_attempt(lease, token_hash=hashlib.sha256(token.encode()).hexdigest(), now=NOW)


async def a_tuning_run(store: Store, *, trials: int = 3, token: str = "secret") -> Lease:
    """A run that tunes x, in its first attempt, whose work shows *token*."""
    run = await store.runs.create(a_run(RunKind.TUNE, created_by="t"))
    lease = await store.runs.lease("w", executors=["process"], now=NOW, ttl=TTL)
    assert lease is not None
    studies = Studies(store.graph)
    await studies.ensure(run.id, space=SPACE, metric="f1", greater_is_better=True, trials=trials, seed=1)
    return await _attempt(store, lease, token)


async def call(client: Client, name: str, body: Any, *, token: str = "secret") -> tuple[int, Any]:
    """The status and the body of an answer."""
    answer = await client.http.post(f"/v1/{name}", json=body, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


async def told(client: Client, number: int, value: float | None = 0.5, state: str = "COMPLETE") -> tuple[int, Any]:
    """The answer to the end of a trial."""
    return await call(client, "tell", {"trial": number, "state": state, "value": value, "metrics": {"f1": value}})


async def test_a_slot_that_asks_again_gets_its_trial_again(client: Client, store: Store) -> None:
    """An answer that got lost costs no trial: the slot gets the one that it has not told yet."""
    await a_tuning_run(store)

    _, first = await call(client, "ask", {"slot": "0"})
    _, again = await call(client, "ask", {"slot": "0"})
    _, other = await call(client, "ask", {"slot": "1"})

    assert first == again
    assert {first["trial"]["number"], other["trial"]["number"]} == {0, 1}
    assert 0.0 <= first["trial"]["params"]["x"] <= 1.0


async def test_telling_twice_is_telling_once(client: Client, store: Store) -> None:
    """A result that is sent again changes nothing."""
    lease = await a_tuning_run(store)
    await call(client, "ask", {"slot": "0"})

    answers = [await told(client, 0), await told(client, 0)]

    assert [(200, {}), (200, {})] == answers
    data = await client.ask(
        """query ($id: ID!) { run(id: $id) {
          trialCounts { state count } bestTrial { number value }
          trials { totalCount edges { node { number state value metrics } } }
        } }""",
        {"id": lease.run.id},
    )
    node = {"number": 0, "state": "COMPLETE", "value": 0.5, "metrics": {"f1": 0.5}}
    assert {
        "trialCounts": [{"state": "COMPLETE", "count": 1}],
        "bestTrial": {"number": 0, "value": 0.5},
        "trials": {"totalCount": 1, "edges": [{"node": node}]},
    } == data["run"]


async def test_the_budget_ends(client: Client, store: Store) -> None:
    """When all trials are told, the answer is that there is nothing more to do."""
    await a_tuning_run(store, trials=1)
    await call(client, "ask", {"slot": "0"})
    await told(client, 0, None, "FAIL")

    status, asked = await call(client, "ask", {"slot": "0"})

    assert (200, None, True) == (status, asked["trial"], asked["done"])


async def test_a_step_is_answered_with_whether_to_prune(client: Client, store: Store) -> None:
    """The first trial has nobody to compare with, so it goes on."""
    await a_tuning_run(store)
    await call(client, "ask", {"slot": "0"})

    assert (200, {"prune": False}) == await call(client, "report", {"trial": 0, "step": 0, "value": 0.1})


async def test_a_beat_hears_of_a_cancel(client: Client, store: Store) -> None:
    """A sign of life is noted with its progress, and answered with whether to stop."""
    lease = await a_tuning_run(store)

    before = await call(client, "beat", {"slot": "0", "progress": 0.25, "message": "fitting"})
    await store.runs.cancel(lease.run.id, now=NOW)
    after = await call(client, "beat", {"slot": "0", "progress": None, "message": None})

    run = await store.runs.get(lease.run.id)
    assert ((200, {"cancel": False}), (200, {"cancel": True})) == (before, after)
    assert (0.25, "fitting") == (run.progress, run.message)
    assert run.last_beat_at is not None


async def test_bytes_are_kept(client: Client, store: Store, settings: Settings) -> None:
    """What a run puts is in the artifact store under its digest."""
    await a_tuning_run(store)
    data = b"model" * 100_000
    headers = {"Authorization": "Bearer secret"}

    answer = await client.http.put("/v1/artifacts/model.skops", content=data, headers=headers)

    digest = hashlib.sha256(data).hexdigest()
    assert {"sha256": digest, "bytes": len(data)} == answer.json()
    assert data == await Files(settings.artifacts_url).read(digest)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic secret"])
async def test_an_unknown_token(client: Client, store: Store, authorization: str) -> None:
    """Without the token of an attempt nothing is answered."""
    await a_tuning_run(store)

    answer = await client.http.post("/v1/ask", json={"slot": "0"}, headers={"Authorization": authorization})

    assert (401, "UNAUTHENTICATED") == (answer.status_code, answer.json()["error"]["code"])


async def test_an_earlier_attempt_is_shut_out(client: Client, store: Store) -> None:
    """The token of an attempt that was replaced is good for nothing any more."""
    lease = await a_tuning_run(store, token="old")
    await _attempt(store, lease, "new")

    statuses = [(await call(client, "beat", {"slot": "0"}, token=token))[0] for token in ("old", "new")]

    assert [401, 200] == statuses


async def test_a_run_that_is_over(client: Client, store: Store) -> None:
    """Work whose run has ended hears 409 and stops."""
    lease = await a_tuning_run(store)
    await store.runs.finish(lease, Outcome(state=RunState.FAILED), now=NOW)

    status, body = await call(client, "ask", {"slot": "0"})

    assert (409, "STALE_GENERATION") == (status, body["error"]["code"])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("ask", {}),
        ("ask", {"slot": 0}),
        ("ask", [1]),
        ("report", {"trial": 0, "step": 0}),
        ("report", {"trial": -1, "step": 0, "value": 1.0}),
        ("tell", {"trial": 0, "state": "DONE", "value": 1.0}),
        ("tell", {"trial": 0, "state": "COMPLETE", "value": True}),
        ("tell", {"trial": 0, "state": "COMPLETE", "value": 1.0, "metrics": [1]}),
        ("tell", {"trial": 0, "state": "COMPLETE", "value": 1.0, "metrics": {"f1": "good"}}),
        ("beat", {"progress": 2}),
        ("beat", {"message": 5}),
    ],
)
async def test_words_that_make_no_sense(client: Client, store: Store, name: str, body: Any) -> None:
    """A body of another shape is INVALID_INPUT."""
    await a_tuning_run(store)

    status, answer = await call(client, name, body)

    assert (400, "INVALID_INPUT") == (status, answer["error"]["code"])


async def test_a_body_that_is_not_json(client: Client, store: Store) -> None:
    """NaN is not JSON, and is refused with all the rest that is not."""
    await a_tuning_run(store)
    headers = {"Authorization": "Bearer secret"}

    answers = [await client.http.post("/v1/ask", content=text, headers=headers) for text in ('{"slot": NaN}', "slot=0")]

    assert [400, 400] == [answer.status_code for answer in answers]


async def test_while_the_graph_is_away(client: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that does not answer is 503 with Retry-After, so that the caller tries again."""

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("Neo4j does not answer")

    monkeypatch.setattr(store.runs, "by_token", away)
    answer = await client.http.post("/v1/ask", json={"slot": "0"}, headers={"Authorization": "Bearer secret"})

    assert (503, "UNAVAILABLE", "2") == (
        answer.status_code,
        answer.json()["error"]["code"],
        answer.headers["retry-after"],
    )
