"""Errors as clients meet them: a code each, and of our own faults only an id."""

import pytest
from structlog.testing import capture_logs

from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import InvalidInput
from lineage.store import Store
from tests.api.serving import Client
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


async def test_a_thing_that_is_not_there(client: Client) -> None:
    """Cancelling a run that does not exist is NOT_FOUND."""
    error = await client.refused('mutation { cancelRun(input: {id: "run-1"}) { run { id } } }')

    assert {"message": "there is no run with the id 'run-1'", "code": "NOT_FOUND"} == error


async def test_bad_input_names_its_field(client: Client) -> None:
    """A metric that nobody knows is INVALID_INPUT, with the field and what may have been meant."""
    error = await client.refused('mutation { defineMetric(input: {name: "a", metric: "roc_acu"}) { metric { id } } }')

    assert ("INVALID_INPUT", "metric", "roc_auc") == (error["code"], error["field"], error["nearest"][0])


async def test_fields_are_named_as_clients_know_them() -> None:
    """A field of the domain is named in the schema's own spelling."""
    from api.errors import extensions

    assert "nullValues" == extensions(InvalidInput("no", field="null_values"))["field"]


async def test_a_conflict(client: Client, store: Store) -> None:
    """A promotion without evidence is CONFLICT."""
    model = Artifact(kind=ArtifactKind.MODEL, name="m", digest="d" * 64)
    await store.artifacts.record([model], now=NOW, by="test")

    error = await client.refused("mutation ($id: ID!) { promote(input: {model: $id}) { alias } }", {"id": model.id})

    assert "CONFLICT" == error["code"]


@pytest.mark.parametrize(
    "query",
    [
        "{",
        "{ nothing }",
        '{ artifacts(first: "x") { totalCount } }',
        "query ($n: Int!) { artifacts(first: $n) { totalCount } }",
    ],
)
async def test_a_document_that_is_wrong(client: Client, query: str) -> None:
    """Syntax, unknown fields and wrong types are INVALID_INPUT."""
    assert "INVALID_INPUT" == (await client.refused(query))["code"]


@pytest.mark.parametrize("argument", ["first: 0", 'after: "x"', 'after: "W10"', 'after: "WyJhIiwiYiJd"'])
async def test_a_page_that_cannot_be(client: Client, argument: str) -> None:
    """A page of no size, or behind a cursor that is not ours, is INVALID_INPUT."""
    error = await client.refused(f"{{ artifacts({argument}) {{ edges {{ cursor }} }} }}")

    assert ("INVALID_INPUT", argument.partition(":")[0]) == (error["code"], error["field"])


async def test_a_page_that_is_too_large(client: Client) -> None:
    """More than 100 artifacts on a page are LIMIT_EXCEEDED."""
    assert "LIMIT_EXCEEDED" == (await client.refused("{ artifacts(first: 101) { totalCount } }"))["code"]


async def test_our_own_fault_is_masked(client: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong inside is logged under an id, which is all that the client gets."""

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(store.runs, "page", broken)
    with capture_logs() as logs:
        error = await client.refused("{ runs { edges { cursor } } }")

    (entry,) = [each for each in logs if each["event"] == "api.fault"]
    assert ("INTERNAL", entry["id"]) == (error["code"], error["id"])
    assert "secret" not in error["message"]
    assert "secret detail" == str(entry["exc_info"])


async def test_a_fault_outside_graphql_is_masked_too(
    client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain endpoints keep faults to themselves as well."""

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(store.runs, "by_token", broken)
    answer = await client.http.post("/v1/beat", json={}, headers={"Authorization": "Bearer x"})

    assert (500, "INTERNAL") == (answer.status_code, answer.json()["error"]["code"])
    assert "secret" not in answer.text
