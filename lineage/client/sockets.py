"""Subscriptions of the API: graphql-transport-ws over one socket, for as long as it lasts."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from lineage.errors import LineageError, Unauthenticated, Unavailable

PROTOCOL = Subprotocol("graphql-transport-ws")
OPEN_SECONDS = 60.0


def events(
    url: str,
    token: str,
    document: str,
    variables: Mapping[str, Any],
    *,
    failure: Callable[[Mapping[str, Any]], LineageError],
) -> Iterator[dict[str, Any]]:
    """The data of each event of a subscription at the API *url*.

    Args:
        failure: makes an error of ours of what the API says went wrong.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = f"ws{url.removeprefix('http')}/graphql"
    try:
        with connect(
            address,
            subprotocols=[PROTOCOL],
            additional_headers=headers,
            open_timeout=OPEN_SECONDS,
            max_size=None,
            proxy=None,
        ) as socket:
            _begin(socket, document, variables)
            for text in socket:
                message = orjson.loads(text)
                if message["type"] == "complete":
                    return
                for problem in _problems(message):
                    raise failure(problem)
                if message["type"] == "next":
                    yield dict(message["payload"]["data"])
            raise Unavailable(_ended(socket))
    except (OSError, WebSocketException) as error:
        raise Unavailable(f"the API at {url} cannot be reached: {error}") from error


def _begin(socket: ClientConnection, document: str, variables: Mapping[str, Any]) -> None:
    _send(socket, {"type": "connection_init"})
    for text in socket:
        if orjson.loads(text)["type"] == "connection_ack":
            break
    else:
        if socket.close_code == 4403:
            raise Unauthenticated("the API wants its token; set LINEAGE_TOKEN")
        raise Unavailable(_ended(socket))
    _send(socket, {"id": "1", "type": "subscribe", "payload": {"query": document, "variables": dict(variables)}})


def _send(socket: ClientConnection, message: Mapping[str, Any]) -> None:
    socket.send(orjson.dumps(message).decode())


def _problems(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    payload = message.get("payload")
    return payload if isinstance(payload, list) else list((payload or {}).get("errors") or ())


def _ended(socket: ClientConnection) -> str:
    return f"the API has closed the socket ({socket.close_code} {socket.close_reason}) before its last word"
