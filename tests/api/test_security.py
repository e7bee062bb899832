"""Who is let in, and what is let through."""

import json
import socket
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from api.app import create_app
from api.security import BODY_LIMIT, LARGE_BODY_LIMIT
from lineage.errors import InvalidInput
from lineage.settings import Settings
from lineage.store import Store
from tests.api.serving import Client, serving

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

MUTATION = 'mutation { cancelRun(input: {id: "run-1"}) { run { id } } }'


def _socket(client: Client) -> str:
    return client.url.replace("http", "ws") + "/graphql"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "",
    ],
)
async def test_only_json_may_change_anything(client: Client, kind: str) -> None:
    """The bodies that a page of another site can send without asking are refused."""
    answer = await client.http.post("/graphql", content=json.dumps({"query": MUTATION}), headers={"Content-Type": kind})

    assert 415 == answer.status_code


async def test_get_is_for_queries(client: Client) -> None:
    """A mutation by GET is refused; a query is answered."""
    refused = await client.http.get("/graphql", params={"query": MUTATION})
    answered = await client.http.get("/graphql", params={"query": "{ version }"})

    assert (400, "INVALID_INPUT") == (refused.status_code, refused.json()["errors"][0]["extensions"]["code"])
    assert ["version"] == list(answered.json()["data"])


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""])
async def test_a_name_that_is_not_ours(client: Client, host: str) -> None:
    """A name that was rebound to this machine is refused, so that its pages cannot read or start anything."""
    answer = await client.http.get("/health", headers={"Host": host})

    assert 403 == answer.status_code


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
async def test_names_of_this_machine(client: Client, host: str) -> None:
    """Names and addresses of this machine are ours."""
    assert 200 == (await client.http.get("/health", headers={"Host": host})).status_code


async def test_further_names_can_be_allowed(settings: Settings, store: Store) -> None:
    """LINEAGE_ALLOWED_HOSTS adds names."""
    async with serving(Settings(**{**vars(settings), "allowed_hosts": "lineage.example"}), store) as client:
        answer = await client.http.get("/health", headers={"Host": "lineage.example"})

    assert 200 == answer.status_code


async def test_pages_of_others_may_not_post(client: Client) -> None:
    """A request that says it comes from a page of another origin is refused."""
    body = {"query": "{ version }"}
    answer = await client.http.post("/graphql", json=body, headers={"Origin": "https://evil.example"})
    preflight = await client.http.options("/graphql", headers={"Origin": "https://evil.example"})

    assert 403 == answer.status_code
    assert "access-control-allow-origin" not in {*answer.headers, *preflight.headers}


async def test_pages_of_others_may_not_open_a_socket(client: Client) -> None:
    """The handshake of a socket from another origin is refused."""
    with pytest.raises(InvalidStatus) as refusal:
        await connect(_socket(client), origin="https://evil.example", subprotocols=["graphql-transport-ws"])  # type: ignore[list-item, arg-type]

    assert 403 == refusal.value.response.status_code


async def test_batches_are_off(client: Client) -> None:
    """Several documents in one body are refused."""
    answer = await client.http.post("/graphql", json=[{"query": "{ version }"}] * 2)

    assert (400, "Batching is not enabled") == (answer.status_code, answer.json()["errors"][0]["message"])


async def test_a_body_that_is_too_large(client: Client) -> None:
    """A body over the limit is refused: by its length, by what comes, and by what it is for."""
    text = "x" * BODY_LIMIT

    async def streamed() -> AsyncIterator[bytes]:
        for _ in range(LARGE_BODY_LIMIT // len(text) + 1):
            yield text.encode()

    headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
    asked = await client.http.post("/graphql", json={"query": "{ version }", "variables": {"text": text}})
    declared = await client.http.post("/v1/tell", content=text + "x", headers=headers)
    counted = await client.http.post("/graphql", content=streamed(), headers=headers)

    assert [413, 413, 413] == [asked.status_code, declared.status_code, counted.status_code]


async def test_source_code_may_be_large(client: Client) -> None:
    """A source tree of more than the usual limit is taken."""
    query = "mutation ($i: RegisterModelCodeInput!) { registerModelCode(input: $i) { modelCode { files { bytes } } } }"
    files = [{"path": "model.py", "content": "#" * (2 * BODY_LIMIT)}]

    data = await client.ask(query, {"i": {"name": "big", "entry": "model.py:build", "files": files}})

    assert {"modelCode": {"files": [{"bytes": 2 * BODY_LIMIT}]}} == data["registerModelCode"]


@pytest.mark.parametrize(
    "query",
    [
        "{ artifacts { edges { node " + "{ upstream { node " * 8 + "{ id }" + " } }" * 8 + " } } }",
        "{ " + " ".join(f"a{n}: version" for n in range(51)) + " }",
        "{ " + "version " * 5_001 + "}",
        "{ ...F0 } "
        + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
        + " fragment F60 on Query { a: version }",
    ],
    ids=["depth", "aliases", "tokens", "fragments that double"],
)
async def test_a_document_that_is_too_large(client: Client, query: str) -> None:
    """Depth, aliases, tokens and fragments within fragments have limits."""
    assert "LIMIT_EXCEEDED" == (await client.refused(query))["code"]


async def test_introspection_passes_the_limits(client: Client) -> None:
    """What tools ask to know the schema is let through."""
    from graphql import get_introspection_query

    assert "__schema" in await client.ask(get_introspection_query())


async def test_a_token_is_wanted(settings: Settings, store: Store) -> None:
    """With a token set, only who shows it is answered; the page and the server's health are open."""
    async with serving(Settings(**{**vars(settings), "token": "s3cret"}), store) as client:
        right = await client.send("{ version }")
        headers = [{"Authorization": value} for value in ("", "Bearer wrong", "Basic s3cret", "s3cret")]
        wrong = [await client.http.post("/graphql", json={"query": "{ version }"}, headers=each) for each in headers]
        none = {"Authorization": "", "Accept": "text/html"}
        opened = [
            (await client.http.get(path, headers=none)).status_code for path in ("/graphql", "/health", "/metrics")
        ]
        sneaked = await client.http.get("/graphql?query={version}", headers=none)

    assert "data" in right
    assert [(401, "UNAUTHENTICATED")] * 4 == [
        (each.status_code, each.json()["errors"][0]["extensions"]["code"]) for each in wrong
    ]
    assert ([200, 200, 401], 401) == (opened, sneaked.status_code)


async def test_a_socket_shows_the_token_first(settings: Settings, store: Store) -> None:
    """A socket is closed with 4403 unless its first message has the token."""
    async with serving(Settings(**{**vars(settings), "token": "s3cret"}), store) as client:
        answers = []
        for payload in ({}, {"authorization": "Bearer s3cret"}):
            async with connect(_socket(client), subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
                await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
                try:
                    answers.append(json.loads(await socket.recv())["type"])
                except ConnectionClosedError as closed:
                    answers.append(closed.rcvd and closed.rcvd.code)

    assert [4403, "connection_ack"] == answers


async def test_only_loopback_without_a_token(settings: Settings, store: Store) -> None:
    """A server that others can reach refuses to start without a token."""
    with pytest.raises(InvalidInput, match="LINEAGE_TOKEN"):
        create_app(Settings(**{**vars(settings), "host": "0.0.0.0"}), store)


def test_a_port_that_is_taken_is_named(settings: Settings) -> None:
    """The error says which port, and how to choose another."""
    from api.__main__ import listening

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"port {port} .* LINEAGE_PORT"):
            listening(Settings(**{**vars(settings), "port": port}))
