"""`/graphql`: JSON by POST, queries by GET, subscriptions by graphql-transport-ws, and the page to explore it all."""

from pathlib import Path
from typing import Any

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import FieldNode, GraphQLSyntaxError, OperationDefinitionNode, parse
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET, UnsetType

from api.context import Context, Services
from api.errors import Schema, response
from api.limits import MAX_TOKENS
from api.security import BODY_LIMIT, is_json, is_token
from lineage.errors import InvalidInput, LimitExceeded

PAGE = Path(__file__).parent / "static" / "graphiql" / "index.html"
#: Everything that the page needs comes from this server; the editor sets styles of its own.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: Mutations whose input is large by nature: a source tree, lineage in bulk.
LARGE = {"registerModelCode", "recordLineage"}
MAX_SUBSCRIPTIONS = 50


class Endpoint(GraphQL[Context, None]):
    """The GraphQL endpoint."""

    def __init__(self, schema: Schema, services: Services) -> None:
        super().__init__(
            schema,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            max_subscriptions_per_connection=MAX_SUBSCRIPTIONS,
        )
        self.services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "websocket":
            await super().__call__(scope, receive, send)
            return
        try:
            answer = await self.run(Request(scope, receive))
        except HTTPException as error:
            answer = response(InvalidInput(error.reason), graphql=True)
            answer.status_code = error.status_code
        await answer(scope, receive, send)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """What resolvers may reach."""
        is_trusted, is_socket = request.scope["state"]["is_trusted"], request.scope["type"] == "websocket"
        by = self.services.settings.user
        return Context(services=self.services, by=by, is_trusted=is_trusted, is_socket=is_socket)

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """Ask a socket for the token, unless its handshake has shown it."""
        shown = (context.connection_params or {}).get("authorization", "")
        if not context.is_trusted and not is_token(self.services.settings, str(shown)):
            raise ConnectionRejectionError
        without_payload: UnsetType = UNSET
        return without_payload

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData | list[GraphQLRequestData]:
        """Read the request; a body must say that it is JSON, and only what is large by nature may be large."""
        if request.method == "POST" and not is_json(request.content_type or ""):
            raise HTTPException(415, "send the body as application/json")
        data = await super().parse_http_body(request)
        if request.method == "POST" and not isinstance(data, list):
            _check_size(len(await request.get_body()), data.query or "")
        return data

    async def render_graphql_ide(self, request: Request) -> Response:
        """The page to explore the API."""
        return FileResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    def decode_json(self, data: str | bytes) -> object:
        """Read JSON."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        """Write JSON; a socket of this protocol wants text."""
        return orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS).decode()


def _check_size(size: int, query: str) -> None:
    if size > BODY_LIMIT and not _roots(query) <= LARGE:
        raise LimitExceeded(f"the body may have at most {BODY_LIMIT} bytes, unless it is for {' or '.join(LARGE)}")


def _roots(query: str) -> set[Any]:
    try:
        document = parse(query, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError:
        return {None}
    operations = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    selections = (node for each in operations for node in each.selection_set.selections)
    return {node.name.value if isinstance(node, FieldNode) else None for node in selections}
